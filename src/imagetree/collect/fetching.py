"""Fetches one URL at a time: politely, within limits, and with a code for whatever fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from imagetree.collect.addresses import Gate, PinnedTransport, PrivateAddress, UnknownHost

MAX_REDIRECTS = 5
USER_AGENT = "imagetree (collects images for a research database)"
RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_HTML = (b"<!doctype html", b"<html", b"<head")


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """What fetching one URL may cost. Times are in seconds, for one attempt unless named so."""

    timeout_s: float = 20.0
    total_timeout_s: float = 120.0
    max_bytes: int = 50_000_000
    per_host_interval_s: float = 0.2
    n_attempts: int = 4
    backoff_s: float = 0.5
    max_wait_s: float = 60.0


class FetchFailure(Exception):
    """A URL gave no image: a stable code, why, and whether another attempt may help."""

    def __init__(
        self, code: str, reason: str, *, transient: bool = False, wait_s: float = 0.0
    ) -> None:
        super().__init__(reason)
        self.code, self.reason, self.transient, self.wait_s = code, reason, transient, wait_s


class Fetcher:
    """Fetches URLs through checked addresses; may be used by many threads."""

    def __init__(self, gate: Gate, limits: FetchLimits | None = None) -> None:
        self._limits = limits or FetchLimits()
        self._client = httpx.Client(
            transport=PinnedTransport(gate),
            timeout=self._limits.timeout_s,
            # Compressed answers could grow beyond all limits in one chunk.
            headers={"User-Agent": USER_AGENT, "Accept": "image/*", "Accept-Encoding": "identity"},
            trust_env=False,
        )
        self._next_at: dict[str, float] = {}
        self._unknown: dict[str, str] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def stop(self) -> None:
        """Fetches that wait for their turn, or for more of an answer, fail as stopped."""
        self._stop.set()

    def close(self) -> None:
        """Stops, and ends all connections."""
        self.stop()
        self._client.close()

    def fetch(self, url: str) -> bytes:
        """The bytes behind a URL; FetchFailure after the last attempt.

        Timeouts, broken connections and the statuses of `RETRIED` are tried again, after a
        doubling wait or what `Retry-After` asks for, at most `max_wait_s`.
        """
        for attempt in range(1, self._limits.n_attempts + 1):
            try:
                return self._follow(url)
            except FetchFailure as failure:
                if not failure.transient or attempt == self._limits.n_attempts:
                    raise
                backoff_s = self._limits.backoff_s * 2 ** (attempt - 1)
                self._pause(min(max(backoff_s, failure.wait_s), self._limits.max_wait_s))
        raise FetchFailure("not_tried", "no attempt is allowed")

    def _follow(self, url: str) -> bytes:
        """One attempt: the body at the end of at most five redirects."""
        here = checked_url(url)
        seen = {str(here)}
        deadline = time.monotonic() + self._limits.total_timeout_s
        for _ in range(MAX_REDIRECTS + 1):
            found = self._request(here, deadline)
            if isinstance(found, bytes):
                return found
            here = checked_url(str(found))
            if str(here) in seen:
                raise FetchFailure("redirect_loop", f"leads back to {here}")
            seen.add(str(here))
        raise FetchFailure("too_many_redirects", f"redirects more than {MAX_REDIRECTS} times")

    def _request(self, url: httpx.URL, deadline: float) -> bytes | httpx.URL:
        """The body, or where a redirect leads."""
        if reason := self._unknown.get(url.host):
            raise FetchFailure("unknown_host", reason)
        self._wait_turn(url.host)
        try:
            with _coded(), self._client.stream("GET", url, follow_redirects=False) as response:
                if response.has_redirect_location:
                    return _redirect(url, response.headers["Location"])
                _check_status(response)
                return self._body(response, deadline)
        except FetchFailure as failure:
            if failure.code == "unknown_host":
                self._unknown[url.host] = failure.reason
            raise
        finally:
            # So that a slow server gets its pause too.
            self._rest(url.host)

    def _body(self, response: httpx.Response, deadline: float) -> bytes:
        limit = self._limits.max_bytes
        declared = response.headers.get("Content-Length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise FetchFailure("too_many_bytes", f"has {int(declared):,} bytes")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise FetchFailure("bad_encoding", "is compressed although that was not asked for")
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            self._pause(0.0)
            if len(body) > limit:
                raise FetchFailure("too_many_bytes", f"has more than {limit:,} bytes")
            if time.monotonic() > deadline:
                seconds = self._limits.total_timeout_s
                raise FetchFailure("timeout", f"took more than {seconds:g} s", transient=True)
        if not body:
            raise FetchFailure("empty", "the answer has no bytes")
        if bytes(body[:200]).lstrip().lower().startswith(_HTML):
            raise FetchFailure("not_an_image", "is a web page, not an image")
        return bytes(body)

    def _wait_turn(self, host: str) -> None:
        """Returns when the host may be asked again."""
        with self._lock:
            turn = max(time.monotonic(), self._next_at.get(host, 0.0))
            self._next_at[host] = turn + self._limits.per_host_interval_s
        self._pause(turn - time.monotonic())

    def _rest(self, host: str) -> None:
        """Counts the host's pause from now, unless others wait for longer already."""
        with self._lock:
            earliest = time.monotonic() + self._limits.per_host_interval_s
            self._next_at[host] = max(earliest, self._next_at.get(host, 0.0))

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(max(0.0, seconds)):
            raise FetchFailure("stopped", "the collect was stopped", transient=False)


def checked_url(text: str) -> httpx.URL:
    """The URL, parsed; FetchFailure `bad_url` unless it is a plain http or https one."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise FetchFailure("bad_url", f"is not a URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise FetchFailure("bad_url", "is not an http or https URL")
    if url.userinfo:
        raise FetchFailure("bad_url", "holds a user name, which would be kept in the catalog")
    return url.copy_with(fragment=None)


def _redirect(url: httpx.URL, target: str) -> httpx.URL:
    try:
        return url.join(target)
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise FetchFailure("bad_url", f"redirects to what is not a URL: {error}") from error


def _check_status(response: httpx.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    raise FetchFailure(
        f"http_{status}",
        f"the server answered {status} {response.reason_phrase}".rstrip(),
        transient=status in RETRIED,
        wait_s=retry_after_s(response.headers.get("Retry-After", ""), now=datetime.now(UTC)),
    )


def retry_after_s(text: str, *, now: datetime) -> float:
    """Seconds to wait that a `Retry-After` header asks for, as a number or a date; 0 for none.

    Example:
        >>> retry_after_s("7", now=datetime.now(UTC))
        7.0
    """
    if text.strip().isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, IndexError):
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


@contextmanager
def _coded() -> Iterator[None]:
    """Turns what httpx raises into failures with codes."""
    try:
        yield
    except PrivateAddress as error:
        raise FetchFailure("private_address", str(error)) from error
    except UnknownHost as error:
        raise FetchFailure("unknown_host", str(error)) from error
    except httpx.TimeoutException as error:
        raise FetchFailure("timeout", "the server did not answer", transient=True) from error
    except httpx.ConnectError as error:
        raise FetchFailure("no_connection", f"no connection: {error}", transient=True) from error
    except httpx.RemoteProtocolError as error:
        raise FetchFailure("broken_answer", f"the answer broke: {error}", transient=True) from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise FetchFailure("network", reason, transient=True) from error


def by_host(urls: Iterable[str]) -> dict[str, list[str]]:
    """The URLs by host, in order; those that are none under the empty host."""
    found: dict[str, list[str]] = {}
    for url in urls:
        try:
            host = checked_url(url).host
        except FetchFailure:
            host = ""
        found.setdefault(host, []).append(url)
    return found
