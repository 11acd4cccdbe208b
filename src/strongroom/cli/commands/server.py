"""Commands that run a server, or prepare its data directory.

They are the only ones, with ``backup`` and ``restore``, that import the server; inside the function, so that nothing
else pays for it.
"""

from __future__ import annotations

import gc
from pathlib import Path

import click

from strongroom.cli.command import command
from strongroom.cli.registry import summary_of
from strongroom.cli.session import Session

data_dir_option = click.option(
    "--data-dir", type=click.Path(path_type=Path), metavar="DIR", help="Data directory (./data)."
)
database_option = click.option(
    "--database-url", metavar="URL", help="PostgreSQL database in place of the embedded one; better in the environment."
)


def given(**flags: object) -> dict[str, object]:
    """Return the flags that were given; the others must not hide the environment or the settings file."""
    return {name: value for name, value in flags.items() if value is not None and value is not False}


@command(
    name="server",
    summary=summary_of("server"),
    details="On an empty data directory everything that is needed is made first: master key, certificates, the default "
    "group and an administrator's API key in DIR/admin-apikey.",
    example="strongroom server --data-dir ./data --listen 127.0.0.1:8443",
    online=False,
)
@data_dir_option
@click.option("--listen", metavar="HOST:PORT", help="Address to listen on (127.0.0.1:8443).")
@click.option("--http", is_flag=True, help="Speak plain HTTP; on loopback addresses, or behind a proxy.")
@click.option(
    "--workers", type=click.IntRange(min=1, max=256), metavar="N", help="Processes (1); more need PostgreSQL."
)
@database_option
def server(
    *,
    data_dir: Path | None,
    listen: str | None,
    http: bool,
    workers: int | None,
    database_url: str | None,
) -> int:
    """Load the settings and serve until told to stop."""
    # Nothing that is imported becomes garbage: looking for it takes a tenth of the time to start. Serving switches
    # the collector on again when everything is there.
    gc.disable()
    try:
        from strongroom.runtime.serve import serve
        from strongroom.runtime.settings import load_settings

        flags = given(data_dir=data_dir, listen=listen, http=http, workers=workers, database_url=database_url)
        return serve(load_settings(flags))
    finally:
        gc.enable()


@command(
    name="init",
    summary=summary_of("init"),
    details="Prints where the administrator's API key and the CA certificate are. A directory prepared before is "
    "not changed.",
    example="strongroom init --data-dir ./data",
    online=False,
)
@data_dir_option
@database_option
@click.pass_obj
def init(session: Session, data_dir: Path | None, database_url: str | None) -> None:
    """Prepare the data directory and say what is in it."""
    from strongroom.runtime.bootstrap import prepare_data_dir
    from strongroom.runtime.settings import load_settings

    prepared = prepare_data_dir(load_settings(given(data_dir=data_dir, database_url=database_url)))
    session.note("The data directory is ready." if prepared.created else "The data directory was prepared before.")
    session.emit(
        {
            "created": prepared.created,
            "url": prepared.url,
            "instance_id": prepared.instance_id,
            "region": prepared.region,
            "admin_apikey_file": str(prepared.admin_apikey_file),
            "ca_file": str(prepared.ca_file),
        }
    )


COMMANDS = {"server": server, "init": init}
