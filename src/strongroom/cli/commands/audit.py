"""Commands of the audit trail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from strongroom.cli.command import TopicGroup, command
from strongroom.cli.commands.waiting import timeout_option, wait_for_job
from strongroom.cli.errors import CommandError, Exit
from strongroom.cli.files import read_text
from strongroom.cli.registry import summary_of
from strongroom.cli.session import Session
from strongroom.kernel.errors import ErrorCode


@command(
    name="verify",
    summary="Check that no audit record was changed, removed or put in between.",
    details="Without FILE the server checks its own trail. With FILE an export (NDJSON) is checked here, without a "
    "server; with --public-key its checkpoints must be signed by that key. "
    "Ends with code 1 when the trail is broken.",
    example="strongroom audit verify\nstrongroom audit verify audit.ndjson --public-key audit.pub",
)
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@click.option("--public-key", metavar="FILE", help="File with the key that signs checkpoints, in base64.")
@timeout_option
@click.pass_obj
def verify(session: Session, file: Path | None, public_key: str | None, timeout: int) -> int:
    """Check the server's trail, or a file."""
    if file is None:
        if public_key:
            raise click.UsageError("--public-key goes with FILE.")
        job = session.client.call_object("POST", "/api/v2/audit_verifications", body={})
        result = wait_for_job(session, job, timeout_s=timeout).get("result") or {}
    else:
        result = _verify_file(file, public_key)
    session.emit(result)
    if result.get("verified") is not True:
        raise CommandError(
            f"The audit trail is broken at {str(result.get('first_broken') or 'an unknown place').removesuffix('.')}.",
            exit_code=Exit.REFUSED,
            code=ErrorCode.INTEGRITY_FAILED,
        )
    return Exit.DONE


def _verify_file(file: Path, public_key: str | None) -> dict[str, Any]:
    from strongroom.domain.audit.chain import verify_export

    key = read_text(Path(public_key).expanduser(), option="--public-key").strip() if public_key else None
    try:
        with file.open(encoding="utf-8") as lines:
            found = verify_export(lines, key)
    except OSError as error:
        detail = f"The file {file} cannot be read: {(error.strerror or type(error).__name__).lower()}."
        raise CommandError(detail, exit_code=Exit.USAGE, field="FILE") from error
    except UnicodeDecodeError as error:
        detail = f"{file} is no NDJSON export: it is not text in UTF-8."
        raise CommandError(detail, exit_code=Exit.USAGE, field="FILE") from error
    # A trail that was made up as a whole fits together too: whose key signed it is part of the result.
    return {**found.document(), "partial": found.partial, "signers": list(found.signers)}


COMMANDS = {"audit": TopicGroup("audit", summary_of("audit"), verify)}
