"""Two ways to find requests that the server answers wrongly, and the rules for its answers.

*Generated* requests are drawn by schemathesis from the OpenAPI document, right ones and wrong ones, and led to things
that exist. *Broken* requests are right ones in which a few values were replaced by nasty ones. Every answer must be
one that the document declares; no answer may be a bug. Nothing is raised on the way, so a run always has the same
requests for the same seed, and ends with a list of what it found.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from requests.exceptions import InvalidHeader
from requests.structures import CaseInsensitiveDict
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from strongroom.pki.ocsp import REQUEST_MEDIA_TYPE
from tests.api.authorities import CONFIGURATIONS, SECRETS
from tests.fuzz.der import break_question
from tests.fuzz.known import Known, Seed
from tests.fuzz.seeds import plant
from tests.fuzz.values import NASTY, break_value
from tests.fuzz.wire import BASE, Wire, body_of

schemathesis.serializer.alias(REQUEST_MEDIA_TYPE, "application/octet-stream")

_CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_ORDER: Final = ("post", "get", "put", "patch", "delete")
_LED: Final = 0.8
_HALF: Final = 0.5
_PATCH: Final = "application/merge-patch+json"
_MADE_ANEW: Final = ("csr", "certificate")
"""Members that are signed: a broken one is told at once, so there are some that were broken first."""
_WITH_CONTENTS: Final = {"/v1/serviceids/{id}", "/identity/users/{iam_id}", "/v2/groups/{id}", "/api/v2/secrets/{id}"}
_BEFORE_ANY_PATH: Final = "/ocsp/{name}"
_TOKEN_PATH: Final = "/identity/token"
_NEXT_MINUTE: Final = timedelta(seconds=61)
_MOST_FAILURES: Final = 25


@dataclass
class Report:
    """What a run did and found.

    Attributes:
        answers: how many answers of each status each operation gave.
        failures: what was wrong, once per operation and kind.
    """

    requests: int = 0
    seconds: float = 0.0
    answers: dict[str, Counter[int]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def never_accepted(self) -> list[str]:
        """Return the operations that refused everything: the run has not reached what they do."""
        return sorted(label for label, found in self.answers.items() if not any(status < 300 for status in found))


class Driver:
    """Sends requests to one server and keeps the score."""

    def __init__(self, wire: Wire, seed_of_run: int = 1) -> None:
        self._wire = wire
        self._seed = seed_of_run
        self._known = Known()
        self._made = 0
        document = wire.server.request("GET", "/openapi.json", token=None).json
        self._schema = schemathesis.openapi.from_dict(document)
        found = [result.ok() for result in self._schema.get_all_operations() if isinstance(result, Ok)]
        # What deletes comes last, the inner things before what they are in.
        self.operations = sorted(
            found,
            key=lambda one: (
                _ORDER.index(one.method),
                one.path in _WITH_CONTENTS,
                one.path.endswith("/lock") != (one.method == "delete"),
                -len(one.path),
                one.path,
            ),
        )
        self.report = Report(answers={operation.label: Counter() for operation in self.operations})

    def generate(self, each: int, *, modes: tuple[GenerationMode, ...] = tuple(GenerationMode)) -> None:
        """Send ``each`` generated requests of every mode to every operation."""
        self._plant("generated")
        for operation in self.operations:
            for mode in modes:
                strategy = st.tuples(operation.as_strategy(generation_mode=mode), st.integers(0, 2**16))
                self._draw(strategy, each, lambda drawn: self._send_case(*drawn))

    def break_seeds(self, each: int) -> None:
        """Send ``each`` broken forms of every right request."""
        for index, right in enumerate(self._plant("broken")):
            chance = random.Random(f"{self._seed} {index}")
            operation = self._operation_of(right)
            self._send_seed(operation, right, right.body)
            for _ in range(each):
                self._send_seed(operation, right, self._break(right, chance))

    def _break(self, right: Seed, chance: random.Random) -> Any:
        if isinstance(right.body, str):
            return break_question(right.body, chance)
        body = copy.deepcopy(right.body)
        if chance.random() < _HALF:
            for name in _MADE_ANEW:
                if name in body and self._known.at(name) and right.body.get("secret_type") != "imported_cert":
                    body[name] = chance.choice(self._known.at(name))
                    return body
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            body = break_value(body, chance)
        return body

    def break_places(self, each: int) -> None:
        """Send nasty values in paths, queries and headers."""
        chance = random.Random(f"{self._seed} places")
        self._plant("places")
        for operation in self.operations:
            for _ in range(each):
                path = self._nasty_path(operation, chance)
                names = [parameter.name for parameter in operation.query] or ["unknown"]
                pairs = [(chance.choice(names), chance.choice(NASTY)) for _ in range(chance.randrange(3))]
                query = "&".join(f"{quote(name)}={_quoted(value, chance)}" for name, value in pairs)
                body = b"{}" if operation.method in {"post", "put", "patch"} else b""
                headers = {"content-type": "application/json"}
                if chance.random() < 0.2:
                    name = chance.choice(["accept", "if-match", "x-strongroom-extensions", "content-encoding"])
                    headers[name] = chance.choice(NASTY).encode("latin-1", "replace").decode("latin-1")
                self._send_raw(operation, path, query, headers, body)

    def _plant(self, tag: str) -> list[Seed]:
        return plant(self._wire.server, self._known, tag, random.Random(f"{self._seed} {tag}"))

    def _draw(self, strategy: st.SearchStrategy[Any], each: int, send: Callable[[Any], None]) -> None:
        @seed(self._seed)
        @settings(
            max_examples=each,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(drawn=strategy)
        def run(drawn: Any) -> None:
            send(drawn)

        with contextlib.suppress(Unsatisfiable):
            # An operation without parameters cannot be asked wrongly.
            run()

    def _operation_of(self, right: Seed) -> Any:
        for operation in self.operations:
            form = "[^/]+".join(re.escape(part) for part in _PLACEHOLDER.split(operation.path)[::2])
            if operation.method.upper() == right.method and re.fullmatch(form, right.path):
                return operation
        message = f"no operation {right.method} {right.path}"
        raise LookupError(message)

    def _send_case(self, case: Case[Any], choice: int) -> None:
        self._lead(case, choice)
        headers = self._headers(case.operation, dict(case.headers or {}))
        case.headers = CaseInsensitiveDict(headers)
        kwargs = case.as_transport_kwargs(base_url=BASE)
        try:
            request = requests.Request(**{name: kwargs.get(name) for name in _REQUEST_PARTS}).prepare()
        except (ValueError, requests.RequestException, UnicodeError):
            return  # cannot be put on the wire at all
        self._judge(case, self._wire.send(request))

    def _lead(self, case: Case[Any], choice: int) -> None:
        """Put something that exists into the path, most of the time."""
        place = ""
        chance = random.Random(choice)
        pieces = _PLACEHOLDER.split(case.operation.path)
        parameters = dict(case.path_parameters or {})
        for before, name in zip(pieces[::2], pieces[1::2], strict=False):
            place += before
            known = self._choose(case.operation, place, name, chance)
            if known is not None and chance.random() < _LED:
                parameters[name] = known
            place += "{}"
        if case.path_parameters:
            case.path_parameters = parameters
        for name in case.query or {}:
            known = self._known.choose(name, chance)
            if known is not None and chance.random() < _LED:
                case.query[name] = known
        if isinstance(case.body, bytes) and case.operation.path.startswith("/ocsp/") and chance.random() < _LED:
            case.body = break_question(chance.choice(self._known.at("request")), chance)
        if isinstance(case.body, dict):
            case.body = self._lead_body(case.body, chance)

    def _lead_body(self, body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
        """Name what exists, and ask for few keys that take long to make."""
        led = dict(body)
        for name, value in body.items():
            known = self._known.choose(name, chance)
            if known is not None and isinstance(value, str) and chance.random() < _LED:
                led[name] = known
        if led.get("key_type") == "rsa" and chance.random() < _LED:
            led["key_type"] = "ec"
        return led

    def _choose(self, operation: Any, place: str, name: str, chance: random.Random) -> str | None:
        for key in (f"{operation.label} {name}", name, place):
            known = self._known.choose(key, chance)
            if known is not None:
                return known
        return None

    def _headers(self, operation: Any, given_: Mapping[str, Any]) -> dict[str, Any]:
        headers = {name: value for name, value in given_.items() if name.lower() != "authorization"}
        if operation.path == _TOKEN_PATH:
            # Too many refusals within a minute would hide everything behind them.
            self._wire.server.clock.advance(_NEXT_MINUTE)
            self._wire.server.forget_tokens()
            return headers
        headers["Authorization"] = f"Bearer {self._wire.server.administrator()}"
        for parameter in operation.headers:
            known = ["*"] if parameter.name == "If-Match" else self._known.at(parameter.name)
            if known:
                headers.setdefault(parameter.name, known[0])
        return headers

    def _send_seed(self, operation: Any, right: Seed, body: Any) -> None:
        self._made += 1
        if isinstance(body, dict) and isinstance(body.get("name"), str) and right.body.get("name") == body["name"]:
            body = {**body, "name": f"{body['name']}-{self._made}"}
        if isinstance(right.body, str):
            data = body if isinstance(body, bytes) else base64.b64decode(body)
            self._send_raw(operation, right.path, "", {"content-type": REQUEST_MEDIA_TYPE}, data)
            return
        merges = right.method == "PATCH" and right.path.startswith((f"{SECRETS}/", f"{CONFIGURATIONS}/"))
        kind = _PATCH if merges else None
        data = _form(body) if right.form else json.dumps(body).encode()
        kind = "application/x-www-form-urlencoded" if right.form else kind
        self._send_raw(operation, right.path, "", {"content-type": kind or "application/json"}, data)

    def _send_raw(self, operation: Any, path: str, query: str, headers: Mapping[str, str], body: bytes) -> None:
        target = path + (f"?{query}" if query else "")
        sent = {"accept": "application/json", **self._headers(operation, headers)}
        request = requests.Request(operation.method.upper(), f"{BASE}/", headers={}, data=body).prepare()
        request.url = BASE + target
        for name, value in sent.items():
            request.headers[name] = value
        parameters = dict.fromkeys(_PLACEHOLDER.findall(operation.path), "x")
        case = operation.Case(headers=dict(sent), path_parameters=parameters)
        self._judge(case, self._wire.send(request))

    def _judge(self, case: Case[Any], response: Response) -> None:
        label = case.operation.label
        self.report.requests += 1
        self.report.answers[label][response.status_code] += 1
        self._learn(case, response)
        wrong = list(self._problems(case, response))
        if self._wire.bugs:
            wrong.append(f"bug: {self._wire.bugs.pop()}")
            self._wire.bugs.clear()
        for text in wrong:
            key = f"{label} {text.splitlines()[0][:100]}"
            if response.status_code == 405 and "%2f" in str(response.request.url).lower():
                continue  # An encoded slash ends a name, and the path behind it may be another operation's.
            if len(self.report.failures) < _MOST_FAILURES:
                self.report.failures.setdefault(key, f"{_told(response)}\n{text}")

    def _problems(self, case: Case[Any], response: Response) -> Iterator[str]:
        try:
            self._validate(case, response)
        except FailureGroup as group:
            for failure in group.exceptions:
                yield f"{type(failure).__name__}: {failure}"
        if response.status_code >= 500:
            yield f"answered {response.status_code}"
        content_type = response.headers.get("content-type", [""])[0]
        if content_type == "application/json":
            yield from _odd_json(response.content)

    @staticmethod
    def _validate(case: Case[Any], response: Response) -> None:
        try:
            case.validate_response(response, checks=_CHECKS)
        except InvalidHeader:
            # A failure is told with a command line, which cannot have the header that was sent.
            case.headers.clear()
            case.validate_response(response, checks=_CHECKS)

    def _learn(self, case: Case[Any], response: Response) -> None:
        if case.operation.method == "delete" and response.status_code == 204 and case.operation.path.endswith("}"):
            self._known.forget(urlsplit(str(response.request.url)).path.rpartition("/")[2])
        if response.status_code != 201 or case.operation.method != "post" or "{" in case.operation.path:
            return
        made = json.loads(response.content)
        member = {"/identity/users": "iam_id", CONFIGURATIONS: "name"}.get(case.operation.path, "id")
        value = made.get(member)
        if isinstance(value, str):
            self._known.add(f"{case.operation.path.rstrip('/')}/", value)

    def _nasty_path(self, operation: Any, chance: random.Random) -> str:
        place = ""
        built = ""
        pieces = _PLACEHOLDER.split(operation.path)
        for index, piece in enumerate(pieces):
            if index % 2 == 0:
                place += piece
                built += piece
                continue
            known = self._choose(operation, place, piece, chance)
            if known is not None and chance.random() < 0.6:
                built += quote(known, safe=":")
            else:
                built += _quoted(chance.choice(NASTY), chance) or "x"
            place += "{}"
        # Servers decode paths before they route, so a slash in the name would ask the operation beside this one.
        return built.replace("%2F", "").replace("%2f", "") if operation.path == _BEFORE_ANY_PATH else built


_REQUEST_PARTS: Final = ("method", "url", "headers", "files", "data", "params", "cookies", "json")


def run(wire: Wire, *, each: int, seed_of_run: int = 1) -> Report:
    """Send all kinds of requests, ``each`` of every kind, and return what was found."""
    started = time.monotonic()
    driver = Driver(wire, seed_of_run)
    driver.break_seeds(2 * each)
    driver.generate(each)
    driver.break_places(each)
    driver.report.seconds = time.monotonic() - started
    return driver.report


def _form(body: Any) -> bytes:
    fields = body if isinstance(body, dict) else {}
    return urlencode({name: str(value) for name, value in fields.items()}, errors="surrogatepass").encode()


def _quoted(value: str, chance: random.Random) -> str:
    if chance.random() < 0.1:
        return chance.choice(["%", "%zz", "%ff", "%c0%80", "%ed%a0%80", "%00", "%2e%2e%2f"])
    return quote(value.encode("utf-8", "surrogatepass"), safe="")


def _odd_json(raw: bytes) -> Iterator[str]:
    def refuse(text: str) -> None:
        odd.append(f"answer holds {text}")

    odd: list[str] = []
    try:
        json.loads(raw, parse_constant=refuse)
    except ValueError as error:
        odd.append(f"answer is no JSON: {error}")
    yield from odd


def _told(response: Response) -> str:
    request = response.request
    shown = body_of(request).decode("utf-8", "backslashreplace")
    answer = response.content[:600].decode("utf-8", "replace")
    return f"{request.method} {request.url}\n{shown[:1500]}\n-> {response.status_code} {answer}"
