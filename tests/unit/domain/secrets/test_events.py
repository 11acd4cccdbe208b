"""What an event in the outbox holds for the notice that is made of it later."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from strongroom.domain.ports import Unit
from strongroom.domain.secrets.events import EventType, Outbox
from strongroom.domain.secrets.model import Secret, SecretType, State
from strongroom.kernel.ids import GroupId, IamId, Instance, SecretId

AT = datetime(2026, 3, 2, 9, 14, 7, tzinfo=UTC)
INSTANCE = Instance(id="9f1c8b1e-0000-4000-8000-000000000001", account_id="a" * 32, region="local")
SECRET_ID = SecretId("9f1c8b1e-0000-4000-8000-000000000002")


def emitted(event: EventType, *, reason: str | None = None, **members: Any) -> tuple[Any, ...]:
    """Return what is put into the outbox."""
    added: list[tuple[Any, ...]] = []
    unit = SimpleNamespace(events=SimpleNamespace(add=lambda *event: added.append(event)))
    secret = Secret(
        id=SECRET_ID,
        name="shop",
        group_id=GroupId("default"),
        state=State.ACTIVE,
        created_at=AT,
        created_by=IamId("iam-ServiceId-1"),
        updated_at=AT,
        **members,
    )
    Outbox(INSTANCE).emit(cast("Unit", unit), event, secret, by="iam-ServiceId-1", at=AT, reason=reason)
    (one,) = added
    return one


def test_event_of_a_certificate_names_its_domains_serial_number_and_end() -> None:
    name, sub_type, secret, at, details = emitted(
        EventType.EXPIRED,
        secret_type=SecretType.PRIVATE_CERT,
        attributes={
            "common_name": "shop.example.com",
            "alt_names": ["shop.example.com", "www.example.com"],
            "serial_number": "0a:0b",
        },
        expires_at=AT,
    )
    assert (name, sub_type, secret.id, at) == ("com.ibm.cloud.secrets-manager.secret_expired", "", SECRET_ID, AT)
    assert details == {
        "secret_type": "private_cert",
        "event_time": "2026-03-02T09:14:07Z",
        "event_triggered_by": "iam-ServiceId-1",
        "secret_id": f"crn:v1:bluemix:public:secrets-manager:local:a/{'a' * 32}:{INSTANCE.id}:secret:{SECRET_ID}",
        "secret_name": "shop",
        "secret_group_id": "default",
        "domains": "shop.example.com,www.example.com",
        "serial_number": "0a:0b",
        "secret_expiration": "2026-03-02T09:14:07Z",
    }


def test_event_of_a_failure_gives_the_reason_and_no_empty_members() -> None:
    *_, details = emitted(EventType.ROTATION_FAILED, secret_type=SecretType.ARBITRARY, reason="it is locked")
    assert details["failure_reason"] == "it is locked"
    assert not {"domains", "serial_number", "secret_expiration"} & set(details)
