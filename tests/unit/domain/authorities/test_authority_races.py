"""What a commit about CAs finds when something changed since its preparation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509

from strongroom.domain.access.principals import SYSTEM
from strongroom.domain.authorities.issuing import Issuance, Leaf
from strongroom.domain.authorities.services import AuthorityServices
from strongroom.domain.authorities.signing import Action
from strongroom.domain.change import Change, Overtaken
from strongroom.domain.configurations.model import ConfigKind, Configuration
from strongroom.kernel.errors import Conflict, ErrorCode
from tests.peers.in_process import InProcess
from tests.peers.server import Answer

CONFIGURATIONS = "/api/v2/configurations"
SECRETS = "/api/v2/secrets"
LEAF = {"secret_type": "private_cert", "name": "leaf", "certificate_template": "leaves", "common_name": "localhost"}
LIST = "/v1/ibmcloud/private_cert/config/certificate_authorities/issuing/crl"


def create(server: InProcess, kind: str, name: str, **members: Any) -> None:
    body = {"config_type": f"private_cert_configuration_{kind}", "name": name, "key_type": "ec", **members}
    answer = server.request("POST", CONFIGURATIONS, body)
    assert answer.status == 201, answer.raw


def act(server: InProcess, name: str, action: Action, **members: Any) -> Answer:
    return server.request("POST", f"{CONFIGURATIONS}/{name}/actions", {"action_type": action, **members})


def patch(server: InProcess, name: str, **members: Any) -> None:
    assert server.request("PATCH", f"{CONFIGURATIONS}/{name}", members).status == 200


def found(server: InProcess, name: str, kind: ConfigKind = ConfigKind.PRIVATE_CA) -> Configuration:
    configuration = server.container.services.storage.read(lambda unit: unit.configurations.find(kind, name))
    assert configuration is not None
    return configuration


def services(server: InProcess) -> AuthorityServices:
    return server.container.services.authorities


def prepared(server: InProcess, name: str, action: Action, **members: Any) -> Change[Any]:
    return services(server).authorities.act(SYSTEM, found(server, name), action, members)


def commit(server: InProcess, change: Change[Any]) -> Any:
    return server.container.services.storage.write(change.commit)


@pytest.fixture
def tree(server: InProcess) -> InProcess:
    """Give a server with a root, an intermediate and a template."""
    create(server, "root_ca", "root", common_name="Example Root", max_ttl="43830h")
    create(
        server,
        "intermediate_ca",
        "issuing",
        common_name="Example Issuing",
        max_ttl="26300h",
        signing_method="internal",
        issuer="root",
        auto_sign=True,
    )
    create(server, "template", "leaves", certificate_authority="issuing", max_ttl="720h")
    return server


@pytest.fixture
def overtake(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object], int], list[Leaf]]:
    """Give what has something done each time a certificate was signed and is not recorded yet."""

    def install(happens: Callable[[], object], times: int) -> list[Leaf]:
        signed: list[Leaf] = []
        issue = Issuance.issue

        def overtaken(self: Issuance, *given: Any, **more: Any) -> Leaf:
            leaf = issue(self, *given, **more)
            signed.append(leaf)
            if len(signed) <= times:
                happens()
            return leaf

        monkeypatch.setattr(Issuance, "issue", overtaken)
        return signed

    return install


Overtake = Callable[[Callable[[], object], int], list[Leaf]]


def test_certificate_is_made_again_by_the_template_that_overtook_it(tree: InProcess, overtake: Overtake) -> None:
    signed = overtake(lambda: patch(tree, "leaves", max_ttl="24h", ttl="24h"), 1)
    answer = tree.request("POST", SECRETS, LEAF)
    assert answer.status == 201, answer.raw
    certificate = x509.load_pem_x509_certificate(answer.json["certificate"].encode())
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds() <= 25 * 3600
    assert len(signed) == 2
    assert certificate.serial_number == signed[1].serial


def test_rotation_is_made_again_when_the_ca_was_changed(tree: InProcess, overtake: Overtake) -> None:
    secret = tree.request("POST", SECRETS, LEAF).json
    signed = overtake(lambda: patch(tree, "issuing", crl_expiry="96h"), 1)
    answer = tree.request("POST", f"{SECRETS}/{secret['id']}/versions", {})
    assert answer.status == 201, answer.raw
    assert len(signed) == 2
    assert tree.request("GET", f"{SECRETS}/{secret['id']}").json["versions_total"] == 2


def test_certificate_that_is_overtaken_again_and_again_is_refused(tree: InProcess, overtake: Overtake) -> None:
    lives = iter(range(30, 60))
    signed = overtake(lambda: patch(tree, "leaves", max_ttl=f"{next(lives)}h"), 99)
    answer = tree.request("POST", SECRETS, LEAF)
    assert (answer.status, answer.json["errors"][0]["code"]) == (409, ErrorCode.STALE_VERSION)
    assert len(signed) == 3
    assert tree.request("GET", SECRETS).json["total_count"] == 0
    recorded = tree.container.services.storage.read(
        lambda unit: [unit.authorities.find_issued(found(tree, "issuing").id, f"{leaf.serial:x}") for leaf in signed]
    )
    assert recorded == [None] * 3


def test_certificate_of_a_ca_that_was_revoked_meanwhile_is_refused(tree: InProcess, overtake: Overtake) -> None:
    overtake(lambda: act(tree, "issuing", Action.REVOKE), 1)
    answer = tree.request("POST", SECRETS, LEAF)
    assert (answer.status, answer.json["errors"][0]["code"]) == (400, ErrorCode.STATE_FORBIDS)
    assert tree.request("GET", SECRETS).json["total_count"] == 0


def test_certificate_is_made_again_by_the_key_that_overtook_it(tree: InProcess, overtake: Overtake) -> None:
    signed = overtake(lambda: act(tree, "issuing", Action.ROTATE), 1)
    answer = tree.request("POST", SECRETS, LEAF)
    assert answer.status == 201, answer.raw
    assert len(signed) == 2
    assert signed[0].issuer.authority.id != signed[1].issuer.authority.id
    x509.load_pem_x509_certificate(answer.json["certificate"].encode()).verify_directly_issued_by(
        x509.load_pem_x509_certificate(answer.json["issuing_ca"].encode())
    )
    revoked = tree.request(
        "POST", f"{SECRETS}/{answer.json['id']}/actions", {"action_type": "private_cert_action_revoke_certificate"}
    )
    assert revoked.status == 201
    of_its_key = f"{LIST}?key={signed[1].issuer.authority.key_id}"
    listed = x509.load_der_x509_crl(tree.request("GET", of_its_key, token=None).raw)
    assert [item.serial_number for item in listed] == [signed[1].serial]


def test_of_two_rotations_at_once_one_wins(tree: InProcess) -> None:
    one, two = (prepared(tree, "issuing", Action.ROTATE) for _ in range(2))
    commit(tree, one)
    with pytest.raises(Conflict) as refused:
        commit(tree, two)
    assert refused.value.code is ErrorCode.STALE_VERSION
    # Who only came late must not rotate a second time.
    assert not isinstance(refused.value, Overtaken)


@pytest.mark.parametrize("first", [Action.REVOKE, Action.ROTATE])
def test_rotation_and_revocation_at_once_leave_no_ca_half_revoked(tree: InProcess, first: Action) -> None:
    changes = {action: prepared(tree, "issuing", action) for action in (Action.REVOKE, Action.ROTATE)}
    commit(tree, changes.pop(first))
    (second,) = changes
    with pytest.raises(Overtaken):
        commit(tree, changes[second])
    if second is Action.REVOKE:
        commit(tree, prepared(tree, "issuing", Action.REVOKE))
    generations = tree.container.services.storage.read(
        lambda unit: unit.authorities.generations(found(tree, "issuing").id)
    )
    assert all(item.revoked_at is not None for item in generations)


def test_what_names_a_ca_that_was_deleted_meanwhile_is_not_made(tree: InProcess) -> None:
    create(
        tree,
        "intermediate_ca",
        "other",
        common_name="Example Other",
        max_ttl="26300h",
        signing_method="internal",
        issuer="root",
    )
    signing = prepared(tree, "root", Action.SIGN_INTERMEDIATE, intermediate_certificate_authority="other")
    assert tree.request("DELETE", f"{CONFIGURATIONS}/other").status == 204
    with pytest.raises(Overtaken):
        commit(tree, signing)


def test_list_is_built_with_the_settings_that_its_entries_belong_to(tree: InProcess) -> None:
    secret = tree.request("POST", SECRETS, LEAF).json
    patch(tree, "issuing", crl_disable=True)
    before = found(tree, "issuing")
    tree.request("POST", f"{SECRETS}/{secret['id']}/actions", {"action_type": "private_cert_action_revoke_certificate"})
    patch(tree, "issuing", crl_disable=False)
    authority = tree.container.services.storage.read(lambda unit: unit.authorities.generations(before.id)[0])
    # Somebody read the configuration before the change, and builds the list after it.
    built = services(tree).crls.current(before, authority.id)
    assert len(list(x509.load_der_x509_crl(built.der))) == 1
    assert len(list(x509.load_der_x509_crl(tree.request("GET", LIST, token=None).raw))) == 1


def test_template_that_became_wider_a_moment_ago_allows_at_once(tree: InProcess) -> None:
    wanted = {**LEAF, "name": "wide", "common_name": "www.example.com"}
    assert tree.request("POST", SECRETS, LEAF).status == 201
    assert tree.request("POST", SECRETS, wanted).status == 400
    patch(tree, "leaves", allow_any_name=True)
    assert tree.request("POST", SECRETS, wanted).status == 201


def test_template_that_became_narrower_a_moment_ago_refuses_at_once(tree: InProcess) -> None:
    assert tree.request("POST", SECRETS, LEAF).status == 201
    patch(tree, "leaves", allow_localhost=False)
    assert tree.request("POST", SECRETS, {**LEAF, "name": "other"}).status == 400


def test_certificates_come_from_the_new_key_right_after_a_rotation(tree: InProcess) -> None:
    before = tree.request("POST", SECRETS, LEAF).json
    act(tree, "issuing", Action.ROTATE)
    after = tree.request("POST", SECRETS, {**LEAF, "name": "other"}).json
    assert before["issuing_ca"] != after["issuing_ca"]
