"""Random templates and requests at their edges: few names and few entries, so that they meet often."""

from __future__ import annotations

import random
from typing import Any, Final

from tests.factories.template_cases import KEYS, Case

_LABELS: Final = (
    "a",
    "b",
    "www",
    "w1",
    "db-1",
    "*",
    "w*",
    "*1",
    "w*w",
    "**",
    "A",
    "1",
    "_sip",
    "-a",
    "a-",
    "",
    "bücher",
)
_USUAL_LABELS: Final = 6
_DOMAINS: Final = (
    "example.com",
    "a.example.com",
    "example.org",
    "example.test",
    "com",
    "localhost",
    "localdomain",
    "Example.COM",
    "example.com.",
    "xn--bcher-kva.example",
    "192.0.2.1",
)
_LISTED: Final = (
    "example.com",
    "a.example.com",
    "example.org",
    "com",
    "localhost",
    "EXAMPLE.com",
    "a",
    "user@example.com",
    "xn--bcher-kva.example",
    "*.example.com",
    "w*.example.com",
    "*example.com",
    "*.*.com",
    "exam*.com",
    "*",
    "*.com",
    "*@example.com",
    "user@*",
    "*.localhost",
    "www.*",
    ".example.com",
    "example.com.",
    "_sip.example.com",
)
_LOCAL_PARTS: Final = ("user", "www.user", "a.b", "User", "us*r", "", "a@b")
_ADDRESSES: Final = (
    "192.0.2.1",
    "192.0.2.2",
    "2001:db8::1",
    "2001:DB8:0::1",
    "192.0.2.1",
    "192.0.2.256",
    "192.0.2.0/24",
)
_URIS: Final = (
    "spiffe://example.com/web",
    "spiffe://example.com/web/1",
    "SPIFFE://example.com/web",
    "spiffe://example.org/web",
    "https://www.example.com/a?b=c#d",
    "urn:example:1",
)
_URI_PATTERNS: Final = (
    "spiffe://example.com/*",
    "spiffe://*/web",
    "spiffe://example.com/web",
    "*",
    "https://*.example.com/*",
    "urn:*",
)
_UPN: Final = "1.3.6.1.4.1.311.20.2.3"
_OTHERS: Final = (f"{_UPN};UTF8:user@example.com", f"{_UPN};UTF8:user@example.org", "2.5.4.5;UTF8:1234")
_OTHER_PATTERNS: Final = (f"{_UPN};UTF8:*@example.com", f"{_UPN};UTF8:*", "2.5.4.5;UTF8:1234", "*")
_LIVES: Final = ("1h", "2h", "24h", "720h")


class Generator:
    """Makes cases.

    Args:
        seed: the same seed makes the same cases.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._entries: tuple[str, ...] = ()
        self._patterns: dict[str, tuple[str, ...]] = {}

    def case(self) -> Case:
        """Make one case."""
        template = self._template()
        self._entries = tuple(template["allowed_domains"])
        self._patterns = {
            "uri": tuple(template.get("allowed_uri_sans", ())),
            "other": tuple(template.get("allowed_other_sans", ())),
        }
        return Case(template=template, request=self._request())

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _template(self) -> dict[str, Any]:
        usual = {
            "allow_bare_domains": False,
            "allow_subdomains": False,
            "allow_glob_domains": False,
            "allow_wildcard_certificates": True,
            "allow_any_name": False,
            "allow_localhost": True,
            "enforce_hostnames": True,
            "allow_ip_sans": True,
            "require_cn": True,
            "use_csr_common_name": True,
            "use_csr_sans": True,
        }
        often = {"allow_bare_domains", "allow_subdomains", "allow_glob_domains"}
        template: dict[str, Any] = {
            name: not value for name, value in usual.items() if self._chance(0.75 if name in often else 0.15)
        }
        template["allowed_domains"] = self._some(_LISTED, most=4)
        for name, patterns in (("allowed_uri_sans", _URI_PATTERNS), ("allowed_other_sans", _OTHER_PATTERNS)):
            if self._chance(0.5):
                template[name] = self._some(patterns, most=2)
        for name in ("max_ttl", "ttl"):
            if self._chance(0.3):
                template[name] = self._random.choice(_LIVES)
        return template

    def _some(self, choices: tuple[str, ...], *, most: int) -> list[str]:
        return list(dict.fromkeys(self._random.choice(choices) for _ in range(self._random.randint(1, most))))

    def _request(self) -> dict[str, Any]:
        request: dict[str, Any] = {}
        if self._chance(0.8):
            request["common_name"] = self._name()
        names = [self._name() for _ in range(self._random.choice((0, 0, 0, 1, 1, 2)))]
        others = self._other_names()
        for kind, member in (("ip", "ip_sans"), ("uri", "uri_sans"), ("other", "other_sans")):
            found = [text for other, text in others if other == kind]
            if found:
                request[member] = found
        if names:
            request["alt_names"] = names
        if self._chance(0.15):
            request["exclude_cn_from_sans"] = True
        if self._chance(0.2):
            request["ttl"] = self._random.choice(_LIVES)
        if self._chance(0.4):
            request["csr"] = self._csr()
        return request

    def _other_names(self) -> list[tuple[str, str]]:
        found = []
        for kind, choices in (("ip", _ADDRESSES), ("uri", _URIS), ("other", _OTHERS)):
            if self._chance(0.25 if self._patterns.get(kind) else 0.03):
                found += [(kind, text) for text in self._some(choices, most=2)]
        return found

    def _csr(self) -> dict[str, Any]:
        described: dict[str, Any] = {"key": "ec256" if self._chance(0.9) else self._random.choice(KEYS)}
        if self._chance(0.7):
            described["common_name"] = self._name() or "a"
        names = [self._name() for _ in range(self._random.choice((0, 1, 1, 2)))]
        listed = [("email" if "@" in name else "dns", name) for name in names if name and name.isascii()]
        listed += [(kind, text) for kind, text in self._other_names() if _is_fit(kind, text)]
        if listed:
            described["alt_names"] = [list(name) for name in listed]
        return described

    def _name(self) -> str:
        if self._chance(0.9):
            host = self._random.choice(self._entries)
            while "*" in host and self._chance(0.9):
                host = host.replace("*", self._random.choice(_LABELS[: _USUAL_LABELS - 1]), 1)
        else:
            host = self._random.choice(_DOMAINS[:6] if self._chance(0.9) else _DOMAINS)
        if "@" in host and self._chance(0.8):
            return host
        for _ in range(self._random.choice((0, 0, 0, 1, 1, 2))):
            labels = _LABELS[:_USUAL_LABELS] if "@" in host or self._chance(0.85) else _LABELS
            host = f"{self._random.choice(labels)}.{host}"
        if self._chance(0.03):
            host = self._random.choice(_LABELS)
        # The peer fails on international addresses.
        if host.isascii() and self._chance(0.12):
            locals_ = _LOCAL_PARTS[:3] if self._chance(0.8) else _LOCAL_PARTS
            return f"{self._random.choice(locals_)}@{host}"
        return host


def _is_fit(kind: str, text: str) -> bool:
    """Return whether a signing request can hold a name."""
    return kind != "ip" or text.count(".") != 3 or text == _ADDRESSES[0]
