"""Serves one database's pages until it is told to stop."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from pathlib import Path

from imagetree import __version__
from imagetree.core.errors import Busy, InvalidInput

Ready = Callable[[str], None]


def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    ready: Ready = lambda address: None,
) -> None:
    """Returns when the server has ended; `ready` hears the address once it listens.

    Port 0 takes any free one. A second server on the same database is fine: they only read.
    Errors: NotFound (no database), MissingPart (no WordNet), Busy (the port is in use).
    """
    import uvicorn

    from imagetree.database import Database
    from imagetree.web.app import create_app

    with Database.open(folder) as database:
        len(database.taxonomy)  # a missing WordNet is told now, not on the first page
        app = create_app(database, version=__version__)
        listening = _listen(host, port)
        with listening:
            shown = "127.0.0.1" if host in {"0.0.0.0", ""} else host
            number = listening.getsockname()[1]
            ready(f"http://{f'[{shown}]' if ':' in shown else shown}:{number}/")
            config = uvicorn.Config(app, log_level="warning", server_header=False)
            uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(128)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise Busy(
                f"Port {port} is in use by another program.",
                hint=f"Add --port {_free_port(host, family)}, or --port 0 for any free one.",
            ) from error
        raise InvalidInput(
            f"Cannot listen on {host} port {port}: {error.strerror or error}.",
            hint="Use --host 127.0.0.1 and a port above 1023.",
        ) from error
    return made


def _free_port(host: str, family: socket.AddressFamily) -> int:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
