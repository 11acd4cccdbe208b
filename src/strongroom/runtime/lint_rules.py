"""The linter's rules, and what a private authority judges otherwise.

These are pkilint's rules for RFC 5280 and RFC 6960, not those of the CA/Browser Forum, which refuse internal names.
Three kinds of findings are not taken as they come:

- Names. The linter takes only public host names and web addresses for well-formed; wildcards, ``localhost`` and
  ``spiffe://`` identifiers are none for it. `pki.names` judges these instead, by the same section 4.2.1.6 of RFC 5280.
- Key usages. The compatible API's default names both ways to agree on a key, and no kind of key can do both (RFC 4055
  section 1.2, RFC 8813 section 3, RFC 8410 section 5). Clients ignore the other; it is told as a warning.
- Long common names. The compatible API has 128 characters where RFC 5280 has 64 (appendix A.1, ``ub-common-name``), so
  the linter cannot read them. Programs in use can; it is told as a warning.

Only helper processes import this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

from cryptography.x509.oid import NameOID
from pkilint import loader, pkix
from pkilint.document import Document, PDUNode
from pkilint.pkix import certificate, crl, extension, name, ocsp
from pkilint.validation import ValidationFindingDescription, ValidationFindingSeverity, ValidatorContainer

from strongroom.pki.der import UTF8_STRING, DerError, read_only
from strongroom.pki.names import NameProblem, check_email, check_host, check_uri
from strongroom.pki.subject import MAX_COMMON_NAME
from strongroom.runtime.lint import Finding

MOST_FINDINGS: Final = 50
"""One mistake in each of a thousand names is one mistake: no more findings than this are told."""
MOST_CHARACTERS: Final = 300
"""Of one message, which may show a name as long as a request."""

_UNREADABLE: Final = "lint.unreadable"
_UNFINISHED: Final = "base.unhandled_exception"
_TOLD: Final = {
    ValidationFindingSeverity.FATAL: "fatal",
    ValidationFindingSeverity.ERROR: "error",
    ValidationFindingSeverity.WARNING: "warning",
    ValidationFindingSeverity.NOTICE: "notice",
}
"""Information and debugging output say nothing that could be done better."""
_RANKS: Final = {word: rank for rank, word in enumerate(_TOLD.values())}

_NAME_RULES: Final[dict[str, Callable[[str], str]]] = {
    "pkix.invalid_domain_name_syntax": check_host,
    "pkix.invalid_email_address_syntax": check_email,
    "pkix.invalid_uri_syntax": check_uri,
}
_CONSTRAINT: Final = ".nameConstraints."
_KEY_USAGE_CODES: Final = frozenset(
    f"pkix.key_usage_value_prohibited_for_{kind}" for kind in ("rsa", "ec", "edwards_curve")
)
_UNDECODED: Final = "itu.invalid_asn1_syntax"
_LONGEST_COMMON_NAME: Final = 64
"""Of RFC 5280; `pki.subject` has that of the compatible API."""
_TEXT_KINDS: Final = ((UTF8_STRING, "utf-8"), (0x13, "ascii"))
"""Tags of the kinds of text that common names are made of, UTF8String and PrintableString."""
_KEY_AGREEING_USAGES: Final = frozenset({"keyAgreement", "keyEncipherment"})


def certificate_findings(der: bytes) -> list[Finding]:
    """Return what is wrong with a certificate, the worst first."""
    return _findings(_certificate_rules(), loader.load_der_certificate, der)


def crl_findings(der: bytes) -> list[Finding]:
    """Return what is wrong with a revocation list, the worst first."""
    return _findings(_crl_rules(), loader.load_der_crl, der)


def ocsp_findings(der: bytes) -> list[Finding]:
    """Return what is wrong with an OCSP answer, the worst first; certificates in it are judged on their own."""
    return _findings(_ocsp_rules(), loader.load_der_ocsp_response, der)


@cache
def _certificate_rules() -> ValidatorContainer:
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container(),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container(),
            certificate.create_extensions_validator_container(),
            certificate.create_spki_validator_container(),
        ],
    )


@cache
def _crl_rules() -> ValidatorContainer:
    return crl.create_pkix_crl_validator_container(
        [
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            crl.create_issuer_validator_container(),
            crl.create_validity_validator_container(),
            crl.create_extensions_validator_container(),
        ],
    )


@cache
def _ocsp_rules() -> ValidatorContainer:
    return ocsp.create_pkix_ocsp_response_validator_container(
        [
            ocsp.create_response_decoder(),
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [],
    )


def _findings(rules: ValidatorContainer, load: Callable[..., Document], der: bytes) -> list[Finding]:
    try:
        document = load(der, "document")
    except ValueError:
        return [{"severity": "fatal", "code": _UNREADABLE, "message": "It cannot be read as DER of its kind."}]
    told: dict[tuple[str, str, str], Finding] = {}
    for result in rules.validate(document.root):
        for description in result.finding_descriptions:
            for finding in _told(result.node, description):
                told.setdefault((finding["severity"], finding["code"], finding["message"]), finding)
    return sorted(told.values(), key=lambda finding: _RANKS[finding["severity"]])[:MOST_FINDINGS]


def _told(node: PDUNode, description: ValidationFindingDescription) -> Iterator[Finding]:
    """Yield the finding in our form, unless it is none for a private authority."""
    code = description.finding.code
    severity = _TOLD.get(description.finding.severity)
    if severity is None or (code in _NAME_RULES and _is_private_name(_NAME_RULES[code], node)):
        return
    text = description.message or code.rpartition(".")[2].replace("_", " ")
    if code in _KEY_USAGE_CODES and _only_key_agreement(text):
        severity = "warning"
    if code == _UNDECODED and _LONGEST_COMMON_NAME < (length := _common_name_length(node)) <= MAX_COMMON_NAME:
        severity = "warning"
        text = f"the common name has {length} characters, and RFC 5280 allows {_LONGEST_COMMON_NAME} (appendix A.1)"
    if code == _UNFINISHED:
        # A check broke. That is no fault of the certificate, and its text is for those who mend the linter.
        severity, text = "warning", "a check could not be finished"
    yield {"severity": severity, "code": code, "message": f"{text[:MOST_CHARACTERS]} (at {node.path})"}


def _is_private_name(check: Callable[[str], str], node: PDUNode) -> bool:
    text = str(node.pdu)
    if _CONSTRAINT in node.path:
        # Of names and addresses alike: a host or, with a dot in front, all hosts below; never a wildcard (RFC 5280
        # section 4.2.1.10).
        if "*" in text:
            return False
        check, text = (check_email, text) if "@" in text else (check_host, text.removeprefix("."))
    try:
        check(text)
    except NameProblem:
        return False
    return True


def _only_key_agreement(text: str) -> bool:
    return set(text.rpartition(": ")[2].split(", ")) <= _KEY_AGREEING_USAGES


def _common_name_length(node: PDUNode) -> int:
    """Return how many characters a common name has; 0 if the node is something else, or no text."""
    children = node.children
    if "type" not in children or str(children["type"].pdu) != NameOID.COMMON_NAME.dotted_string:
        return 0
    for tag, encoding in _TEXT_KINDS:
        try:
            return len(read_only(bytes(children["value"].pdu), tag).content.decode(encoding))
        except (DerError, UnicodeDecodeError):
            continue
    return 0
