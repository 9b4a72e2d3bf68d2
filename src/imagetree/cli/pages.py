"""web: the database's pages in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from imagetree.cli.answer import Answer
from imagetree.cli.options import DatabaseArgument, JsonOption
from imagetree.cli.working import shown

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: imagetree web birds.imagetree --port 8100")
def web(
    database: DatabaseArgument,
    host: Annotated[
        str, typer.Option(help="127.0.0.1 for this machine only, 0.0.0.0 for the network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8000,
    as_json: JsonOption = False,
) -> None:
    """Serves the database's web pages."""
    from imagetree.core.settings import read_settings
    from imagetree.web.server import serve

    answer = Answer(as_json=as_json)
    folder = read_settings(database).folder

    def ready(address: str) -> None:
        answer.give(
            {"address": address, "database": str(folder)},
            f"The pages of {shown(folder)} are at {address}",
            "Ctrl-C ends the server.",
        )

    serve(folder, host=host, port=port, ready=ready)
