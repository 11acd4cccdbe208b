"""The extension operations behind the whole server, in process."""

from __future__ import annotations

from tests.peers.in_process import server

__all__ = ["server"]
