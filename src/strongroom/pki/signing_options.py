"""What an action asks of the certificate that it signs for another authority.

Source: contract of the compatible API, model M4.7, domain section 5.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from cryptography import x509

from strongroom.kernel.result import Json
from strongroom.kernel.value import value
from strongroom.pki.authority import (
    MOST_TTL,
    NAME_MEMBERS,
    CaNames,
    read_ca_names,
    read_path_length,
    read_permitted_domains,
)
from strongroom.pki.formats import CertificateFormat, read_certificate_format
from strongroom.pki.members import Members

SIGNING_MEMBERS: Final = frozenset(
    {
        *NAME_MEMBERS,
        "ttl",
        "format",
        "max_path_length",
        "permitted_dns_domains",
        "use_csr_values",
    }
)
"""Members of both sign actions."""
_PASSED_OVER: Final = frozenset({"action_type", "csr", "intermediate_certificate_authority"})


@value
class SigningOptions:
    """Options of a sign action; only `parse_signing_options` makes one.

    Attributes:
        names: how the CA is called; not used with ``use_csr_values``.
        ttl: ``None`` for as long as the signer allows.
        max_path_length: of no effect where the signer has a limit itself.
        use_csr_values: subject, alternative names, key usages and safe extensions come from the request.
        allow_p224: certify keys on that curve.
    """

    names: CaNames
    ttl: timedelta | None
    max_path_length: int
    permitted_dns_domains: tuple[str, ...]
    use_csr_values: bool
    format: CertificateFormat
    allow_p224: bool = False


def parse_signing_options(
    values: Mapping[str, object], *, defaults: Mapping[str, object] | None = None, allow_p224: bool = False
) -> SigningOptions:
    """Check the members of a sign action.

    Args:
        values: members by their API names; null is the same as absent. ``action_type``, ``csr`` and
            ``intermediate_certificate_authority`` are passed over.
        defaults: what counts for members that are absent: `signing_defaults` of an intermediate that is known here.
        allow_p224: whether keys on the curve P-224 may be certified.

    Raises:
        Invalid: every broken rule, by field.
    """
    given = {name: sent for name, sent in values.items() if sent is not None}
    members = Members({**(defaults or {}), **given}, what="this action")
    members.refuse_unknown(SIGNING_MEMBERS | _PASSED_OVER)
    options = SigningOptions(
        names=read_ca_names(members, required=False),
        ttl=members.read_duration("ttl", least=timedelta(seconds=1), most=MOST_TTL),
        max_path_length=read_path_length(members),
        permitted_dns_domains=read_permitted_domains(members),
        use_csr_values=members.read_flag("use_csr_values", default=False),
        format=read_certificate_format(members),
        allow_p224=allow_p224,
    )
    members.problems.raise_any()
    return options


def signing_defaults(document: Mapping[str, Any]) -> Json:
    """Return the members that an intermediate's own settings give to the action that signs it."""
    defaults = {name: document[name] for name in (*NAME_MEMBERS, "format") if document.get(name) is not None}
    return {**defaults, "ttl": f"{document['max_ttl_seconds']}s"}


def renewal_options(certificate: x509.Certificate) -> Json:
    """Return the members of the action that gives a renewed request a CA certificate like this one."""
    limit = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    return {"use_csr_values": True, **({} if limit is None else {"max_path_length": limit})}
