"""Any order of requests on secrets, versions and locks, against a small model of what must come of it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from strongroom.kernel.clock import FrozenClock
from tests.api.v2.conftest import watch
from tests.api.v2.sending import SECRETS, create, made
from tests.conftest import START_OF_TESTS
from tests.peers.in_process import InProcess, in_process
from tests.peers.server import Answer

KEPT = 4
LOCKS = 5
NAMES = ("one", "two")
TEXTS = st.sampled_from(["", "x", "longer text", "é\n"])
WHICH = st.integers(0, 1)
LOCK_NAMES = st.lists(st.sampled_from(["edge", "core", "test", "spare"]), min_size=1, max_size=3, unique=True)


@dataclass
class Version:
    """A value and the locks on it."""

    payload: str | None
    locks: set[str] = field(default_factory=set)


@dataclass
class Modelled:
    """What a secret must look like; versions newest first."""

    name: str
    versions: list[Version]
    labels: list[str] = field(default_factory=list)
    expires_in: int | None = None
    destroyed: bool = False

    @property
    def previous(self) -> Version | None:
        """Return the version before the current one."""
        return self.versions[1] if len(self.versions) > 1 else None

    @property
    def locks(self) -> int:
        """Return how many locks there are on all versions."""
        return sum(len(version.locks) for version in self.versions)


@cache
def prepared() -> Path:
    """Make a data directory once; every run starts from a copy."""
    path = Path(tempfile.mkdtemp(prefix="strongroom-model-")) / "data"
    with in_process(path, FrozenClock(START_OF_TESTS)):
        atexit.register(shutil.rmtree, path.parent)
    return path


class Lifecycle(RuleBasedStateMachine):
    """Sends requests to a server in process and keeps a model beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        data = Path(self.folder.name) / "data"
        shutil.copytree(prepared(), data)
        limits = {"versions_kept": KEPT, "locks_per_secret": LOCKS}
        self.context = in_process(data, FrozenClock(START_OF_TESTS), limits=limits)
        self.server: InProcess = watch(self.context.__enter__())
        self.model: dict[str, Modelled] = {}
        self.hours = 0

    def teardown(self) -> None:
        """Let go of the server."""
        self.context.__exit__(None, None, None)
        self.folder.cleanup()

    def send(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request."""
        return self.server.request(method, path, body)

    def pick(self, which: int) -> tuple[str, Modelled]:
        """Return one of the secrets."""
        return list(self.model.items())[which % len(self.model)]

    @initialize(payloads=st.lists(TEXTS, min_size=1, max_size=3))
    def start(self, payloads: list[str]) -> None:
        """Begin with one secret that has some versions."""
        self.create("one", payloads[0], None)
        for payload in payloads[1:]:
            self.rotate(0, payload)

    @rule(name=st.sampled_from(NAMES), payload=TEXTS, hours=st.none() | st.integers(1, 5))
    def create(self, name: str, payload: str, hours: int | None) -> None:
        """Create a secret; a taken name is a conflict."""
        more: dict[str, Any] = {}
        if hours is not None:
            at = START_OF_TESTS + timedelta(hours=self.hours + hours)
            more["expiration_date"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = create(self.server, "arbitrary", name, payload=payload, **more)
        if any(secret.name == name for secret in self.model.values()):
            assert answer.status == 409
            return
        expires = None if hours is None else self.hours + hours
        self.model[made(answer)] = Modelled(name, [Version(payload)], expires_in=expires)

    @precondition(lambda self: self.model)
    @rule(which=WHICH, payload=TEXTS)
    def rotate(self, which: int, payload: str) -> None:
        """Make the next version, unless the previous one is locked or the secret has expired."""
        address, secret = self.pick(which)
        answer = self.send("POST", f"{address}/versions", {"payload": payload})
        if secret.destroyed:
            assert answer.status == 400
        elif secret.previous is not None and secret.previous.locks:
            assert answer.status == 412
        else:
            assert answer.status == 201
            secret.versions.insert(0, Version(payload))
            for old in secret.versions[2:]:
                old.payload = None
            del secret.versions[KEPT:]

    @precondition(lambda self: self.model)
    @rule(
        which=WHICH,
        names=LOCK_NAMES,
        alias=st.sampled_from(["current", "current", "previous"]),
        mode=st.sampled_from([None, "remove_previous_and_delete", "remove_previous"]),
    )
    def lock(self, which: int, names: list[str], alias: str, mode: str | None) -> None:
        """Lock a version in any mode."""
        address, secret = self.pick(which)
        query = "" if mode is None else f"?mode={mode}"
        body = {"locks": [{"name": name} for name in names]}
        answer = self.send("POST", f"{address}/versions/{alias}/locks_bulk{query}", body)
        previous = secret.previous
        version = secret.versions[0] if alias == "current" else previous
        if version is None:
            assert answer.status == 404
            return
        if version.payload is None or (mode is not None and alias == "previous"):
            assert answer.status == 400
            return
        moved = len(previous.locks & set(names)) if previous is not None and mode is not None else 0
        if secret.locks + len(set(names) - version.locks) - moved > LOCKS:
            assert answer.status == 400
            assert b"reached the maximum" in answer.raw
            return
        assert answer.status == 201, answer.raw
        version.locks |= set(names)
        if mode is not None and previous is not None:
            previous.locks -= set(names)
            if mode == "remove_previous_and_delete" and not previous.locks:
                previous.payload = None
        assert [set(shown["locks"]) for shown in answer.json["versions"]] == [
            shown.locks for shown in secret.versions[:2]
        ]

    @precondition(lambda self: self.model)
    @rule(which=WHICH, names=st.none() | LOCK_NAMES, alias=st.sampled_from([None, "current", "previous"]))
    def unlock(self, which: int, names: list[str] | None, alias: str | None) -> None:
        """Delete locks by name or all, of one version or all."""
        address, secret = self.pick(which)
        place = address if alias is None else f"{address}/versions/{alias}"
        query = "" if names is None else f"?name={','.join(names)}"
        answer = self.send("DELETE", f"{place}/locks_bulk{query}")
        if alias == "previous" and secret.previous is None:
            assert answer.status == 404
            return
        assert answer.status == 200
        chosen = {None: secret.versions[:2], "current": secret.versions[:1], "previous": secret.versions[1:2]}[alias]
        for version in chosen:
            version.locks -= set(names) if names is not None else set(version.locks)

    @precondition(lambda self: self.model)
    @rule(which=WHICH, labels=st.lists(st.sampled_from(["dev", "prod"]), unique=True), name=st.sampled_from(NAMES))
    def patch(self, which: int, labels: list[str], name: str) -> None:
        """Rename and label a secret, locks or not."""
        address, secret = self.pick(which)
        answer = self.send("PATCH", f"{address}/metadata", {"labels": labels, "name": name})
        if any(other.name == name for other in self.model.values() if other is not secret):
            assert answer.status == 409
        else:
            assert answer.status == 200
            secret.labels, secret.name = labels, name

    @precondition(lambda self: self.model)
    @rule(which=WHICH)
    def delete(self, which: int) -> None:
        """Delete a secret, unless a version is locked."""
        address, secret = self.pick(which)
        answer = self.send("DELETE", address)
        if secret.locks:
            assert answer.status == 412
        else:
            assert answer.status == 204
            del self.model[address]
            assert self.send("GET", address).status == 404

    @rule(hours=st.integers(1, 3))
    def pass_time(self, hours: int) -> None:
        """Let time pass and the background work happen; locks delay an expiry."""
        self.hours += hours
        self.server.clock.advance(timedelta(hours=hours))
        self.server.forget_tokens()
        self.server.work()
        for secret in self.model.values():
            if secret.expires_in is not None and secret.expires_in <= self.hours and not secret.locks:
                secret.destroyed = True
                for version in secret.versions:
                    version.payload = None

    @invariant()
    def the_list_agrees(self) -> None:
        """Compare the list of all secrets with the model."""
        listed = self.send("GET", SECRETS).json
        assert listed["total_count"] == len(self.model)
        shown = {f"{SECRETS}/{item['id']}": item for item in listed["secrets"]}
        assert shown.keys() == self.model.keys()
        for address, secret in self.model.items():
            item = shown[address]
            assert item["name"] == secret.name
            assert item["labels"] == secret.labels
            assert item["locks_total"] == secret.locks
            assert item["versions_total"] == len(secret.versions)
            assert item["state"] == (5 if secret.destroyed else 1)

    @invariant()
    def the_versions_agree(self) -> None:
        """Compare every version and its value with the model."""
        for address, secret in self.model.items():
            versions = self.send("GET", f"{address}/versions").json["versions"]
            assert [item["payload_available"] for item in versions] == [
                version.payload is not None for version in secret.versions
            ]
            for item, version in zip(versions[:2], secret.versions, strict=False):
                value = self.send("GET", f"{address}/versions/{item['id']}").json
                assert value.get("payload") == version.payload


_runs = settings.default.max_examples if settings.default is not None else 60
# A failure is made as short as possible before it is shown, which takes minutes.
TestLifecycle = pytest.mark.timeout(420)(Lifecycle.TestCase)
# The profile's number is of examples; one run here has some thirty requests.
TestLifecycle.settings = settings(max_examples=_runs // 2, stateful_step_count=30)
