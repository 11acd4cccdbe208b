"""IBM Cloud Internet Services.

Source: the API references of Cloud Internet Services (zones, DNS records) and of IBM Cloud IAM (token by API key).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from strongroom.dns.enveloped import EnvelopedRecords, message_of
from strongroom.dns.kinds import Fields, ProviderContext
from strongroom.dns.vendor import Vendor, as_object
from strongroom.domain.orders.dns import DnsProblem, DnsRefusal, PropagationTiming
from strongroom.kernel.clock import Clock

if TYPE_CHECKING:
    from strongroom.net.client import Answer

_IAM_URL: Final = "https://iam.cloud.ibm.com"
_GRANT: Final = "urn:ibm:params:oauth:grant-type:apikey"
_CRN: Final = re.compile(r"crn:v[0-9](:([A-Za-z0-9-._~!$&'()*+,;=@/]|%[0-9A-Z]{2})*){8}")
_TIMING: Final = PropagationTiming(limit=timedelta(minutes=15), poll=timedelta(seconds=40))
_EARLY: Final = timedelta(minutes=5)
"""A token is renewed so long before it ends."""
_UNAUTHENTICATED: Final = 401
_OK: Final = 200


class CloudInternetServicesKind:
    """Settings ``cloud_internet_services_``.

    Args:
        iam_url: where API keys are exchanged for tokens.
    """

    secret_members = frozenset({"cloud_internet_services_apikey"})

    def __init__(self, iam_url: str = _IAM_URL) -> None:
        self._iam_url = iam_url

    def check(self, fields: Fields, context: ProviderContext) -> None:
        """Read every member once; without a key it is a service-to-service authorisation, which is refused in use."""
        del context
        fields.text(
            "cloud_internet_services_crn",
            least=9,
            most=512,
            form=_CRN,
            says="the CRN of an instance, such as crn:v1:bluemix:public:internet-svcs:global:a/ACCOUNT:INSTANCE::",
        )
        fields.optional_text("cloud_internet_services_apikey", most=128, secret=True)

    def build(self, values: Mapping[str, Any], context: ProviderContext) -> CloudInternetServices:
        """Return the provider; no request is made."""
        key = values.get("cloud_internet_services_apikey") or ""
        vendor = Vendor(
            context.http,
            name="Cloud Internet Services",
            base_url=context.cis_url.rstrip("/"),
            is_operators=True,
            secrets=(key,),
            message=message_of,
        )
        iam = Vendor(
            context.http,
            name="IBM Cloud IAM",
            base_url=self._iam_url,
            is_operators=True,
            secrets=(key,),
            message=_iam_message,
        )
        return CloudInternetServices(
            vendor, _Tokens(vendor=iam, key=key, clock=context.clock), values["cloud_internet_services_crn"]
        )


class CloudInternetServices(EnvelopedRecords):
    """Writes with the tokens of an API key."""

    def __init__(self, vendor: Vendor, tokens: _Tokens, crn: str) -> None:
        super().__init__(vendor, root=f"/v1/{quote(crn, safe='')}/zones", timing=_TIMING)
        self._tokens = tokens

    def _credential(self, step: str) -> Mapping[str, str]:
        return {"X-Auth-User-Token": f"Bearer {self._tokens.current(step)}"}

    def _content(self, text: str) -> str:
        """Return a value as the vendor's examples write it: without quotes."""
        return text

    def _send(self, method: str, target: str, step: str, body: Mapping[str, Any] | None) -> Answer:
        answer = super()._send(method, target, step, body)
        if answer.status == _UNAUTHENTICATED and self._tokens.is_used:
            # A token may end early, when the key was changed or the account's sessions were ended.
            self._tokens.drop()
            answer = super()._send(method, target, step, body)
        return answer


@dataclass(slots=True, kw_only=True)
class _Tokens:
    """Exchanges an API key for tokens, each used until shortly before its end."""

    vendor: Vendor
    key: str = field(repr=False)
    clock: Clock
    _lock: Lock = field(default_factory=Lock, repr=False)
    _token: str = field(default="", repr=False)
    _until: datetime = field(default=datetime.min.replace(tzinfo=UTC))
    _uses: int = 0

    @property
    def is_used(self) -> bool:
        """Tell whether the current token was good for another request before."""
        return self._uses > 1

    def drop(self) -> None:
        """Fetch another token next time."""
        self._token = ""

    def current(self, step: str) -> str:
        """Return a token.

        Raises:
            DnsProblem: the key is refused, or there is none.
            Unavailable: IAM cannot be reached.
        """
        with self._lock:
            if not self._token or self.clock.now() >= self._until:
                self._token, life = self._fetch(step)
                self._until = self.clock.now() + life - min(_EARLY, life / 2)
                self._uses = 0
            self._uses += 1
            return self._token

    def _fetch(self, step: str) -> tuple[str, timedelta]:
        if not self.key:
            raise DnsProblem(
                "Cloud Internet Services: the configuration has no API key. Service-to-service authorisation does not "
                "exist outside of the vendor's cloud; set cloud_internet_services_apikey.",
                refusal=DnsRefusal.AUTHORIZATION,
                step=step,
            )
        answer = self.vendor.send(
            "POST",
            "/identity/token",
            headers={"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode({"grant_type": _GRANT, "apikey": self.key}).encode(),
        )
        if answer.status in {400, 401, 403}:
            raise self.vendor.not_authorised("is refused", step, answer)
        if answer.status != _OK:
            raise self.vendor.refuse(answer, step, "exchange the API key for a token")
        given = self.vendor.members(answer, step)
        token, life = given.get("access_token"), given.get("expires_in")
        if not isinstance(token, str) or not token or isinstance(life, bool) or not isinstance(life, int | float):
            raise self.vendor.error("answers without a token", step)
        return token, timedelta(seconds=max(0, min(life, 86_400)))


def _iam_message(answer: Answer) -> str:
    said = as_object(json.loads(answer.body))
    return f"{said.get('errorMessage', '')} {said.get('errorCode', '')}".strip()
