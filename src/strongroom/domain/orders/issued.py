"""What a CA handed over, checked and put into the form of a version. Source: contract domain section 4.2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from strongroom.domain.orders.acme import AcmeChain
from strongroom.domain.orders.context import BUNDLE
from strongroom.domain.orders.faults import Fault, FaultCode, Side
from strongroom.kernel.errors import Invalid
from strongroom.kernel.result import Notice
from strongroom.kernel.time import format_rfc3339
from strongroom.kernel.value import value
from strongroom.pki.inspect import CertificateFacts, inspect_certificate
from strongroom.pki.keys import IssuedKey, private_key_to_pem
from strongroom.pki.load import load_certificates
from strongroom.pki.order_request import is_certificate_of

_BEYOND_ASKED: Final = ("issuer", "serial_number", "signing_algorithm", "validity")


@value
class IssuedCertificate:
    """A certificate with what answers show of it.

    Attributes:
        payload: members of the version's payload.
        facts: what the certificate says.
        chain: the one that was chosen.
    """

    payload: Mapping[str, Any]
    facts: CertificateFacts
    chain: AcmeChain


def choose_chain(chains: Sequence[AcmeChain], preferred: str | None) -> tuple[AcmeChain, tuple[Notice, ...]]:
    """Return the chain that leads to the issuer wished for, or the CA's default with a warning.

    Raises:
        Fault: the CA handed over nothing.
    """
    if not chains:
        raise _unusable("it handed over no certificate")
    if not preferred:
        return chains[0], ()
    wanted = preferred.casefold()
    # A root that is known under its own name may be certified by an older one, too: where a chain ends counts first.
    leading = [chain for chain in chains if chain.issuer_names and chain.issuer_names[-1].casefold() == wanted]
    passing = [chain for chain in chains if any(name.casefold() == wanted for name in chain.issuer_names)]
    if leading or passing:
        return (leading or passing)[0], ()
    offered = ", ".join(dict.fromkeys(chain.issuer_names[-1] for chain in chains if chain.issuer_names))
    notice = Notice(
        code="preferred_chain_not_offered",
        message=f"The CA offers no chain to {preferred}; its default is used. It offers chains to {offered}.",
    )
    return chains[0], (notice,)


def read_issued(chain: AcmeChain, names: Sequence[str], key: IssuedKey, *, is_bundled: bool) -> IssuedCertificate:
    """Check what a CA handed over.

    Raises:
        Fault: it is no certificate, for another key, or does not hold all names.
    """
    try:
        leaf = load_certificates(chain.leaf, field="certificate")[0]
        for text in chain.intermediates:
            load_certificates(text, field="intermediate")
    except Invalid as error:
        raise _unusable(error.detail) from error
    if not is_certificate_of(leaf, key):
        raise _unusable("the certificate is for another key than the one of the request")
    facts = inspect_certificate(leaf)
    missing = [name for name in names if name not in facts.names]
    if missing:
        raise _unusable(f"the certificate does not hold {missing[0]}")
    intermediate = "".join(chain.intermediates)
    payload = {
        "certificate": chain.leaf + intermediate if is_bundled else chain.leaf,
        "private_key": private_key_to_pem(key),
    }
    if intermediate:
        payload["intermediate"] = intermediate
    return IssuedCertificate(payload=payload, facts=facts, chain=chain)


def facts_of_payload(payload: Mapping[str, Any]) -> CertificateFacts:
    """Return what the certificate of a version says."""
    return inspect_certificate(load_certificates(payload["certificate"], field="certificate")[0])


def version_attributes(facts: CertificateFacts) -> dict[str, Any]:
    """Return what a version shows of its certificate."""
    return {
        "serial_number": facts.serial_number,
        "validity": {
            "not_before": format_rfc3339(facts.not_before),
            "not_after": format_rfc3339(facts.not_after),
        },
    }


def attributes(asked: Mapping[str, Any], facts: CertificateFacts, issuance: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a secret shows of its current certificate, beside what was asked for."""
    kept = {name: value for name, value in asked.items() if name not in _BEYOND_ASKED}
    shown = kept | {
        "issuer": facts.issuer,
        "signing_algorithm": facts.signing_algorithm,
        "issuance_info": dict(issuance),
        **version_attributes(facts),
    }
    if facts.common_name is not None:
        # Without one in the request, the CA has chosen.
        shown.setdefault("common_name", facts.common_name)
    return shown


def has_bundle(asked: Mapping[str, Any]) -> bool:
    """Tell whether the certificate file holds the intermediates, too."""
    return bool(asked.get(BUNDLE, True))


def _unusable(why: str) -> Fault:
    return Fault(
        FaultCode.CA_ANSWER_UNUSABLE, f"The answer of the CA cannot be used: {why}.", side=Side.CA, is_final=True
    )
