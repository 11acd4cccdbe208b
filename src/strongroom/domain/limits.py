"""Quotas and sizes; the contract's numbers are defaults, settings change them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The ``[limits]`` table of the settings.

    Sizes are characters of text or bytes of JSON as the name says. Source: contract domain section 8.
    """

    secret_groups: int = 200
    labels: int = 30
    metadata_bytes: int = 10_240
    payload_characters: int = 1_000_000
    kv_bytes: int = 524_288
    certificate_characters: int = 100_000
    root_authorities: int = 10
    intermediate_authorities: int = 10
    certificate_templates: int = 10
    public_authorities: int = 10
    dns_configurations: int = 10
    orders_running: int = 10
    orders_waiting: int = 10_000
    order_names: int = 100
    ca_orders_per_account: int = 300
    ca_certificates_per_domain: int = 50
    ca_duplicates: int = 5
    ca_failed_validations: int = 5
    notification_destinations: int = 50
    versions_kept: int = 50
    locks_per_secret: int = 1000
    lock_attributes_bytes: int = 10_240
    request_bytes: int = 4 * 1024 * 1024
    failed_logins_per_minute: int = 10
    token_life: timedelta = timedelta(hours=1)
    refresh_token_life: timedelta = timedelta(hours=72)
    api_keys_per_identity: int = 100
    events_kept: timedelta = timedelta(days=30)
