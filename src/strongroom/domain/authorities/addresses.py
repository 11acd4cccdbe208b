"""Where relying parties fetch what an authority publishes. Source: api-v2 section 4.6; design, section 1."""

from __future__ import annotations

from urllib.parse import quote

from strongroom.domain.authorities.model import Authority
from strongroom.kernel.value import value

CA_FILES = "/v1/ibmcloud/private_cert/config/certificate_authorities"
SHORT_CA_FILES = "/pki"
"""The same files, for people to type. Certificates carry the long address, which the original's clients know."""
OCSP = "/ocsp"


@value
class Addresses:
    """Makes the addresses that are written into certificates.

    A certificate must for ever lead to the certificate and to the list of the key that signed it. The plain address of
    a CA certificate gives the newest, so the one in certificates always names the key. The plain address of a list
    gives that of the first key, as the contract has it; later keys are named.

    Attributes:
        base: scheme, host and port, without a path.
    """

    base: str

    def crl(self, name: str, authority: Authority) -> str:
        """Return where the revocation list of a key is."""
        first = authority.generation == 1
        return f"{self.base}{CA_FILES}/{quote(name)}/crl{'' if first else _key(authority)}"

    def certificate(self, name: str, authority: Authority) -> str:
        """Return where the CA certificate of a key is."""
        return f"{self.base}{CA_FILES}/{quote(name)}/ca{_key(authority)}"

    def ocsp(self, name: str) -> str:
        """Return where the responder is; it finds the key by the request."""
        return f"{self.base}{OCSP}/{quote(name)}"


def _key(authority: Authority) -> str:
    return f"?key={authority.key_id}"
