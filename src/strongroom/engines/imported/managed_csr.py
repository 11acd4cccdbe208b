"""Keys made here that wait for a certificate from outside.

The clear attributes hold the inputs and the CSR; the key lies in the secret's sealed state.
Source: contract domain section 3.4; design, section 8 ("managed_csr ...").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from strongroom.domain.engine import Patched, Prepared, Present
from strongroom.domain.secrets.model import State
from strongroom.kernel.errors import ErrorCode, Integrity, Invalid
from strongroom.pki.csr import ManagedCsrSpec, build_csr, check_name_kept, managed_csr_view, parse_managed_csr
from strongroom.pki.intake import ImportedFacts, names_differ_notice
from strongroom.pki.keys import IssuedKey, generate_private_key, private_key_to_pem, public_key_spki
from strongroom.pki.load import load_private_key


def prepare_new(values: Mapping[str, Any], version_metadata: Mapping[str, Any] | None) -> Prepared:
    """Make the key and the CSR of a new secret.

    Raises:
        Invalid: every broken rule, by field.
    """
    spec = parse_managed_csr(values)
    key = generate_private_key(spec.key)
    state: dict[str, Any] = {"private_key": private_key_to_pem(key)}
    if version_metadata is not None:
        # There is no version yet to carry it; the first one will.
        state["version_custom_metadata"] = dict(version_metadata)
    return Prepared(
        payload=None,
        state=State.PRE_ACTIVATION,
        attributes={
            "managed_csr": _shown(spec, build_csr(spec, key)),
            "intermediate_included": False,
            "private_key_included": True,
        },
        private_state=state,
    )


def prepare_version(
    present: Present,
    facts: ImportedFacts,
    payload: dict[str, Any],
    attributes: dict[str, Any],
    version_attributes: dict[str, Any],
) -> Prepared:
    """Join a signed certificate with the held key.

    Raises:
        Invalid: ``csr_key_mismatch`` if it was not signed from the present CSR.
    """
    shown = present.secret.attributes["managed_csr"]
    state = _state(present)
    key_pem = state["private_key"]
    key = _load(key_pem)
    if facts.spki != public_key_spki(key):
        raise Invalid(
            ErrorCode.CSR_KEY_MISMATCH,
            "certificate was not issued for the current CSR: its public key is another one.",
            field="certificate",
            hint="Download the present CSR (managed_csr.csr in the metadata), have it signed and add that certificate.",
            help_page="managed-csr",
        )
    spec = _spec(shown)
    next_state: dict[str, Any] = {"private_key": key_pem}
    next_shown = shown
    if spec.rotate_keys:
        next_key = generate_private_key(spec.key)
        next_state = {"private_key": private_key_to_pem(next_key)}
        next_shown = _shown(spec, build_csr(spec, next_key))
    differ = names_differ_notice(spec, facts.leaf)
    return Prepared(
        payload={**payload, "private_key": key_pem, "csr": shown["csr"]},
        attributes={**attributes, "private_key_included": True, "managed_csr": next_shown},
        version_attributes=version_attributes,
        version_custom_metadata=state.get("version_custom_metadata"),
        expires_at=facts.leaf.not_after,
        private_state=next_state,
        warnings=facts.notices if differ is None else (*facts.notices, differ),
        relies_on_secret=True,
    )


def check_restore(present: Present, payload: Mapping[str, Any]) -> None:
    """Check that an earlier version belongs to the key that is held now.

    Raises:
        Invalid: ``csr_key_mismatch`` if the key was replaced since.
    """
    if payload.get("private_key") != _state(present)["private_key"]:
        raise Invalid(
            ErrorCode.CSR_KEY_MISMATCH,
            "The previous version was signed for another key than that of the present CSR; it cannot be restored.",
            field="restore_from_version",
            help_page="managed-csr",
        )


def prepare_patch(present: Present, changes: Mapping[str, Any] | None) -> Patched:
    """Rebuild the CSR from changed inputs; members merge one by one.

    Raises:
        Invalid: every broken rule, by field; ``csr_names_changed`` if no name stays the same.
    """
    secret = present.secret
    shown = secret.attributes.get("managed_csr")
    if shown is None:
        raise Invalid(
            ErrorCode.STATE_FORBIDS, "managed_csr: the secret was created without a managed CSR.", field="managed_csr"
        )
    if changes is None:
        raise Invalid(ErrorCode.INVALID_FIELD, "managed_csr cannot be removed.", field="managed_csr")
    if not changes:
        # Nothing to change is no reason for another CSR, or for the next key.
        return Patched(attributes=secret.attributes, rotation=secret.rotation, expires_at=secret.expires_at)
    old = _spec(shown)
    inputs = {name: value for name, value in shown.items() if name != "csr"}
    for name, value in changes.items():
        if value is None:
            inputs.pop(name, None)
        else:
            inputs[name] = value
    if "key_type" in changes and "key_bits" not in changes:
        inputs.pop("key_bits", None)
    spec = parse_managed_csr(inputs)
    check_name_kept(old, spec)
    state = _state(present)
    fresh = spec.rotate_keys or spec.key != old.key
    key = generate_private_key(spec.key) if fresh else _load(state["private_key"])
    return Patched(
        attributes={**secret.attributes, "managed_csr": _shown(spec, build_csr(spec, key))},
        rotation=secret.rotation,
        expires_at=secret.expires_at,
        private_state={**state, "private_key": private_key_to_pem(key)} if fresh else state,
    )


def _shown(spec: ManagedCsrSpec, csr: str) -> dict[str, Any]:
    return {**managed_csr_view(spec), "csr": csr}


def _spec(shown: Mapping[str, Any]) -> ManagedCsrSpec:
    return parse_managed_csr({name: value for name, value in shown.items() if name != "csr"})


def _load(pem: str) -> IssuedKey:
    # We made this key ourselves: it is of a kind we issue, and its arithmetic needs no second check.
    return cast("IssuedKey", load_private_key(pem, field="managed_csr", validate=False))


def _state(present: Present) -> Mapping[str, Any]:
    state = present.private_state()
    if state is None:
        raise Integrity(ErrorCode.INTEGRITY_FAILED, "the key of a managed CSR is missing")
    return state
