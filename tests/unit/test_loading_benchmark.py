"""The benchmark of loading without its peers: boxes, batches, turns, ratios and tables."""

from __future__ import annotations

import dataclasses
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from loading_peers import environments, inputs, tables
from loading_peers.entrants import FLOORS, GOALS, ON_ONE_CORE, PEERS, SUBJECTS, Goal
from loading_peers.rounds import Phase, Sample, Turn, measure
from loading_peers.work import MEAN, STD, Array, Work, as_pixels, epochs_of
from loading_peers.worker import difference, last_line, run_round
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
PEER = next(one for one in PEERS if one.key == "tensorflow")
SUBJECT = SUBJECTS[0]


def photo(number: int, *, size: tuple[int, int] = (90, 70)) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).resize(size).save(target, "JPEG", quality=90)
    return target.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = [folder / f"{number}.jpg" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(photo(number))
    return paths


def work_of(files: tuple[Path, ...] = (), *, n_items: int, n_threads: int = 1) -> Work:
    return Work(
        files=files,
        boxes=np.arange(n_items * 4, dtype=np.int32).reshape(n_items, 4),
        flips=np.zeros(n_items, np.bool_),
        reference=np.zeros((len(files), 224, 224, 3), np.uint8),
        n_threads=n_threads,
        folder=Path(),
    )


def phase_of(*, rates: list[tuple[float, float]], note: str = "", **facts: object) -> Phase:
    """A phase in which the subject and the peer had these images a second."""
    phase = Phase(set_name="originals", n_cores=1)
    phase.facts = {SUBJECT.key: {"note": note, **facts}, PEER.key: {"difference": 2.0}}
    for ours, theirs in rates:
        mine = Sample(n_images=100, elapsed_s=100 / ours, cpu_s=100 / ours)
        other = Sample(n_images=100, elapsed_s=100 / theirs, cpu_s=50 / theirs)
        phase.subjects.setdefault(SUBJECT.key, []).append(mine)
        turn = Turn(peer=other, subjects={SUBJECT.key: mine})
        phase.turns.setdefault(PEER.key, []).append(turn)
    return phase


# ---- what all peers get ----


def test_boxes_lie_inside_and_follow_from_the_seed() -> None:
    sizes = [(500, 375), (80, 200), (3, 3)] * 20
    boxes, flips = inputs.draw_boxes(sizes, n_draws=4, seed=1)
    assert boxes.shape == (240, 4)
    assert flips.shape == (240,)
    whole = np.array(sizes * 4)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    assert (boxes[:, 2:] <= whole).all()
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) / whole.prod(axis=1)
    assert 0.07 < area[0::3].min() < 0.3 < 0.8 < area[0::3].max() <= 1
    assert 0.3 < flips.mean() < 0.7
    again, _ = inputs.draw_boxes(sizes, n_draws=4, seed=1)
    other, _ = inputs.draw_boxes(sizes, n_draws=4, seed=2)
    assert (boxes == again).all()
    assert (boxes != other).any()


def test_a_packed_photo_is_400_px_at_most_in_420() -> None:
    packed = Image.open(io.BytesIO(inputs.pack(photo(0, size=(1000, 500)))))
    assert packed.size == (400, 200)
    assert [layer[1:3] for layer in packed.layer] == [(2, 2), (1, 1), (1, 1)]  # type: ignore[attr-defined]
    assert Image.open(io.BytesIO(inputs.pack(photo(0)))).size == (90, 70)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_batches_hold_all_items_in_order(photos: list[Path], n_threads: int) -> None:
    blobs = [path.read_bytes() for path in photos]

    def cut(data: bytes, box: tuple[int, int, int, int], flip: bool, out: Array) -> None:
        out[...] = box[0] // 4 % 256
        out[0, 0, 0] = blobs.index(data)

    work = work_of(tuple(photos), n_items=150, n_threads=n_threads)
    seen = [batch.copy() for batch in epochs_of(work, cut)()]
    assert [len(batch) for batch in seen] == [64, 64, 22]
    everything = np.concatenate(seen)
    assert everything[:, 1, 1, 1].tolist() == list(range(150))
    assert everything[:, 0, 0, 0].tolist() == [item % 3 for item in range(150)]


def test_float_batches_become_pixels_again() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype(np.uint8)
    normalised = (pixels / 255 - np.array(MEAN)) / np.array(STD)
    planes = normalised.transpose(0, 3, 1, 2).astype(np.float32)
    assert np.abs(as_pixels(planes) - pixels).max() < 1e-3
    assert (as_pixels(pixels) == pixels).all()


# ---- a peer's process ----


def test_a_round_is_whole_epochs_until_the_time_is_over() -> None:
    def epoch() -> Iterator[range]:
        yield from (range(4), range(2))

    assert run_round(epoch, seconds=0)["n_images"] == 6
    longer = run_round(epoch, seconds=0.01)
    assert longer["n_images"] % 6 == 0
    assert longer["n_images"] > 6
    assert longer["elapsed_s"] >= 0.01


def test_a_peer_that_leaves_images_out_is_refused(photos: list[Path]) -> None:
    work = work_of(tuple(photos), n_items=6)
    grey = np.full((3, 224, 224, 3), 2, np.uint8)
    assert difference(lambda: iter([grey, grey]), work) == 2
    assert difference(lambda: iter([range(6)]), work) is None
    with pytest.raises(RuntimeError, match="3 of 6"):
        difference(lambda: iter([grey]), work)


def test_the_reason_is_the_last_line_of_an_error() -> None:
    assert last_line(ValueError("no such thing")) == "ValueError: no such thing"
    assert last_line(OSError("many words\nthe reason")) == "the reason"


def test_peers_run_in_turn_and_failures_are_told(photos: list[Path], tmp_path: Path) -> None:
    folder = inputs.prepare(photos, cache=tmp_path, packed=False)
    assert inputs.prepare(photos, cache=tmp_path, packed=False) == folder
    pillow = next(one for one in PEERS if one.key == "pillow")
    here = dataclasses.replace(pillow, environment="")
    lost = dataclasses.replace(here, key="lost", module="no_such_peer")
    phase = Phase(set_name="originals", n_cores=1)
    measure(
        phase,
        [here, lost],
        [SUBJECT],
        python_of=lambda _: Path(sys.executable),
        folder=folder,
        logs=tmp_path,
        n_rounds=2,
        seconds=0,
        report=lambda _: None,
    )
    assert set(phase.facts) == {SUBJECT.key, "pillow"}
    assert "no_such_peer" in phase.failures["lost"]
    assert [turn.peer.n_images for turn in phase.turns["pillow"]] == [12, 12]
    assert phase.facts["pillow"]["difference"] == 0
    assert phase.facts[SUBJECT.key]["difference"] < 2
    assert tables.ratio_of(phase.turns["pillow"], SUBJECT.key) is not None


# ---- tables ----


def test_ratios_are_taken_round_by_round() -> None:
    turns = phase_of(rates=[(200, 100), (300, 100), (250, 100)]).turns[PEER.key]
    found = tables.ratio_of(turns, SUBJECT.key)
    assert str(found) == "2.50 (2.00-3.00)"
    # The peer used half of its time only: by CPU time it is twice as fast.
    assert str(tables.ratio_of(turns, SUBJECT.key, by_cpu=True)) == "1.25 (1.00-1.50)"
    assert tables.ratio_of(turns, "own-uint8") is None


def test_goals_are_met_missed_or_not_measured() -> None:
    def shown(phase: Phase, asked: float) -> str:
        goal = Goal(set_name="originals", n_cores=1, peer=PEER.key, turbo=asked, own=1.5)
        row = tables.goals_table([phase], by_cpu=False, goals=[goal]).splitlines()[-1]
        assert row.endswith("| 1.50 | not measured |")
        return row.split("|")[3].strip()

    phase = phase_of(rates=[(200, 100)])
    assert shown(phase, 1.9) == "2.00"
    assert shown(phase, 2.1) == "2.00 (missed)"
    assert shown(phase_of(rates=[(200, 100)], note="3 left to Pillow"), 1.9) == "2.00"
    assert shown(phase_of(rates=[(200, 100)], note="Pillow", stands_in=True), 1.9) == "no kernel"
    assert tables.goals_table([], by_cpu=False) == ""


def test_tables_have_a_row_for_each_that_ran() -> None:
    phase = phase_of(rates=[(200, 100), (220, 100)])
    lines = tables.peers_table(phase, by_cpu=False).splitlines()
    assert len(lines) == 4
    assert lines[3] == f"| {PEER.title} | uint8 | same | 100 | 2.10 (2.00-2.20) |  | 2.00 |"
    assert tables.floor_table(phase, by_cpu=False) == ""
    phase.turns[FLOORS[0].key] = phase.turns[PEER.key]
    assert tables.floor_table(phase, by_cpu=False).splitlines()[2].split("|")[2:4] == [
        " 10.00 ms ",
        " 0.48 ",
    ]


def test_notes_tell_each_absence_once() -> None:
    phase = phase_of(rates=[(2, 1)], note="3 photos were left to Pillow")
    phase.failures["dali"] = "No matching distribution found"
    lines = tables.notes([phase, phase])
    assert lines == [
        f"{SUBJECT.title}: 3 photos were left to Pillow",
        "DALI CPU, no antialias: not measured: No matching distribution found",
    ]


def test_a_page_keeps_what_is_around_the_markers() -> None:
    page = f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter"
    written = tables.between_markers(page, "new")
    assert written == f"before\n{tables.BEGIN}\nnew\n{tables.END}\nafter"
    with pytest.raises(ValueError, match="has no"):
        tables.between_markers("no marks", "new")
    assert tables.BEGIN in (ROOT / "docs" / "performance.md").read_text()


# ---- the list of peers ----


def test_every_entrant_has_its_file_environment_and_name() -> None:
    everybody = [*SUBJECTS, *FLOORS, *ON_ONE_CORE, *PEERS]
    keys = [one.key for one in everybody]
    assert len(set(keys)) == len(keys)
    for one in everybody:
        source = ROOT / "benchmarks" / "loading_peers" / "peers" / f"{one.module}.py"
        assert f'"{one.variant}": ' in source.read_text(), one.key
        assert one.environment in {"", *environments.ENVIRONMENTS}
    assert {goal.peer for goal in GOALS} <= set(keys)


def test_torch_is_the_one_of_the_constraints() -> None:
    assert environments.TORCH in (ROOT / "constraints.txt").read_text().splitlines()
    for one in environments.ENVIRONMENTS.values():
        wanted = [package for package in one.packages if package.startswith("torch")]
        assert set(wanted) <= {environments.TORCH}
