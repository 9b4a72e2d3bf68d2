"""A local web server that misbehaves in every way that servers do, by path."""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

JPEG = b"\xff\xd8\xff\xe0 not a whole photo, but bytes of their own: "


class Misbehaving(BaseHTTPRequestHandler):
    """Answers by path; counts requests and keeps their times and Host headers."""

    server: Server

    def log_message(self, *_: Any) -> None:
        return

    def do_GET(self) -> None:
        self.server.seen[self.path] += 1
        self.server.times.append(time.monotonic())
        self.server.hosts.append(self.headers["Host"])
        try:
            self.answer(self.path.split("?")[0])
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self, path: str) -> None:
        count = self.server.seen[self.path]
        if path.startswith("/photo/"):
            self.send(200, photo(int(path.rsplit("/", 1)[1])))
        elif path.startswith("/ok"):
            self.send(200, JPEG + path.encode())
        elif path.startswith("/gone"):
            self.send(200, b"GIF89a photo unavailable")
        elif path == "/flaky":
            self.send(500 if count == 1 else 200, JPEG + b"flaky")
        elif path == "/busy":
            self.send(429 if count == 1 else 200, JPEG + b"busy", {"Retry-After": "3600"})
        elif path == "/down":
            self.send(503, b"down")
        elif path == "/slow":
            self.server.released.wait(3.0)
        elif path == "/drip":
            self.start(200, {})
            while not self.server.released.wait(0.1):
                self.wfile.write(b"x")
        elif path == "/loop":
            self.send(302, b"", {"Location": "/loop2"})
        elif path == "/loop2":
            self.send(302, b"", {"Location": "/loop"})
        elif path == "/far":
            self.send(302, b"", {"Location": f"/far?{count}{self.path}"})
        elif path == "/moved":
            self.send(301, b"", {"Location": "/ok/moved"})
        elif path == "/to-private":
            self.send(302, b"", {"Location": "http://127.0.0.2/admin"})
        elif path == "/to-metadata":
            self.send(302, b"", {"Location": "http://169.254.169.254/latest"})
        elif path == "/to-file":
            self.send(302, b"", {"Location": "file:///etc/passwd"})
        elif path == "/lying":
            self.start(200, {"Content-Length": "5000"})
            self.wfile.write(JPEG)
            self.close_connection = True
        elif path == "/huge":
            self.start(200, {"Content-Length": "999999999"})
        elif path == "/endless":
            self.start(200, {})
            while True:
                self.wfile.write(b"x" * 65536)
        elif path == "/page.jpg":
            self.send(200, b"\n<!DOCTYPE html><title>Sorry</title>")
        elif path == "/packed":
            self.send(200, JPEG, {"Content-Encoding": "gzip"})
        elif path == "/empty":
            self.send(200, b"")
        else:
            self.send(404, b"no")

    def start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.start(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Misbehaving)
        self.seen: Counter[str] = Counter()
        self.times: list[float] = []
        self.hosts: list[str] = []
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


def photo(seed: int) -> bytes:
    """A JPEG that no other seed resembles."""
    patches = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(patches).resize((96, 72), Image.Resampling.BICUBIC).save(target, "JPEG")
    return target.getvalue()


@contextmanager
def serving() -> Iterator[Server]:
    """A server at work."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()
