"""The whole server in process, with receivers of notices on loopback."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.kernel.clock import FrozenClock
from tests.peers.in_process import InProcess, in_process, prepared_data_dir
from tests.peers.sinks import SmtpSink, smtp_sink, webhook_sink

__all__ = ["prepared_data_dir", "smtp_sink", "webhook_sink"]


@pytest.fixture
def server(prepared_data_dir: Path, data_dir: Path, clock: FrozenClock, smtp_sink: SmtpSink) -> Iterator[InProcess]:
    """Give a server that may contact loopback and has a mail server."""
    shutil.copytree(prepared_data_dir, data_dir)
    smtp = {"host": "127.0.0.1", "port": smtp_sink.port, "from": "strongroom@example.com", "starttls": False}
    with in_process(data_dir, clock, allow_private_addresses=True, smtp=smtp) as running:
        yield running
