"""Settings: ``strongroom.toml``, then the environment, then flags. The server's only reader of the environment."""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
)

from strongroom.domain.limits import Limits
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki.load import MAX_PEM_CHARACTERS

PREFIX: Final = "STRONGROOM_"
FILE: Final = "strongroom.toml"
FILE_VARIABLE: Final = "STRONGROOM_SETTINGS_FILE"
OTHER_VARIABLES: Final = frozenset(
    {
        FILE_VARIABLE,
        *(
            PREFIX + name
            for name in (
                *("URL", "APIKEY", "API_KEY", "TOKEN", "CA_FILE", "PROFILE", "CONFIG", "CONFIG_DIR"),
                "BACKUP_PASSPHRASE",
            )
        ),
    }
)
"""Variables of the other commands, and the one that names the file: no settings."""

_LISTEN: Final = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\s:\[\]/]+)):(\d{1,5})")
_URL: Final = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
_DATABASE: Final = re.compile(r"postgres(ql)?://\S+")
_INTERVAL: Final = re.compile(r"(\d{1,9})(ms|s|m|h|d)?")
_UNITS: Final = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86400}
_MOST: Final = 2**31 - 1
_LONGEST: Final = timedelta(days=36_500)
_SHOWN: Final = 80
SMTPS_PORT: Final = 465
"""Mail servers speak TLS from the first byte there. Source: RFC 8314 section 3.3."""
POOLED_RSA_SIZES: Final = (2048, 3072, 4096)
"""RSA sizes that may be made ahead; 8192 bits take a processor for many seconds each."""


def _read_interval(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    match = _INTERVAL.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is not None:
        return timedelta(seconds=int(match[1]) * _UNITS[match[2] or ""])
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MOST:
        return timedelta(seconds=value)
    raise ValueError


def _read_proxies(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    # The library would take a number for an address.
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError
    for item in items:
        ipaddress.ip_network(item.strip(), strict=False)
    return tuple(item.strip() for item in items)


def _read_sizes(value: Any) -> tuple[int, ...]:
    items = [value] if isinstance(value, int) else value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, int | str) for item in items):
        raise ValueError
    sizes = tuple(item.strip() if isinstance(item, str) else item for item in items)
    known = {form: bits for bits in POOLED_RSA_SIZES for form in (bits, str(bits))}
    if any(size not in known for size in sizes):
        raise ValueError
    return tuple(sorted({known[size] for size in sizes}))


def _read_resolvers(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError
    resolvers = tuple(item.strip() for item in items)
    for resolver in resolvers:
        _check_listen(resolver)
        ipaddress.ip_address(split_listen(resolver)[0])
    return resolvers


def _read_path(value: Any) -> Any:
    # An empty text would become the working directory.
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        raise ValueError
    return value


def _check_listen(value: str) -> str:
    match = _LISTEN.fullmatch(value)
    if match is None or int(match[3]) > 65535:
        raise ValueError
    if match[1] is not None:
        ipaddress.IPv6Address(match[1])
    return value


def _check_url(value: str) -> str:
    # The second condition reads the port, which must be a number.
    if not _URL.fullmatch(value) or not value.isascii() or urlsplit(value).port == 0:
        raise ValueError
    return value.rstrip("/")


def _check_database(value: SecretStr) -> SecretStr:
    if not _DATABASE.fullmatch(value.get_secret_value()):
        raise ValueError
    return value


def _check_token(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]{16,1024}", value.get_secret_value()):
        raise ValueError
    return value


_File = Annotated[Path, BeforeValidator(_read_path)]
_Duration = Annotated[timedelta, BeforeValidator(_read_interval), Field(ge=timedelta(), le=_LONGEST)]


def split_listen(text: str) -> tuple[str, int]:
    """Return host, without brackets, and port of an address to listen on."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class AuditSettings(BaseModel):
    """The ``[audit]`` table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    durable_reads: bool = Field(default=False, description="true or false")


class DnsSettings(BaseModel):
    """The ``[dns]`` table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exec_allowed: bool = Field(default=False, description="true or false")


class SmtpSettings(BaseModel):
    """The ``[smtp]`` table: the mail server that notices are sent through."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$", description="the name or address of a mail server")
    port: int = Field(default=587, strict=True, ge=1, le=65535, description="a whole number from 1 to 65535")
    username: str | None = Field(default=None, min_length=1, max_length=256, description="1 to 256 characters")
    password_file: _File | None = Field(default=None, description="a path")
    sender: str = Field(
        alias="from",
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}$",
        description="an e-mail address such as strongroom@example.com",
    )
    starttls: bool = Field(default=True, description="true or false")
    ca_file: _File | None = Field(default=None, description="the path of a PEM file")

    @property
    def is_encrypted(self) -> bool:
        """Tell whether the connection is: port 465 is from its first byte."""
        return self.starttls or self.port == SMTPS_PORT


_TABLES: Final[Mapping[str, type[BaseModel]]] = {"audit": AuditSettings, "dns": DnsSettings, "smtp": SmtpSettings}


class Settings(BaseModel):
    """Everything an operator can set; each field's name is the environment's without its prefix, lower case.

    A field's description says what it must be; it ends the message about a value that is not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_dir: _File = Field(default=Path("data"), description="a path")
    listen: Annotated[str, AfterValidator(_check_listen)] = Field(
        default="127.0.0.1:8443", description="HOST:PORT such as 127.0.0.1:8443 or [::1]:8443, with a port up to 65535"
    )
    http: bool = Field(default=False, description="true or false")
    ca_files_listen: Annotated[str, AfterValidator(_check_listen)] | None = Field(
        default=None, description="HOST:PORT such as 0.0.0.0:8080, with a port up to 65535"
    )
    ca_files_url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        default=None, description="a URL such as http://pki.example.com, without query"
    )
    behind_proxy: Annotated[tuple[str, ...], BeforeValidator(_read_proxies)] = Field(
        default=(), description="addresses or CIDRs with commas between, such as 192.0.2.7,10.0.0.0/8"
    )
    workers: int = Field(default=1, ge=1, le=256, description="a whole number from 1 to 256")
    tls_cert_file: _File | None = Field(default=None, description="the path of a PEM file")
    tls_key_file: _File | None = Field(default=None, description="the path of a PEM file")
    master_key_file: _File | None = Field(default=None, description="a path")
    master_passphrase_file: _File | None = Field(default=None, description="a path")
    pkcs11_library: _File | None = Field(default=None, description="the path of a PKCS#11 library")
    region: str = Field(
        default="local", pattern=r"^[a-z0-9-]{1,32}$", description="1 to 32 lower-case letters, digits and hyphens"
    )
    metrics_token: Annotated[SecretStr, AfterValidator(_check_token)] | None = Field(
        default=None, description="16 to 1024 visible ASCII characters"
    )
    database_url: Annotated[SecretStr, AfterValidator(_check_database)] | None = Field(
        default=None, description="a URL that begins with postgresql://"
    )
    public_url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        default=None, description="a URL such as https://strongroom.example.com, without query"
    )
    allow_p224: bool = Field(default=False, description="true or false")
    rsa_pool_size: int = Field(default=64, ge=0, le=1024, description="a whole number from 0 to 1024")
    rsa_pool_bits: Annotated[tuple[int, ...], BeforeValidator(_read_sizes)] = Field(
        default=(2048,), description="sizes out of 2048, 3072 and 4096 with commas between, such as 2048,4096"
    )
    scheduler_interval: Annotated[_Duration, Field(ge=timedelta(milliseconds=100), le=timedelta(days=1))] = Field(
        default=timedelta(seconds=60), description="a duration from 100ms to 1d, such as 60s"
    )
    log_level: str = Field(
        default="info", pattern=r"^(debug|info|warning|error)$", description="debug, info, warning or error"
    )
    test_mode: bool = Field(default=False, description="true or false")
    test_clock_offset: _Duration = Field(default=timedelta(), description="a duration up to 36500d, such as 90d")
    acme_directory_production: Annotated[str, AfterValidator(_check_url)] = Field(
        default="https://acme-v02.api.letsencrypt.org/directory", description="a URL, without query"
    )
    acme_directory_staging: Annotated[str, AfterValidator(_check_url)] = Field(
        default="https://acme-staging-v02.api.letsencrypt.org/directory", description="a URL, without query"
    )
    acme_ca_bundle: _File | None = Field(default=None, description="the path of a PEM file")
    dns_resolvers: Annotated[tuple[str, ...], BeforeValidator(_read_resolvers)] = Field(
        default=(), description="HOST:PORT with commas between, such as 192.0.2.53:53,[2001:db8::53]:53"
    )
    allow_private_addresses: bool = Field(default=False, description="true or false")
    cis_url: Annotated[str, AfterValidator(_check_url)] = Field(
        default="https://api.cis.cloud.ibm.com", description="a URL, without query"
    )
    classic_url: Annotated[str, AfterValidator(_check_url)] = Field(
        default="https://api.softlayer.com/rest/v3.1", description="a URL, without query"
    )
    audit: AuditSettings = Field(default=AuditSettings(), description="a table with durable_reads")
    dns: DnsSettings = Field(default=DnsSettings(), description="a table with exec_allowed")
    smtp: SmtpSettings | None = Field(default=None, description="a table with host and from")
    limits: dict[str, Annotated[int, Field(strict=True, ge=1, le=_MOST)]] = Field(
        default_factory=dict, description=f"whole numbers from 1 to {_MOST}"
    )

    _sources: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def from_values(cls, given: Mapping[str, _Given]) -> Self:
        """Check the values and remember where each comes from.

        Raises:
            ValidationError: of pydantic.
        """
        settings = cls.model_validate({name: item.value for name, item in given.items()})
        settings._sources = {name: item.source for name, item in given.items()}  # noqa: SLF001  (of this class)
        return settings

    def source_of(self, name: str) -> str:
        """Return ``flag``, ``environment``, ``file`` or ``default``."""
        return self._sources.get(name, "default")

    @property
    def host(self) -> str:
        """Return the address to listen on, without brackets."""
        return split_listen(self.listen)[0]

    @property
    def port(self) -> int:
        """Return the port to listen on; 0 lets the system choose."""
        return split_listen(self.listen)[1]

    @property
    def effective_limits(self) -> Limits:
        """Return the limits with the operator's changes."""
        durations = {field.name for field in fields(Limits) if isinstance(field.default, timedelta)}
        changed: dict[str, Any] = {
            name: timedelta(seconds=value) if name in durations else value for name, value in self.limits.items()
        }
        return Limits(**changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """A value as it was found.

    Attributes:
        source: kind of place, for ``GET /settings``.
        place: the place itself, for messages.
        value: not yet checked; may be secret.
    """

    source: str
    place: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingView:
    """One setting as ``GET /settings`` shows it; secret values never."""

    name: str
    value: Any
    source: str
    default: Any


def load_settings(flags: Mapping[str, object]) -> Settings:
    """Read the settings.

    Args:
        flags: values given on the command line, by field name.

    Raises:
        Invalid: ``settings_invalid``, naming each setting, where it comes from and what would pass.
    """
    given = _from_file() | _from_environment()
    given |= {
        name: _Given(source="flag", place=f"--{name.replace('_', '-')}", value=value) for name, value in flags.items()
    }
    problems = [*_unknown(given), *_unknown_limits(given)]
    settings: Settings | None = None
    try:
        settings = Settings.from_values(given)
    except ValidationError as error:
        problems += _problems(error, given)
    if settings is not None and not problems:
        problems += _together(settings)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise Invalid(ErrorCode.SETTINGS_INVALID, "The settings are not valid.", causes=problems)
    assert settings is not None  # noqa: S101  (otherwise there were problems)
    return settings


def unknown_variables() -> list[str]:
    """Return variables of our prefix that mean nothing here, with the names they may be meant for.

    They are told about and not refused: container platforms set variables with the name of a
    service, and one environment may serve two versions.
    """
    known = {name.upper() for name in Settings.model_fields} | {name.removeprefix(PREFIX) for name in OTHER_VARIABLES}
    found = sorted(name.removeprefix(PREFIX) for name in os.environ if name.startswith(PREFIX))
    return [f"{PREFIX}{name}{_meant(name, known, PREFIX)}" for name in found if name not in known]


def describe(settings: Settings) -> Iterator[SettingView]:
    """Yield every setting with its value and where it came from."""
    for name, field in Settings.model_fields.items():
        value: Any = getattr(settings, name)
        default = field.get_default(call_default_factory=True)
        if name == "limits":
            value, default = _limits_in_force(settings.effective_limits), _limits_in_force(Limits())
        secret = isinstance(value, SecretStr)
        yield SettingView(
            name=name,
            value="set" if secret else _plain(value),
            source=settings.source_of(name),
            default=_plain(default),
        )


def _from_file() -> dict[str, _Given]:
    named = os.environ.get(FILE_VARIABLE)
    path = Path(named or FILE)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            raise Invalid(
                ErrorCode.SETTINGS_INVALID, f"{FILE_VARIABLE} names {path}, which is not there.", field=FILE_VARIABLE
            ) from None
        return {}
    except OSError as error:
        raise Invalid(ErrorCode.SETTINGS_INVALID, f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        # The library's text tells the place; that of a broken encoding would show bytes of the file.
        reason = f"is not TOML: {error}" if isinstance(error, tomllib.TOMLDecodeError) else "is not text in UTF-8"
        raise Invalid(ErrorCode.SETTINGS_INVALID, f"{path} {reason}.") from None
    return {name: _Given(source="file", place=str(path), value=value) for name, value in content.items()}


def _from_environment() -> dict[str, _Given]:
    found = {}
    for name in Settings.model_fields:
        variable = PREFIX + name.upper()
        # A variable set to nothing is how shells and compose files leave one out.
        value: Any = os.environ.get(variable) or None
        if value is None:
            continue
        if name in _TABLE_EXAMPLES:
            try:
                value = json.loads(value)
            except ValueError:
                raise Invalid(
                    ErrorCode.SETTINGS_INVALID,
                    f"{variable} must be a JSON object such as {_TABLE_EXAMPLES[name]}.",
                    field=variable,
                ) from None
        found[name] = _Given(source="environment", place=variable, value=value)
    return found


_TABLE_EXAMPLES: Final = {
    "audit": '{"durable_reads": true}',
    "dns": '{"exec_allowed": true}',
    "smtp": '{"host": "mail.example.com", "from": "strongroom@example.com"}',
    "limits": '{"labels": 50}',
}


def _unknown(given: Mapping[str, _Given]) -> Iterator[Invalid]:
    for name, item in given.items():
        if name not in Settings.model_fields:
            yield _problem(name, item, f"is no setting{_meant(name, Settings.model_fields)}")
    for table, model in _TABLES.items():
        item_of_table, known = given.get(table), _members(model)
        inner = item_of_table.value if item_of_table is not None else None
        for name in inner if isinstance(inner, dict) else ():
            if name not in known:
                yield _problem(f"{table}.{name}", item_of_table, f"is no setting{_meant(name, known)}")


def _members(model: type[BaseModel]) -> Mapping[str, Any]:
    """Return the fields of a table by the names they have in the file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _unknown_limits(given: Mapping[str, _Given]) -> Iterator[Invalid]:
    known = [field.name for field in fields(Limits)]
    item = given.get("limits")
    for name in item.value if item is not None and isinstance(item.value, dict) else ():
        if name not in known:
            yield _problem(f"limits.{name}", item, f"is no limit; the limits are {', '.join(known)}")
    # The readers of certificates take no more from anybody.
    characters = item.value.get("certificate_characters", 1) if item and isinstance(item.value, dict) else 1
    if item and isinstance(characters, int) and characters > MAX_PEM_CHARACTERS:
        what = f"must be a whole number from 1 to {MAX_PEM_CHARACTERS}, not {characters}"
        yield _problem("limits.certificate_characters", item, what)


def _problems(error: ValidationError, given: Mapping[str, _Given]) -> Iterator[Invalid]:
    """Say in one line each what is wrong with a value and what would pass."""
    told = set()
    for found in error.errors(include_url=False, include_context=False):
        if found["type"] == "extra_forbidden":
            continue
        location = [str(part) for part in found["loc"]]
        top, inner = location[0], location[1:2] if location[0] in {*_TABLES, "limits"} else []
        name = ".".join([top, *inner])
        if name in told:
            continue
        told.add(name)
        field = Settings.model_fields[top]
        if top in _TABLES and inner:
            field = _members(_TABLES[top])[inner[0]]
        is_secret = top in {"metrics_token", "database_url"}
        is_missing = found["type"] == "missing"
        value = "" if is_secret else "; it is missing" if is_missing else f", not {_shown(found['input'])}"
        yield _problem(name, given.get(top), f"must be {field.description}{value}")


def _problem(name: str, item: _Given | None, what: str) -> Invalid:
    place = f" ({item.place})" if item is not None else ""
    return Invalid(ErrorCode.SETTINGS_INVALID, f"{name}{place} {what}{'' if what.endswith('?') else '.'}", field=name)


def _shown(value: Any) -> str:
    text = repr(str(value)) if isinstance(value, str | Path) else json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _meant(name: str, known: Iterable[str], prefix: str = "") -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return f"; is {prefix}{close[0]} meant?" if close else ""


def _together(settings: Settings) -> Iterator[Invalid]:
    if settings.http and not _is_loopback(settings.host) and not settings.behind_proxy:
        yield Invalid(
            ErrorCode.SETTINGS_INVALID,
            f"Plain HTTP on {settings.host} is refused: tokens and keys would cross the network in clear.",
            hint="Listen on 127.0.0.1, leave http off, or name the proxy in STRONGROOM_BEHIND_PROXY.",
        )
    if settings.workers > 1 and settings.database_url is None:
        yield Invalid(
            ErrorCode.SETTINGS_INVALID,
            "More than one worker process needs PostgreSQL: two writers on one SQLite file hold each other up for "
            "hundreds of milliseconds.",
            hint="Set STRONGROOM_DATABASE_URL=postgresql://... or run one worker.",
        )
    if (settings.tls_cert_file is None) != (settings.tls_key_file is None):
        yield Invalid(ErrorCode.SETTINGS_INVALID, "tls_cert_file and tls_key_file must be set together.")
    if settings.master_key_file is not None and settings.master_passphrase_file is not None:
        yield Invalid(ErrorCode.SETTINGS_INVALID, "master_key_file and master_passphrase_file exclude each other.")
    smtp = settings.smtp
    if smtp is not None and (smtp.username is None) != (smtp.password_file is None):
        yield Invalid(ErrorCode.SETTINGS_INVALID, "smtp.username and smtp.password_file must be set together.")
    if smtp is not None and smtp.username is not None and not smtp.is_encrypted and not _is_loopback(smtp.host):
        yield Invalid(
            ErrorCode.SETTINGS_INVALID,
            f"smtp.password_file is refused without TLS: the password would cross the network to {smtp.host} in clear.",
            hint="Leave starttls on, or use port 465.",
        )
    if settings.test_clock_offset and not settings.test_mode:
        yield Invalid(
            ErrorCode.SETTINGS_INVALID, "test_clock_offset moves the server's clock and counts in test_mode only."
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: _plain(inner) for name, inner in value.model_dump(by_alias=True).items()}
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _limits_in_force(limits: Limits) -> dict[str, int]:
    found = {field.name: getattr(limits, field.name) for field in fields(Limits)}
    return {
        name: int(value.total_seconds()) if isinstance(value, timedelta) else value for name, value in found.items()
    }
