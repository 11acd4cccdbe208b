"""What TLS trusts on the way out."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from strongroom.kernel.errors import ErrorCode, Invalid

_USUAL_BUNDLES: Final = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/ca-bundle.pem"),
    Path("/etc/ssl/cert.pem"),
)
"""Where systems keep their trusted certificates; some builds of Python look elsewhere."""
_MAX_CONTEXTS: Final = 64


class _SharedContext(ssl.SSLContext):
    """A context that nobody changes: threads make connections from it at the same time.

    The HTTP library names its protocol again before each connection, which frees memory that another thread may be
    copying. A server that is told none speaks HTTP/1.1.
    """

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Leave the context as it is."""


@functools.lru_cache(maxsize=_MAX_CONTEXTS)
def client_context(trust_pem: str | None) -> ssl.SSLContext:
    """Return a context that verifies certificate and host name.

    Args:
        trust_pem: certificates to trust, and no others; the system's if ``None``. An intermediate certificate is
            enough.

    Raises:
        Invalid: ``certificate_unreadable``: the text holds no certificates.
    """
    context = _SharedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if trust_pem is None:
        _trust_system(context)
        return context
    try:
        # Bundles have comments in every script; the certificates themselves are ASCII.
        context.load_verify_locations(cadata=trust_pem.encode("ascii", "replace").decode())
        is_usable = context.cert_store_stats()["x509"] > 0
    except (ssl.SSLError, ValueError):
        # ValueError: an empty text.
        is_usable = False
    if not is_usable:
        detail = "The bundle of certificates to trust holds none, or one that cannot be read in PEM."
        raise Invalid(ErrorCode.CERTIFICATE_UNREADABLE, detail)
    return context


def _trust_system(context: ssl.SSLContext) -> None:
    context.set_default_verify_paths()
    usual = ssl.get_default_verify_paths()
    if not usual.cafile and not usual.capath:
        for bundle in _USUAL_BUNDLES:
            if bundle.is_file():
                context.load_verify_locations(cafile=bundle)
                return
