"""Runs the entrants in turn: each in a process of its own that is stopped while others run."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from loading_peers.entrants import Entrant

BENCHMARKS = Path(__file__).resolve().parent.parent
OPEN_TIMEOUT_S, ROUND_TIMEOUT_S = 900.0, 300.0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What an entrant did in one turn; `cpu_s` is the time of all its processes and threads."""

    n_images: int
    elapsed_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.n_images / self.elapsed_s


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A peer's sample and those of the subjects that ran just before it."""

    peer: Sample
    subjects: dict[str, Sample]


@dataclass(kw_only=True)
class Phase:
    """All that was measured of one set of photos on so many cores, by the entrants' keys."""

    set_name: str
    n_cores: int
    turns: dict[str, list[Turn]] = field(default_factory=dict)
    subjects: dict[str, list[Sample]] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


class PeerFailure(Exception):
    """A peer's process cannot do its work; the message is the last line of the error."""


class Worker:
    """An entrant's process: opened, told to run rounds, stopped in between, ended at last."""

    def __init__(
        self, entrant: Entrant, python: Path, folder: Path, *, cores: Sequence[int], log: Path
    ) -> None:
        self.facts: dict[str, Any] = {}
        self._log = log
        variables = dict(os.environ)
        # The peers' environments know nothing of imagetree; its own may come by PYTHONPATH.
        inherited = variables.get("PYTHONPATH", "") if not entrant.environment else ""
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, [str(BENCHMARKS), inherited]))
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            variables[name] = str(len(cores))
        variables["CUDA_VISIBLE_DEVICES"] = ""
        command = [str(python), "-m", "loading_peers.worker", entrant.module, entrant.variant]
        command += [str(folder), ",".join(map(str, cores))]
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                env=variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def open(self) -> None:
        """Waits until the peer is ready and stops it; PeerFailure says why it is not."""
        self.facts = self._answer(OPEN_TIMEOUT_S)
        if "error" in self.facts:
            raise PeerFailure(self.facts["error"])
        os.killpg(self._process.pid, signal.SIGSTOP)

    def run(self, *, seconds: float) -> Sample:
        """One turn."""
        os.killpg(self._process.pid, signal.SIGCONT)
        before = cpu_seconds(self._process.pid)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"seconds": seconds}) + "\n")
        self._process.stdin.flush()
        answer = self._answer(ROUND_TIMEOUT_S + 10 * seconds)
        used = cpu_seconds(self._process.pid) - before
        os.killpg(self._process.pid, signal.SIGSTOP)
        return Sample(cpu_s=used, **answer)

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], timeout_s)
        line = self._process.stdout.readline() if ready else ""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        if not ready:
            raise PeerFailure(f"no answer within {timeout_s:.0f} s")
        said = self._log.read_text(errors="replace").strip().splitlines()
        code = self._process.wait()
        raise PeerFailure(said[-1][:200] if said else f"its process ended with {code}")

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def cpu_seconds(group: int) -> float:
    """CPU time so far of the living processes of a group, and of their children that ended."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue  # it ended meanwhile
            # The name in brackets may hold blanks; state, parent and group follow it.
            fields = text[text.rindex(")") + 2 :].split()
            if int(fields[2]) == group:
                ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(
    phase: Phase,
    peers: Sequence[Entrant],
    subjects: Sequence[Entrant],
    *,
    python_of: Callable[[Entrant], Path],
    folder: Path,
    logs: Path,
    n_rounds: int,
    seconds: float,
    report: Callable[[str], None],
) -> None:
    """Fills a phase: opens all, then rounds in which each peer runs right after the subjects."""
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for entrant in (*subjects, *peers):
            n_cores = entrant.n_cores or phase.n_cores
            try:
                worker = stack.enter_context(
                    Worker(
                        entrant,
                        python_of(entrant),
                        folder,
                        cores=cores[:n_cores],
                        log=logs / f"{phase.set_name}-{phase.n_cores}-{entrant.key}.log",
                    )
                )
                worker.open()
            except Exception as error:  # a row of the table, whatever it is
                phase.failures[entrant.key] = str(error).strip() or type(error).__name__
                report(f"{entrant.title}: {phase.failures[entrant.key]}")
                continue
            workers[entrant.key] = worker
            phase.facts[entrant.key] = worker.facts
            report(f"{entrant.title}: ready")
        for number in range(n_rounds):
            start = time.perf_counter()
            # From round to round another peer is first.
            shift = number % max(1, len(peers))
            for peer in (*peers[shift:], *peers[:shift]):
                if peer.key in workers:
                    _turn(phase, peer, subjects, workers, seconds=seconds)
            report(f"round {number + 1} of {n_rounds}: {time.perf_counter() - start:.0f} s")


def _turn(
    phase: Phase,
    peer: Entrant,
    subjects: Sequence[Entrant],
    workers: dict[str, Worker],
    *,
    seconds: float,
) -> None:
    before = {}
    for subject in subjects:
        if subject.key in workers and peer.output in (subject.output, "none"):
            before[subject.key] = workers[subject.key].run(seconds=seconds)
            phase.subjects.setdefault(subject.key, []).append(before[subject.key])
    try:
        sample = workers[peer.key].run(seconds=seconds)
    except PeerFailure as error:
        phase.failures[peer.key] = str(error)
        del workers[peer.key]
        return
    phase.turns.setdefault(peer.key, []).append(Turn(peer=sample, subjects=before))
