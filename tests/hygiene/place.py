"""The files of one run, and what was found in them at any time."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.hygiene.planted import Find, Planted, files_below
from tests.peers.server import PROGRAM, LiveServer, process_environment


class Place:
    """A server that says all it can, and every file that it or its commands leave.

    Args:
        folder: of the run.
        environment: settings of the server and of commands.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.environment = {"TMPDIR": str(self.temporary), **environment}
        settings = {"STRONGROOM_LOG_LEVEL": "debug", "STRONGROOM_SCHEDULER_INTERVAL": "200ms"}
        self.server = LiveServer(folder / "data", environment={**self.environment, **settings})
        self.backup = folder / "copy.backup"
        self.restored = folder / "restored"
        self.planted = Planted(random.Random("planted"))
        self.printed: list[tuple[str, bytes]] = []
        self.finds: list[Find] = []

    def look(self) -> None:
        """Search every file there is at this moment."""
        kept_apart = {folder / "admin-apikey" for folder in (self.server.data_dir, self.restored)}
        files = [path for path in files_below(self.server.data_dir) if path not in kept_apart]
        files += [path for path in files_below(self.restored) if path not in kept_apart]
        files += [*files_below(self.temporary), self.server.log_file]
        files += [self.backup] if self.backup.exists() else []
        self.finds += self.planted.look_in_files(files)

    def command(self, *words: str, database_url: str | None = None) -> None:
        """Run a command of the product and keep what it prints."""
        settings = {**self.environment, "STRONGROOM_LOG_LEVEL": "debug"}
        if database_url is not None:
            settings["STRONGROOM_DATABASE_URL"] = database_url
        done = subprocess.run(
            [str(PROGRAM), *words], capture_output=True, timeout=60, check=False, env=process_environment(settings)
        )
        assert done.returncode == 0, done.stderr
        self.printed.append((" ".join(words[:1]), done.stdout + done.stderr))


def report(finds: Sequence[Find]) -> str:
    """Return what was found, a line each."""
    return "\n".join(sorted({f"{find.secret} as {find.form} in {find.place}" for find in finds}))
