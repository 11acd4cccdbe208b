"""Measure every kind of list page at scale and hold it to the targets.

    python -m tests.soak.list_targets --secrets 1000000 --data-dir /path/to/folder
    python -m tests.soak.list_targets --secrets 1000000 --database-url postgresql://...

Seeds the store first when it is empty. Prints a table, and JSON with ``--json FILE``; ends with 1 when
a target is missed. Times are whole pages: from the query to 200 domain objects with their exact total.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from strongroom.domain.secrets.model import Secret, SecretQuery, SecretType
from strongroom.kernel.ids import GroupId
from strongroom.kernel.result import Sort
from strongroom.storage.engine import open_engine
from strongroom.storage.migrate import ensure_schema
from strongroom.storage.repositories.secret_list_statements import KEYS
from strongroom.storage.store import SqlStorage, open_storage
from tests.soak.seed import COMMON_WORD, RARE_WORD, add_target, seed, target_of

PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Targets:
    """Milliseconds that a page may take."""

    first: float
    any_offset: float
    common_search: float = 1000.0


TARGETS: Final = {"sqlite": Targets(10, 50), "postgresql": Targets(20, 400)}


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of page."""

    name: str
    query: SecretQuery
    target_ms: float | None = None


@dataclass(slots=True)
class Result:
    """What was measured."""

    name: str
    total: int
    rows: int
    median_ms: float
    max_ms: float
    cpu_ms: float
    target_ms: float | None
    met: bool = field(init=False)

    def __post_init__(self) -> None:
        self.met = self.target_ms is None or self.median_ms <= self.target_ms


class _Cases:
    """Collects the cases for one store."""

    def __init__(self, counts: dict[tuple[GroupId, SecretType], int], targets: Targets) -> None:
        self.found: list[Case] = []
        self.targets = targets
        self.total = sum(counts.values())
        self.by_group: Counter[GroupId] = Counter()
        self.by_type: Counter[SecretType] = Counter()
        for (group, kind), number in counts.items():
            self.by_group[group] += number
            self.by_type[kind] += number
        self.counts = counts
        self.groups = [group for group, _ in self.by_group.most_common()]
        self.types = [kind for kind, _ in self.by_type.most_common()]

    def add(self, name: str, target: float | None, **query: Any) -> None:
        self.found.append(Case(name, SecretQuery(limit=PAGE, **query), target))

    def add_pages(self, name: str, matches: int, **query: Any) -> None:
        self.add(f"{name}: first", self.targets.first, **query)
        for words, share in (("25 %", 0.25), ("50 %", 0.5), ("75 %", 0.75)):
            if matches > 4 * PAGE:
                self.add(f"{name}: at {words}", self.targets.any_offset, offset=int(matches * share), **query)
        if matches > PAGE:
            self.add(f"{name}: last", self.targets.any_offset, offset=matches - PAGE, **query)

    def add_sorted(self) -> None:
        self.add_pages("newest", self.total)
        for key in KEYS:
            for descending in (False, True):
                order = Sort(key=key, descending=descending)
                self.add_pages(f"sort {'-' if descending else ''}{key}", self.total, sort=order)

    def add_filtered(self) -> None:
        chosen = {"big": self.groups[0], "middle": self.groups[len(self.groups) // 4], "small": self.groups[-1]}
        for words, group in chosen.items():
            matches, only = self.by_group[group], frozenset({group})
            self.add_pages(f"{words} group ({matches})", matches, groups=only)
            for key in ("name", "expiration_date"):
                self.add_pages(f"{words} group, sort {key}", matches, groups=only, sort=Sort(key=key))
        for words, kind in {"common": self.types[0], "rare": self.types[-1]}.items():
            matches, these = self.by_type[kind], frozenset({kind})
            self.add_pages(f"{words} type ({matches})", matches, secret_types=these)
            for key, descending in (("name", False), ("expiration_date", True)):
                order = Sort(key=key, descending=descending)
                self.add_pages(f"{words} type, sort {key}", matches, secret_types=these, sort=order)
        matches = self.counts[self.groups[0], self.types[0]]
        both: dict[str, Any] = {
            "groups": frozenset({self.groups[0]}),
            "secret_types": frozenset({self.types[0]}),
        }
        self.add_pages(f"big group, common type ({matches})", matches, **both)
        self.add_pages("big group, common type, sort name", matches, sort=Sort(key="name"), **both)

    def add_searched(self, some: Secret) -> None:
        first, common = self.targets.first, self.targets.common_search
        by_name, half = Sort(key="name"), self.total // 2
        self.add("rare word", first, search=RARE_WORD)
        self.add("rare word, sort name", first, search=RARE_WORD.upper(), sort=by_name)
        self.add("one secret by its name", first, search=f"-{half:07d}.{COMMON_WORD}")
        self.add("one secret by its whole name", first, search=some.name)
        self.add("one secret by its id, sort name", first, search=some.id, sort=by_name)
        self.add("word that is not there", first, search="no such words")
        self.add("word in all: first", common, search=COMMON_WORD)
        self.add("word in all: at 50 %", common, search=COMMON_WORD, offset=half)
        self.add("word in all, sort name: at 50 %", common, search=COMMON_WORD, sort=by_name, offset=half)
        self.add("word in all, big group", common, search=COMMON_WORD, groups=frozenset({self.groups[0]}))
        for word in ("cert", "s-"):
            self.add(f"common {word}: first", common, search=word)
            self.add(f"common {word}, sort name", common, search=word, sort=by_name)
        self.add("word in a tenth, sort name", common, search="billing", sort=by_name)

    def add_unjudged(self) -> None:
        several = frozenset(self.groups[1:20])
        matches, by_name = sum(self.by_group[group] for group in several), Sort(key="name")
        self.add(f"19 groups ({matches}): first", None, groups=several)
        self.add("19 groups: at 50 %", None, groups=several, offset=matches // 2)
        self.add("19 groups, sort name", None, groups=several, sort=by_name)
        self.add("19 groups, sort name: at 50 %", None, groups=several, sort=by_name, offset=matches // 2)
        two = frozenset({self.types[0], self.types[-1]})
        self.add("two types, sort -updated_at", None, secret_types=two, sort=Sort(key="updated_at", descending=True))
        self.add("common label: first", None, labels=("prod",))
        self.add("common label, sort name", None, labels=("prod",), sort=by_name)
        self.add("rare label", None, labels=("team-7",))
        self.add("two labels", None, labels=("prod", "eu-de"))
        self.add("two letters that are nowhere", None, search="zz")
        self.add("two common letters", None, search="us")
        self.add("common cert, sort name: at 30 %", None, search="cert", sort=by_name, offset=self.total * 3 // 10)


def cases(counts: dict[tuple[GroupId, SecretType], int], some: Secret, targets: Targets) -> list[Case]:
    """Return every case, ``some`` being a secret to look for; the last carry no target, they are printed to be seen."""
    collected = _Cases(counts, targets)
    collected.add_sorted()
    collected.add_filtered()
    collected.add_searched(some)
    collected.add_unjudged()
    return collected.found


def measure(storage: SqlStorage, case: Case, rounds: int) -> Result:
    """Ask for the page some times and keep the median."""
    times: list[float] = []
    cpu: list[float] = []
    page = storage.read(lambda unit: unit.secrets.page(case.query))  # compiles the statement and warms the cache
    for _ in range(rounds):
        started, cpu_started = time.perf_counter(), time.thread_time()
        page = storage.read(lambda unit: unit.secrets.page(case.query))
        times.append((time.perf_counter() - started) * 1000)
        cpu.append((time.thread_time() - cpu_started) * 1000)
    median = statistics.median(times)
    return Result(case.name, page.total, len(page.items), median, max(times), statistics.median(cpu), case.target_ms)


def measure_reads(storage: SqlStorage, rounds: int) -> float:
    """Return microseconds of one payload read, mapping included."""
    page = storage.read(lambda unit: unit.secrets.page(SecretQuery(limit=PAGE)))
    ids = [secret.id for secret in page.items]
    started = time.perf_counter()
    for index in range(rounds):
        secret_id = ids[index % PAGE]
        storage.read(lambda unit, id_=secret_id: unit.secrets.find_current(id_))  # type: ignore[misc]
    return (time.perf_counter() - started) / rounds * 1e6


def run(storage: SqlStorage, rounds: int) -> list[Result]:
    """Measure every case and print it."""
    counts = storage.read(lambda unit: unit.secrets.counts())
    results = []
    middle = SecretQuery(limit=1, offset=sum(counts.values()) // 2)
    some = storage.read(lambda unit: unit.secrets.page(middle)).items[0]
    for case in cases(counts, some, TARGETS[storage.dialect]):
        result = measure(storage, case, rounds)
        target = "" if result.target_ms is None else f"{result.target_ms:6.0f}"
        verdict = "" if result.met else "  MISSED"
        sys.stdout.write(
            f"{result.name:45} {result.total:8} {result.median_ms:9.2f} {result.max_ms:9.2f}"
            f" {result.cpu_ms:9.2f} {target:>7}{verdict}\n"
        )
        results.append(result)
    return results


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--secrets", type=int, default=1_000_000)
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    add_target(parser)
    arguments = parser.parse_args()
    engine = open_engine(target_of(arguments), read_pool=1)
    ensure_schema(engine)
    storage = open_storage(target_of(arguments), stream="list-targets")
    try:
        if not storage.read(lambda unit: unit.groups.listing()):
            seeded = seed(engine, secrets=arguments.secrets, groups=arguments.groups)
            sys.stdout.write(f"seeded {seeded.secrets} secrets in {seeded.seconds:.0f} s\n")
        sys.stdout.write(
            f"{'page of ' + str(PAGE):45} {'total':>8} {'median ms':>9} {'max ms':>9} {'cpu ms':>9} {'target':>7}\n"
        )
        results = run(storage, arguments.rounds)
        read_us = measure_reads(storage, 2000)
        sys.stdout.write(f"payload read with mapping: {read_us:.1f} us\n")
    finally:
        storage.close()
        engine.close()
    missed = [result.name for result in results if not result.met]
    if arguments.json:
        document = {
            "dialect": storage.dialect,
            "payload_read_us": read_us,
            "results": [asdict(result) for result in results],
        }
        arguments.json.write_text(json.dumps(document, indent=2), encoding="utf-8")
    sys.stdout.write(f"{len(missed)} of {len(results)} targets missed\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
