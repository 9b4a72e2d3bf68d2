"""Serves one database's pages until it is told to stop."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from imagetree import __version__
from imagetree.core.errors import Busy, InvalidInput

# How long a program on the wanted port may take to say what it is.
PROBE_S = 1.0

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
            ready(_address(host, listening.getsockname()[1]))
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
            other = f"add --port {_free_port(host, family)}, or --port 0 for any free one."
            served = _served(host, port)
            if served:
                raise Busy(
                    f"imagetree serves the database {served} at port {port} already.",
                    hint=f"Open {_address(host, port)}, or {other}",
                ) from error
            raise Busy(
                f"Port {port} is in use by another program.", hint=other.capitalize()
            ) from error
        raise InvalidInput(
            f"Cannot listen on {host} port {port}: {error.strerror or error}.",
            hint="Use --host 127.0.0.1 and a port above 1023.",
        ) from error
    return made


def _address(host: str, port: int) -> str:
    shown = "127.0.0.1" if host in {"0.0.0.0", ""} else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"


def _served(host: str, port: int) -> str:
    """The name of the database whose pages another imagetree serves there, else ""."""
    try:
        with urlopen(f"{_address(host, port)}health.json", timeout=PROBE_S) as answer:
            health = json.load(answer)
    except (OSError, ValueError, HTTPException):
        return ""
    is_ours = isinstance(health, dict) and {"status", "database", "n_events"} <= health.keys()
    return str(health["database"]) if is_ours else ""


def _free_port(host: str, family: socket.AddressFamily) -> int:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
