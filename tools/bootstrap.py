"""Build ``.venv`` on a machine that has Python 3.11 or newer and nothing else.

``python3 tools/bootstrap.py run`` installs what the server needs, ``... dev`` what the tests need too.
Only the standard library is used, neither ``ensurepip`` nor ``pip`` has to be there: uv makes the environment,
and where uv is missing its wheel is fetched from the package index. Version and SHA-256 of that wheel come
from ``uv.lock``, so an index can only deliver the file that was reviewed.

An index configured for pip (``PIP_INDEX_URL``, ``pip.conf``) or for uv (``UV_DEFAULT_INDEX``, ``UV_INDEX_URL``)
is used for uv itself and for every package.
"""

from __future__ import annotations

import configparser
import hashlib
import html.parser
import json
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_INDEX = "https://pypi.org/simple"
SYNC_ARGUMENTS: Mapping[str, Sequence[str]] = {
    # --inexact: an environment that already has more keeps it.
    "run": ("--no-dev", "--extra", "postgres", "--extra", "lint", "--extra", "hsm", "--inexact"),
    "dev": ("--extra", "postgres", "--extra", "lint", "--extra", "hsm", "--inexact"),
}
TIMEOUT_S = 60
WHEEL_LIMIT = 200 * 1024 * 1024


class BootstrapError(Exception):
    """The environment cannot be built; the message says what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One locked file.

    Attributes:
        version: of the package.
        url: where the lock file found it.
        sha256: lower-case hexadecimal.
    """

    version: str
    url: str
    sha256: str

    @property
    def filename(self) -> str:
        """Return the last part of the address."""
        return urllib.parse.unquote(self.url.rsplit("/", 1)[1])


def main(arguments: Sequence[str]) -> int:
    """Build or refresh the environment for ``run`` or ``dev``; a no-op when nothing changed."""
    if len(arguments) != 1 or arguments[0] not in SYNC_ARGUMENTS:
        print("usage: python3 tools/bootstrap.py run|dev", file=sys.stderr)
        return 2
    try:
        ensure_environment(ROOT, arguments[0])
    except BootstrapError as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    return 0


def ensure_environment(root: Path, profile: str) -> None:
    """Install the locked packages into ``.venv`` unless its stamp says that they are there.

    Raises:
        BootstrapError: with what is missing.
    """
    digest = fingerprint(root)
    if is_current(root, profile, digest):
        return
    environment = tool_environment(root, os.environ)
    uv = find_uv(root, environment)
    print(f"bootstrap: installing locked packages for '{profile}' into .venv", flush=True)
    install(root, uv, profile, environment)
    stamp_path(root, profile).write_text(digest, encoding="ascii")


def fingerprint(root: Path) -> str:
    """Return a digest of everything that decides what gets installed."""
    digest = hashlib.sha256()
    for name in ("uv.lock", "pyproject.toml", "tools/bootstrap.py"):
        digest.update((root / name).read_bytes())
        digest.update(b"\0")
    return digest.hexdigest()


def stamp_path(root: Path, profile: str) -> Path:
    """Return the file that remembers the last successful installation."""
    return root / ".venv" / f".strongroom-{profile}"


def is_current(root: Path, profile: str, digest: str) -> bool:
    """Tell whether the environment was built from these very files; ``dev`` satisfies ``run``."""
    if not (root / ".venv" / "bin" / "python").exists():
        return False
    stamps = [stamp_path(root, name) for name in {profile, "dev"}]
    return any(stamp.is_file() and stamp.read_text(encoding="ascii") == digest for stamp in stamps)


# --- configuration of the package index


def tool_environment(root: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for uv, with pip's configuration translated: uv does not read it."""
    environment = dict(inherited)
    pip = pip_settings(inherited)
    index = inherited.get("UV_DEFAULT_INDEX") or inherited.get("UV_INDEX_URL") or pip.get("index-url")
    if index and index.rstrip("/") != DEFAULT_INDEX:
        environment["UV_DEFAULT_INDEX"] = index
    environment.pop("UV_INDEX_URL", None)
    if "extra-index-url" in pip and not {"UV_INDEX", "UV_EXTRA_INDEX_URL"} & inherited.keys():
        environment["UV_INDEX"] = " ".join(pip["extra-index-url"].split())
    if "find-links" in pip and "UV_FIND_LINKS" not in inherited:
        existing = [place for place in pip["find-links"].split() if "://" in place or Path(place).is_dir()]
        if existing:
            environment["UV_FIND_LINKS"] = ",".join(existing)
    if "cert" in pip and "SSL_CERT_FILE" not in inherited and Path(pip["cert"]).is_file():
        environment["SSL_CERT_FILE"] = pip["cert"]
    environment["UV_PROJECT_ENVIRONMENT"] = str(root / ".venv")
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    # Once at install, instead of at every start of a server or command.
    environment["UV_COMPILE_BYTECODE"] = "1"
    environment.pop("VIRTUAL_ENV", None)
    if "UV_CACHE_DIR" not in inherited and not _home_is_writable(inherited):
        environment["UV_CACHE_DIR"] = str(root / ".uv" / "cache")
    return environment


def pip_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return pip's settings by their long option name, from its files and then its variables."""
    settings: dict[str, str] = {}
    if environment.get("PIP_CONFIG_FILE") != os.devnull:
        for path in pip_files(environment):
            # pip itself reads with this class; interpolation would trip over % in passwords.
            parser = configparser.RawConfigParser()
            try:
                parser.read(path, encoding="utf-8")
            except (configparser.Error, OSError, UnicodeDecodeError) as error:
                print(f"bootstrap: ignoring {path}: {type(error).__name__}", file=sys.stderr)
                continue
            for section in ("global", "install"):
                if parser.has_section(section):
                    settings |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    for name in ("index-url", "extra-index-url", "find-links", "cert"):
        value = environment.get("PIP_" + name.upper().replace("-", "_"))
        if value:
            settings[name] = value
    return settings


def pip_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield pip's configuration files, the most general first."""
    home = environment.get("HOME")
    for folder in reversed(environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")):
        yield Path(folder) / "pip" / "pip.conf"
    yield Path("/etc/pip.conf")
    if home:
        yield Path(home) / ".pip" / "pip.conf"
        yield Path(environment.get("XDG_CONFIG_HOME") or Path(home) / ".config") / "pip" / "pip.conf"
    if environment.get("PIP_CONFIG_FILE"):
        yield Path(environment["PIP_CONFIG_FILE"])


def _home_is_writable(environment: Mapping[str, str]) -> bool:
    home = environment.get("HOME", "")
    return bool(home) and os.access(home, os.W_OK)


# --- uv


def find_uv(root: Path, environment: Mapping[str, str]) -> str:
    """Return a uv that reads our lock file: one that is installed, else the locked one, fetched.

    Raises:
        BootstrapError: if none can be had.
    """
    wheel = locked_wheel(root / "uv.lock", "uv")
    own = root / ".uv" / wheel.version / "uv"
    for candidate in (str(own), str(root / ".venv" / "bin" / "uv"), shutil.which("uv", path=environment.get("PATH"))):
        # An older one may not know the lock file's revision.
        if candidate and (uv_version(candidate) or ()) >= version_key(wheel.version):
            return candidate
    print(f"bootstrap: fetching uv {wheel.version}", flush=True)
    body = fetch_wheel(wheel, environment)
    own.parent.mkdir(parents=True, exist_ok=True)
    unpack_program(body, wheel, own)
    return str(own)


def uv_version(program: str) -> tuple[int, ...] | None:
    """Return the version of a uv, or ``None`` if it does not run."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.match(r"uv (\d+(?:\.\d+)*)", done.stdout)
    return version_key(match[1]) if match and done.returncode == 0 else None


def version_key(text: str) -> tuple[int, ...]:
    """Return numbers that sort like the version."""
    return tuple(int(part) for part in re.findall(r"\d+", text))


def runs_here(filename: str) -> bool:
    """Tell whether a wheel is for this operating system, C library and processor."""
    machine = platform.machine().lower()
    libc, _ = platform.libc_ver()
    # platform.libc_ver() has no name for musl.
    family = "macosx" if sys.platform == "darwin" else "manylinux" if libc == "glibc" else "musllinux"
    tags = filename.removesuffix(".whl").rsplit("-", 1)[1].split(".")
    return any(tag == "any" or (tag.startswith(family) and tag.endswith(f"_{machine}")) for tag in tags)


def locked_wheel(lock: Path, package: str) -> Wheel:
    """Return the wheel of a package in ``uv.lock`` that fits this platform.

    Raises:
        BootstrapError: if the lock file has none.
    """
    content: dict[str, Any] = tomllib.loads(lock.read_text(encoding="utf-8"))
    for entry in content["package"]:
        if entry["name"] != package:
            continue
        for file in entry.get("wheels", ()):
            kind, _, value = file["hash"].partition(":")
            wheel = Wheel(version=entry["version"], url=file["url"], sha256=value)
            if kind == "sha256" and runs_here(wheel.filename):
                return wheel
    raise BootstrapError(
        f"no build of {package} for {sys.platform} {platform.machine()} is locked; install it and put it on PATH"
    )


def fetch_wheel(wheel: Wheel, environment: Mapping[str, str]) -> bytes:
    """Download a locked file, from the configured index if there is one, and check its digest.

    Raises:
        BootstrapError: if no way leads to a file with the locked digest.
    """
    failures: list[str] = []
    for source in (_download_direct, _download_with_pip):
        try:
            body = source(wheel, environment)
        except (OSError, ValueError, urllib.error.URLError, subprocess.SubprocessError) as error:
            failures.append(f"{type(error).__name__}: {error}")
            continue
        if hashlib.sha256(body).hexdigest() == wheel.sha256:
            return body
        failures.append(f"{wheel.filename} has another SHA-256 than uv.lock says")
    reasons = "; ".join(failures)
    raise BootstrapError(
        f"cannot fetch uv {wheel.version} ({reasons}); set PIP_INDEX_URL, or install uv and put it on PATH"
    )


def _download_direct(wheel: Wheel, environment: Mapping[str, str]) -> bytes:
    index = environment.get("UV_DEFAULT_INDEX")
    if not index:
        return _get(wheel.url, environment)
    page = f"{index.rstrip('/')}/uv/"
    return _get(find_link(_get(page, environment).decode("utf-8"), page, wheel.filename), environment)


def _download_with_pip(wheel: Wheel, environment: Mapping[str, str]) -> bytes:
    """Let pip try: it knows proxies and credentials that urllib does not."""
    target = ROOT / ".uv" / "download"
    target.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run(
        [*command, "--dest", str(target), f"uv=={wheel.version}"],
        env=dict(environment),
        check=True,
        capture_output=True,
        timeout=10 * TIMEOUT_S,
    )
    return (target / wheel.filename).read_bytes()


def _get(url: str, environment: Mapping[str, str]) -> bytes:
    if urllib.parse.urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError("an index address must start with https:// or http://")
    parts = urllib.parse.urlsplit(url)
    headers = {"Accept": "application/vnd.pypi.simple.v1+json;q=0.2, text/html, */*;q=0.1", "User-Agent": "strongroom"}
    handlers: list[urllib.request.BaseHandler] = []
    if parts.username:
        # urllib does not take credentials out of an address by itself.
        host = parts.hostname or ""
        url = urllib.parse.urlunsplit(parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host))
        passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
        passwords.add_password(
            None,
            url,
            urllib.parse.unquote(parts.username),
            urllib.parse.unquote(parts.password or ""),
            is_authenticated=True,
        )
        handlers.append(urllib.request.HTTPBasicAuthHandler(passwords))
    if "SSL_CERT_FILE" in environment:
        # OpenSSL reads the variable of this process, which may not have it.
        os.environ.setdefault("SSL_CERT_FILE", environment["SSL_CERT_FILE"])
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - scheme checked above
    with urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT_S) as response:
        body: bytes = response.read(WHEEL_LIMIT + 1)
    if len(body) > WHEEL_LIMIT:
        raise ValueError("the answer is longer than any build of uv")
    return body


class _Links(html.parser.HTMLParser):
    """Collect the addresses of an index page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the target of every anchor."""
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def find_link(page: str, base: str, filename: str) -> str:
    """Return the absolute address of a file on an index page, HTML (PEP 503) or JSON (PEP 691).

    Raises:
        ValueError: if the page does not name the file.
    """
    if page.lstrip().startswith("{"):
        links = [str(file["url"]) for file in json.loads(page).get("files", ())]
    else:
        parser = _Links()
        parser.feed(page)
        links = parser.found
    for link in links:
        absolute = urllib.parse.urldefrag(urllib.parse.urljoin(base, link)).url
        if urllib.parse.unquote(absolute.rsplit("/", 1)[1]) == filename:
            return absolute
    raise ValueError(f"the package index does not have {filename}")


def unpack_program(body: bytes, wheel: Wheel, target: Path) -> None:
    """Take the uv program out of its wheel, all or nothing."""
    archive = target.with_suffix(".whl")
    archive.write_bytes(body)
    partial = target.with_suffix(f".{os.getpid()}")
    with zipfile.ZipFile(archive) as content:
        partial.write_bytes(content.read(f"uv-{wheel.version}.data/scripts/uv"))
    partial.chmod(partial.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    partial.replace(target)
    archive.unlink()


# --- packages


def install(root: Path, uv: str, profile: str, environment: Mapping[str, str]) -> None:
    """Install the locked packages and the project itself.

    Raises:
        BootstrapError: if uv says no; its own output stands above.
    """
    arguments = list(SYNC_ARGUMENTS[profile])
    if "UV_DEFAULT_INDEX" not in environment:
        _uv(uv, ["sync", "--quiet", "--frozen", *arguments, "--python", _interpreter(root)], root, environment)
        return
    # The lock file holds addresses of the public index. Through another one the same files (by digest) are
    # found by name and version.
    if not (root / ".venv" / "bin" / "python").exists():
        _uv(uv, ["venv", "--quiet", "--python", sys.executable, str(root / ".venv")], root, environment)
    listing = root / ".uv" / f"requirements-{profile}.txt"
    listing.parent.mkdir(parents=True, exist_ok=True)
    arguments.remove("--inexact")
    export = ["export", "--quiet", "--frozen", *arguments, "--no-emit-project", "--output-file", str(listing)]
    _uv(uv, export, root, environment)
    # --no-config: many mirrors do not say when a file was uploaded, and the age rule would refuse them all.
    target = ["--quiet", "--no-config", "--python", str(root / ".venv" / "bin" / "python")]
    _uv(uv, ["pip", "install", *target, "--require-hashes", "--requirements", str(listing)], root, environment)
    _uv(uv, ["pip", "install", *target, "--no-deps", "--editable", str(root)], root, environment)


def _interpreter(root: Path) -> str:
    """Keep the interpreter of an environment that is there: changing it would throw the environment away."""
    own = root / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def _uv(uv: str, arguments: Sequence[str], root: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run([uv, *arguments], cwd=root, env=dict(environment), check=False)
    if done.returncode != 0:
        raise BootstrapError(f"uv {arguments[0]} failed with status {done.returncode}; what it said stands above")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
