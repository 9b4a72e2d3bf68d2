"""Lists of URLs, one `id<TAB>url` a line, as image-net.org published them.

The whole list is fetched into a spool folder before the first image is yielded. Only then is
it known which bytes came from many URLs: those are placeholders ("photo unavailable"), and one
that had been stored before its third copy was seen would have to be taken back. What was
fetched is written down as it comes, so a killed collect goes on where it was.

    list -> fetch (a thread a host) -> spool + outcomes -> placeholders out -> items in order
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from imagetree.collect.addresses import Gate
from imagetree.collect.fetching import Fetcher, FetchFailure, FetchLimits, by_host
from imagetree.collect.source import Item, Rejected, Skip, skip_nothing
from imagetree.core.errors import ExternalFailure, InvalidInput, NotFound, OutOfSpace

# The same bytes under so many URLs are a placeholder.
PLACEHOLDER_URLS = 3
# Outcomes older than this are fetched again.
KEPT_DAYS = 7
ID_WNID = re.compile(r"(n\d{8})(?:_.*)?")
OUTCOMES = "outcomes.jsonl"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the list."""

    number: int
    name: str
    url: str

    @property
    def wnid(self) -> str | None:
        """The synset that the id begins with (`n02084071_1234`), if it does."""
        match = ID_WNID.fullmatch(self.name)
        return match.group(1) if match else None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a URL: the hash of its bytes, or a code and a reason."""

    url: str
    at: str
    sha256: str = ""
    code: str = ""
    reason: str = ""
    transient: bool = False


class UrlList:
    """The images behind a list of URLs.

    `spool` is a folder for what is fetched but not stored yet; each image leaves it when it is
    read. `allow_private` and `allowed_networks` open addresses that are not public, see `Gate`.
    At most `n_threads` hosts are asked at once, each by one connection at a time and not more
    often than `limits.per_host_interval_s`. Proxies are not used, because addresses could not
    be checked behind one. The list is held in memory: about 300 bytes a line.

    Rejects: bad_line, bad_url, repeated, private_address, unknown_host, no_connection, timeout,
    http_404 and other statuses, redirect_loop, too_many_redirects, too_many_bytes, empty,
    broken_answer, bad_encoding, not_an_image, placeholder, network.

    Example:
        source = UrlList(Path("urls.txt"), spool=Path("birds.imagetree/cache/urls"))
    """

    kind = "urls"

    def __init__(
        self,
        path: Path,
        *,
        spool: Path,
        allow_private: bool = False,
        allowed_networks: Iterable[str] = (),
        limits: FetchLimits | None = None,
        n_threads: int = 16,
    ) -> None:
        if not path.is_file():
            raise NotFound(f"There is no file {path}.", hint="Check the path.")
        self._path, self._spool_root = path, spool
        networks = sorted(allowed_networks)
        gate = Gate(allow_private=allow_private, allowed_networks=networks)
        self._limits = limits or FetchLimits()
        self._rules = f"{allow_private} {networks} {self._limits.max_bytes}"
        # One for all, so that a host is not asked too often by two.
        self._fetcher = Fetcher(gate, self._limits)
        self._n_threads = n_threads
        self.location = str(path)

    @cached_property
    def _lines(self) -> list[Line | Rejected]:
        found: list[Line | Rejected] = []
        seen: set[tuple[str, str]] = set()
        for number, raw in enumerate(self._path.read_bytes().split(b"\n"), start=1):
            text = _decoded(raw).strip()
            if not text or text.startswith("#"):
                continue
            name, _, url = text.partition("\t")
            if not url:
                name, _, url = text.partition(" ")
            line = Line(number=number, name=name.strip(), url=url.strip())
            where = f"{self.location}, line {number}"
            if not line.url:
                reason = "is not of the form id<TAB>url"
                found.append(Rejected(location=where, code="bad_line", reason=reason))
            elif (line.name, line.url) in seen:
                reason = f"{line.name} with {line.url} stands further up"
                found.append(Rejected(location=where, code="repeated", reason=reason))
            else:
                seen.add((line.name, line.url))
                found.append(line)
        if not any(isinstance(one, Line) for one in found):
            raise InvalidInput(
                f"{self.location} holds no URLs.", hint="One id<TAB>url a line was looked for."
            )
        return found

    @property
    def n_total(self) -> int:
        """How many lines there are, less empty ones and comments."""
        return len(self._lines)

    def labels(self) -> set[str]:
        """None: ids name synsets by wnid, or nothing."""
        return set()

    def wnids(self) -> set[str]:
        """The synsets that the ids begin with."""
        return {one.wnid for one in self._lines if isinstance(one, Line) and one.wnid}

    def items(self, *, skip: Skip = skip_nothing) -> Iterator[Item | Rejected]:
        """The images in the list's order, after the whole list was fetched."""
        wanted = [one for one in self._lines if isinstance(one, Rejected) or not skip(one.name)]
        spool = _Spool(self._folder())
        urls = dict.fromkeys(one.url for one in wanted if isinstance(one, Line))
        missing = [url for url in urls if not spool.is_settled(url)]
        _fetch_all(missing, self._fetcher, spool, n_threads=self._n_threads)
        copies = Counter(spool.outcomes[url].sha256 for url in urls)
        told: set[str] = set()
        for one in wanted:
            if isinstance(one, Rejected):
                yield one
                continue
            # One URL under two ids has two origins, which must not be taken for one.
            location = one.url if one.url not in told else f"{one.url}#{one.name}"
            told.add(one.url)
            outcome = spool.outcomes[one.url]
            if outcome.code:
                yield Rejected(location=location, code=outcome.code, reason=outcome.reason)
            elif copies[outcome.sha256] >= PLACEHOLDER_URLS:
                reason = f"the same bytes came from {copies[outcome.sha256]} URLs of the list"
                spool.drop(one.url)
                yield Rejected(location=location, code="placeholder", reason=reason)
            else:
                yield Item(
                    key=one.name,
                    location=location,
                    data=self._reader(one.url, spool),
                    filename=one.name + PurePosixPath(urlsplit(one.url).path).suffix,
                    wnid=one.wnid,
                    retrieved_at=outcome.at,
                )

    def _folder(self) -> Path:
        """The list's own folder in the spool: the same content under the same rules goes on."""
        digest = hashlib.sha256(self._path.read_bytes())
        digest.update(self._rules.encode())
        return self._spool_root / digest.hexdigest()[:16]

    def _reader(self, url: str, spool: _Spool) -> Callable[[], bytes]:
        """Reads an image out of the spool; fetches it anew when it left that already.

        That is so for the few that a killed collect had read and not yet stored.
        """

        def read() -> bytes:
            data = spool.take(url)
            if data is not None:
                return data
            try:
                return self._fetcher.fetch(url)
            except FetchFailure as failure:
                raise ExternalFailure(f"{url}: {failure.code}, {failure.reason}.") from failure

        return read


class _Spool:
    """Fetched images in one folder, a file a URL, and a line for what became of each URL."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._log = folder, folder / OUTCOMES
        self._lock = threading.Lock()
        self.outcomes: dict[str, Outcome] = {}
        oldest = (datetime.now(UTC) - timedelta(days=KEPT_DAYS)).isoformat()
        for line in self._log.read_bytes().splitlines() if self._log.exists() else ():
            try:
                outcome = Outcome(**json.loads(line))
            except (ValueError, TypeError):
                continue  # a line that a kill cut short
            if outcome.at >= oldest:
                self.outcomes[outcome.url] = outcome

    def is_settled(self, url: str) -> bool:
        """Whether the URL need not be fetched; what failed for the moment is tried again."""
        outcome = self.outcomes.get(url)
        return outcome is not None and not outcome.transient

    def put(self, outcome: Outcome, data: bytes = b"") -> None:
        """Keeps an outcome, its bytes first: a kill in between costs one fetch, no image."""
        try:
            if data:
                part = self._file(outcome.url).with_suffix(".part")
                part.write_bytes(data)
                part.replace(self._file(outcome.url))
            with self._lock, self._log.open("a", encoding="utf-8") as file:
                # A newline first ends a line that a kill cut short.
                file.write("\n" + json.dumps(asdict(outcome)) + "\n")
                self.outcomes[outcome.url] = outcome
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise OutOfSpace(
                f"The disk is full at {self._folder}.", hint="Make room and collect again."
            ) from error

    def take(self, url: str) -> bytes | None:
        """The bytes of a URL, which leave the spool; None when they left before."""
        try:
            data = self._file(url).read_bytes()
        except FileNotFoundError:
            return None
        self.drop(url)
        return data

    def drop(self, url: str) -> None:
        """Lets go of the bytes of a URL."""
        self._file(url).unlink(missing_ok=True)

    def _file(self, url: str) -> Path:
        return self._folder / hashlib.sha256(url.encode()).hexdigest()


def _fetch_all(urls: list[str], fetcher: Fetcher, spool: _Spool, *, n_threads: int) -> None:
    """Fetches the URLs into the spool, host by host; raises what ends the collect."""
    queue = deque(sorted(by_host(urls).values(), key=len, reverse=True))

    def work() -> None:
        while queue:
            try:
                host_urls = queue.popleft()
            except IndexError:  # another thread was faster
                return
            for url in host_urls:
                _fetch_one(url, fetcher, spool)

    with ThreadPoolExecutor(max_workers=n_threads) as pool:
        done = [pool.submit(work) for _ in range(min(n_threads, len(queue)))]
        try:
            for one in wait(done, return_when=FIRST_EXCEPTION).done:
                one.result()
        except BaseException:
            # The other threads end with the request that they stand in.
            queue.clear()
            fetcher.close()
            raise


def _fetch_one(url: str, fetcher: Fetcher, spool: _Spool) -> None:
    at = datetime.now(UTC).isoformat()
    try:
        data = fetcher.fetch(url)
    except FetchFailure as failure:
        if failure.code == "stopped":
            raise
        spool.put(
            Outcome(
                url=url,
                at=at,
                code=failure.code,
                reason=failure.reason,
                transient=failure.transient,
            )
        )
    else:
        spool.put(Outcome(url=url, at=at, sha256=hashlib.sha256(data).hexdigest()), data)


def _decoded(raw: bytes) -> str:
    """A line as text: UTF-8, or Latin-1 as in image-net.org's oldest lists."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
