"""Merge patches of metadata against a model of the rules: all of a patch counts, or nothing of it.

Source: RFC 7396. A member that is given replaces the stored one as a whole; only ``managed_csr`` and
``password_generation_policy`` merge member by member; null removes, and what cannot be absent gets its default.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.effort import MANY
from tests.fuzz.values import NASTY
from tests.fuzz.wire import Wire, wired
from tests.peers.postgres import PostgresServer

SECRETS: Final = "/api/v2/secrets"
_POLICY: Final = {"length": 32, "include_digits": True, "include_symbols": True, "include_uppercase": True}
_SUBJECT: Final = ("ou", "organization", "country", "locality", "province", "street_address", "postal_code")
_CSR_DEFAULTS: Final[dict[str, Any]] = {
    **{name: [] for name in _SUBJECT},
    **dict.fromkeys(("require_cn", "server_flag", "client_flag"), True),
    **dict.fromkeys(("exclude_cn_from_sans", "code_signing_flag", "email_protection_flag", "rotate_keys"), False),
}
_KEPT: Final = {"id", "crn", "created_at", "created_by", "secret_type", "secret_group_id", "versions_total", "state"}

_KEYS = st.sampled_from(["a", "b", "", "é", "__proto__", "\0", "x" * 300])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(NASTY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=8,
).filter(lambda value: "Infinity" not in json.dumps(value))
_OBJECTS = st.dictionaries(_KEYS, _JSON, max_size=4)
_TEXTS = st.sampled_from(["", "text", "two\nlines", "x" * 1024, "é" * 5])
_LABELS = st.lists(st.sampled_from(["one", "two", "us-south", "é" * 3, "x" * 64]), max_size=5)
_DATES = st.sampled_from(["2030-01-31T12:00:00Z", "2031-06-01T00:00:00+02:00", "2026-01-15T12:00:01.5Z"])
_ROTATIONS = st.sampled_from(
    [
        {"auto_rotate": False},
        {"auto_rotate": True, "interval": 1, "unit": "day"},
        {"auto_rotate": True, "interval": 36, "unit": "month"},
        {"auto_rotate": True, "interval": 5, "unit": "hour"},
        {"auto_rotate": False, "interval": 5, "unit": "day"},
        {"auto_rotate": True, "interval": 0, "unit": "day"},
        {"auto_rotate": True},
    ]
)


def _some(members: Mapping[str, st.SearchStrategy[Any]], *, junk: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Draw some of the members: right values and nulls, or with junk in between."""

    def value(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.one_of(right, right, right, st.none(), _JSON) if junk else st.one_of(right, right, right, st.none())

    return st.fixed_dictionaries({}, optional={name: value(values) for name, values in members.items()})


_COMMON: Final = {
    "name": st.sampled_from(["first", "second", "third", "a.b-c_d", "x" * 256, "taken"]),
    "description": _TEXTS,
    "labels": _LABELS,
    "custom_metadata": _OBJECTS,
}
_POLICY_MEMBERS: Final = {
    "length": st.sampled_from([12, 20, 256, 11, 257]),
    "include_digits": st.booleans(),
    "include_symbols": st.booleans(),
    "include_uppercase": st.booleans(),
}
_NAMES = st.sampled_from(
    ["example.com", "a.example.com", "b.example.com,a.example.com", "*.example.com", "other.example"]
)
_CSR_MEMBERS: Final = {
    "common_name": _NAMES,
    "alt_names": _NAMES,
    "ip_sans": st.sampled_from(["192.0.2.1", "2001:db8::1, 192.0.2.2", ""]),
    "uri_sans": st.sampled_from(["https://example.com/a", "urn:example:a"]),
    "other_sans": st.sampled_from(["2.5.4.5;UTF8:text", "1.3.6.1.4.1.311.20.2.3;UTF8:é"]),
    "ou": st.lists(st.sampled_from(["one", "two", "x" * 64]), max_size=3),
    "country": st.lists(st.sampled_from(["DE", "us"]), max_size=2),
    "require_cn": st.booleans(),
    "exclude_cn_from_sans": st.booleans(),
    "server_flag": st.booleans(),
    "rotate_keys": st.booleans(),
    "key_type": st.sampled_from(["ec", "ed25519"]),
    "key_bits": st.sampled_from([224, 256, 384, 521, 0]),
    "key_usage": st.sampled_from(["DigitalSignature,KeyAgreement", ""]),
    "ext_key_usage": st.sampled_from(["ServerAuth", "ClientAuth,TimeStamping"]),
    "policy_identifiers": st.sampled_from(["1.2.3.4", "2.23.140.1.2.1,1.2.3"]),
}
_STRANGERS: Final = {"payload": _TEXTS, "secret_type": st.just("kv"), "unknown": _JSON, "versions_total": st.integers()}
_VALUES: Final[dict[str, dict[str, Any]]] = {
    "arbitrary": {"payload": "something", "expiration_date": "2029-01-01T00:00:00Z"},
    "kv": {"data": {"key": "value"}},
    "username_password": {"username": "user", "password": "password"},
    "imported_cert": {"managed_csr": {"common_name": "example.com", "alt_names": "a.example.com", "key_type": "ec"}},
}


def _members(kind: str, *, junk: bool) -> dict[str, st.SearchStrategy[Any]]:
    match kind:
        case "arbitrary":
            return {**_COMMON, "expiration_date": _DATES}
        case "username_password":
            policies = _some(_POLICY_MEMBERS, junk=junk)
            more = {"expiration_date": _DATES, "rotation": _ROTATIONS, "password_generation_policy": policies}
            return {**_COMMON, **more}
        case "imported_cert":
            return {**_COMMON, "managed_csr": _some(_CSR_MEMBERS, junk=junk)}
        case _:
            return dict(_COMMON)


def _patches(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    right, junk = (_some(_members(kind, junk=junk), junk=junk) for junk in (False, True))
    one = st.sampled_from(sorted(_members(kind, junk=False))).flatmap(
        lambda name: st.fixed_dictionaries({name: _members(kind, junk=True)[name]})
    )
    stranger = st.fixed_dictionaries({}, optional=_STRANGERS)
    # A patch that has a stranger in it must change nothing at all.
    return st.one_of(right, one, one, junk, st.builds(lambda known, other: {**known, **other}, right, stranger))


class Secrets:
    """One secret of each type, patched again and again."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.answers: Counter[tuple[str, int]] = Counter()
        self.ids = {kind: self._create(kind, "first") for kind in _VALUES}
        for kind in _VALUES:
            self._create(kind, "taken")

    def _create(self, kind: str, name: str) -> str:
        body = {"secret_type": kind, "name": name, **_VALUES[kind]}
        answer = self.wire.ask("POST", SECRETS, json.dumps(body).encode())
        assert answer.status == 201, answer.raw
        return str(answer.json["id"])

    def check_answers(self) -> None:
        """Hold the patches of whole tests to have been taken and refused, both more than now and then."""
        for kind in _VALUES:
            asked = sum(count for (of, _), count in self.answers.items() if of == kind)
            # A model that is only asked about refusals would prove nothing. Which tests ran here is up to the run.
            if asked >= MANY.max_examples:
                assert 10 < self.answers[kind, 200] < asked - 10, (kind, self.answers)

    def metadata(self, kind: str) -> dict[str, Any]:
        """Return what everybody may see of it."""
        return _settled(self.wire.ask("GET", f"{SECRETS}/{self.ids[kind]}/metadata").json)

    def whole(self, kind: str) -> dict[str, Any]:
        """Return it with its payload."""
        return _settled(self.wire.ask("GET", f"{SECRETS}/{self.ids[kind]}").json)

    def patch_and_compare(self, kind: str, patch: dict[str, Any]) -> None:
        """Send a patch and hold what became of the secret to the model."""
        self.wire.server.clock.advance(timedelta(milliseconds=1))
        before, payload_before = self.metadata(kind), self.whole(kind)
        answer = self.wire.ask("PATCH", f"{SECRETS}/{self.ids[kind]}/metadata", json.dumps(patch).encode())
        self.answers[kind, answer.status] += 1
        assert answer.status in {200, 400, 409}, (patch, answer.raw, self.wire.bugs)
        after = self.metadata(kind)
        if answer.status != 200:
            assert after == before
            assert self.whole(kind) == payload_before
            return
        assert _settled(answer.json) == after
        assert not patch.keys() & _STRANGERS.keys()
        for name in after.keys() | before.keys():
            if name not in patch and name not in {"updated_at", "next_rotation_date", "warnings", "rotation_status"}:
                assert after.get(name) == before.get(name), name
        assert {name: after[name] for name in _KEPT} == {name: before[name] for name in _KEPT}
        for name, value in patch.items():
            _COMPARE[name](value, before, after)


def _settled(shown: dict[str, Any]) -> dict[str, Any]:
    """Leave out what reads change, some of it later."""
    return {name: value for name, value in shown.items() if name not in {"downloaded", "retrieved_at"}}


def _compare_custom(value: Any, _: dict[str, Any], after: dict[str, Any]) -> None:
    assert after.get("custom_metadata") == value


def _compare_text(name: str, empty: Any) -> Any:
    def compare(value: Any, _: dict[str, Any], after: dict[str, Any]) -> None:
        assert after[name] == (empty if value is None else value)

    return compare


def _compare_date(value: Any, _: dict[str, Any], after: dict[str, Any]) -> None:
    if value is None:
        assert "expiration_date" not in after
    else:
        wished, shown = (datetime.fromisoformat(text) for text in (value, after["expiration_date"]))
        assert abs(wished - shown) < timedelta(seconds=1)


def _compare_rotation(value: Any, _: dict[str, Any], after: dict[str, Any]) -> None:
    on = value is not None and value["auto_rotate"]
    assert after["rotation"] == (value if on else {"auto_rotate": False})
    assert ("next_rotation_date" in after) == on


def _compare_policy(value: Any, before: dict[str, Any], after: dict[str, Any]) -> None:
    merged = dict(_POLICY) if value is None else dict(before["password_generation_policy"])
    for name, member in (value or {}).items():
        merged[name] = _POLICY[name] if member is None else member
    assert after["password_generation_policy"] == merged


def _compare_csr(value: Any, before: dict[str, Any], after: dict[str, Any]) -> None:
    old, new = before["managed_csr"], after["managed_csr"]
    if not value:
        assert new == old
        return
    for name in (old.keys() | new.keys()) - {"csr", "key_bits", "key_type"}:
        wished = value[name] if name in value else old.get(name)
        assert new.get(name) == (_CSR_DEFAULTS.get(name) if wished is None else wished), name
    assert new["private_key"] == ""
    request = x509.load_pem_x509_csr(new["csr"].encode())
    assert request.is_signature_valid
    shown = [str(one.value) for one in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    assert shown == ([new["common_name"].strip()] if new.get("common_name", "").strip() else [])
    rotates = new["rotate_keys"] or (new["key_type"], new["key_bits"]) != (old["key_type"], old["key_bits"])
    same_key = request.public_key() == x509.load_pem_x509_csr(old["csr"].encode()).public_key()
    assert same_key != rotates


_COMPARE: Final[dict[str, Any]] = {
    "name": _compare_text("name", None),
    "description": _compare_text("description", ""),
    "labels": _compare_text("labels", []),
    "custom_metadata": _compare_custom,
    "expiration_date": _compare_date,
    "rotation": _compare_rotation,
    "password_generation_policy": _compare_policy,
    "managed_csr": _compare_csr,
}


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.peers, pytest.mark.integration])],
)
def secrets(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secrets]:
    """Give the secrets on each database; they do not take the same texts."""
    path = tmp_path_factory.mktemp("patch") / "data"
    if request.param == "sqlite":
        with wired(path) as wire:
            yield (found := Secrets(wire))
            found.check_answers()
        return
    postgres: PostgresServer = request.getfixturevalue("postgres_server")
    with wired(path, database_url=postgres.url(postgres.create_database())) as wire:
        yield (found := Secrets(wire))
        found.check_answers()


@MANY
@given(patch=_patches("arbitrary"))
def test_patches_of_arbitrary_secrets(secrets: Secrets, patch: dict[str, Any]) -> None:
    secrets.patch_and_compare("arbitrary", patch)


@MANY
@given(patch=_patches("kv"))
def test_patches_of_key_value_secrets(secrets: Secrets, patch: dict[str, Any]) -> None:
    secrets.patch_and_compare("kv", patch)


@MANY
@given(patch=_patches("username_password"))
def test_patches_of_user_credentials(secrets: Secrets, patch: dict[str, Any]) -> None:
    secrets.patch_and_compare("username_password", patch)


@MANY
@given(patch=_patches("imported_cert"))
def test_patches_of_managed_signing_requests(secrets: Secrets, patch: dict[str, Any]) -> None:
    secrets.patch_and_compare("imported_cert", patch)
