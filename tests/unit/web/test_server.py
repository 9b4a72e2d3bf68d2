from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from imagetree.core.errors import Busy
from imagetree.web.server import _listen


def test_a_port_in_use_names_a_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagetree.web.server.PROBE_S", 0.1)  # this one listens and says nothing
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Busy, match="another program") as told:
            _listen("127.0.0.1", taken.getsockname()[1])
    assert told.value.hint.startswith("Add --port ")


@pytest.fixture(
    params=[b'{"status": "ok", "database": "birds", "n_events": 3}', b'["birds"]', b"hm"]
)
def other(request: pytest.FixtureRequest) -> Iterator[tuple[int, bytes]]:
    """Port and answer of a server that says this at every address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(request.param)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, request.param
        server.shutdown()
        thread.join()


def test_a_port_where_imagetree_serves_names_the_database(other: tuple[int, bytes]) -> None:
    port, said = other
    with pytest.raises(Busy) as told:
        _listen("127.0.0.1", port)
    if b"n_events" in said:
        assert told.value.message == f"imagetree serves the database birds at port {port} already."
        assert told.value.hint.startswith(f"Open http://127.0.0.1:{port}/, or add --port ")
    else:
        assert "another program" in told.value.message
