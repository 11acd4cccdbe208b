"""Ordering public certificates: what is asked for is checked, and an order begins with the secret that waits for it.

Source: contract domain sections 4.2 to 4.4; design, section 8 ("public certificates").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from strongroom.domain.engine import NewValues, Patched, Prepared, Present
from strongroom.domain.jobs.steps import new_job
from strongroom.domain.orders.configured import PublicCa
from strongroom.domain.orders.context import (
    ATTEMPT,
    BUNDLE,
    CA,
    DNS,
    ISSUANCE,
    KEY_ALGORITHMS,
    ORDER,
    OrderContext,
    issuance_info,
)
from strongroom.domain.orders.issued import attributes, facts_of_payload, version_attributes
from strongroom.domain.orders.manual import ManualOrders
from strongroom.domain.orders.model import MANUAL, Order, OrderStep, OrderTrigger
from strongroom.domain.orders.names import OrderNames, check_names, names_key
from strongroom.domain.orders.policy import OFF, policy_warnings, read_policy, rotate_at
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.domain.secrets.events import EventType
from strongroom.domain.secrets.model import Secret, State
from strongroom.kernel.errors import (
    Conflict,
    ErrorCode,
    Invalid,
    LimitReached,
    Problems,
)
from strongroom.kernel.ids import IamId, JobId, SecretId, VersionId, new_uuid
from strongroom.kernel.result import Notice
from strongroom.kernel.value import value
from strongroom.pki.load import load_certificates
from strongroom.pki.renewal_id import renewal_identifier

_SYNONYMS: Final = {"EC256": "ECDSA256", "EC384": "ECDSA384"}


@value
class _Asked:
    """An order that was checked but not yet begun.

    Attributes:
        ca: name of the CA configuration.
    """

    names: tuple[str, ...]
    ca: str
    dns: str
    key_algorithm: str
    rotate_keys: bool
    trigger: OrderTrigger
    by: IamId
    replaces: str | None = None
    version_custom_metadata: Mapping[str, Any] | None = None


class Ordering:
    """Begins orders."""

    def __init__(self, context: OrderContext, manual: ManualOrders) -> None:
        self._context = context
        self._manual = manual

    def new(self, new: NewValues) -> Prepared:
        """Check the request for a certificate and prepare its order; a manual one is placed at once.

        Raises:
            Invalid: every broken rule, by field.
        """
        values, problems = new.values, Problems()
        limits = self._context.secrets.work.limits
        names = check_names(problems, values.get("common_name"), values.get("alt_names") or (), most=limits.order_names)
        algorithm = _read_algorithm(problems, values.get("key_algorithm"))
        rotation = read_policy(values.get("rotation"))
        ca, dns = self._read_configurations(problems, values.get(CA), values.get(DNS))
        problems.raise_any()
        assert ca is not None  # noqa: S101  (a problem otherwise)
        if dns == MANUAL:
            # Nothing is asked of the CA for a request that fails over something else.
            new.check_rest()
        asked = _Asked(
            names=names.all,
            ca=ca.configuration.name,
            dns=dns,
            key_algorithm=algorithm,
            rotate_keys=False,
            trigger=OrderTrigger.CREATE,
            by=IamId(new.caller["iam_id"]),
            version_custom_metadata=new.version_custom_metadata,
        )
        shown = _asked_attributes(names, ca.configuration.name, dns, algorithm, bundle=values.get(BUNDLE))
        return self._begin(
            asked, ca, None, shown, rotation, policy_warnings(rotation, dns), awaits_version=True, expires_at=None
        )

    def renewal(self, present: Present, new: NewValues) -> Prepared:
        """Prepare the order of the next certificate; names, CA, DNS and algorithm stay.

        A policy's order begins even if a configuration is not there any more: it fails, and the secret shows why.

        Raises:
            Invalid: ``state_forbids`` without a first certificate; a configuration is not there any more.
            Conflict: ``already_exists`` while an order runs.
        """
        secret = present.secret
        if secret.current_version_id is None:
            raise Invalid(
                ErrorCode.STATE_FORBIDS,
                f"A public certificate in state {secret.state.description} cannot be rotated: it was never issued. "
                "Delete it and order it anew.",
                reference_code="07062",
            )
        self._context.secrets.storage.look(lambda unit: _require_none_open(unit, secret.id))
        shown = secret.attributes
        problems = Problems()
        ca, _ = self._read_configurations(problems, shown[CA], shown[DNS])
        if not new.automatic or shown[DNS] == MANUAL:
            problems.raise_any()
        rotation = dict(secret.rotation or OFF)
        chosen = rotation if new.automatic else (new.values.get("rotation") or {})
        asked = _Asked(
            names=_names_shown(shown),
            ca=shown[CA],
            dns=shown[DNS],
            key_algorithm=shown["key_algorithm"],
            rotate_keys=bool(chosen.get("rotate_keys")),
            trigger=OrderTrigger.AUTO if new.automatic else OrderTrigger.MANUAL,
            by=IamId(new.caller["iam_id"]),
            replaces=self._replaced(present, secret),
            version_custom_metadata=new.version_custom_metadata,
        )
        return self._begin(
            asked, ca, secret, shown, rotation, secret.warnings, awaits_version=False, expires_at=secret.expires_at
        )

    def restored(self, present: Present, payload: Mapping[str, Any]) -> Prepared:
        """Make the previous certificate current again.

        Raises:
            Conflict: ``already_exists`` while an order runs.
        """
        secret = present.secret
        self._context.secrets.storage.look(lambda unit: _require_none_open(unit, secret.id))
        facts = facts_of_payload(payload)
        rotation = secret.rotation or OFF
        return Prepared(
            payload=payload,
            attributes=attributes(secret.attributes, facts, secret.attributes.get(ISSUANCE, {})),
            version_attributes=version_attributes(facts),
            expires_at=facts.not_after,
            rotation=rotation,
            rotate_before=rotate_at(rotation, secret.attributes[DNS], facts),
            on_commit=lambda unit, saved, _: unit.orders.remove_renewal_check(saved.id),
        )

    def patched(self, present: Present, changes: Mapping[str, Any]) -> Patched:
        """Change the rotation policy; it counts from the next time it is due."""
        secret, rotation = present.secret, read_policy(changes["rotation"])
        dns = secret.attributes[DNS]
        payload, before = present.payload(), None
        if payload is not None:
            before = rotate_at(rotation, dns, facts_of_payload(payload))
        elif secret.state is State.DESTROYED and dns != MANUAL:
            # It has lapsed. A try that is due later stays due then.
            before = secret.next_rotation_at or self._context.now()
        return Patched(
            attributes=secret.attributes,
            rotation=rotation,
            expires_at=secret.expires_at,
            rotate_before=before,
            warnings=policy_warnings(rotation, dns),
        )

    # What an order begins with.

    def _begin(
        self,
        asked: _Asked,
        ca: PublicCa | None,
        secret: Secret | None,
        shown: Mapping[str, Any],
        rotation: Mapping[str, Any],
        warnings: tuple[Notice, ...],
        *,
        awaits_version: bool,
        expires_at: datetime | None,
    ) -> Prepared:
        order = self._order(asked)
        if asked.dns == MANUAL:
            assert ca is not None  # noqa: S101  (refused otherwise)
            order = self._manual.placed(order, ca)

        def on_commit(unit: Unit, saved: Secret, _: VersionId) -> None:
            most = self._context.secrets.work.limits.orders_waiting
            if unit.orders.open_total() >= most:
                raise LimitReached(
                    ErrorCode.LIMIT_REACHED,
                    f"The server has reached the maximum of {most} public certificates on order; try again later.",
                    retry_after=timedelta(minutes=5),
                )
            mine = replace(order, secret_id=saved.id)
            unit.orders.add(mine)
            job = new_job(
                ORDER,
                dedupe_key=f"{ORDER}:{saved.id}",
                now=order.created_at,
                step=OrderStep.AWAIT_PERSON if asked.dns == MANUAL else OrderStep.START,
                secret_id=saved.id,
                group_id=saved.group_id,
            )
            if not unit.jobs.enqueue(replace(job, id=order.id)):
                raise order_running()
            if asked.dns == MANUAL:
                self._context.secrets.outbox.emit(
                    unit, EventType.ISSUANCE_PENDING_MANUAL, saved, by=order.by, at=order.created_at
                )

        return Prepared(
            payload=None,
            state=State.PRE_ACTIVATION if secret is None else secret.state,
            attributes={**shown, ISSUANCE: issuance_info(order)},
            rotation=rotation,
            expires_at=expires_at,
            warnings=warnings,
            awaits_version=awaits_version,
            relies_on_secret=secret is not None,
            on_commit=on_commit,
        )

    def _order(self, asked: _Asked) -> Order:
        now = self._context.now()
        return Order(
            id=JobId(new_uuid()),
            secret_id=SecretId(""),
            trigger=asked.trigger,
            by=asked.by,
            names=asked.names,
            names_key=names_key(asked.names),
            ca=asked.ca,
            dns=asked.dns,
            key_algorithm=asked.key_algorithm,
            rotate_keys=asked.rotate_keys,
            version_custom_metadata=asked.version_custom_metadata,
            deadline_at=now + ATTEMPT,
            replaces=asked.replaces,
            created_at=now,
            updated_at=now,
        )

    def _read_configurations(self, problems: Problems, ca: str | None, dns: str | None) -> tuple[PublicCa | None, str]:
        def look(unit: ReadUnit) -> tuple[PublicCa | None, bool]:
            found = self._context.cas.account(unit, ca) if ca else None
            return found, dns == MANUAL or (bool(dns) and self._context.dns.provider(unit, dns or "") is not None)

        found, has_dns = self._context.secrets.storage.look(look)
        if found is None:
            problems.note(
                Invalid(
                    ErrorCode.INVALID_FIELD if ca else ErrorCode.MISSING_FIELD,
                    f"ca: there is no public CA configuration {ca}." if ca else "ca must name a CA configuration.",
                    field=CA,
                    reference_code="07006",
                )
            )
        if not has_dns:
            problems.note(
                Invalid(
                    ErrorCode.INVALID_FIELD if dns else ErrorCode.MISSING_FIELD,
                    f"dns: there is no DNS configuration {dns}; name one, or {MANUAL} to write the records by hand."
                    if dns
                    else f"dns must name a DNS configuration, or be {MANUAL}.",
                    field=DNS,
                    reference_code="07009",
                )
            )
        return found, dns or ""

    def _replaced(self, present: Present, secret: Secret) -> str | None:
        payload = present.payload()
        if payload is None or secret.state is not State.ACTIVE:
            return None
        return renewal_identifier(load_certificates(payload["certificate"], field="certificate")[0])


def order_running() -> Conflict:
    """Return the refusal of a second order for the same certificate."""
    return Conflict(
        ErrorCode.ALREADY_EXISTS,
        "An order for the certificate already exists and is being processed.",
        hint="Wait until it ends, or cancel its job.",
        reference_code="07042",
    )


def _require_none_open(unit: ReadUnit, secret_id: SecretId) -> None:
    if unit.orders.open_of_secret(secret_id) is not None:
        raise order_running()


def _read_algorithm(problems: Problems, given: str | None) -> str:
    algorithm = _SYNONYMS.get(given or "", given or "RSA2048")
    if algorithm not in KEY_ALGORITHMS:
        problems.note(
            Invalid(
                ErrorCode.INVALID_FIELD,
                f"key_algorithm must be {', '.join(KEY_ALGORITHMS)}.",
                field="key_algorithm",
                reference_code="07040",
            )
        )
    return algorithm


def _asked_attributes(names: OrderNames, ca: str, dns: str, algorithm: str, *, bundle: bool | None) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "alt_names": list(names.alt_names),
        "key_algorithm": algorithm,
        CA: ca,
        DNS: dns,
        BUNDLE: True if bundle is None else bundle,
    }
    if names.common_name is not None:
        asked["common_name"] = names.common_name
    return asked


def _names_shown(shown: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a certificate; a common name that the CA has chosen is one of the others."""
    names = (shown.get("common_name"), *shown.get("alt_names", ()))
    return tuple(dict.fromkeys(name for name in names if name))
