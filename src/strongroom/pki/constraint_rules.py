"""Whether the names of a certificate stay within what the authorities above it are constrained to.

A certificate that does not is no use to anybody: verifiers refuse it. Better to hear of that before it is signed.

Source: RFC 5280 section 4.2.1.10.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from cryptography import x509

from strongroom.pki.members import shorten
from strongroom.pki.verdicts import Rule, Verdict, failed, passed, skipped


def check_constraints(
    alt_names: Iterable[x509.GeneralName], authorities: Sequence[x509.Certificate]
) -> Iterator[Verdict]:
    """Judge alternative names by the name constraints of the authority that signs and of those above it."""
    found = [item for authority in authorities if (item := _constraints(authority)) is not None]
    if not found:
        yield skipped(Rule.NAME_CONSTRAINTS, "No authority above has name constraints.")
        return
    for name in alt_names:
        if isinstance(name, x509.OtherName):
            continue
        shown = shorten(str(name.value))
        outside = next((item for item in found if not _is_within(name, item)), None)
        if outside is None:
            yield passed(Rule.NAME_CONSTRAINTS, f"The authorities above allow {shown}.", value=shown)
        else:
            yield failed(
                Rule.NAME_CONSTRAINTS,
                f"`{shown}` is outside of what a certificate authority above is constrained to.",
                advice=_advice(name, outside),
                value=shown,
            )


@lru_cache(maxsize=256)
def _constraints(certificate: x509.Certificate) -> x509.NameConstraints | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


def _is_within(name: x509.GeneralName, constraints: x509.NameConstraints) -> bool:
    excluded = [base for base in constraints.excluded_subtrees or () if type(base) is type(name)]
    permitted = [base for base in constraints.permitted_subtrees or () if type(base) is type(name)]
    if isinstance(name, x509.UniformResourceIdentifier) and (excluded or permitted) and not _host_of(name.value):
        # RFC 5280 section 4.2.1.10: one without a host is refused wherever hosts are constrained.
        return False
    if any(_matches(name, base) for base in excluded):
        return False
    return not permitted or any(_matches(name, base) for base in permitted)


def _matches(name: x509.GeneralName, base: x509.GeneralName) -> bool:
    match name, base:
        case x509.DNSName(), x509.DNSName():
            return _is_below(name.value, base.value)
        case x509.RFC822Name(), x509.RFC822Name():
            return _matches_mailbox(name.value, base.value)
        case x509.UniformResourceIdentifier(), x509.UniformResourceIdentifier():
            return _matches_host(_host_of(name.value), base.value)
        case x509.IPAddress(), x509.IPAddress():
            return _is_in_network(name.value, base.value)
    return name == base


def _host_of(uri: str) -> str:
    try:
        return urlsplit(uri).hostname or ""
    except ValueError:
        # Brackets without an address in them: whatever host that is meant to be.
        return ""


def _is_in_network(address: object, network: object) -> bool:
    match address, network:
        case ipaddress.IPv4Address(), ipaddress.IPv4Network():
            return address in network
        case ipaddress.IPv6Address(), ipaddress.IPv6Network():
            return address in network
    return False


def _is_below(host: str, base: str) -> bool:
    host, base = host.lower(), base.lower().lstrip(".")
    return not base or host == base or host.endswith(f".{base}")


def _matches_host(host: str, base: str) -> bool:
    # A base with a dot before it means hosts below the domain, without one the host itself.
    host, base = host.lower(), base.lower()
    return host.endswith(base) if base.startswith(".") else host == base


def _matches_mailbox(address: str, base: str) -> bool:
    if "@" in base:
        local, _, host = address.rpartition("@")
        base_local, _, base_host = base.rpartition("@")
        return local == base_local and host.lower() == base_host.lower()
    return _matches_host(address.rpartition("@")[2], base)


def _advice(name: x509.GeneralName, constraints: x509.NameConstraints) -> str:
    permitted = [str(base.value) for base in constraints.permitted_subtrees or () if type(base) is type(name)]
    if permitted:
        return f"a name within {', '.join(permitted)}"
    return "a name outside of the excluded ones"
