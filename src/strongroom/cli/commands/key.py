"""Commands of the master key."""

from __future__ import annotations

import click

from strongroom.cli.command import TopicGroup, command
from strongroom.cli.commands.waiting import timeout_option, wait_for_job
from strongroom.cli.registry import summary_of
from strongroom.cli.session import Session


@command(
    name="rotate",
    summary="Replace the master key and wrap every data key anew, while the server runs.",
    details="Payloads are not touched. Needs the role Administrator.",
    example="strongroom key rotate",
)
@timeout_option
@click.pass_obj
def rotate(session: Session, timeout: int) -> None:
    """Ask the server and wait for the end."""
    job = session.client.call_object("POST", "/api/v2/master_key/rotate", body={})
    session.emit(wait_for_job(session, job, timeout_s=timeout))


COMMANDS = {"key": TopicGroup("key", summary_of("key"), rotate)}
