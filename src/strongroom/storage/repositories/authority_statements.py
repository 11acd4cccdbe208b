"""The statements of authorities and of what they issued.

Rows of ``issued_certificates`` are many: each statement below finds its own through an index.
"""

from __future__ import annotations

from typing import Any, Final

from strongroom.domain.secrets.model import State
from strongroom.storage.statements import Statement, conflict_insert, sa, tables, values_of

AUTHORITY_COLUMNS: Final = (
    "id",
    "generation",
    "serial",
    "issuer",
    "external_key",
    "key_id",
    "not_before",
    "not_after",
    "revoked_at",
    "created_at",
    "crl_number",
    "crl_wanted",
    "certificate",
    "chain",
    "csr",
    "sealed_key",
)
"""What follows the configuration's id in the answers of the statements that read authorities."""

SAVED_COLUMNS: Final = ("serial", "issuer", "not_before", "not_after", "revoked_at", "certificate", "chain", "csr")
"""What a save of an authority writes."""

_CRL_COLUMNS: Final = ("number", "covers", "this_update", "next_update", "der")
_SIGNER_COLUMNS: Final = ("serial", "not_before", "not_after", "certificate", "sealed_key")


def _given(table: sa.Table, names: tuple[str, ...]) -> dict[str, sa.ColumnElement[Any]]:
    """Return a parameter for each column, with its type: among selected values a server cannot guess it."""
    return {name: sa.bindparam(name, type_=table.c[name].type) for name in names}


def _this_authority() -> sa.ColumnElement[bool]:
    return tables.authorities.c.id == sa.bindparam("authority_id")


def _authority_pk() -> sa.ScalarSelect[Any]:
    return sa.select(tables.authorities.c.pk).where(_this_authority()).scalar_subquery()


def _configuration_pk() -> sa.ScalarSelect[Any]:
    configurations = tables.configurations.c
    return sa.select(configurations.pk).where(configurations.id == sa.bindparam("configuration_id")).scalar_subquery()


def _authorities() -> sa.Select[Any]:
    authorities, configurations = tables.authorities.c, tables.configurations.c
    return sa.select(configurations.id, *(authorities[name] for name in AUTHORITY_COLUMNS)).join_from(
        tables.authorities, tables.configurations, configurations.pk == authorities.configuration_pk
    )


def _generations(_: str) -> sa.Executable:
    return (
        _authorities()
        .where(tables.configurations.c.id == sa.bindparam("configuration_id"))
        .order_by(tables.authorities.c.generation.desc())
    )


def _current(_: str) -> sa.Executable:
    authorities, newer = tables.authorities.c, tables.authorities.alias("newer")
    is_outdated = (
        sa.select(newer.c.pk)
        .where(newer.c.configuration_pk == authorities.configuration_pk, newer.c.generation > authorities.generation)
        .exists()
    )
    return _authorities().where(~is_outdated).order_by(authorities.configuration_pk)


def _add(_: str) -> sa.Executable:
    """Add an authority to its configuration, if that is there."""
    given = _given(tables.authorities, AUTHORITY_COLUMNS)
    row = sa.select(tables.configurations.c.pk, *given.values()).where(
        tables.configurations.c.id == sa.bindparam("configuration_id")
    )
    return conflict_insert(tables.authorities).from_select(["configuration_pk", *given], row).on_conflict_do_nothing()


def _want_crl(_: str) -> sa.Executable:
    authorities = tables.authorities.c
    return (
        sa.update(tables.authorities)
        .where(_this_authority())
        .values(crl_wanted=authorities.crl_wanted + sa.literal_column("1"))
    )


def _want_crl_of(_: str) -> sa.Executable:
    authorities = tables.authorities.c
    return (
        sa.update(tables.authorities)
        .where(authorities.pk == sa.bindparam("authority_pk"))
        .values(crl_wanted=authorities.crl_wanted + sa.literal_column("1"))
    )


def _add_issued(_: str) -> sa.Executable:
    """Record a certificate of an authority of this configuration, if its serial number is new there."""
    given = _given(
        tables.issued_certificates,
        ("serial", "kind", "version_id", "template_id", "child_id", "issued_at", "not_after", "revoked_at"),
    )
    authorities, configurations = tables.authorities.c, tables.configurations.c
    secret = sa.select(tables.secrets.c.pk).where(
        tables.secrets.c.id == sa.bindparam("secret_id", type_=tables.secrets.c.id.type)
    )
    row = (
        sa.select(authorities.configuration_pk, authorities.pk, secret.scalar_subquery(), *given.values())
        .join_from(tables.authorities, tables.configurations, configurations.pk == authorities.configuration_pk)
        .where(_this_authority(), configurations.id == sa.bindparam("configuration_id"))
    )
    return (
        conflict_insert(tables.issued_certificates)
        .from_select(["configuration_pk", "authority_pk", "secret_pk", *given], row)
        .on_conflict_do_nothing(index_elements=["configuration_pk", "serial"])
        .returning(tables.issued_certificates.c.secret_pk)
    )


def _this_certificate() -> sa.ColumnElement[bool]:
    issued = tables.issued_certificates.c
    return sa.and_(issued.configuration_pk == _configuration_pk(), issued.serial == sa.bindparam("serial"))


def _find_issued(_: str) -> sa.Executable:
    issued, authorities, secrets = tables.issued_certificates.c, tables.authorities.c, tables.secrets.c
    return (
        sa.select(
            authorities.id,
            issued.kind,
            issued.not_after,
            issued.issued_at,
            secrets.id,
            issued.version_id,
            issued.template_id,
            issued.child_id,
            issued.revoked_at,
        )
        .join_from(tables.issued_certificates, tables.authorities, authorities.pk == issued.authority_pk)
        .outerjoin(tables.secrets, secrets.pk == issued.secret_pk)
        .where(_this_certificate())
    )


def _has_issued(_: str) -> sa.Executable:
    issued = tables.issued_certificates.c
    return (
        sa.select(issued.authority_pk)
        .where(issued.authority_pk == _authority_pk(), issued.kind == sa.bindparam("kind"))
        .limit(sa.literal_column("1"))
    )


def _serials_of_child(_: str) -> sa.Executable:
    issued = tables.issued_certificates.c
    return sa.select(issued.serial).where(
        issued.authority_pk == _authority_pk(),
        issued.kind == sa.bindparam("kind"),
        issued.child_id == sa.bindparam("child_id"),
    )


def _template_users(_: str) -> sa.Executable:
    issued, secrets = tables.issued_certificates.c, tables.secrets.c
    return (
        # Groups come in the order of the index, so the walk stops at the limit, whatever the template issued.
        sa.select(sa.func.min(secrets.name))
        .join_from(tables.issued_certificates, tables.secrets, secrets.pk == issued.secret_pk)
        .where(
            issued.template_id == sa.bindparam("template_id"),
            issued.secret_pk.is_not(None),
            secrets.state != sa.literal_column(str(State.DESTROYED.value)),
        )
        .group_by(issued.secret_pk)
        .order_by(issued.secret_pk)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    )


def _revoke(_: str) -> sa.Executable:
    issued = tables.issued_certificates.c
    return (
        sa.update(tables.issued_certificates)
        .where(_this_certificate(), issued.revoked_at.is_(None))
        .values(values_of(("revoked_at", "crl_entry")))
        .returning(issued.authority_pk)
    )


def _revoked_entries(_: str) -> sa.Executable:
    issued = tables.issued_certificates.c
    return (
        sa.select(issued.crl_entry)
        .where(
            issued.authority_pk == _authority_pk(),
            issued.revoked_at.is_not(None),
            issued.not_after >= sa.bindparam("now", type_=sa.BigInteger),
        )
        .order_by(issued.revoked_at, issued.pk)
    )


def _purge_issued(_: str) -> sa.Executable:
    issued, secrets = tables.issued_certificates.c, tables.secrets.c
    # The current certificate of a secret that lives on (a revoked one may, for years) says that it uses its template.
    is_needed = sa.and_(
        secrets.state != sa.literal_column(str(State.DESTROYED.value)), secrets.current_version_id == issued.version_id
    )
    old = (
        sa.select(issued.pk)
        .join_from(
            tables.issued_certificates, tables.secrets, sa.and_(secrets.pk == issued.secret_pk, is_needed), isouter=True
        )
        .where(issued.not_after < sa.bindparam("before", type_=sa.BigInteger), secrets.pk.is_(None))
        .order_by(issued.not_after, issued.pk)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    )
    return sa.delete(tables.issued_certificates).where(issued.pk.in_(old))


def _find_crl(_: str) -> sa.Executable:
    crls = tables.crls.c
    return sa.select(*(crls[name] for name in _CRL_COLUMNS)).where(crls.authority_pk == _authority_pk())


def _take_crl_number(_: str) -> sa.Executable:
    """Move the authority's number, if that is forwards."""
    authorities, number = tables.authorities.c, sa.bindparam("number", type_=sa.BigInteger)
    return (
        sa.update(tables.authorities)
        .where(_this_authority(), authorities.crl_number < number)
        .values(crl_number=number)
        .returning(authorities.pk)
    )


def _put_crl(_: str) -> sa.Executable:
    insert = conflict_insert(tables.crls).values(values_of(("authority_pk", *_CRL_COLUMNS))).inline()
    return insert.on_conflict_do_update(
        index_elements=["authority_pk"], set_={name: insert.excluded[name] for name in _CRL_COLUMNS}
    )


def _crls_due(_: str) -> sa.Executable:
    authorities, crls = tables.authorities.c, tables.crls.c
    is_lapsing = sa.and_(
        crls.next_update <= sa.bindparam("before", type_=sa.BigInteger),
        # A list that reaches the end of its authority needs no other after it.
        crls.next_update < authorities.not_after,
    )
    return (
        sa.select(authorities.id)
        .join_from(tables.authorities, tables.crls, crls.authority_pk == authorities.pk, isouter=True)
        .where(
            authorities.certificate.is_not(None),
            sa.or_(crls.authority_pk.is_(None), crls.covers < authorities.crl_wanted, is_lapsing),
        )
        # What nobody can fetch comes first, then what lapses soonest.
        .order_by(sa.func.coalesce(crls.next_update, sa.literal_column("0")), authorities.pk)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    )


def _find_signer(_: str) -> sa.Executable:
    signers = tables.ocsp_signers.c
    return sa.select(*(signers[name] for name in _SIGNER_COLUMNS)).where(signers.authority_pk == _authority_pk())


def _put_signer(_: str) -> sa.Executable:
    given = _given(tables.ocsp_signers, _SIGNER_COLUMNS)
    row = sa.select(tables.authorities.c.pk, *given.values()).where(_this_authority())
    insert = conflict_insert(tables.ocsp_signers).from_select(["authority_pk", *given], row)
    return insert.on_conflict_do_update(
        index_elements=["authority_pk"], set_={name: insert.excluded[name] for name in _SIGNER_COLUMNS}
    )


FIND: Final = Statement("authorities.find", lambda _: _authorities().where(_this_authority()))
FIND_FOR_UPDATE: Final = Statement(
    "authorities.find_for_update",
    lambda _: _authorities().where(_this_authority()).with_for_update(of=tables.authorities),
)
GENERATIONS: Final = Statement("authorities.generations", _generations)
CURRENT: Final = Statement("authorities.current", _current)
ADD: Final = Statement("authorities.add", _add)
SAVE: Final = Statement(
    "authorities.save",
    lambda _: sa.update(tables.authorities).where(_this_authority()).values(values_of(SAVED_COLUMNS)),
)
WANT_CRL: Final = Statement("authorities.want_crl", _want_crl)
WANT_CRL_OF: Final = Statement("authorities.want_crl_of", _want_crl_of)
ADD_ISSUED: Final = Statement("authorities.issued.add", _add_issued)
FIND_ISSUED: Final = Statement("authorities.issued.find", _find_issued)
SERIALS_OF_CHILD: Final = Statement("authorities.issued.serials_of_child", _serials_of_child)
HAS_ISSUED: Final = Statement("authorities.issued.has", _has_issued)
TEMPLATE_USERS: Final = Statement("authorities.issued.template_users", _template_users)
REVOKE: Final = Statement("authorities.issued.revoke", _revoke)
REVOKED_ENTRIES: Final = Statement("authorities.issued.revoked_entries", _revoked_entries)
PURGE_ISSUED: Final = Statement("authorities.issued.purge", _purge_issued)
FIND_CRL: Final = Statement("authorities.crls.find", _find_crl)
TAKE_CRL_NUMBER: Final = Statement("authorities.crls.take_number", _take_crl_number)
PUT_CRL: Final = Statement("authorities.crls.put", _put_crl)
CRLS_DUE: Final = Statement("authorities.crls.due", _crls_due)
FIND_SIGNER: Final = Statement("authorities.ocsp_signers.find", _find_signer)
PUT_SIGNER: Final = Statement("authorities.ocsp_signers.put", _put_signer)
