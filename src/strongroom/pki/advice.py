"""What to do about a text that is not what its field asks for: one command that converts it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from strongroom.pki.recognise import Form, Sighting, Thing


class Wanted(StrEnum):
    """What a field asks for; reads as part of a sentence."""

    CERTIFICATE = "a certificate"
    INTERMEDIATE = "an intermediate certificate"
    PRIVATE_KEY = "a private key"
    CSR = "a certificate signing request"


_CERTIFICATES: Final = (Wanted.CERTIFICATE, Wanted.INTERMEDIATE)
_FILES: Final = {
    Wanted.CERTIFICATE: "certificate.pem",
    Wanted.INTERMEDIATE: "intermediate.pem",
    Wanted.PRIVATE_KEY: "key.pem",
    Wanted.CSR: "request.pem",
}
_CHECKS: Final = {
    Wanted.CERTIFICATE: "openssl x509 -in certificate.pem -noout -subject",
    Wanted.INTERMEDIATE: "openssl x509 -in intermediate.pem -noout -subject",
    Wanted.PRIVATE_KEY: "openssl pkey -in key.pem -noout",
    Wanted.CSR: "openssl req -in request.pem -noout -subject",
}
# OpenSSL decodes one long line or many short ones by different options; this takes either.
_DECODE: Final = "tr -d ' \\r\\n' < encoded.txt | openssl base64 -d -A -out"
_OPENSSH_COMMAND: Final = "ssh-keygen -p -N '' -m PKCS8 -f key && openssl pkey -in key -out key.pem"

SINGLE_LINE: Final = (
    "Write every line break once as \\n inside the JSON string; "
    "`openssl x509 -in certificate.pem | jq -Rs .` prints a certificate that way."
)
QUOTE: Final = (
    'Quote the shell variable, as in "$(cat certificate.pem)"; '
    "`openssl x509 -in certificate.pem` prints the certificate as it must look."
)
NOT_INDENTED: Final = (
    "The lines of a PEM file start at the first column; "
    "`sed 's/^ *//' indented.pem | openssl x509 -out certificate.pem` moves them there."
)


def check_command(wanted: Wanted) -> str:
    """Return the command that shows whether a file is what is wanted."""
    return _CHECKS[wanted]


def advise(wanted: Wanted, sighting: Sighting) -> str:
    """Return what to do, with the exact command."""
    if sighting.form is Form.BASE64:
        if sighting.thing is Thing.PEM_TEXT:
            return f"Decode it with `{_DECODE} {_FILES[wanted]}`."
        command = _convert(wanted, sighting.thing, "decoded.bin", der=True)
        return f"Convert it with `{_DECODE} decoded.bin && {command}`."
    match sighting.thing:
        case Thing.CSR if wanted in _CERTIFICATES:
            inform = " -inform DER" if sighting.form is Form.DER else ""
            return (
                "Have a certificate authority sign it and send what comes back, for example with `openssl x509 "
                f"-req{inform} -in request.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 90 -out "
                "certificate.pem`."
            )
        case Thing.PUBLIC_KEY | Thing.SSH_PUBLIC_KEY if wanted is Wanted.PRIVATE_KEY:
            return (
                "A public key holds no private key: send the file that it was made from. "
                "`openssl pkey -in key.pem -noout` accepts private keys only."
            )
    if _is_convertible(wanted, sighting.thing):
        source = _SOURCES.get(sighting.thing, "file.der" if sighting.form is Form.DER else "file.pem")
        return f"Convert it with `{_convert(wanted, sighting.thing, source, der=sighting.form is Form.DER)}`."
    place = _PLACES.get(sighting.thing)
    move = f"Send it as {place}. " if place else ""
    return f"{move}`{_CHECKS[wanted]}` accepts {_PEM_NAMES[wanted]} only."


_SOURCES: Final = {
    Thing.PKCS7: "bundle.p7b",
    Thing.PKCS12: "bundle.p12",
    Thing.JKS: "keystore.jks",
    Thing.ENCRYPTED_KEY: "encrypted-key.pem",
}
_PLACES: Final = {
    Thing.CERTIFICATE: "`certificate` (or `intermediate`, if it belongs to an authority)",
    Thing.PRIVATE_KEY: "`private_key`",
}
_PEM_NAMES: Final = {
    Wanted.CERTIFICATE: "certificates in PEM form",
    Wanted.INTERMEDIATE: "certificates in PEM form",
    Wanted.PRIVATE_KEY: "private keys",
    Wanted.CSR: "signing requests",
}


def _is_convertible(wanted: Wanted, thing: Thing) -> bool:
    if wanted is Wanted.CSR:
        return thing is Thing.CSR
    if thing in {Thing.PKCS12, Thing.JKS}:
        return True
    if wanted in _CERTIFICATES:
        return thing in {Thing.CERTIFICATE, Thing.TRUSTED_CERTIFICATE, Thing.PKCS7}
    return thing in {
        Thing.PRIVATE_KEY,
        Thing.ENCRYPTED_KEY,
        Thing.OPENSSH_KEY,
        Thing.ENCRYPTED_OPENSSH_KEY,
        Thing.PUTTY_KEY,
    }


def _convert(wanted: Wanted, thing: Thing, source: str, *, der: bool) -> str:
    inform, target = " -inform DER" if der else "", _FILES[wanted]
    match thing:
        case Thing.PKCS12:
            return f"openssl pkcs12 -in {source} {_PKCS12_PARTS[wanted]} -out {target}"
        case Thing.JKS:
            return (
                f"keytool -importkeystore -srckeystore {source} -destkeystore bundle.p12 -deststoretype PKCS12 && "
                f"openssl pkcs12 -in bundle.p12 {_PKCS12_PARTS[wanted]} -out {target}"
            )
        case Thing.PKCS7:
            return f"openssl pkcs7{inform} -in {source} -print_certs -out {target}"
        case Thing.PRIVATE_KEY | Thing.ENCRYPTED_KEY:
            return f"openssl pkey{inform} -in {source} -out key.pem"
        case Thing.OPENSSH_KEY | Thing.ENCRYPTED_OPENSSH_KEY:
            return _OPENSSH_COMMAND
        case Thing.PUTTY_KEY:
            return "puttygen key.ppk -O private-openssh -o key && " + _OPENSSH_COMMAND
        case Thing.CSR:
            return f"openssl req{inform} -in {source} -out request.pem"
        case Thing.PUBLIC_KEY:
            return f"openssl pkey -pubin{inform} -in {source} -out public.pem"
        case Thing.CRL:
            return f"openssl crl{inform} -in {source} -out crl.pem"
        case _:
            return f"openssl x509{inform} -in {source} -out {_FILES[Wanted.CERTIFICATE]}"


_PKCS12_PARTS: Final = {
    Wanted.CERTIFICATE: "-clcerts -nokeys",
    Wanted.INTERMEDIATE: "-cacerts -nokeys",
    Wanted.PRIVATE_KEY: "-nocerts -nodes",
    Wanted.CSR: "-clcerts -nokeys",
}
