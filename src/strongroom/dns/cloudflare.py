"""Cloudflare. Source: Cloudflare API v4, zones and DNS records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from strongroom.dns.enveloped import EnvelopedRecords, message_of
from strongroom.dns.kinds import Fields, ProviderContext
from strongroom.dns.vendor import Vendor
from strongroom.kernel.secret import Secret

_URL: Final = "https://api.cloudflare.com/client/v4"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.-]+")
_ZONE_ID: Final = re.compile(r"[0-9a-f]{32}")


class CloudflareKind:
    """Settings ``cloudflare_``.

    Args:
        url: of the API.
    """

    secret_members = frozenset({"cloudflare_api_token"})

    def __init__(self, url: str = _URL) -> None:
        self._url = url

    def check(self, fields: Fields, context: ProviderContext) -> None:
        """Read every member once."""
        del context
        fields.text("cloudflare_api_token", least=8, most=512, form=_TOKEN, says="an API token", secret=True)
        fields.optional_text("cloudflare_zone_id", form=_ZONE_ID, says="32 hexadecimal digits in small letters")

    def build(self, values: Mapping[str, Any], context: ProviderContext) -> Cloudflare:
        """Return the provider; no request is made."""
        token = values["cloudflare_api_token"]
        vendor = Vendor(
            context.http,
            name="Cloudflare",
            base_url=self._url,
            is_operators=True,
            secrets=(token,),
            message=message_of,
        )
        return Cloudflare(vendor, token, values.get("cloudflare_zone_id") or None)


class Cloudflare(EnvelopedRecords):
    """Writes with an API token; a token for one zone is enough."""

    def __init__(self, vendor: Vendor, token: str, zone_id: str | None) -> None:
        super().__init__(vendor, root="/zones", zone_id=zone_id)
        self._token = Secret(token)

    def _credential(self, step: str) -> Mapping[str, str]:
        del step
        return {"Authorization": f"Bearer {self._token.reveal()}"}
