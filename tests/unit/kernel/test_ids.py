from __future__ import annotations

import pytest

from strongroom.kernel.ids import Instance, is_uuid, new_uuid

INSTANCE = Instance(id="8d43e2b8-9d3c-4d1b-8b9f-0b5a3f1f9a11", account_id="0" * 32, region="local")


def test_new_ids_are_different_uuids() -> None:
    first, second = new_uuid(), new_uuid()
    assert first != second
    assert is_uuid(first)
    assert is_uuid(second)


@pytest.mark.parametrize("text", ["", "default", INSTANCE.id.upper(), f"{INSTANCE.id}\n", INSTANCE.id.replace("-", "")])
def test_another_text_is_no_uuid(text: str) -> None:
    assert not is_uuid(text)


def test_the_instance_and_its_secrets_have_resource_names() -> None:
    prefix = f"crn:v1:bluemix:public:secrets-manager:local:a/{'0' * 32}:{INSTANCE.id}"
    assert INSTANCE.crn == f"{prefix}::"
    assert INSTANCE.secret_crn("abc") == f"{prefix}:secret:abc"
