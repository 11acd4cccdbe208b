"""What every DNS provider must do, run against each of them."""

from __future__ import annotations

import secrets

import pytest

from strongroom.dns.providers import Providers
from strongroom.domain.orders.dns import DnsProblem, DnsRefusal, TxtRecord
from strongroom.kernel.errors import Unavailable
from tests.contract.dns.backends import Backend


@pytest.fixture
def name(backend: Backend) -> str:
    """Give a name that no other test uses."""
    return f"_acme-challenge.{secrets.token_hex(4)}.{backend.zone}"


def test_record_that_is_presented_is_there(backend: Backend, name: str) -> None:
    backend.open().present(TxtRecord(name=name, value="one"))

    assert backend.values(name) == ["one"]


def test_record_that_is_presented_twice_is_there_once(backend: Backend, name: str) -> None:
    record = TxtRecord(name=name, value="one")

    backend.open().present(record)
    backend.open().present(record)

    assert backend.values(name) == ["one"]


def test_two_values_of_a_name_stand_beside_each_other(backend: Backend, name: str) -> None:
    provider = backend.open()

    provider.present(TxtRecord(name=name, value="one"))
    provider.present(TxtRecord(name=name, value="two"))

    assert backend.values(name) == ["one", "two"]


def test_cleanup_takes_one_value_and_leaves_the_other(backend: Backend, name: str) -> None:
    provider = backend.open()
    handle = provider.present(TxtRecord(name=name, value="one"))
    provider.present(TxtRecord(name=name, value="two"))

    provider.cleanup(TxtRecord(name=name, value="one"), handle)

    assert backend.values(name) == ["two"]


def test_cleanup_may_be_repeated(backend: Backend, name: str) -> None:
    record = TxtRecord(name=name, value="one")
    handle = backend.open().present(record)

    backend.open().cleanup(record, handle)
    backend.open().cleanup(record, handle)

    assert backend.values(name) == []


def test_cleanup_finds_a_record_by_its_value_alone(backend: Backend, name: str) -> None:
    provider = backend.open()
    provider.present(TxtRecord(name=name, value="one"))
    provider.present(TxtRecord(name=name, value="two"))

    backend.open().cleanup(TxtRecord(name=name, value="two"), None)

    assert backend.values(name) == ["one"]


def test_cleanup_of_what_was_never_there_is_fine(backend: Backend, name: str) -> None:
    backend.open().cleanup(TxtRecord(name=name, value="one"), None)

    assert backend.values(name) == []


def test_value_of_a_challenge_comes_through_unchanged(backend: Backend, name: str) -> None:
    value = secrets.token_urlsafe(32)

    backend.open().present(TxtRecord(name=name, value=value))

    assert backend.values(name) == [value]


def test_record_of_the_zone_itself_is_written(backend: Backend) -> None:
    record = TxtRecord(name=backend.zone, value=f"probe-{secrets.token_hex(4)}")
    provider = backend.open()

    handle = provider.present(record)

    assert record.value in backend.values(backend.zone)
    provider.cleanup(record, handle)
    assert record.value not in backend.values(backend.zone)


@pytest.mark.parametrize("step", ["present", "cleanup"])
def test_name_of_no_zone_is_refused(backend: Backend, step: str) -> None:
    record = TxtRecord(name="_acme-challenge.www.nowhere.example", value="one")
    provider = backend.open()

    with pytest.raises(DnsProblem) as refused:
        provider.present(record) if step == "present" else provider.cleanup(record, None)

    assert refused.value.refusal is DnsRefusal.NO_ZONE
    assert refused.value.step == step
    assert "nowhere.example" in refused.value.detail


def test_credential_without_permission_is_refused(backend: Backend, name: str) -> None:
    settings = backend.settings_without_permission()

    with pytest.raises(DnsProblem) as refused:
        backend.open(settings).present(TxtRecord(name=name, value="one"))

    assert refused.value.refusal is DnsRefusal.AUTHORIZATION
    secret_members = Providers(backend.context()).secret_members(backend.config_type)
    assert not any(str(settings.get(member)) in refused.value.detail for member in secret_members)


def test_vendor_out_of_reach_is_unavailable(backend: Backend, name: str) -> None:
    provider = backend.open()

    with backend.away(), pytest.raises(Unavailable):
        provider.present(TxtRecord(name=name, value="one"))


def test_zones_are_listed_as_far_as_they_can_be_known(backend: Backend) -> None:
    zones = backend.open().zones()

    assert list(zones) == sorted(zones)
    assert (backend.zone in zones) is backend.lists_zones


def test_checked_settings_pass_again_unchanged(backend: Backend) -> None:
    providers = Providers(backend.context())

    checked = providers.check(backend.config_type, backend.settings())

    assert providers.check(backend.config_type, checked) == checked


def test_nothing_shows_its_secrets(backend: Backend) -> None:
    settings = backend.settings()
    provider = backend.open()
    secret_members = Providers(backend.context()).secret_members(backend.config_type)

    shown = f"{provider!r} {vars(provider) if hasattr(provider, '__dict__') else ''}"

    assert not any(str(settings[member]) in shown for member in secret_members if settings.get(member))


def test_timing_leaves_room_for_more_than_one_look(backend: Backend) -> None:
    timing = backend.open().timing

    assert timing.limit > 2 * timing.poll
