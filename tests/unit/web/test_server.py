from __future__ import annotations

import socket

import pytest

from imagetree.core.errors import Busy
from imagetree.web.server import _listen


def test_a_port_in_use_names_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Busy, match=r"--port \d+"):
            _listen("127.0.0.1", taken.getsockname()[1])
