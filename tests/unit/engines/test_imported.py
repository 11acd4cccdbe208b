"""Imported certificates and managed CSRs: what the engine prepares and refuses."""

from __future__ import annotations

from typing import Any

import pytest

from strongroom.domain.engine import NewValues, Prepared, Present, Work
from strongroom.domain.secrets.model import SecretType, State
from strongroom.engines.imported.engine import ImportedEngine
from strongroom.kernel.errors import ErrorCode, Integrity, Invalid
from tests.factories.certificates import Made, make_leaf, sign_csr
from tests.unit.engines.conftest import SameProcess, present

ENGINE = ImportedEngine()
CSR = {"common_name": "example.com", "alt_names": "www.example.com", "key_type": "ec"}


def new(**values: Any) -> NewValues:
    """Return values as a request brings them."""
    return NewValues(values=values)


def leaf(work: Work, **wishes: Any) -> Made:
    """Make a certificate that is valid now."""
    return make_leaf(now=work.clock.now(), **wishes)


def stored(prepared: Prepared) -> Present:
    """Return the secret that a preparation makes."""
    return present(
        SecretType.IMPORTED_CERT,
        prepared.payload,
        prepared.private_state,
        attributes=prepared.attributes,
        expires_at=prepared.expires_at,
        state=prepared.state,
    )


def managed(work: Work, **inputs: Any) -> Present:
    """Return a secret whose CSR waits."""
    return stored(ENGINE.prepare_new(work, new(managed_csr={**CSR, **inputs})))


def sign(work: Work, secret: Present) -> str:
    """Sign the CSR that is shown."""
    return sign_csr(secret.secret.attributes["managed_csr"]["csr"], now=work.clock.now()).pem


def refusal(error: pytest.ExceptionInfo[Invalid]) -> tuple[ErrorCode, str | None]:
    """Return code and field of a refusal."""
    return error.value.code, error.value.field


def test_keys_are_checked_in_a_helper_process(work: Work, helpers: SameProcess) -> None:
    one = leaf(work)
    ENGINE.prepare_new(work, new(certificate=one.pem))
    assert helpers.runs == 0
    ENGINE.prepare_new(work, new(certificate=one.pem, private_key=one.key_pem))
    assert helpers.runs == 1


def test_an_import_expires_with_its_certificate(work: Work) -> None:
    one = leaf(work)
    prepared = ENGINE.prepare_new(work, new(certificate=one.pem))
    assert prepared.expires_at == one.certificate.not_valid_after_utc
    assert (prepared.state, prepared.rotation, prepared.private_state) == (State.ACTIVE, None, None)


def test_a_certificate_without_a_common_name_shows_none(work: Work) -> None:
    one = make_leaf(now=work.clock.now(), names=("example.com",), common_name="")
    attributes = ENGINE.prepare_new(work, new(certificate=one.pem)).attributes
    assert "common_name" not in attributes
    assert attributes["alt_names"] == ["example.com"]


def test_an_explicit_null_is_no_value(work: Work) -> None:
    one = leaf(work)
    values = {"certificate": one.pem, "private_key": None, "intermediate": None, "managed_csr": None}
    assert ENGINE.prepare_new(work, new(**values)).payload == {"certificate": one.pem}


def test_the_key_of_a_managed_csr_is_in_the_private_state_only(work: Work) -> None:
    prepared = ENGINE.prepare_new(work, NewValues(values={"managed_csr": CSR}, version_custom_metadata={"a": 1}))
    assert prepared.payload is None
    assert prepared.state is State.PRE_ACTIVATION
    assert "PRIVATE KEY" not in str(prepared.attributes)
    assert "PRIVATE KEY" not in repr(prepared)
    assert prepared.private_state is not None
    assert set(prepared.private_state) == {"private_key", "version_custom_metadata"}


def test_a_signed_certificate_joins_the_held_key(work: Work) -> None:
    waiting = managed(work)
    prepared = ENGINE.prepare_version(work, waiting, new(certificate=sign(work, waiting)))
    state = waiting.private_state()
    assert state is not None
    assert prepared.payload is not None
    assert prepared.payload["private_key"] == state["private_key"]
    assert prepared.payload["csr"] == waiting.secret.attributes["managed_csr"]["csr"]
    assert prepared.attributes["managed_csr"] == waiting.secret.attributes["managed_csr"]
    assert prepared.relies_on_secret


def test_with_rotate_keys_the_next_key_and_csr_are_made_at_once(work: Work) -> None:
    waiting = managed(work, rotate_keys=True)
    prepared = ENGINE.prepare_version(work, waiting, new(certificate=sign(work, waiting)))
    assert prepared.private_state is not None
    assert prepared.payload is not None
    assert prepared.private_state["private_key"] != prepared.payload["private_key"]
    assert prepared.attributes["managed_csr"]["csr"] != prepared.payload["csr"]


def test_a_private_key_and_a_foreign_certificate_are_refused(work: Work) -> None:
    waiting, other = managed(work), leaf(work)
    with pytest.raises(Invalid) as refused:
        ENGINE.prepare_version(work, waiting, new(certificate=other.pem, private_key=other.key_pem))
    assert refusal(refused) == (ErrorCode.KEY_NOT_EXPECTED, "private_key")
    with pytest.raises(Invalid) as refused:
        ENGINE.prepare_version(work, waiting, new(certificate=other.pem))
    assert refusal(refused) == (ErrorCode.CSR_KEY_MISMATCH, "certificate")


def test_changes_keep_the_key_unless_they_ask_for_another(work: Work) -> None:
    waiting = managed(work)
    before = waiting.private_state()
    assert before is not None

    def key_after(**changes: Any) -> Any:
        state = ENGINE.prepare_patch(work, waiting, {"managed_csr": changes}).private_state
        assert state is not None
        return state["private_key"]

    assert key_after(ou=["Edge"]) == before["private_key"]
    assert key_after(key_type="ec", key_bits=256) == before["private_key"]
    assert key_after(key_bits=384) != before["private_key"]
    assert key_after(key_type="ed25519") != before["private_key"]
    assert key_after(rotate_keys=True) != before["private_key"]


def test_one_name_must_stay(work: Work) -> None:
    waiting = managed(work)
    for changes in (
        {"common_name": "www.example.com", "alt_names": "new.example.org"},
        {"common_name": "EXAMPLE.COM", "alt_names": None},
        {"common_name": "new.example.org"},
    ):
        ENGINE.prepare_patch(work, waiting, {"managed_csr": changes})
    with pytest.raises(Invalid) as refused:
        ENGINE.prepare_patch(work, waiting, {"managed_csr": {"common_name": "a.example.org", "alt_names": None}})
    assert refusal(refused) == (ErrorCode.CSR_NAMES_CHANGED, "managed_csr")


def test_a_plain_import_has_no_csr_to_change(work: Work) -> None:
    plain = stored(ENGINE.prepare_new(work, new(certificate=leaf(work).pem)))
    with pytest.raises(Invalid) as refused:
        ENGINE.prepare_patch(work, plain, {"managed_csr": {"ou": ["Edge"]}})
    assert refusal(refused) == (ErrorCode.STATE_FORBIDS, "managed_csr")
    with pytest.raises(Invalid):
        ENGINE.prepare_patch(work, managed(work), {"managed_csr": None})


def test_a_restore_needs_the_key_that_is_held(work: Work) -> None:
    waiting = managed(work)
    active = ENGINE.prepare_version(work, waiting, new(certificate=sign(work, waiting)))
    assert active.payload is not None
    assert ENGINE.prepare_restore(work, stored(active), active.payload).payload == active.payload
    with pytest.raises(Invalid) as refused:
        ENGINE.prepare_restore(work, managed(work), active.payload)
    assert refusal(refused) == (ErrorCode.CSR_KEY_MISMATCH, "restore_from_version")


def test_a_missing_key_is_no_fault_of_the_request(work: Work) -> None:
    waiting = managed(work)
    lost = present(SecretType.IMPORTED_CERT, attributes=waiting.secret.attributes)
    with pytest.raises(Integrity):
        ENGINE.prepare_patch(work, lost, {"managed_csr": {"ou": ["Edge"]}})
    with pytest.raises(Integrity):
        ENGINE.prepare_version(work, lost, new(certificate=sign(work, waiting)))
