"""The download command: a certificate as the files a web server reads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from strongroom.cli.command import command
from strongroom.cli.errors import CommandError, Exit
from strongroom.cli.files import PRIVATE, PUBLIC, refuse_target, write_file
from strongroom.cli.registry import summary_of
from strongroom.cli.session import Session
from strongroom.kernel.errors import ErrorCode

CERTIFICATES = frozenset({"imported_cert", "public_cert", "private_cert"})
PARTS = ("cert", "chain", "fullchain", "key", "csr")
FILE_NAMES = {
    "cert": "cert.pem",
    "chain": "chain.pem",
    "fullchain": "fullchain.pem",
    "key": "key.pem",
    "csr": "request.csr",
}


@command(
    name="download",
    summary=summary_of("download"),
    details="Writes cert.pem, chain.pem, fullchain.pem and key.pem, as far as the secret has them; request.csr while a "
    "managed CSR waits for its certificate. key.pem can be read by you only. A file is replaced in one step, and "
    "only with --force. This counts as a download of the version.",
    example="strongroom download --id 1f6a0d4e-52c3-4a58-9b7e-8e3f1c2d4b5a --out-dir tls/\n"
    "strongroom download --id 1f6a0d4e-52c3-4a58-9b7e-8e3f1c2d4b5a --part fullchain --out site.pem --force",
)
@click.option("--id", "secret_id", required=True, metavar="ID", help="Id of the secret.")
@click.option("--version", "version_id", metavar="ID", help="Id of a version, or current or previous (current).")
@click.option(
    "--out-dir", "--dir", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Directory to write to."
)
@click.option("--part", type=click.Choice(PARTS), help="One part alone, with --out.")
@click.option("--out", metavar="FILE", help="File for that part, or - for standard output.")
@click.option("-f", "--force", is_flag=True, help="Replace existing files.")
@click.option("--yes", is_flag=True, help="Show a key on a terminal without asking.")
@click.pass_obj
def download(
    session: Session,
    *,
    secret_id: str,
    version_id: str | None,
    out_dir: Path | None,
    part: str | None,
    out: str | None,
    force: bool,
    yes: bool,
) -> None:
    """Fetch the secret and write its parts."""
    if bool(part) != bool(out) or (out and out_dir):
        raise click.UsageError("Give --out-dir DIR for all files, or --part PART with --out FILE.")
    if part == "key" and out == "-" and sys.stdout.isatty() and not yes:
        _ask_to_show(session)
    if out and out != "-":
        # Before the payload is fetched: a refused write must not count as a download.
        refuse_target(Path(out), overwrite=force)
    address = f"/api/v2/secrets/{quote(secret_id, safe='')}"
    if version_id:
        address += f"/versions/{quote(version_id, safe='')}"
    parts = parts_of(session.client.call_object("GET", address))
    if part:
        _write_part(parts, part, str(out), force=force)
        return
    _write_all(session, parts, out_dir or Path(), force=force)


def parts_of(secret: dict[str, Any]) -> dict[str, str]:
    """Return the files' texts of a certificate secret or version.

    Raises:
        CommandError: it is no certificate, or its payload is gone.
    """
    kind = secret.get("secret_type")
    if kind not in CERTIFICATES:
        raise CommandError(
            f"Only certificates are downloaded to files; this is a secret of type {kind}.",
            exit_code=Exit.USAGE,
            code=ErrorCode.NOT_SUPPORTED,
            hint=f"Print its value with: strongroom secret --id {secret.get('id', 'ID')}",
        )
    raw_request = secret.get("managed_csr")
    request: dict[str, Any] = raw_request if isinstance(raw_request, dict) else {}
    certificate = _pem(secret.get("certificate"))
    chain = _pem(secret.get("intermediate"))
    if not chain and isinstance(secret.get("ca_chain"), list):
        chain = "".join(_pem(one) for one in secret["ca_chain"])
    found = {
        "cert": certificate,
        "chain": chain,
        # TLS servers want the leaf first (RFC 8446 section 4.4.2).
        "fullchain": certificate + chain if certificate else "",
        "key": _pem(secret.get("private_key")) or _pem(request.get("private_key")),
        "csr": "" if certificate else _pem(request.get("csr")) or _pem(secret.get("csr")),
    }
    parts = {name: text for name, text in found.items() if text}
    if not parts:
        raise CommandError(
            "There is nothing to download: this version has no payload (any more).",
            exit_code=Exit.REFUSED,
            code=ErrorCode.PAYLOAD_NOT_AVAILABLE,
            hint="The payload is kept for the current and the previous version, until the certificate expires.",
        )
    return parts


def _pem(value: object) -> str:
    text = value if isinstance(value, str) else ""
    # Blocks are put behind one another; one without a last line break would run into the next.
    return text if not text or text.endswith("\n") else text + "\n"


def _write_part(parts: dict[str, str], part: str, out: str, *, force: bool) -> None:
    if part not in parts:
        raise CommandError(
            f"This version has no {part}; it has {', '.join(parts)}.",
            exit_code=Exit.USAGE,
            code=ErrorCode.PAYLOAD_NOT_AVAILABLE,
            field="--part",
        )
    if out == "-":
        click.echo(parts[part], nl=False)
        return
    write_file(Path(out), parts[part], mode=PRIVATE if part == "key" else PUBLIC, overwrite=force)


def _write_all(session: Session, parts: dict[str, str], folder: Path, *, force: bool) -> None:
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        detail = f"The directory {folder} cannot be created: {(error.strerror or type(error).__name__).lower()}."
        raise CommandError(detail, exit_code=Exit.REFUSED) from error
    targets = {name: folder / FILE_NAMES[name] for name in parts}
    # All or nothing: a certificate beside the key of another one is worse than neither.
    for target in targets.values():
        refuse_target(target, overwrite=force)
    for name, target in targets.items():
        write_file(target, parts[name], mode=PRIVATE if name == "key" else PUBLIC, overwrite=force)
    session.emit([{"part": name, "file": str(target)} for name, target in targets.items()])


def _ask_to_show(session: Session) -> None:
    if not sys.stdin.isatty():
        detail = "A private key is not shown on a terminal without being asked for."
        raise CommandError(
            detail, exit_code=Exit.USAGE, field="--out", hint="Name a file with --out FILE, or add --yes."
        )
    session.confirm("Show the private key on this terminal?", given=False)


COMMANDS = {"download": download}
