"""Threads that fetch URLs into a spool, one a host, while somebody waits and tells how far."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from imagetree.collect.fetching import Fetcher, FetchFailure, by_host
from imagetree.collect.spool import Outcome, Spool

LOOK_S = 0.2
# How long `close` waits for requests under way. A thread that a silent server holds for longer
# ends with its request's time limit, and does no harm until then.
CLOSE_S = 2.0


class FetchPool:
    """Fetches `urls` from the moment it is made until all are settled or it is closed.

    At most `n_threads` hosts are asked at once, each by one thread: many hosts do not wait for
    a slow one, wherever they stand in the list.
    """

    def __init__(
        self, urls: Sequence[str], fetcher: Fetcher, spool: Spool, *, n_threads: int
    ) -> None:
        self._fetcher, self._spool = fetcher, spool
        self._queue = deque(sorted(by_host(urls).values(), key=len, reverse=True))
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._closed = False
        self.n_total, self.n_settled, self.n_failed = len(urls), 0, 0
        self._threads = [
            # A daemon: a server that does not answer must not keep the program from ending.
            threading.Thread(target=self._work, name=f"fetch-{number}", daemon=True)
            for number in range(min(n_threads, len(self._queue)))
        ]
        for thread in self._threads:
            thread.start()

    def wait(
        self,
        *,
        n_urls: int | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        tell: Callable[[], None] = lambda: None,
    ) -> bool:
        """Whether all are settled, after `n_urls` more are, or all of them where it is None.

        Returns early when `should_stop` says so; it and `tell` are called five times a second.
        Raises what ended a thread, such as a full disk.
        """
        goal = self.n_total if n_urls is None else min(self.n_total, self.n_settled + n_urls)
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self.n_settled >= goal or self._error is not None, timeout=LOOK_S
                )
                n_settled, error = self.n_settled, self._error
            tell()
            if error is not None:
                self.close()
                raise error
            if n_settled >= goal or should_stop():
                return n_settled >= self.n_total

    def close(self) -> None:
        """Stops fetching; what was fetched stays in the spool."""
        self._closed = True
        self._queue.clear()
        self._fetcher.stop()
        until = time.monotonic() + CLOSE_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        try:
            while True:
                try:
                    urls = self._queue.popleft()
                except IndexError:  # nothing is left
                    return
                for url in urls:
                    outcome = self._fetch(url)
                    with self._changed:
                        self.n_settled += 1
                        self.n_failed += bool(outcome.code)
                        self._changed.notify_all()
        except BaseException as error:
            if self._closed:
                return
            with self._changed:
                self._error = self._error or error
                self._changed.notify_all()

    def _fetch(self, url: str) -> Outcome:
        at = datetime.now(UTC).isoformat()
        try:
            data = self._fetcher.fetch(url)
        except FetchFailure as failure:
            if failure.code == "stopped":
                raise
            outcome = Outcome(
                url=url,
                at=at,
                code=failure.code,
                reason=failure.reason,
                transient=failure.transient,
            )
            self._spool.put(outcome)
        else:
            outcome = Outcome(url=url, at=at, sha256=hashlib.sha256(data).hexdigest())
            self._spool.put(outcome, data)
        return outcome
