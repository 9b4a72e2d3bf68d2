"""Times of the catalog's questions at 1,000,000 synthetic rows over 10,000 synsets, on SQLite.

python benchmarks/catalog.py        # about a minute; needs WordNet for the subtree counts
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from imagetree.catalog import schema
from imagetree.catalog.engine import open_engine, sqlite_url
from imagetree.catalog.migrations import upgrade
from imagetree.catalog.statements import synset
from imagetree.taxonomy.taxonomy import Taxonomy
from imagetree.taxonomy.wordnet import build_wordnet_file, find_wordnet

N_IMAGES, N_SYNSETS, BATCH = 500_000, 10_000, 50_000


def fill(engine: sa.Engine, wnids: list[str]) -> None:
    """Half a million images, each with a label or a candidate: 1,000,000 rows."""
    chance = random.Random(0)
    with engine.begin() as connection:
        for start in range(1, N_IMAGES + 1, BATCH):
            ids = range(start, start + BATCH)
            connection.execute(
                sa.insert(schema.image),
                [
                    {
                        "image_id": i,
                        "sha256": f"{i * 2654435761 % 2**61:064x}",
                        "format": "JPEG",
                        "mode": "RGB",
                        "width_px": 500,
                        "height_px": 375,
                        "shard": f"s{i // 9000}",
                        "offset": i,
                        "length": 1,
                        "thumb_shard": f"t{i // 90000}",
                        "thumb_offset": i,
                        "thumb_length": 1,
                        "fingerprint": 0,
                        "stored_at": "",
                    }
                    for i in ids
                ],
            )
            labels, candidates = [], []
            for i in ids:
                wnid = wnids[chance.randrange(N_SYNSETS)]
                if i % 2:
                    labels.append(
                        {
                            "image_id": i,
                            "wnid": wnid,
                            "state": "present",
                            "confidence": 1.0,
                            "method": "imported",
                        }
                    )
                else:
                    candidates.append({"image_id": i, "wnid": wnid, "draw": chance.random()})
            connection.execute(sa.insert(schema.label), labels)
            connection.execute(sa.insert(schema.candidate), candidates)
        connection.execute(
            sa.insert(schema.synset_count),
            [{"wnid": w, "n_present": 25, "n_absent": 0, "n_candidates": 25} for w in wnids],
        )


def measure(what: str, ask: Callable[[int], object], *, n: int, limit_ms: float) -> None:
    """Prints the median and the 95th percentile of `n` calls."""
    times = []
    for i in range(n):
        start = time.perf_counter()
        ask(i)
        times.append(1000 * (time.perf_counter() - start))
    p95 = statistics.quantiles(times, n=20)[-1]
    print(f"{what}: p50 {statistics.median(times):.2f} ms, p95 {p95:.2f} ms, target {limit_ms} ms")


def main() -> None:
    """Fills a catalog and asks."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "wordnet.sqlite"
        build_wordnet_file(find_wordnet(None), file)
        tree = Taxonomy.open(file)
        wnids = random.Random(1).sample(list(tree), N_SYNSETS)
        engine = open_engine(sqlite_url(Path(folder) / "catalog.sqlite"))
        upgrade(engine)
        fill(engine, wnids)
        chance = random.Random(2)
        with engine.connect() as connection:
            measure(
                "synset page's statement",
                lambda i: synset.read_photos(connection, wnids[i]),
                n=500,
                limit_ms=5,
            )
            measure(
                "100 random candidates",
                lambda i: synset.sample_candidates(connection, start=chance.random()),
                n=500,
                limit_ms=5,
            )

            def sums(_: int) -> object:
                counts = synset.read_counts(connection)
                return tree.subtree_counts({w: c.n_photos for w, c in counts.items()})

            measure("subtree counts of the whole tree", sums, n=20, limit_ms=300)
        engine.dispose()


if __name__ == "__main__":
    main()
