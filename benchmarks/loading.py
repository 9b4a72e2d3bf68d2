"""From stored photos to training batches: imagetree and its peers, side by side in one run.

    python benchmarks/loading.py [--photos DIR] [--packed] [--peers a,b] [--write]

Makes virtual environments for the peers under the user's cache (about 7 GB, once), then measures
each peer right after imagetree's kernel, in several rounds: the same photos, the same boxes and
flips where the peer takes them, RandomResizedCrop(224) and a mirror, uint8 batches unless a row
says otherwise. Prints tables of ratios; --write puts them into docs/performance.md.

A ratio is only worth something on a machine that does nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from loading_peers import environments, inputs, tables
from loading_peers.entrants import FLOORS, ON_ONE_CORE, ORIGINALS, PACKED, PEERS, SUBJECTS, Entrant
from loading_peers.rounds import Phase, measure

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
N_PHOTOS = 300


def main() -> None:
    """Measures and prints."""
    options = parse()
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "imagetree", "loading")
    cache.mkdir(parents=True, exist_ok=True)
    photos = inputs.find_photos(options.photos)[: options.n_photos]
    if not photos:
        sys.exit(f"There are no JPEGs in {options.photos}; name a folder with --photos.")

    @lru_cache
    def python_of(entrant: Entrant) -> Path:
        if not entrant.environment:
            return Path(sys.executable)
        return environments.python_of(entrant.environment, cache=cache, report=say)

    phases = []
    for set_name in (ORIGINALS, PACKED) if options.packed else (ORIGINALS,):
        folder = inputs.prepare(photos, cache=cache, packed=set_name == PACKED)
        for n_cores in options.cores:
            phase = Phase(set_name=set_name, n_cores=n_cores)
            say(f"{len(photos)} photos, {set_name}, {tables.WORDS[n_cores]}")
            measure(
                phase,
                chosen(set_name, n_cores=n_cores, keys=options.peers),
                SUBJECTS,
                python_of=python_of,
                folder=folder,
                logs=cache,
                n_rounds=options.rounds,
                seconds=options.seconds,
                report=say,
            )
            phases.append(phase)
    by_cpu = options.clock == "cpu"
    text = report(phases, photos=photos, n_rounds=options.rounds, by_cpu=by_cpu)
    print(text)
    if options.json:
        options.json.write_text(json.dumps([asdict(phase) for phase in phases], indent=1))
    if options.write:
        PAGE.write_text(tables.between_markers(PAGE.read_text(), text))


def parse() -> argparse.Namespace:
    """The command line."""
    data = Path(os.environ.get("IMAGETREE_TEST_DATA", ROOT / ".." / "shared" / "data"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, default=data / "imagenet_val" / "images")
    parser.add_argument("--n-photos", type=int, default=N_PHOTOS)
    parser.add_argument("--packed", action="store_true", help="also the photos at 400 px")
    parser.add_argument("--peers", default="", help=", ".join(one.key for one in PEERS))
    parser.add_argument("--cores", default="1,2", help="1, 2 or 1,2")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="at least, a turn")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--json", type=Path, help="where every sample goes")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    options = parser.parse_args()
    options.peers = [key for key in options.peers.split(",") if key]
    known = {one.key for one in PEERS}
    if unknown := sorted(set(options.peers) - known):
        parser.error(f"no peer {unknown[0]}; there are {', '.join(sorted(known))}")
    options.cores = [int(part) for part in options.cores.split(",")]
    n_there = len(os.sched_getaffinity(0))
    if not set(options.cores) <= {1, 2} or max(options.cores) > n_there:
        parser.error(f"measures 1 or 2 cores, and there are {n_there}")
    return options


def chosen(set_name: str, *, n_cores: int, keys: list[str]) -> list[Entrant]:
    """The peers of a phase, floors and the kernel on one core among them."""
    peers = [one for one in PEERS if set_name in one.sets and (not keys or one.key in keys)]
    return [*FLOORS, *(ON_ONE_CORE if n_cores > 1 else ()), *peers]


def report(phases: list[Phase], *, photos: list[Path], n_rounds: int, by_cpu: bool) -> str:
    """All tables, in Markdown."""
    size_kb = sum(path.stat().st_size for path in photos) / len(photos) / 1000
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    parts = [
        f"Command: `python benchmarks/{shlex.join(words)}`",
        f"{len(photos)} photos of {size_kb:.0f} kB, batches of 64, {n_rounds} rounds; each ratio "
        "is the median of the rounds, with the lowest and the highest in brackets"
        + (", of images a second of CPU time." if by_cpu else "."),
        f"Machine: {machine()}.",
        f"Versions: Python {platform.python_version()}, {tables.versions(phases)}.",
    ]
    quiet = tables.quietness(phases)
    if quiet < 0.9:
        parts.append(
            f"**Provisional**: other work ran on the machine; in {100 * (1 - quiet):.0f}% of its "
            "turns on one core the kernel did not have the core for itself."
        )
    if goals := tables.goals_table(phases, by_cpu=by_cpu):
        parts += ["### Asked and shown", goals]
    for phase in phases:
        name = "Original files" if phase.set_name == ORIGINALS else "Packed, 400 px"
        parts.append(f"### {name}, {tables.WORDS[phase.n_cores]}")
        parts.append(tables.peers_table(phase, by_cpu=by_cpu))
        parts.append(tables.floor_table(phase, by_cpu=by_cpu))
    if lines := tables.notes(phases):
        parts += ["### Notes and absences", "\n".join(f"- {line}" for line in lines)]
    return "\n\n".join(part for part in parts if part)


def machine() -> str:
    """The machine in words: no names."""
    told = {}
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        name, _, value = line.partition(":")
        told.setdefault(name.strip(), value.strip())
    model = told.get("model name", platform.processor() or "unknown processor")
    family = f", family {told['cpu family']}" if "cpu family" in told else ""
    widest = next((s for s in ("avx512f", "avx2") if s in told.get("flags", "").split()), "")
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"{os.cpu_count()} cores ({platform.machine()}, {model}{family}"
        f"{', ' + widest if widest else ''}), {memory_gb:.0f} GB, {platform.system()}"
    )


def say(line: str) -> None:
    """Progress, apart from the result."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
