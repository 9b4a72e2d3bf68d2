"""From samples to ratios, and from ratios to tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from loading_peers.entrants import FLOORS, GOALS, ON_ONE_CORE, PEERS, SUBJECTS, Entrant, Goal
from loading_peers.rounds import Phase, Sample, Turn

BEGIN, END = "<!-- loading: begin -->", "<!-- loading: end -->"
WORDS = {1: "one core", 2: "two cores"}
ENGINES = ("turbo", "own")
# Less of its cores than this, and other work on the machine has taken part.
QUIET = 0.93


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Median, lowest and highest of the rounds' ratios."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


def ratio_of(turns: Sequence[Turn], subject: str, *, by_cpu: bool = False) -> Ratio | None:
    """imagetree's rate over the peer's, round by round; None where they did not run together.

    With `by_cpu` images a second of CPU time, which other work on the machine disturbs less.
    """

    def speed(sample: Sample) -> float:
        return sample.n_images / (sample.cpu_s if by_cpu else sample.elapsed_s)

    ratios = [
        speed(turn.subjects[subject]) / speed(turn.peer)
        for turn in turns
        if subject in turn.subjects
        and (not by_cpu or min(turn.subjects[subject].cpu_s, turn.peer.cpu_s) > 0)
    ]
    if not ratios:
        return None
    return Ratio(median=statistics.median(ratios), low=min(ratios), high=max(ratios))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first are aligned to the right."""
    marks = ["---", *["---:"] * (len(heads) - 1)]
    lines = [heads, marks, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _subject_of(engine: str, entrant: Entrant) -> str:
    """Key of the kernel's row that has the same output as a peer."""
    return f"{engine}-{'float32' if entrant.output == 'float32' else 'uint8'}"


def _engine_is_there(phase: Phase, key: str) -> bool:
    return key in phase.facts and not phase.facts[key].get("stands_in")


def _rate(samples: Sequence[Sample]) -> str:
    return f"{statistics.median(sample.rate for sample in samples):,.0f}"


def peers_table(phase: Phase, *, by_cpu: bool) -> str:
    """A row an entrant: rate, imagetree over it, how far its pixels are from Pillow's."""
    one_core = phase.n_cores == 1
    heads = ["on " + WORDS[phase.n_cores], "output", "crops", "images/s"]
    heads += ["libjpeg-turbo kernel / it", "own decoder / it"]
    heads += ["difference from Pillow"] if one_core else []
    rows = []
    for entrant in (*SUBJECTS, *ON_ONE_CORE, *PEERS):
        turns = phase.turns.get(entrant.key, [])
        samples = phase.subjects.get(entrant.key) or [turn.peer for turn in turns]
        if not samples:
            continue
        row = [entrant.title, entrant.output, entrant.crops, _rate(samples)]
        for engine in ENGINES:
            found = ratio_of(turns, _subject_of(engine, entrant), by_cpu=by_cpu)
            row.append(str(found) if found else "")
        if one_core:
            apart = phase.facts[entrant.key].get("difference")
            row.append("" if apart is None or entrant.crops == "own" else f"{apart:.2f}")
        rows.append(row)
    return table(heads, rows)


def floor_table(phase: Phase, *, by_cpu: bool) -> str:
    """Time of each engine over the time of entropy decoding alone; empty without floors."""
    rows = []
    for floor in FLOORS:
        turns = phase.turns.get(floor.key, [])
        if not turns:
            continue
        rate = statistics.median(turn.peer.rate for turn in turns)
        row = [floor.title, f"{1000 / rate:.2f} ms"]
        for engine in ENGINES:
            found = ratio_of(turns, f"{engine}-uint8", by_cpu=by_cpu)
            row.append(f"{1 / found.median:.2f}" if found else "")
        rows.append(row)
    if not rows:
        return ""
    heads = [
        "floor",
        "time an image",
        "libjpeg-turbo kernel's time / it",
        "own decoder's time / it",
    ]
    return table(heads, rows)


def goals_table(phases: Sequence[Phase], *, by_cpu: bool, goals: Sequence[Goal] = GOALS) -> str:
    """Asked and shown; a ratio that nobody could measure stays empty."""
    titles = {one.key: one.title for one in (*PEERS, *ON_ONE_CORE)}
    outputs = {one.key: one for one in (*PEERS, *ON_ONE_CORE)}
    rows = []
    for goal in goals:
        for phase in phases:
            if (phase.set_name, phase.n_cores) != (goal.set_name, goal.n_cores):
                continue
            row = [f"{goal.set_name}, {WORDS[goal.n_cores]}: {titles[goal.peer]}"]
            for engine in ENGINES:
                asked = getattr(goal, engine)
                key = _subject_of(engine, outputs[goal.peer])
                found = ratio_of(phase.turns.get(goal.peer, []), key, by_cpu=by_cpu)
                row.append(f"{asked:.2f}" if asked else "")
                row.append(_verdict(found, asked, there=_engine_is_there(phase, key)))
            rows.append(row)
    heads = ["imagetree over", "asked, libjpeg-turbo", "shown", "asked, own decoder", "shown"]
    return table(heads, rows) if rows else ""


def _verdict(found: Ratio | None, asked: float, *, there: bool) -> str:
    if not asked:
        return ""
    if found is None:
        return "not measured"
    if not there:
        return "no kernel"
    return f"{found.median:.2f}" + ("" if found.median >= asked else " (missed)")


def notes(phases: Sequence[Phase]) -> list[str]:
    """What a reader has to know of single entrants: notes, absences and why."""
    lines = []
    seen = set()
    for phase in phases:
        for entrant in (*SUBJECTS, *ON_ONE_CORE, *FLOORS, *PEERS):
            note = phase.facts.get(entrant.key, {}).get("note")
            failure = phase.failures.get(entrant.key)
            for text in (note, f"not measured: {failure}" if failure else None):
                if text and (entrant.title, text) not in seen:
                    seen.add((entrant.title, text))
                    lines.append(f"{entrant.title}: {text}")
    return lines


def versions(phases: Sequence[Phase]) -> str:
    """The packages that were measured, each once."""
    found = {
        package
        for phase in phases
        for facts in phase.facts.values()
        for package in str(facts.get("version", "")).split(", ")
        if package
    }
    return ", ".join(sorted(found, key=str.lower))


def quietness(phases: Sequence[Phase]) -> float:
    """Share of the one-core turns in which the kernel had its core for itself, 0 to 1."""
    shares = [
        sample.cpu_s / sample.elapsed_s
        for phase in phases
        if phase.n_cores == 1
        for samples in phase.subjects.values()
        for sample in samples
    ]
    return sum(share >= QUIET for share in shares) / len(shares) if shares else 1.0


def between_markers(page: str, text: str) -> str:
    """The page with everything between the two markers replaced by `text`."""
    if BEGIN not in page or END not in page:
        raise ValueError(f"The page has no {BEGIN} and {END}.")
    head, rest = page.split(BEGIN, 1)
    return f"{head}{BEGIN}\n{text.strip()}\n{END}{rest.split(END, 1)[1]}"
