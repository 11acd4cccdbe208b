"""Install the system programs that tests need, where that is allowed, and name what is missing where not.

``make test`` runs it first. As root, or with a sudo that asks nothing, missing packages of
``tests/system-packages.txt`` are installed with ``apt-get``. Otherwise the tests that need them are left out,
which is a failure only with ``CI=true``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LISTING = ROOT / "tests" / "system-packages.txt"
APT_TIMEOUT_S = 600
# Where a package's program is not on PATH under the package's name: folder, pattern.
PLACES = {
    "postgresql": (Path("/usr/lib/postgresql"), "*/bin/postgres"),
    "softhsm2": (Path("/usr"), "bin/softhsm2-util"),
    "gnutls-bin": (Path("/usr"), "bin/certtool"),
    "nginx-light": (Path("/usr"), "sbin/nginx"),
    "bind9": (Path("/usr"), "sbin/named"),
    "bind9-dnsutils": (Path("/usr"), "bin/nsupdate"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPackage:
    """One line of the listing: a Debian package and what tests need it for."""

    name: str
    purpose: str


def read_listing(text: str) -> list[SystemPackage]:
    """Read the listing.

    Raises:
        ValueError: if a line says no purpose.
    """
    packages = []
    for line in text.splitlines():
        name, _, purpose = (part.strip() for part in line.partition("#"))
        if not name:
            continue
        if not purpose:
            message = f"{LISTING.name}: say after # what tests need {name} for"
            raise ValueError(message)
        packages.append(SystemPackage(name=name, purpose=purpose))
    return packages


def find_program(package: str) -> Path | None:
    """Return the main program of a package, the newest if there are several, or ``None``."""
    if package in PLACES:
        folder, pattern = PLACES[package]
        found = sorted(folder.glob(pattern), key=lambda path: [int(part) for part in path.parts if part.isdigit()])
        if found:
            return found[-1]
    program = shutil.which(PLACES[package][1].rsplit("/", 1)[1] if package in PLACES else package)
    return Path(program) if program else None


def privilege() -> list[str] | None:
    """Return what to put before a command to run it as root, or ``None`` if that is not allowed."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False, stdin=subprocess.DEVNULL)
        if asked.returncode == 0:
            return ["sudo", "-n"]
    return None


def install(names: Sequence[str], prefix: Sequence[str]) -> None:
    """Install Debian packages without a question; what it says is shown only when it fails."""
    base = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    for command in ([*base, "update"], [*base, "install", "--yes", "--no-install-recommends", *names]):
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=APT_TIMEOUT_S
        )
        if done.returncode != 0:
            print(done.stdout + done.stderr, file=sys.stderr)
            return


def main() -> int:
    """Install what is missing; fail under CI if something stays missing."""
    packages = read_listing(LISTING.read_text(encoding="utf-8"))
    missing = [package for package in packages if find_program(package.name) is None]
    if not missing:
        return 0
    prefix = privilege()
    if prefix is not None and shutil.which("apt-get"):
        print("installing for the tests:", " ".join(package.name for package in missing), flush=True)
        install([package.name for package in missing], prefix)
        missing = [package for package in missing if find_program(package.name) is None]
    for package in missing:
        print(f"left out without the system package '{package.name}': {package.purpose}")
    return int(bool(missing) and os.environ.get("CI") == "true")


if __name__ == "__main__":
    sys.exit(main())
