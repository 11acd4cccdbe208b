"""The session that is given to libraries: it goes where our own client goes, and nowhere else."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from strongroom.net.client import USER_AGENT
from strongroom.net.guard import Guard
from strongroom.net.requests_adapter import guarded_session
from tests.peers.loopback import answer, loopback, private_ca, server_context


def _everything_is_here(host: str) -> list[str]:
    return ["127.0.0.1"]


_LENIENT = Guard(allow_private=True, resolve=_everything_is_here)
_STRICT = Guard(allow_private=False, resolve=_everything_is_here)


def test_an_answer_has_what_the_libraries_read() -> None:
    links = ("Link: <https://ca.example.com/a>;rel=alternate", "Link: <https://ca.example.com/b>;rel=up")
    script = answer(
        b'{"status": "valid"}', "201 Created", "Replay-Nonce: abc", "Content-Type: application/json", *links
    )
    with loopback(script) as server, guarded_session(_LENIENT, allow_http=True) as session:
        headers = {"Content-Type": "application/jose+json"}
        url = f"http://ca.example.com:{server.port}/order"
        got = session.post(url, data='{"a": 1}', headers=headers, timeout=5, verify=True)

        assert (got.status_code, got.ok, got.url) == (201, True, url)
        assert got.headers["replay-nonce"] == "abc"
        assert got.json() == {"status": "valid"}
        assert got.content == b'{"status": "valid"}'
        assert {link["rel"] for link in got.links.values()} == {"alternate", "up"}
        assert b"Content-Type: application/jose+json" in server.heads[0]
        assert f"User-Agent: {USER_AGENT}".encode() in server.heads[0]
        assert server.heads[0].endswith(b'{"a": 1}')


def test_a_name_that_leads_to_a_private_address_is_refused() -> None:
    with loopback(answer()) as server, guarded_session(_STRICT, allow_http=True) as session:
        with pytest.raises(Invalid) as refused:
            session.get(f"http://ca.example.com:{server.port}/")

        assert refused.value.code is ErrorCode.DESTINATION_NOT_ALLOWED
        assert server.connections == 0


def test_the_operators_directory_may_be_private() -> None:
    with loopback(answer()) as server, guarded_session(_STRICT, is_operators=True) as session:
        assert session.get(f"http://ca.example.com:{server.port}/").status_code == 200


def test_redirects_are_handed_back() -> None:
    with (
        loopback(answer(b"", "302 Found", "Location: https://169.254.169.254/")) as server,
        guarded_session(_LENIENT, allow_http=True) as session,
    ):
        got = session.get(f"http://ca.example.com:{server.port}/", allow_redirects=True)

        assert got.status_code == 302
        assert len(server.heads) == 1


@pytest.mark.parametrize("verify", [True, False, "bundle"])
def test_the_certificate_is_always_verified_with_our_bundle(tmp_path: Path, verify: bool | str) -> None:
    ca = private_ca()
    with (
        loopback(answer(), context=server_context(tmp_path, "ca.example.com", issuer=ca)) as server,
        guarded_session(_LENIENT, trust_pem=ca.pem) as trusting,
        guarded_session(_LENIENT) as other,
    ):
        verify = str(tmp_path / "server.pem") if verify == "bundle" else verify

        assert trusting.get(f"https://ca.example.com:{server.port}/", verify=verify).status_code == 200
        with pytest.raises(Unavailable, match="Hostname mismatch"):
            trusting.get(f"https://other.example.com:{server.port}/", verify=verify)
        with pytest.raises(Unavailable, match="ca.example.com is not accepted"):
            other.get(f"https://ca.example.com:{server.port}/", verify=verify)


def test_the_environment_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = private_ca()
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(ca.pem)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine ca.example.com login user password hidden\n")
    netrc.chmod(0o600)
    with (
        loopback(answer(b"proxy")) as proxy,
        loopback(answer()) as plain,
        loopback(answer(), context=server_context(tmp_path, "ca.example.com", issuer=ca)) as server,
        guarded_session(_LENIENT, allow_http=True) as session,
    ):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        monkeypatch.setenv("CURL_CA_BUNDLE", str(bundle))
        monkeypatch.setenv("NETRC", str(netrc))
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

        with pytest.raises(Unavailable, match="not accepted"):
            session.get(f"https://ca.example.com:{server.port}/")
        assert session.get(f"http://ca.example.com:{plain.port}/").content == b"{}"
        assert b"Authorization" not in plain.heads[0]
        assert proxy.connections == 0


@pytest.mark.parametrize(("own", "of_request"), [(0.3, None), (0.3, 30), (30, 0.3)])
def test_the_shorter_time_limit_counts_for_the_whole_exchange(own: float, of_request: float | None) -> None:
    def drip(connection: object, head: bytes) -> None:
        for _ in range(40):
            time.sleep(0.05)
            connection.sendall(b"X")  # type: ignore[attr-defined]

    with (
        loopback(drip) as server,
        guarded_session(_LENIENT, allow_http=True, timeout=timedelta(seconds=own)) as session,
        pytest.raises(Unavailable, match="within 0.3 seconds"),
    ):
        session.get(f"http://ca.example.com:{server.port}/", timeout=of_request)


def test_a_body_that_is_too_large_is_refused() -> None:
    with (
        loopback(answer(b"x" * 2000)) as server,
        guarded_session(_LENIENT, allow_http=True, max_bytes=1000) as session,
        pytest.raises(Unavailable, match="more than 1000 bytes of body"),
    ):
        session.get(f"http://ca.example.com:{server.port}/")


def test_cookies_are_not_kept() -> None:
    with (
        loopback(answer(b"", "200 OK", "Set-Cookie: a=b")) as server,
        guarded_session(_LENIENT, allow_http=True) as session,
    ):
        for _ in range(2):
            session.get(f"http://ca.example.com:{server.port}/")

        assert b"Cookie" not in server.heads[1]


def test_a_body_that_is_streamed_is_not_sent() -> None:
    with guarded_session(_LENIENT, allow_http=True) as session, pytest.raises(TypeError):
        session.post("http://ca.example.com/", data=iter([b"a"]))
