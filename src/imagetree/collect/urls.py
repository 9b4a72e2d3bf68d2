"""Lists of URLs, one `id<TAB>url` a line, as image-net.org published them.

The whole list is fetched into a spool folder before the first image is yielded. Only then is
it known which bytes came from many URLs: those are placeholders ("photo unavailable"), and one
that had been stored before its third copy was seen would have to be taken back. What was
fetched is written down as it comes, so a killed collect goes on where it was.

    list -> fetch (a thread a host) -> spool + outcomes -> placeholders out -> items in order

Fetching may be waited for in pieces, by `fetch_next`; `items` waits for what is left.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from imagetree.collect.addresses import Gate
from imagetree.collect.fetch_pool import FetchPool
from imagetree.collect.fetching import Fetcher, FetchFailure, FetchLimits
from imagetree.collect.source import Done, Item, Rejected, Skip, nothing_done, skip_nothing
from imagetree.collect.spool import Spool
from imagetree.core.errors import ExternalFailure, InvalidInput, NotFound
from imagetree.core.progress import Progress, Report, silent

# The same bytes under so many URLs are a placeholder.
PLACEHOLDER_URLS = 3
ID_WNID = re.compile(r"(n\d{8})(?:_.*)?")


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
        self._pool: FetchPool | None = None
        self._settled = False
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

    def fetch_next(
        self,
        n_urls: int,
        *,
        done: Done = nothing_done,
        should_stop: Callable[[], bool] = lambda: False,
        report: Report = silent,
    ) -> bool:
        """Whether everything is fetched, after up to `n_urls` more URLs were.

        Fetching goes on between two calls; the first one begins it. `done` tells which
        locations are stored already: their bytes are not fetched again.
        """
        pool = self._pool or self._begin(done)

        def tell() -> None:
            report(
                Progress(
                    what="Fetching",
                    n_done=len(self._urls) - pool.n_total + pool.n_settled,
                    n_total=len(self._urls),
                    unit="URLs",
                    note=f"{pool.n_failed:,} failed" if pool.n_failed else "",
                )
            )

        return pool.wait(n_urls=n_urls, should_stop=should_stop, tell=tell)

    def settle(self) -> None:
        """Ends fetching: what failed by now is rejected, not tried again by `items`."""
        self._settled = True

    def close(self) -> None:
        """Stops what is being fetched; another `UrlList` of the same list goes on."""
        if self._pool is not None:
            self._pool.close()
        self._fetcher.close()

    @cached_property
    def _spool(self) -> Spool:
        return Spool(self._folder())

    @cached_property
    def _urls(self) -> list[str]:
        return list(dict.fromkeys(one.url for one in self._lines if isinstance(one, Line)))

    def _begin(self, done: Done) -> FetchPool:
        spool = self._spool
        left = [url for url in self._urls if spool.has_left(url)]
        again = set(left) - done(left) if left else set()
        missing = [url for url in self._urls if url in again or not spool.is_settled(url)]
        self._pool = FetchPool(missing, self._fetcher, spool, n_threads=self._n_threads)
        return self._pool

    def items(self, *, skip: Skip = skip_nothing) -> Iterator[Item | Rejected]:
        """The images in the list's order, after the whole list was fetched."""
        wanted = [one for one in self._lines if isinstance(one, Rejected) or not skip(one.name)]
        spool = self._spool
        urls = dict.fromkeys(one.url for one in wanted if isinstance(one, Line))
        tried = spool.outcomes if self._settled or self._pool else ()
        missing = [url for url in urls if url not in tried and not spool.is_settled(url)]
        FetchPool(missing, self._fetcher, spool, n_threads=self._n_threads).wait()
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

    def _reader(self, url: str, spool: Spool) -> Callable[[], bytes]:
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


def _decoded(raw: bytes) -> str:
    """A line as text: UTF-8, or Latin-1 as in image-net.org's oldest lists."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
