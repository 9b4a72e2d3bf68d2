"""What was fetched and is not stored yet: a file a URL, and a line for what became of each."""

from __future__ import annotations

import errno
import hashlib
import json
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from imagetree.core.errors import OutOfSpace

# Outcomes older than this are fetched again.
KEPT_DAYS = 7
OUTCOMES = "outcomes.jsonl"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a URL: the hash of its bytes, or a code and a reason."""

    url: str
    at: str
    sha256: str = ""
    code: str = ""
    reason: str = ""
    transient: bool = False


class Spool:
    """Fetched images in one folder; any number of threads may put and take."""

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

    def has_left(self, url: str) -> bool:
        """Whether the URL's bytes were fetched, and taken since."""
        outcome = self.outcomes.get(url)
        return outcome is not None and not outcome.code and not self._file(url).exists()

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
