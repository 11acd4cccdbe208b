"""Asking a linter about certificates, revocation lists and OCSP answers, in a helper process.

The linter is the extra ``lint``. It takes a fifth of a second to load and several milliseconds a certificate, and holds
the interpreter all the while: the server itself never imports it.
"""

from __future__ import annotations

from importlib.util import find_spec

from strongroom.domain.ports import Helpers
from strongroom.kernel.errors import ErrorCode, Unavailable

Finding = dict[str, str]
"""``severity`` (``fatal``, ``error``, ``warning`` or ``notice``), ``code`` and ``message``."""


def is_installed() -> bool:
    """Tell whether the extra ``lint`` is there; it is not loaded for that."""
    return find_spec("pkilint") is not None


class Linter:
    """Runs the linter where it holds nobody up. Calls block the calling thread.

    Args:
        helpers: runs it.
    """

    def __init__(self, helpers: Helpers) -> None:
        self._helpers = helpers
        # Every issue asks, and looking through the folders of packages would be a fifth of its time.
        self._is_installed = is_installed()

    def is_installed(self) -> bool:
        """Tell whether the extra ``lint`` was there at the start."""
        return self._is_installed

    def lint_certificate(self, der: bytes) -> list[Finding]:
        """Return what is wrong with a certificate, the worst first.

        Raises:
            Unavailable: the extra is not installed, or no helper was free in time.
        """
        return self._helpers.run(lint_certificate, der)

    def lint_crl(self, der: bytes) -> list[Finding]:
        """Return what is wrong with a revocation list, the worst first.

        Raises:
            Unavailable: as for certificates.
        """
        return self._helpers.run(lint_crl, der)

    def lint_ocsp(self, der: bytes) -> list[Finding]:
        """Return what is wrong with an OCSP answer, the worst first.

        Raises:
            Unavailable: as for certificates.
        """
        return self._helpers.run(lint_ocsp, der)


def lint_certificate(der: bytes) -> list[Finding]:
    """Return what is wrong with a certificate; loads the linter into this process.

    Raises:
        Unavailable: the extra is not installed.
    """
    _require()
    from strongroom.runtime.lint_rules import certificate_findings

    return certificate_findings(der)


def lint_crl(der: bytes) -> list[Finding]:
    """Return what is wrong with a revocation list; loads the linter into this process.

    Raises:
        Unavailable: the extra is not installed.
    """
    _require()
    from strongroom.runtime.lint_rules import crl_findings

    return crl_findings(der)


def lint_ocsp(der: bytes) -> list[Finding]:
    """Return what is wrong with an OCSP answer; loads the linter into this process.

    Raises:
        Unavailable: the extra is not installed.
    """
    _require()
    from strongroom.runtime.lint_rules import ocsp_findings

    return ocsp_findings(der)


def _require() -> None:
    if not is_installed():
        raise Unavailable(
            ErrorCode.UNAVAILABLE,
            "Certificates cannot be linted: the linter is not installed.",
            hint="Install it with `pip install 'strongroom[lint]'`, or set lint_level to `warn` or `off`.",
        )
