"""Settings: ``strongroom.toml``, then the environment, then flags. The only reader of the environment."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from strongroom.domain.limits import Limits
from strongroom.kernel.errors import ErrorCode, Invalid

PREFIX: Final = "STRONGROOM_"
_LISTEN: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+):(\d{1,5})")
_INTERVAL: Final = re.compile(r"(\d{1,9})(ms|s|m|h|d)?")
_UNITS: Final = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86400}


def _read_interval(value: Any) -> Any:
    if isinstance(value, str):
        match = _INTERVAL.fullmatch(value.strip())
        if match is None:
            message = "must be a number with a unit ms, s, m, h or d, such as 60s"
            raise ValueError(message)
        return timedelta(seconds=int(match[1]) * _UNITS[match[2] or ""])
    return value


class AuditSettings(BaseModel):
    """The ``[audit]`` table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    durable_reads: bool = False


class Settings(BaseSettings):
    """Everything an operator can set; each field's name is the environment's without its prefix, lower case."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

    data_dir: Path = Path("data")
    listen: str = "127.0.0.1:8443"
    http: bool = False
    behind_proxy: Annotated[tuple[str, ...], NoDecode] = ()
    workers: int = Field(default=1, ge=1, le=256)
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    master_key_file: Path | None = None
    master_passphrase_file: Path | None = None
    region: str = Field(default="local", pattern=r"^[a-z0-9-]{1,32}$")
    metrics_token: SecretStr | None = None
    database_url: SecretStr | None = None
    public_url: str | None = None
    scheduler_interval: timedelta = timedelta(seconds=60)
    log_level: str = Field(default="info", pattern=r"^(debug|info|warning|error)$")
    test_mode: bool = False
    test_clock_offset: timedelta = timedelta()
    audit: AuditSettings = AuditSettings()
    limits: dict[str, int] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (the library's signature)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (the library's signature)
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let flags win over the environment, and that over the file."""
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_settings_file()))

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, value: str) -> str:
        match = _LISTEN.fullmatch(value)
        if match is None or int(match[2]) > 65535:
            message = "must be HOST:PORT such as 127.0.0.1:8443 or [::1]:8443"
            raise ValueError(message)
        return value

    @field_validator("behind_proxy", mode="before")
    @classmethod
    def _split_proxies(cls, value: Any) -> Any:
        items = [item.strip() for item in value.split(",")] if isinstance(value, str) else list(value)
        for item in items:
            ipaddress.ip_network(item, strict=False)
        return tuple(items)

    @field_validator("scheduler_interval", "test_clock_offset", mode="before")
    @classmethod
    def _read_intervals(cls, value: Any) -> Any:
        return _read_interval(value)

    @field_validator("public_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", value):
            message = "must be a URL such as https://strongroom.example.com"
            raise ValueError(message)
        return value.rstrip("/") if value is not None else None

    @property
    def host(self) -> str:
        """Return the address to listen on, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Return the port to listen on; 0 lets the system choose."""
        return int(self.listen.rpartition(":")[2])

    @property
    def effective_limits(self) -> Limits:
        """Return the limits with the operator's changes."""
        return _limits(self.limits)


def load_settings(flags: Mapping[str, object]) -> Settings:
    """Read the settings.

    Args:
        flags: values given on the command line, by field name.

    Raises:
        Invalid: ``settings_invalid``, naming each setting and what would pass.
    """
    try:
        settings = Settings(**dict(flags))  # type: ignore[arg-type]
        _limits(settings.limits)
    except ValidationError as error:
        causes = [
            Invalid(ErrorCode.SETTINGS_INVALID, f"{'.'.join(map(str, item['loc']))}: {item['msg']}")
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise Invalid(
            ErrorCode.SETTINGS_INVALID,
            "The settings are not valid.",
            hint="Correct strongroom.toml, the STRONGROOM_ variable or the flag of that name.",
            causes=causes,
        ) from None
    except ValueError as error:
        raise Invalid(ErrorCode.SETTINGS_INVALID, f"strongroom.toml cannot be read: {error}") from None
    _check_together(settings)
    return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingView:
    """One setting as ``GET /settings`` shows it; secret values never."""

    name: str
    value: Any
    source: str
    default: Any


def describe(settings: Settings, flags: frozenset[str] = frozenset()) -> Iterator[SettingView]:
    """Yield every setting with its value and where it came from."""
    from_environment = _environment_names()
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        default = field.get_default(call_default_factory=True)
        source = "default"
        if name in settings.model_fields_set:
            source = "flag" if name in flags else "environment" if name in from_environment else "file"
        secret = isinstance(value, SecretStr)
        yield SettingView(
            name=name,
            value="set" if secret else _plain(value),
            source=source,
            default=None if secret else _plain(default),
        )


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _limits(changes: Mapping[str, int]) -> Limits:
    known = {field.name: field for field in fields(Limits)}
    values: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in known or value < 1:
            raise Invalid(
                ErrorCode.SETTINGS_INVALID,
                f"limits.{name} is not a limit, or is not positive; the limits are {', '.join(known)}.",
            )
        values[name] = timedelta(seconds=value) if isinstance(known[name].default, timedelta) else value
    return Limits(**values)


def _check_together(settings: Settings) -> None:
    loopback = _is_loopback(settings.host)
    if settings.http and not loopback and not settings.behind_proxy:
        raise Invalid(
            ErrorCode.SETTINGS_INVALID,
            f"Plain HTTP on {settings.host} is refused: tokens and keys would cross the network in clear.",
            hint="Listen on 127.0.0.1, leave http off, or name the proxy in STRONGROOM_BEHIND_PROXY.",
        )
    if settings.workers > 1 and settings.database_url is None:
        raise Invalid(
            ErrorCode.SETTINGS_INVALID,
            "More than one worker process needs PostgreSQL: two writers on one SQLite file hold each other up for "
            "hundreds of milliseconds.",
            hint="Set STRONGROOM_DATABASE_URL=postgresql://... or run one worker.",
        )
    if (settings.tls_cert_file is None) != (settings.tls_key_file is None):
        raise Invalid(ErrorCode.SETTINGS_INVALID, "tls_cert_file and tls_key_file must be set together.")
    if settings.master_key_file is not None and settings.master_passphrase_file is not None:
        raise Invalid(ErrorCode.SETTINGS_INVALID, "master_key_file and master_passphrase_file exclude each other.")
    if settings.test_clock_offset and not settings.test_mode:
        raise Invalid(
            ErrorCode.SETTINGS_INVALID, "test_clock_offset moves the server's clock and counts in test_mode only."
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _environment_names() -> frozenset[str]:
    import os

    return frozenset(name[len(PREFIX) :].lower() for name in os.environ if name.upper().startswith(PREFIX))


def _settings_file() -> Path:
    import os

    return Path(os.environ.get("STRONGROOM_SETTINGS_FILE", "strongroom.toml"))
