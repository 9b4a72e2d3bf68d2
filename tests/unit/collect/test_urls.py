"""Lists of URLs against a server that misbehaves in every way that servers do."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.misbehaving import JPEG, Server, serving

from imagetree.collect.addresses import Gate, PrivateAddress, is_public
from imagetree.collect.fetching import Fetcher, FetchFailure, FetchLimits, retry_after_s
from imagetree.collect.source import Item, Rejected
from imagetree.collect.urls import UrlList
from imagetree.core.errors import InvalidInput, NotFound

QUICK = FetchLimits(
    timeout_s=10.0,
    total_timeout_s=20.0,
    max_bytes=200_000,
    per_host_interval_s=0.0,
    n_attempts=3,
    backoff_s=0.01,
    max_wait_s=0.3,
)
IMPATIENT = replace(QUICK, timeout_s=0.3, total_timeout_s=0.5)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def listed(tmp_path: Path, lines: list[str], **options: Any) -> UrlList:
    path = tmp_path / "urls.txt"
    path.write_text("\n".join(lines) + "\n")
    options.setdefault("allowed_networks", ["127.0.0.1/32"])
    options.setdefault("limits", QUICK)
    return UrlList(path, spool=tmp_path / "spool", **options)


def codes(source: UrlList) -> dict[str, str]:
    return {
        one.location: one.code if isinstance(one, Rejected) else "stored" for one in source.items()
    }


@pytest.mark.parametrize(
    ("path", "code", "n_requests"),
    [
        ("/ok/a.jpg", "stored", 1),
        ("/flaky", "stored", 2),
        ("/moved", "stored", 1),
        ("/nothing", "http_404", 1),
        ("/down", "http_503", 3),
        ("/slow", "timeout", 3),
        ("/drip", "timeout", 3),
        ("/loop", "redirect_loop", 1),
        ("/far", "too_many_redirects", 1),
        ("/to-private", "private_address", 1),
        ("/to-metadata", "private_address", 1),
        ("/to-file", "bad_url", 1),
        ("/lying", "broken_answer", 3),
        ("/huge", "too_many_bytes", 1),
        ("/endless", "too_many_bytes", 1),
        ("/page.jpg", "not_an_image", 1),
        ("/packed", "bad_encoding", 1),
        ("/empty", "empty", 1),
    ],
)
def test_each_misbehaviour_has_its_code(
    path: str, code: str, n_requests: int, server: Server, tmp_path: Path
) -> None:
    url = server.url + path
    limits = IMPATIENT if code == "timeout" else QUICK
    source = listed(tmp_path, [f"n02084071_1\t{url}"], limits=limits)
    assert codes(source) == {url: code}
    assert server.seen[path] == n_requests


def test_items_carry_synset_bytes_and_time(server: Server, tmp_path: Path) -> None:
    lines = [f"n02084071_7\t{server.url}/ok/a.JPG", f"mine\t{server.url}/ok/b", "lonely", "# note"]
    source = listed(tmp_path, [*lines, lines[0]])
    assert (source.n_total, source.wnids(), source.labels()) == (4, {"n02084071"}, set())
    first, second, bad, repeated = source.items()
    assert isinstance(first, Item)
    assert isinstance(second, Item)
    assert callable(first.data)
    assert first.data() == JPEG + b"/ok/a.JPG"
    # The bytes have left the spool: read again, they are fetched again.
    assert first.data() == JPEG + b"/ok/a.JPG"
    assert server.seen["/ok/a.JPG"] == 2
    assert (first.key, first.filename, first.wnid) == (
        "n02084071_7",
        "n02084071_7.JPG",
        "n02084071",
    )
    assert (second.wnid, first.retrieved_at is not None) == (None, True)
    assert isinstance(bad, Rejected)
    assert isinstance(repeated, Rejected)
    assert (bad.code, repeated.code) == ("bad_line", "repeated")
    assert bad.location.endswith("line 3")


def test_one_url_under_two_ids_is_fetched_once_and_kept_twice(
    server: Server, tmp_path: Path
) -> None:
    url = server.url + "/ok/a"
    found = codes(listed(tmp_path, [f"n02084071_1\t{url}", f"n02121808_1\t{url}"]))
    assert found == {url: "stored", url + "#n02121808_1": "stored"}
    assert server.seen["/ok/a"] == 1


def test_placeholders_are_rejected_from_the_first_on(server: Server, tmp_path: Path) -> None:
    lines = [f"n02084071_{n}\t{server.url}/gone/{n}" for n in range(4)]
    lines.insert(2, f"n02084071_9\t{server.url}/ok/9")
    found = list(codes(listed(tmp_path, lines)).values())
    assert found == ["placeholder", "placeholder", "stored", "placeholder", "placeholder"]
    assert [
        one.name for one in (tmp_path / "spool").glob("*/*") if one.name != "outcomes.jsonl"
    ] == [hashlib.sha256(f"{server.url}/ok/9".encode()).hexdigest()]
    # Two copies are two mirrors, not a placeholder.
    assert set(codes(listed(tmp_path, lines[:2])).values()) == {"stored"}


def test_private_addresses_are_refused_unless_allowed(server: Server, tmp_path: Path) -> None:
    port = server.server_port
    urls = [f"http://{host}:{port}/ok/{n}" for n, host in enumerate(["127.0.0.1", "localhost"])]
    # Loopback in the spellings that the system's resolver understands as well.
    urls += [f"http://2130706433:{port}/ok/2", f"http://0x7f.1:{port}/ok/3", "http://[::1]/a"]
    lines = [f"x{n}\t{url}" for n, url in enumerate(urls)]
    found = codes(listed(tmp_path, lines, allowed_networks=()))
    assert set(found.values()) <= {"private_address", "unknown_host", "bad_url"}
    assert [found[url] for url in urls[:2]] == ["private_address"] * 2
    assert not server.seen
    allowed = codes(
        listed(
            tmp_path,
            ["more\thttp://user:secret@example.org/a", *lines[:2]],
            allowed_networks=(),
            allow_private=True,
        )
    )
    assert list(allowed.values()) == ["bad_url", "stored", "stored"]
    assert f"localhost:{port}" in server.hosts
    # What was fetched while it was allowed is not used where it is not.
    again = codes(listed(tmp_path, lines, allowed_networks=()))
    assert again == found


def test_a_name_is_resolved_once_and_connected_to_as_checked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["127.0.0.1", "127.0.0.66", "127.0.0.66"])
    real = socket.getaddrinfo
    asked = []

    def rebinding(host: str, port: int, *args: Any, **options: Any) -> Any:
        if host != "rebinding.example":
            return real(host, port, *args, **options)
        asked.append(host)
        return real(next(answers), port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    fetcher = Fetcher(Gate(allowed_networks=["127.0.0.1/32"]), QUICK)
    url = f"http://rebinding.example:{server.server_port}/ok/a"
    assert fetcher.fetch(url) == JPEG + b"/ok/a"
    assert (asked, server.hosts) == (["rebinding.example"], [url.split("/")[2]])
    with pytest.raises(FetchFailure, match=r"127\.0\.0\.66") as refused:
        fetcher.fetch(url)
    assert refused.value.code == "private_address"
    fetcher.close()


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "127.9.9.9",
        "0.0.0.0",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "::7f00:1",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


def test_public_addresses() -> None:
    assert all(is_public(one) for one in ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"))
    with pytest.raises(PrivateAddress):
        Gate().addresses("127.0.0.1", port=80)


def test_a_killed_collect_fetches_only_what_is_left(server: Server, tmp_path: Path) -> None:
    lines = [f"n02084071_{n}\t{server.url}/ok/{n}" for n in range(5)]
    source = listed(tmp_path, [*lines, f"n02084071_5\t{server.url}/nothing"])
    next(source.items())
    (log,) = (tmp_path / "spool").glob("*/outcomes.jsonl")
    text = log.read_text().splitlines(keepends=True)
    # As if it had been killed while it wrote the third outcome.
    written = [line for line in text if line.strip()]
    log.write_text("".join(written[:2]) + written[2][:20])
    again = listed(tmp_path, [*lines, f"n02084071_5\t{server.url}/nothing"])
    assert list(codes(again).values()) == ["stored"] * 5 + ["http_404"]
    assert sum(server.seen.values()) == 6 + 4


def test_what_failed_for_the_moment_is_tried_by_the_next_collect(
    server: Server, tmp_path: Path
) -> None:
    line = f"x\t{server.url}/down"
    assert list(codes(listed(tmp_path, [line])).values()) == ["http_503"]
    codes(listed(tmp_path, [line]))
    assert server.seen["/down"] == 6


def test_a_polite_pause_for_each_host(server: Server) -> None:
    fetcher = Fetcher(Gate(allow_private=True), FetchLimits(per_host_interval_s=0.15, n_attempts=1))
    for n in range(4):
        fetcher.fetch(f"{server.url}/ok/{n}")
    fetcher.close()
    pauses = [b - a for a, b in zip(server.times, server.times[1:], strict=False)]
    assert min(pauses) > 0.1


def test_retry_after_is_honoured_within_bounds(server: Server) -> None:
    fetcher = Fetcher(Gate(allow_private=True), QUICK)
    assert fetcher.fetch(server.url + "/busy") == JPEG + b"busy"
    fetcher.close()
    # The server asked for an hour; 0.3 s is the most that these limits grant.
    assert 0.25 < server.times[1] - server.times[0] < 3.0
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after_s("Thu, 01 Jan 2026 00:00:09 GMT", now=now) == 9.0
    assert [retry_after_s(text, now=now) for text in ("", "soon", "-4")] == [0.0] * 3


def test_lists_without_urls(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"gone\.txt"):
        UrlList(tmp_path / "gone.txt", spool=tmp_path)
    with pytest.raises(InvalidInput, match="holds no URLs"):
        listed(tmp_path, ["", "alone"]).wnids()
