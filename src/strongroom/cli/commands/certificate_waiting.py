"""Wait for a public certificate that was ordered, and say meanwhile how the order gets on."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from strongroom.cli.errors import CommandError, Exit
from strongroom.kernel.errors import ErrorCode

if TYPE_CHECKING:
    from strongroom.cli.session import Session

VALIDATE = "public_cert_action_validate_dns_challenge"

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0
_OPEN, _ISSUED = 0, 1


def wait_for_certificate(
    session: Session, secret_id: str, answer: Any, *, timeout_s: int, validates: bool
) -> dict[str, Any] | Any:
    """Follow the order of a secret to its end and return the secret with its certificate.

    Args:
        session: of the command.
        secret_id: what waits for a certificate.
        answer: of the command itself; returned as it is where nothing was ordered.
        timeout_s: how long to wait.
        validates: with manual DNS, say at once that the records are there; the server looks until it sees them.

    Raises:
        CommandError: the order came to nothing, or is not done in time.
    """
    path = f"/api/v2/secrets/{quote(secret_id, safe='')}"
    deadline = time.monotonic() + timeout_s
    watch = _Watch(session, path, validates=validates)
    pause = _FIRST_PAUSE_S
    while True:
        secret = session.client.call_object("GET", f"{path}/metadata")
        info = secret.get("issuance_info")
        if not isinstance(info, dict):
            return answer
        if info.get("state") == _ISSUED:
            return session.client.call_object("GET", path)
        if info.get("state") != _OPEN:
            word = f" ({info['error_code']})" if info.get("error_code") else ""
            raise CommandError(
                f"The order failed: {info.get('error_message') or 'the server gives no reason.'}{word}",
                exit_code=Exit.WORK_FAILED,
                code=ErrorCode.UNAVAILABLE,
                hint=f"strongroom orders --secret-id {secret_id} shows the order.",
            )
        watch.tell(secret, info)
        if time.monotonic() + pause > deadline:
            raise CommandError(
                f"The certificate is not there after {timeout_s} s. The order goes on; its secret is {secret_id}.",
                exit_code=Exit.WAITED_TOO_LONG,
                code=ErrorCode.UNAVAILABLE,
                field="--wait",
                hint=_next_step(secret_id, info),
            )
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)


class _Watch:
    """Tells each change once, and what a person has to do once."""

    def __init__(self, session: Session, path: str, *, validates: bool) -> None:
        self._session = session
        self._path = path
        self._validates = validates
        self._told = ""
        self._asked = False

    def tell(self, secret: Mapping[str, Any], info: Mapping[str, Any]) -> None:
        """Say where the order stands; with manual DNS show the records, and ask whether they are published."""
        job = secret.get("job")
        text = _line(job) if isinstance(job, dict) else ""
        if text and text != self._told:
            self._session.note(text)
            self._told = text
        if not self._asked and _waits_for_person(info):
            self._asked = True
            self._session.note(_zone_file(info["challenges"]))
            if self._validates or self._agrees():
                self._session.client.call("POST", f"{self._path}/actions", body={"action_type": VALIDATE})

    def _agrees(self) -> bool:
        # Nobody is asked who cannot answer; the order then waits until somebody validates it.
        if not sys.stdin.isatty() or self._session.output != "table":
            return False
        return click.confirm("Are the records published?", err=True)


def _line(job: Mapping[str, Any]) -> str:
    text = f"Order {job.get('id')}: {str(job.get('step')).replace('_', ' ')}"
    if job.get("waiting_for"):
        text += f", waiting for {job['waiting_for']}"
    last = job.get("last_error")
    if isinstance(last, dict) and last.get("message"):
        text += f" ({last['message']})"
    return text


def _waits_for_person(info: Mapping[str, Any]) -> bool:
    return bool(info.get("challenges")) and "dns_challenge_validation_time" not in info


def _next_step(secret_id: str, info: Mapping[str, Any]) -> str:
    if _waits_for_person(info):
        return (
            "Once the records are published: strongroom secret-action-create "
            f"--id {secret_id} --secret-action-type {VALIDATE} --wait"
        )
    return f"strongroom orders --secret-id {secret_id} shows what it waits for."


def _zone_file(challenges: Any) -> str:
    """Return the records that are still owed as lines of a zone file."""
    lines = ["Publish these records:"]
    lines += [
        f'{one.get("txt_record_name")} 120 IN TXT "{one.get("txt_record_value")}"'
        for one in challenges
        if one.get("status") == "pending"
    ]
    return "\n".join(lines)
