"""Public certificates: ordered over ACME, issued once the order has gone through. Source: domain section 4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from strongroom.domain.engine import NewValues, Patched, Prepared, Present, Work
from strongroom.domain.orders.ordering import Ordering
from strongroom.domain.secrets.model import SecretType


class PublicCertificateEngine:
    """Begins orders; the jobs of ``domain/orders`` make the versions.

    Args:
        ordering: checks what is asked for.
    """

    secret_type: ClassVar[SecretType] = SecretType.PUBLIC_CERT
    slow: ClassVar[bool] = True
    patchable: ClassVar[frozenset[str]] = frozenset({"rotation"})
    absent_payload: ClassVar[Mapping[str, Any]] = {}
    restorable: ClassVar[bool] = True

    def __init__(self, ordering: Ordering) -> None:
        self._ordering = ordering

    def prepare_new(self, work: Work, new: NewValues) -> Prepared:
        """Check the names, the CA and the DNS, and prepare the first order."""
        return self._ordering.new(new)

    def prepare_version(self, work: Work, present: Present, new: NewValues) -> Prepared:
        """Prepare the order of the next certificate."""
        return self._ordering.renewal(present, new)

    def prepare_restore(self, work: Work, present: Present, payload: Mapping[str, Any]) -> Prepared:
        """Make the previous certificate current again."""
        return self._ordering.restored(present, payload)

    def prepare_patch(self, work: Work, present: Present, changes: Mapping[str, Any]) -> Patched:
        """Change the rotation policy."""
        return self._ordering.patched(present, changes)
