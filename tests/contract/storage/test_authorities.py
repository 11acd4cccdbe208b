"""Authorities, what they issued and revoked, their lists and OCSP signers, on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

import pytest

from strongroom.domain.authorities.model import Authority, AuthorityId, Crl, Issued, IssuedKind
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.model import Secret, State
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import ConfigurationId, SecretId, VersionId
from strongroom.storage.store import SqlStorage
from tests.contract.storage.builders import (
    DAY,
    NOW,
    YEAR,
    add_authority,
    add_configuration,
    add_group,
    add_issued,
    add_secret,
    later,
    make_authority,
    make_configuration,
    make_crl,
    make_issued,
    make_secret,
    make_signer,
)
from tests.contract.storage.conftest import OpenStorage

UNKNOWN = AuthorityId("unknown")


def find(storage: SqlStorage, authority: Authority) -> Authority | None:
    return storage.read(lambda unit: unit.authorities.find(authority.id))


def wanted(storage: SqlStorage, authority: Authority) -> int:
    found = find(storage, authority)
    assert found is not None
    return found.crl_wanted


def revoke(storage: SqlStorage, issued: Issued, at: datetime = NOW, entry: bytes | None = None) -> bool:
    return storage.write(
        lambda unit: unit.authorities.revoke(
            issued.configuration_id, issued.serial, at, entry or issued.serial.encode()
        )
    )


def entries(storage: SqlStorage, authority: Authority, now: datetime = NOW) -> list[bytes]:
    return storage.read(lambda unit: list(unit.authorities.revoked_entries(authority.id, now)))


def find_issued(storage: SqlStorage, issued: Issued) -> Issued | None:
    return storage.read(lambda unit: unit.authorities.find_issued(issued.configuration_id, issued.serial))


def put_crl(storage: SqlStorage, crl: Crl) -> bool:
    return storage.write(lambda unit: unit.authorities.put_crl(crl))


def due(storage: SqlStorage, before: datetime = NOW, limit: int = 10) -> Sequence[str]:
    return storage.read(lambda unit: unit.authorities.crls_due(before, limit))


# Authorities.


def test_authority_comes_back_as_it_was_stored(storage: SqlStorage) -> None:
    authority = add_authority(
        storage,
        certificate=b"\x30\x00",
        chain=(b"\x00nearest", b"\xffroot"),
        csr=b"csr",
        serial="0a1b",
        issuer=AuthorityId("parent"),
        sealed_key=b"\x00sealed",
        external_key={"label": "Schlüssel", "id": "01", "provider": {"type": "pkcs11"}},
        not_before=later(0.000001),
        revoked_at=later(7),
        crl_number=2**40,
        crl_wanted=2**41,
    )

    assert find(storage, authority) == authority
    assert storage.write(lambda unit: unit.authorities.find_for_update(authority.id)) == authority


def test_authority_that_waits_for_its_certificate_comes_back_without(storage: SqlStorage) -> None:
    authority = add_authority(storage, certificate=None, not_before=None, not_after=None, csr=b"csr")

    assert find(storage, authority) == authority


def test_unknown_authority_is_not_found(storage: SqlStorage) -> None:
    assert storage.read(lambda unit: unit.authorities.find(UNKNOWN)) is None
    assert storage.write(lambda unit: unit.authorities.find_for_update(UNKNOWN)) is None
    assert storage.read(lambda unit: unit.authorities.generations(ConfigurationId("unknown"))) == []
    with pytest.raises(NotFound, match="no authority"):
        storage.write(lambda unit: unit.authorities.save(make_authority(make_configuration())))
    with pytest.raises(NotFound, match="no authority"):
        storage.write(lambda unit: unit.authorities.want_crl(UNKNOWN))


def test_generations_are_newest_first_and_the_newest_is_current(storage: SqlStorage) -> None:
    one, two, empty = (add_configuration(storage, name) for name in ("one", "two", "empty"))
    first = add_authority(storage, one)
    other = add_authority(storage, two)
    second = add_authority(storage, one, 2)

    assert storage.read(lambda unit: unit.authorities.generations(one.id)) == [second, first]
    assert storage.read(lambda unit: unit.authorities.generations(empty.id)) == []
    assert storage.read(lambda unit: unit.authorities.current()) == [second, other]


def test_generation_is_made_once(storage: SqlStorage) -> None:
    configuration = add_configuration(storage)
    first = add_authority(storage, configuration)

    with pytest.raises(Conflict, match="another key in the meantime") as refused:
        add_authority(storage, configuration)

    assert refused.value.code is ErrorCode.STALE_VERSION
    assert storage.read(lambda unit: unit.authorities.generations(configuration.id)) == [first]


def test_authority_of_an_unknown_configuration_is_refused(storage: SqlStorage) -> None:
    with pytest.raises(NotFound, match="no configuration"):
        storage.write(lambda unit: unit.authorities.add(make_authority(make_configuration())))


def test_save_stores_what_a_signature_brings_and_leaves_key_and_counters(storage: SqlStorage) -> None:
    authority = add_authority(storage, certificate=None, not_before=None, not_after=None, sealed_key=b"key")
    storage.write(lambda unit: unit.authorities.want_crl(authority.id))
    changed = replace(
        authority,
        certificate=b"certificate",
        chain=(b"a", b"b"),
        csr=b"csr",
        serial="ff",
        issuer=AuthorityId("parent"),
        not_before=NOW,
        not_after=later(YEAR),
        revoked_at=later(1),
    )

    storage.write(
        lambda unit: unit.authorities.save(replace(changed, sealed_key=b"other", crl_number=9, crl_wanted=9, key_id=""))
    )

    assert find(storage, authority) == replace(changed, crl_wanted=1)


def test_authority_outlives_the_one_that_signed_it(storage: SqlStorage) -> None:
    parent = add_authority(storage, add_configuration(storage, "parent"))
    child = add_authority(storage, add_configuration(storage, "child"), issuer=parent.id)

    storage.write(lambda unit: unit.configurations.remove(parent.configuration_id))

    assert find(storage, child) == child


def test_authority_that_is_read_for_a_change_waits_for_the_one_before(open_store: OpenStorage) -> None:
    stores = [open_store(stream="one"), open_store(stream="two")]
    authority = add_authority(stores[0])

    def lengthen(unit: Unit) -> None:
        found = unit.authorities.find_for_update(authority.id)
        assert found is not None
        unit.authorities.save(replace(found, chain=(*found.chain, b"one more")))

    def lengthen_often(store: SqlStorage) -> None:
        for _ in range(15):
            store.write(lengthen)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lengthen_often, stores))

    found = find(stores[0], authority)
    assert found is not None
    assert len(found.chain) == 30


# What they issued.


def test_certificate_comes_back_as_it_was_recorded(storage: SqlStorage) -> None:
    add_group(storage)
    authority, secret = add_authority(storage), add_secret(storage)
    plain = add_issued(storage, authority, "1", kind=IssuedKind.OCSP_SIGNER)
    full = add_issued(
        storage,
        authority,
        "2",
        secret_id=secret.id,
        version_id=VersionId("v1"),
        template_id=ConfigurationId("t1"),
        child_id=AuthorityId("c1"),
        issued_at=later(-0.000001),
        revoked_at=later(5),
    )

    assert find_issued(storage, plain) == plain
    assert find_issued(storage, full) == full
    assert find_issued(storage, replace(plain, serial="3")) is None
    assert find_issued(storage, replace(plain, configuration_id=ConfigurationId("unknown"))) is None


def test_all_certificates_that_one_authority_signed_for_another_are_found(storage: SqlStorage) -> None:
    add_group(storage)
    issuer = add_authority(storage)
    other = add_authority(storage, add_configuration(storage, name="other"))
    child, sibling = AuthorityId("child"), AuthorityId("sibling")
    for serial, kind, child_id in (
        ("2", IssuedKind.CA, child),
        ("1", IssuedKind.CA, child),
        ("3", IssuedKind.CA, sibling),
        ("4", IssuedKind.SIGNED_CSR, None),
    ):
        add_issued(storage, issuer, serial, kind=kind, child_id=child_id)
    add_issued(storage, other, "5", kind=IssuedKind.CA, child_id=child)

    def found(child_id: AuthorityId) -> set[str]:
        return set(storage.read(lambda unit: unit.authorities.serials_of_child(issuer.id, child_id)))

    assert (found(child), found(sibling), found(issuer.id)) == ({"1", "2"}, {"3"}, set())


def test_serial_number_is_used_once_per_configuration(storage: SqlStorage) -> None:
    one, two = (add_configuration(storage, name) for name in ("one", "two"))
    first, second = add_authority(storage, one), add_authority(storage, one, 2)
    other = add_authority(storage, two)
    issued = add_issued(storage, first, "1")

    with pytest.raises(Conflict, match="serial number 1 was used before") as refused:
        add_issued(storage, second, "1")
    assert refused.value.code is ErrorCode.ALREADY_EXISTS

    elsewhere = add_issued(storage, other, "1")
    assert find_issued(storage, issued) == issued
    assert find_issued(storage, elsewhere) == elsewhere


def test_certificate_of_what_is_not_there_is_refused(storage: SqlStorage) -> None:
    one, two = (add_configuration(storage, name) for name in ("one", "two"))
    authority = add_authority(storage, one)
    of_unknown_authority = make_issued(replace(authority, id=UNKNOWN))
    of_other_configuration = make_issued(replace(authority, configuration_id=two.id))
    of_unknown_secret = make_issued(authority, secret_id=SecretId("unknown"))

    for issued, refusal in (
        (of_unknown_authority, "no authority"),
        (of_other_configuration, "no authority"),
        (of_unknown_secret, "no secret"),
    ):
        with pytest.raises(NotFound, match=refusal):
            storage.write(lambda unit, issued=issued: unit.authorities.add_issued(issued))  # type: ignore[misc]
        assert find_issued(storage, issued) is None


def test_record_of_a_certificate_outlives_its_secret(storage: SqlStorage) -> None:
    add_group(storage)
    authority, secret = add_authority(storage), add_secret(storage)
    issued = add_issued(storage, authority, secret_id=secret.id, version_id=VersionId("v1"))

    storage.write(lambda unit: unit.secrets.remove(secret.id))

    assert find_issued(storage, issued) == replace(issued, secret_id=None)
    assert revoke(storage, issued)


def test_certificate_and_its_secret_are_recorded_together_or_not_at_all(storage: SqlStorage) -> None:
    add_group(storage)
    authority = add_authority(storage)
    add_issued(storage, authority, "1")
    secret = make_secret()

    def issue(unit: Unit) -> None:
        unit.secrets.add(secret)
        unit.authorities.add_issued(make_issued(authority, "2", secret_id=secret.id))
        unit.authorities.add_issued(make_issued(authority, "1", secret_id=secret.id))

    with pytest.raises(Conflict):
        storage.write(issue)

    assert find_issued(storage, make_issued(authority, "2")) is None
    assert storage.read(lambda unit: unit.secrets.find(secret.id)) is None


def test_kinds_that_an_authority_signed_are_known(storage: SqlStorage) -> None:
    configuration = add_configuration(storage)
    authority, other = add_authority(storage, configuration), add_authority(storage, configuration, 2)
    add_issued(storage, authority, "1", kind=IssuedKind.CA, not_after=later(-YEAR))

    def has_issued(authority: Authority, kind: str) -> bool:
        return storage.read(lambda unit: unit.authorities.has_issued(authority.id, kind))

    assert has_issued(authority, IssuedKind.CA)
    assert has_issued(authority, "ca")
    assert not has_issued(authority, IssuedKind.LEAF)
    assert not has_issued(other, IssuedKind.CA)
    assert not has_issued(replace(authority, id=UNKNOWN), IssuedKind.CA)


def test_users_of_a_template_are_its_secrets_that_are_not_destroyed(storage: SqlStorage) -> None:
    add_group(storage)
    authority, template = add_authority(storage), ConfigurationId("t1")

    def add_user(name: str, serial: str, of: ConfigurationId = template, state: State = State.ACTIVE) -> Secret:
        secret = add_secret(storage, name, state=state)
        add_issued(storage, authority, serial, secret_id=secret.id, template_id=of)
        return secret

    first = add_user("z", "1")
    add_user("other", "2", ConfigurationId("t2"))
    add_user("destroyed", "3", state=State.DESTROYED)
    add_user("waiting", "4", state=State.PRE_ACTIVATION)
    gone = add_user("gone", "5")
    add_issued(storage, authority, "6", secret_id=first.id, template_id=template)
    add_issued(storage, authority, "7", template_id=template)
    storage.write(lambda unit: unit.secrets.remove(gone.id))

    def users(limit: int) -> Sequence[str]:
        return storage.read(lambda unit: unit.authorities.template_users(template, limit))

    assert users(10) == ["z", "waiting"]
    assert users(1) == ["z"]
    assert storage.read(lambda unit: unit.authorities.template_users(ConfigurationId("unknown"), 10)) == []


# Revocation.


def test_revocation_is_noted_once(storage: SqlStorage) -> None:
    configuration = add_configuration(storage)
    old, new = add_authority(storage, configuration), add_authority(storage, configuration, 2)
    issued = add_issued(storage, old, "1")

    assert revoke(storage, issued, later(3), b"first")
    assert not revoke(storage, issued, later(4), b"second")

    assert find_issued(storage, issued) == replace(issued, revoked_at=later(3))
    assert entries(storage, old) == [b"first"]
    assert entries(storage, new) == []
    assert (wanted(storage, old), wanted(storage, new)) == (1, 0)


def test_unknown_serial_number_cannot_be_revoked(storage: SqlStorage) -> None:
    authority = add_authority(storage)

    assert not revoke(storage, make_issued(authority, "1"))
    assert wanted(storage, authority) == 0


def test_entries_come_in_order_of_revocation_without_the_expired(storage: SqlStorage) -> None:
    authority = add_authority(storage)
    ends = {"1": later(YEAR), "2": later(DAY), "3": later(YEAR), "4": later(YEAR), "5": later(YEAR)}
    issued = {serial: add_issued(storage, authority, serial, not_after=end) for serial, end in ends.items()}

    # Two in the same second come in the order in which they were issued.
    for serial, seconds in (("4", 1), ("2", 2), ("3", 3), ("1", 3)):
        revoke(storage, issued[serial], later(seconds))

    assert entries(storage, authority) == [b"4", b"2", b"1", b"3"]
    assert entries(storage, authority, later(DAY)) == [b"4", b"2", b"1", b"3"]
    assert entries(storage, authority, later(DAY + 0.000001)) == [b"4", b"1", b"3"]
    assert entries(storage, authority, later(2 * YEAR)) == []


def test_entries_can_be_read_within_the_unit_that_revokes(storage: SqlStorage) -> None:
    authority = add_authority(storage)
    issued = add_issued(storage, authority)

    def revoke_and_look(unit: Unit) -> list[bytes]:
        unit.authorities.revoke(issued.configuration_id, issued.serial, NOW, b"entry")
        return list(unit.authorities.revoked_entries(authority.id, NOW))

    assert storage.write(revoke_and_look) == [b"entry"]


def test_revocation_of_a_unit_that_fails_leaves_nothing(storage: SqlStorage) -> None:
    authority = add_authority(storage)
    issued = add_issued(storage, authority)

    def fails(unit: Unit) -> None:
        unit.authorities.revoke(issued.configuration_id, issued.serial, NOW, b"entry")
        raise NotFound(ErrorCode.NOT_FOUND, "a reason")

    with pytest.raises(NotFound, match="a reason"):
        storage.write(fails)

    assert find_issued(storage, issued) == issued
    assert entries(storage, authority) == []
    assert wanted(storage, authority) == 0


def test_no_revocation_is_lost_when_several_processes_revoke(open_store: OpenStorage) -> None:
    stores = [open_store(stream="one"), open_store(stream="two")]
    authority = add_authority(stores[0])
    issued = [add_issued(stores[0], authority, str(number)) for number in range(40)]

    def revoke_all(store: SqlStorage) -> int:
        return sum(revoke(store, certificate) for certificate in issued)

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(revoke_all, stores)) == 40

    assert wanted(stores[0], authority) == 40
    assert len(entries(stores[0], authority)) == 40


# Lists.


def test_list_comes_back_as_it_was_stored(storage: SqlStorage) -> None:
    authority = add_authority(storage)
    crl = make_crl(authority, 2**40, covers=2**41, der=bytes(range(256)) * 400)

    assert put_crl(storage, crl)

    assert storage.read(lambda unit: unit.authorities.find_crl(authority.id)) == crl
    assert find(storage, authority) == replace(authority, crl_number=2**40)
    assert storage.read(lambda unit: unit.authorities.find_crl(UNKNOWN)) is None


def test_number_of_a_list_never_goes_back(storage: SqlStorage) -> None:
    authority = add_authority(storage, crl_number=4)

    assert not put_crl(storage, make_crl(authority, 4))
    assert storage.read(lambda unit: unit.authorities.find_crl(authority.id)) is None

    newest = make_crl(authority, 6, der=b"newest")
    assert put_crl(storage, make_crl(authority, 5))
    assert put_crl(storage, newest)
    assert not put_crl(storage, make_crl(authority, 6, der=b"of another process"))
    assert not put_crl(storage, make_crl(authority, 5))

    assert storage.read(lambda unit: unit.authorities.find_crl(authority.id)) == newest
    assert find(storage, authority) == replace(authority, crl_number=6)
    assert not put_crl(storage, make_crl(replace(authority, id=UNKNOWN), 1))


def test_each_number_goes_to_one_of_several_processes(open_store: OpenStorage) -> None:
    stores = [open_store(stream="one"), open_store(stream="two")]
    authority = add_authority(stores[0])

    def build(store: SqlStorage) -> list[int]:
        return [number for number in range(1, 31) if put_crl(store, make_crl(authority, number))]

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(build, stores)

    assert not set(one) & set(two)
    assert max(one + two) == 30
    found = stores[0].read(lambda unit: unit.authorities.find_crl(authority.id))
    assert found is not None
    assert found.number == 30


def test_list_is_due_when_it_is_missing_out_of_date_or_lapses(storage: SqlStorage) -> None:
    authority = add_authority(storage)
    assert due(storage) == [authority.id]

    put_crl(storage, make_crl(authority, 1, next_update=later(DAY)))
    assert due(storage, later(DAY - 1)) == []
    assert due(storage, later(DAY)) == [authority.id]

    storage.write(lambda unit: unit.authorities.want_crl(authority.id))
    assert due(storage) == [authority.id]
    put_crl(storage, make_crl(authority, 2, covers=1))
    assert due(storage) == []

    revoke(storage, add_issued(storage, authority))
    assert due(storage) == [authority.id]


def test_list_of_an_authority_without_a_certificate_is_never_due(storage: SqlStorage) -> None:
    add_authority(storage, certificate=None, not_before=None, not_after=None)

    assert due(storage, later(YEAR)) == []


def test_list_that_reaches_the_end_of_its_authority_does_not_lapse(storage: SqlStorage) -> None:
    authority = add_authority(storage, not_after=later(2 * DAY))
    put_crl(storage, make_crl(authority, 1, next_update=later(2 * DAY - 1)))
    assert due(storage, later(YEAR)) == [authority.id]

    put_crl(storage, make_crl(authority, 2, next_update=later(2 * DAY)))
    assert due(storage, later(YEAR)) == []

    storage.write(lambda unit: unit.authorities.want_crl(authority.id))
    assert due(storage, NOW) == [authority.id]


def test_lists_that_are_missing_are_due_first_then_those_that_lapse_soonest(storage: SqlStorage) -> None:
    late, soon, missing = (add_authority(storage, add_configuration(storage, name)) for name in ("a", "b", "c"))
    put_crl(storage, make_crl(late, 1, next_update=later(2 * DAY)))
    put_crl(storage, make_crl(soon, 1, next_update=later(DAY)))

    assert due(storage, later(3 * DAY)) == [missing.id, soon.id, late.id]
    assert due(storage, later(3 * DAY), limit=2) == [missing.id, soon.id]


# OCSP signers.


def test_newest_ocsp_signer_replaces_the_older(storage: SqlStorage) -> None:
    authority, other = (add_authority(storage, add_configuration(storage, name)) for name in ("one", "two"))
    first, second = make_signer(authority), make_signer(authority, serial="5b", certificate=b"2", not_after=later(9))

    for signer in (first, second):
        storage.write(lambda unit, signer=signer: unit.authorities.put_ocsp_signer(signer))  # type: ignore[misc]
        assert storage.read(lambda unit: unit.authorities.find_ocsp_signer(authority.id)) == signer

    assert storage.read(lambda unit: unit.authorities.find_ocsp_signer(other.id)) is None
    with pytest.raises(NotFound, match="no authority"):
        storage.write(lambda unit: unit.authorities.put_ocsp_signer(replace(first, authority_id=UNKNOWN)))


# Purge.


def test_expired_certificates_are_forgotten_oldest_first(storage: SqlStorage) -> None:
    authority = add_authority(storage)
    ends = {"1": 30, "2": 10, "3": 20, "4": 40}
    issued = {serial: add_issued(storage, authority, serial, not_after=later(end)) for serial, end in ends.items()}
    revoke(storage, issued["2"])

    def purge(seconds: float, limit: int) -> int:
        return storage.write(lambda unit: unit.authorities.purge_issued(later(seconds), limit))

    def left() -> list[str]:
        return [serial for serial, certificate in issued.items() if find_issued(storage, certificate)]

    assert purge(10, 5) == 0
    assert purge(30.000001, 2) == 2
    assert left() == ["1", "4"]
    assert purge(30.000001, 2) == 1
    assert purge(30.000001, 2) == 0
    assert left() == ["4"]
    assert entries(storage, authority) == []
    assert wanted(storage, authority) == 1


@pytest.mark.parametrize("state", [State.ACTIVE, State.DEACTIVATED, State.DESTROYED])
def test_certificate_is_kept_while_its_secret_still_uses_a_template_by_it(storage: SqlStorage, state: State) -> None:
    add_group(storage)
    authority, template = add_authority(storage), ConfigurationId("t1")
    old, new = VersionId("v1"), VersionId("v2")
    secret = add_secret(storage, state=state, previous_version_id=old, current_version_id=new)
    issued = [
        add_issued(
            storage,
            authority,
            version_id,
            secret_id=secret.id,
            version_id=version_id,
            template_id=template,
            not_after=later(1),
        )
        for version_id in (old, new)
    ]

    purged = storage.write(lambda unit: unit.authorities.purge_issued(later(2), 5))

    users = storage.read(lambda unit: unit.authorities.template_users(template, 5))
    if state is State.DESTROYED:
        assert (purged, users) == (2, [])
    else:
        assert (purged, users) == (1, [secret.name])
        assert [find_issued(storage, certificate) for certificate in issued] == [None, issued[1]]
    storage.write(lambda unit: unit.secrets.remove(secret.id))
    assert storage.write(lambda unit: unit.authorities.purge_issued(later(2), 5)) == 2 - purged
