"""Two threads ahead of the consumer: one reads files, one decodes them into batches.

files of batch n + 2  ->  pixels of batch n + 1  ->  batch n is used
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar, cast

Wanted = TypeVar("Wanted")
Files = TypeVar("Files")
Made = TypeVar("Made")

_END = object()


class _Stopped(Exception):
    """The consumer has left."""


class _Pipe:
    """A short queue that both ends can leave."""

    def __init__(self, n_most: int, stopped: threading.Event) -> None:
        self._items: queue.Queue[object] = queue.Queue(n_most)
        self._stopped = stopped

    def put(self, item: object) -> None:
        while not self._stopped.is_set():
            try:
                self._items.put(item, timeout=0.1)
                return
            except queue.Full:
                continue
        raise _Stopped

    def get(self) -> object:
        while not self._stopped.is_set():
            try:
                return self._items.get(timeout=0.1)
            except queue.Empty:
                continue
        raise _Stopped


class ReadingAhead(Generic[Wanted, Files, Made]):
    """Iterates over `make(wanted, read(wanted))`, at most `n_ahead` of each kind waiting.

    Errors of `read` and `make` are raised where the consumer meets that batch. Both threads are
    gone when the iteration ends, is left, or fails.

    Example:
        >>> list(ReadingAhead([1, 2], read=lambda n: n * 10, make=lambda n, f: n + f, n_ahead=1))
        [11, 22]
    """

    def __init__(
        self,
        wanted: Iterable[Wanted],
        *,
        read: Callable[[Wanted], Files],
        make: Callable[[Wanted, Files], Made],
        n_ahead: int,
    ) -> None:
        self._wanted, self._read, self._make, self._n_ahead = wanted, read, make, n_ahead

    def __iter__(self) -> Iterator[Made]:
        stopped = threading.Event()
        files, made = _Pipe(self._n_ahead, stopped), _Pipe(self._n_ahead, stopped)
        threads = [
            threading.Thread(target=self._reading, args=(files,), name="imagetree-loader-read"),
            threading.Thread(target=self._making, args=(files, made), name="imagetree-loader-make"),
        ]
        for thread in threads:
            thread.daemon = True
            thread.start()
        try:
            while (item := made.get()) is not _END:
                if isinstance(item, BaseException):
                    raise item
                yield cast(Made, item)
                del item
        finally:
            stopped.set()
            for thread in threads:
                thread.join()

    def _reading(self, files: _Pipe) -> None:
        try:
            for wanted in self._wanted:
                files.put((wanted, self._read(wanted)))
            files.put(_END)
        except _Stopped:
            return
        except BaseException as error:
            self._fail(files, error)

    def _making(self, files: _Pipe, made: _Pipe) -> None:
        try:
            while (item := files.get()) is not _END:
                if isinstance(item, BaseException):
                    raise item
                wanted, found = cast(tuple[Wanted, Files], item)
                made.put(self._make(wanted, found))
                del item, found
            made.put(_END)
        except _Stopped:
            return
        except BaseException as error:
            self._fail(made, error)

    @staticmethod
    def _fail(pipe: _Pipe, error: BaseException) -> None:
        try:
            pipe.put(error)
        except _Stopped:
            return
