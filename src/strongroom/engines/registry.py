"""Which engine serves which secret type: an explicit list, nothing is discovered."""

from __future__ import annotations

from collections.abc import Mapping

from strongroom.domain.authorities.issuing import Issuance
from strongroom.domain.engine import Engine
from strongroom.domain.orders.ordering import Ordering
from strongroom.domain.secrets.model import SecretType
from strongroom.engines.arbitrary.engine import ArbitraryEngine
from strongroom.engines.imported.engine import ImportedEngine
from strongroom.engines.kv.engine import KeyValueEngine
from strongroom.engines.private.engine import PrivateCertificateEngine
from strongroom.engines.public.engine import PublicCertificateEngine
from strongroom.engines.username_password.engine import UsernamePasswordEngine


def build_engines(issuance: Issuance, ordering: Ordering) -> Mapping[SecretType, Engine]:
    """Return every engine by its type.

    Args:
        issuance: issues private certificates.
        ordering: orders public certificates.
    """
    engines: tuple[Engine, ...] = (
        ArbitraryEngine(),
        ImportedEngine(),
        KeyValueEngine(),
        PrivateCertificateEngine(issuance),
        PublicCertificateEngine(ordering),
        UsernamePasswordEngine(),
    )
    return {engine.secret_type: engine for engine in engines}
