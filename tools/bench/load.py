"""One turn of load: a plan in, what ``wrk`` saw and what the server spent out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tools.bench.processes import ServerProcess

COUNTER = "{{counter}}"
"""Stands in a path or body for a text that is another one in every request."""

_SCRIPT = Path(__file__).with_name("load.lua")
_PLAIN = re.compile(r"[^ !#-\[\]-~]")
_GRACE_S = 30.0


class LoadGeneratorError(Exception):
    """The load generator is missing or did not do its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The requests of a turn: ``paths`` are taken one after the other, again and again."""

    port: int
    method: str
    paths: Sequence[str]
    headers: Mapping[str, str] = field(repr=False)
    body: str = field(default="", repr=False)

    def with_counter(self, counter: str) -> Plan:
        """Return the plan of one single request, the counter written out."""
        path = self.paths[0].replace(COUNTER, counter)
        return replace(self, paths=[path], body=self.body.replace(COUNTER, counter))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An answer, counted from 1, whose time is taken.

    Attributes:
        ends_turn: send nothing after it; requests that are under way then are given up.
    """

    answer: int
    ends_turn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one turn gave; times in milliseconds."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_ms: float
    """Processor time of the server per request."""
    errors: int
    """Broken connections and time-outs, and answers that are no success."""
    duration_s: float = 0.0
    marked: int = 0
    """Number of the marked answer."""
    marked_s: float | None = None
    """When the marked answer came; ``None`` if there was no mark, or it did not come."""


def wrk_version() -> str:
    """Return the version of the load generator.

    Raises:
        LoadGeneratorError: if it is not installed.
    """
    if shutil.which("wrk") is None:
        raise LoadGeneratorError("wrk is not installed; on Debian: apt-get install wrk")
    # It has no way to show its version that ends with success.
    shown = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False, timeout=10).stdout
    return shown.partition(" Copyright")[0].strip()


def run_turn(
    plan: Plan,
    server: ServerProcess,
    *,
    tag: str,
    connections: int,
    seconds: int,
    folder: Path,
    mark: Mark | None = None,
) -> Turn:
    """Put load on a server for a while.

    Args:
        plan: the requests.
        server: whose processor time is counted.
        tag: goes into every counter; no two turns on one server may share it.
        connections: how many requests run at a time.
        seconds: how long.
        folder: private folder for the plan, which holds a token.
        mark: an answer to time.

    Raises:
        LoadGeneratorError: if the generator fails.
    """
    result = folder / "turn.json"
    script = folder / "plan.lua"
    script.unlink(missing_ok=True)
    script.touch(mode=0o600)
    script.write_text(lua_plan(plan, tag=tag, result=result, mark=mark), encoding="ascii")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(_SCRIPT)]
    before = server.cpu_s()
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{plan.port}/"],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + _GRACE_S,
        env={"BENCH_PLAN": str(script), "PATH": "/usr/local/bin:/usr/bin:/bin"},
    )
    spent = server.cpu_s() - before
    script.unlink()
    server.require_alive()
    if done.returncode != 0 or not result.is_file():
        raise LoadGeneratorError(f"wrk ended with code {done.returncode}: {(done.stdout + done.stderr)[-1000:]}")
    turn = replace(read_turn(result.read_text(encoding="ascii"), cpu_s=spent), marked=mark.answer if mark else 0)
    result.unlink()
    return turn


def read_turn(text: str, *, cpu_s: float) -> Turn:
    """Read the line that ``load.lua`` writes.

    Raises:
        LoadGeneratorError: if not a single request was answered.
    """
    seen = json.loads(text)
    requests = seen["requests"]
    if not requests:
        raise LoadGeneratorError("not one request was answered in the whole turn")
    return Turn(
        requests=requests,
        per_second=requests / (seen["duration_us"] / 1e6),
        p50_ms=seen["p50_us"] / 1e3,
        p99_ms=seen["p99_us"] / 1e3,
        max_ms=seen["max_us"] / 1e3,
        cpu_ms=cpu_s / requests * 1e3,
        errors=seen["failed"] + seen["refused"],
        duration_s=seen["duration_us"] / 1e6,
        marked_s=seen["marked_us"] / 1e6 or None,
    )


def first_counter(tag: str) -> str:
    """Return the counter of the first request that a turn really sends; wrk keeps request 1 to look at."""
    return f"{tag}-2"


def lua_plan(plan: Plan, *, tag: str, result: Path, mark: Mark | None = None) -> str:
    """Write a plan as the Lua file that ``load.lua`` reads."""
    # wrk adds its own Host only to requests that it formats itself.
    named = {**plan.headers, "Host": f"127.0.0.1:{plan.port}"}
    headers = ", ".join(f"[{_lua(name)}] = {_lua(value)}" for name, value in named.items())
    paths = ", ".join(_lua(path) for path in plan.paths)
    return (
        f"return {{ method = {_lua(plan.method)}, headers = {{ {headers} }}, paths = {{ {paths} }},\n"
        f"  body = {_lua(plan.body)}, marker = {_lua(COUNTER)}, tag = {_lua(tag)}, result = {_lua(str(result))},\n"
        f"  mark = {mark.answer if mark else 0}, stops = {'true' if mark and mark.ends_turn else 'false'} }}\n"
    )


def _lua(text: str) -> str:
    """Quote a text for Lua; what is not plain ASCII goes byte by byte."""
    return '"' + _PLAIN.sub(lambda found: "".join(f"\\{byte:03d}" for byte in found[0].encode()), text) + '"'
