"""Authorities, templates and private certificates that exist before a run, and right requests about them."""

from __future__ import annotations

import random
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.domain.authorities.addresses import SHORT_CA_FILES
from strongroom.pki.armor import encode_pem
from tests.api.authorities import ACTION, CONFIGURATIONS, EVALUATE, FILES, INTERMEDIATE, REVOKE, ROOT, SECRETS, TEMPLATE
from tests.factories.certificates import ec_key, make_ca, sign_csr, to_pem
from tests.fuzz.der import question, request_with_everything, sign_again
from tests.fuzz.known import Known, Seed
from tests.peers.in_process import InProcess

_ODD: Final = 40
_CERTIFICATE: Final = "CERTIFICATE"
_REQUEST: Final = "CERTIFICATE REQUEST"
_SUBJECT: Final = {
    "ou": ["one", "two"],
    "organization": ["Example Trust"],
    "country": ["DE"],
    "locality": ["Here"],
    "province": ["There"],
    "street_address": ["Way 1"],
    "postal_code": ["12345"],
    "serial_number": "17",
}
_NAMES: Final = {
    "alt_names": ["a.example.com", "person@example.com"],
    "ip_sans": "192.0.2.1,2001:db8::1",
    "uri_sans": "https://example.com/a",
    "other_sans": ["1.3.6.1.4.1.311.20.2.3;UTF8:person@example.com"],
    "exclude_cn_from_sans": True,
}


def plant_authorities(server: InProcess, known: Known, tag: str, chance: random.Random) -> list[Seed]:
    """Make authorities of all kinds, with ``tag`` in their names; return requests that a run may break."""

    def post(path: str, body: Any) -> dict[str, Any]:
        answer = server.request("POST", path, body)
        assert answer.status == 201, (path, body, answer.raw)
        return dict(answer.json)

    root, issuing, doomed, waiting, both = (
        f"{name}-{tag}" for name in ("root", "issuing", "doomed", "waiting", "both")
    )
    free, strict = f"open-{tag}", f"strict-{tag}"
    for body in (
        _root(root),
        _intermediate(issuing, root),
        _intermediate(doomed, root),
        {**_authority(INTERMEDIATE, waiting), "signing_method": "external"},
        _root(both),
        _open_template(free, issuing),
        _strict_template(strict, issuing),
        _open_template(both, issuing),
    ):
        post(CONFIGURATIONS, body)
    made = server.request("GET", f"{CONFIGURATIONS}/{waiting}").json
    csr = str(made["data"]["csr"])
    outside_key = ec_key()
    outside = make_ca("Example Outside CA", key=outside_key, now=server.clock.now())
    signed = sign_csr(csr, issuer=outside, days=900, now=server.clock.now())

    key = ec_key()
    raw = request_with_everything(key, "www.example.com")
    request = encode_pem(raw, _REQUEST)
    certificate = _certificate(free)
    first = post(SECRETS, {**certificate, "name": f"private-{tag}"})
    revoked = post(SECRETS, {**certificate, "name": f"revoked-{tag}"})
    with_request = post(SECRETS, {**certificate, "name": f"requested-{tag}", "csr": request})
    post(f"{SECRETS}/{revoked['id']}/actions", {"action_type": REVOKE})
    secrets = [str(item["id"]) for item in (first, revoked, with_request)]

    _note(known, [root, issuing, doomed, waiting, both], [free, strict, both], secrets)
    known.add("csr", request, csr, *(encode_pem(sign_again(raw, key, chance), _REQUEST) for _ in range(_ODD)))
    inside = signed.certificate.public_bytes(Encoding.DER)
    known.add(
        "certificate",
        f"{to_pem(signed.certificate)}{outside.pem}",
        *(encode_pem(sign_again(inside, outside_key, chance), _CERTIFICATE) + outside.pem for _ in range(_ODD)),
    )
    _note_questions(known, [first, revoked])
    return [
        *_seeds_of_configurations(root, issuing, free),
        *_seeds_of_actions(root, issuing, doomed, csr),
        Seed("POST", f"{CONFIGURATIONS}/{waiting}/actions", _set_signed(known.at("certificate")[0])),
        *_seeds_of_certificates(free, strict, request, secrets),
        *(Seed("POST", f"/ocsp/{issuing}", known.at("request")[at]) for at in range(2)),
    ]


def _note(known: Known, authorities: list[str], templates: list[str], secrets: list[str]) -> None:
    known.add(f"{CONFIGURATIONS}/", *authorities, *templates)
    known.add(f"POST {CONFIGURATIONS}/{{name}}/actions name", *authorities)
    for place in (FILES, SHORT_CA_FILES):
        known.add(f"{place}/", *authorities)
    known.add("/ocsp/", authorities[1], authorities[0])
    known.add("issuer", authorities[0], authorities[1])
    known.add("intermediate_certificate_authority", *authorities[1:])
    known.add("certificate_authority", authorities[1], authorities[0])
    known.add("certificate_template", *templates)
    known.add(f"POST {SECRETS}/{{id}}/actions id", *secrets)
    known.add(f"POST {SECRETS}/{{secret_id}}/versions/{{id}}/actions secret_id", *secrets)


def _note_questions(known: Known, secrets: list[dict[str, Any]]) -> None:
    for secret in secrets:
        leaf = x509.load_pem_x509_certificate(secret["certificate"].encode())
        issuer = x509.load_pem_x509_certificate(secret["issuing_ca"].encode())
        known.add("request", question(leaf, issuer), question(leaf, issuer, nonce=True, sha256=True))
        key_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()
        known.add("key", key_id)


def _authority(config_type: str, name: str, **members: Any) -> dict[str, Any]:
    return {
        "config_type": config_type,
        "name": name,
        "common_name": f"Example {name}",
        "max_ttl": "8760h",
        "key_type": "ec",
        "key_bits": 256,
        **members,
    }


def _root(name: str) -> dict[str, Any]:
    return _authority(ROOT, name, max_ttl="43830h", crl_expiry="48h")


def _intermediate(name: str, issuer: str) -> dict[str, Any]:
    return _authority(INTERMEDIATE, name, signing_method="internal", issuer=issuer, auto_sign=True)


def _open_template(name: str, authority: str) -> dict[str, Any]:
    return {
        "config_type": TEMPLATE,
        "name": name,
        "certificate_authority": authority,
        "key_type": "ec",
        "key_bits": 256,
        "max_ttl": "2160h",
        "ttl": "720h",
        "allow_any_name": True,
        "allow_ip_sans": True,
        "allowed_uri_sans": ["*"],
        "allowed_other_sans": ["*"],
        "enforce_hostnames": False,
        "use_csr_sans": True,
        "require_cn": False,
    }


def _strict_template(name: str, authority: str) -> dict[str, Any]:
    return {
        **_SUBJECT,
        "config_type": TEMPLATE,
        "name": name,
        "certificate_authority": authority,
        "key_type": "ec",
        "key_bits": 384,
        "max_ttl": "48h",
        "allowed_domains": ["example.com", "*.example.org"],
        "allow_subdomains": True,
        "allow_glob_domains": True,
        "allowed_uri_sans": ["https://*.example.com/*"],
        "allowed_other_sans": ["1.3.6.1.4.1.311.20.2.3;UTF8:*@example.com"],
        "allowed_secret_groups": "default",
        "key_usage": ["DigitalSignature"],
        "ext_key_usage": ["TimeStamping"],
        "ext_key_usage_oids": ["1.2.3.4"],
        "policy_identifiers": ["1.2.3.4"],
        "not_before_duration": "1m",
    }


def _certificate(template: str) -> dict[str, Any]:
    return {
        "secret_type": "private_cert",
        "name": "private",
        "certificate_template": template,
        "common_name": "www.example.com",
    }


def _set_signed(certificate: str) -> dict[str, Any]:
    return {"action_type": f"{ACTION}set_signed", "certificate": certificate}


def _seeds_of_configurations(root: str, issuing: str, template: str) -> list[Seed]:
    return [
        Seed("POST", CONFIGURATIONS, {**_root("another"), **_SUBJECT, **_NAMES, "max_path_length": 4, "ttl": "8760h"}),
        Seed(
            "POST",
            CONFIGURATIONS,
            {**_root("constrained"), "permitted_dns_domains": ["example.com"], "crl_disable": True},
        ),
        Seed("POST", CONFIGURATIONS, {**_intermediate("below", root), **_SUBJECT, **_NAMES}),
        Seed("POST", CONFIGURATIONS, {**_authority(INTERMEDIATE, "outside"), "signing_method": "external"}),
        Seed("POST", CONFIGURATIONS, _open_template("easy", issuing)),
        Seed("POST", CONFIGURATIONS, _strict_template("narrow", issuing)),
        Seed(
            "PATCH",
            f"{CONFIGURATIONS}/{root}",
            {"max_ttl": "40000h", "crl_expiry": "24h", "crl_disable": False, "ocsp_urls_encoded": True},
        ),
        Seed("PATCH", f"{CONFIGURATIONS}/{issuing}", {"max_ttl": "8000h", "crl_disable": True, "crl_expiry": None}),
        Seed("PATCH", f"{CONFIGURATIONS}/{template}", {"allow_any_name": True, "ttl": None, "max_ttl": "100h"}),
        Seed(
            "PATCH",
            f"{CONFIGURATIONS}/{template}",
            {
                "allowed_domains": ["example.com"],
                "allow_subdomains": True,
                "ttl": "24h",
                "allow_ip_sans": True,
                **_SUBJECT,
            },
        ),
    ]


def _seeds_of_actions(root: str, issuing: str, doomed: str, csr: str) -> list[Seed]:
    by_root = f"{CONFIGURATIONS}/{root}/actions"
    details = {**_SUBJECT, **_NAMES, "common_name": "Example Signed", "ttl": "100h", "max_path_length": 1}
    return [
        Seed("POST", by_root, {"action_type": f"{ACTION}sign_csr", "csr": csr, **details}),
        Seed(
            "POST", by_root, {"action_type": f"{ACTION}sign_csr", "csr": csr, "use_csr_values": True, "format": "pem"}
        ),
        Seed(
            "POST",
            by_root,
            {
                "action_type": f"{ACTION}sign_intermediate",
                "intermediate_certificate_authority": issuing,
                "permitted_dns_domains": ["example.com"],
                **details,
            },
        ),
        Seed("POST", by_root, {"action_type": f"{ACTION}rotate_crl"}),
        Seed("POST", f"{CONFIGURATIONS}/{issuing}/actions", {"action_type": f"{ACTION}rotate_intermediate"}),
        Seed("POST", f"{CONFIGURATIONS}/{doomed}/actions", {"action_type": f"{ACTION}revoke_ca_certificate"}),
    ]


def _seeds_of_certificates(free: str, strict: str, request: str, secrets: list[str]) -> list[Seed]:
    names = {**_NAMES, "alt_names": "a.example.com,b.example.com,*.example.com"}
    lives = {"ttl": "12h", "format": "pem_bundle", "private_key_format": "pkcs8"}
    rotation = {"auto_rotate": True, "interval": 1, "unit": "day"}
    full = {**_certificate(free), **names, **lives}
    narrow = {**_certificate(strict), "uri_sans": "https://www.example.com/a", "rotation": rotation}
    with_request = {**_certificate(free), "csr": request}
    return [
        *(Seed("POST", SECRETS, {**body, "labels": ["one"]}) for body in (full, narrow, with_request)),
        *(Seed("POST", EVALUATE, body) for body in (full, narrow, with_request)),
        Seed("POST", f"{SECRETS}/{secrets[0]}/versions", {"custom_metadata": {"a": 1}}),
        Seed("POST", f"{SECRETS}/{secrets[0]}/versions", {}),
        Seed("POST", f"{SECRETS}/{secrets[2]}/versions", {"csr": request}),
        Seed("PATCH", f"{SECRETS}/{secrets[0]}/metadata", {"name": "renamed", "rotation": rotation}),
        Seed("POST", f"{SECRETS}/{secrets[0]}/versions/previous/actions", {"action_type": REVOKE}),
        Seed("POST", f"{SECRETS}/{secrets[0]}/actions", {"action_type": REVOKE}),
    ]
