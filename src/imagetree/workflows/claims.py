"""What images are said to show: labels and candidates, the synsets they name, the counts."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from imagetree.catalog import schema
from imagetree.catalog.writing import Write
from imagetree.taxonomy.taxonomy import Taxonomy


def draw(sha256: str, wnid: str) -> float:
    """A fixed pseudo-random number in [0, 1) for an image on a synset.

    Sampling candidates at random is then a range of an indexed column.
    """
    digest = hashlib.blake2b(f"{sha256} {wnid}".encode(), digest_size=8).digest()
    (number,) = struct.unpack(">Q", digest)
    return float(number >> 11) / float(1 << 53)


def add_claims(
    write: Write,
    claims: Sequence[tuple[int, str, str, str]],
    *,
    taxonomy: Taxonomy,
    method: str = "imported",
) -> None:
    """Turns claims (image_id, sha256, wnid, 'label' or 'candidate') into rows and counts.

    A label ends the candidacy of the same image for the same synset; a candidate is not added
    where a label stands.
    """
    # One claim a pair; where a batch both labels and proposes it, the label wins.
    strongest: dict[tuple[int, str], tuple[int, str, str, str]] = {}
    for claim in claims:
        pair = (claim[0], claim[2])
        if pair not in strongest or claim[3] == "label":
            strongest[pair] = claim
    claims = list(strongest.values())
    if not claims:
        return
    add_synsets(write, sorted({wnid for _, _, wnid, _ in claims}), taxonomy=taxonomy)
    image_ids = sorted({image_id for image_id, _, _, _ in claims})
    labelled = _pairs(write.connection, schema.label, image_ids)
    proposed = _pairs(write.connection, schema.candidate, image_ids)
    labels: list[dict[str, Any]] = []
    candidates: list[dict[str, Any]] = []
    ended: list[dict[str, Any]] = []
    for image_id, sha256, wnid, kind in claims:
        pair = (image_id, wnid)
        if pair in labelled:
            continue
        if kind == "label":
            labels.append(
                {
                    "image_id": image_id,
                    "wnid": wnid,
                    "state": "present",
                    "confidence": None,
                    "method": method,
                }
            )
            if pair in proposed:
                ended.append({"image_id": image_id, "wnid": wnid})
        elif pair not in proposed:
            candidates.append({"image_id": image_id, "wnid": wnid, "draw": draw(sha256, wnid)})
    write.insert(schema.label, labels)
    write.insert(schema.candidate, candidates)
    write.delete(schema.candidate, ended)
    amounts: dict[str, Counter[str]] = {}
    for row in labels:
        amounts.setdefault(row["wnid"], Counter())["n_present"] += 1
    for row in candidates:
        amounts.setdefault(row["wnid"], Counter())["n_candidates"] += 1
    for row in ended:
        amounts.setdefault(row["wnid"], Counter())["n_candidates"] -= 1
    add_counts(write, amounts)


def add_counts(write: Write, amounts: dict[str, Counter[str]]) -> None:
    """Adds to the counts a synset: wnid -> n_present, n_absent, n_candidates."""
    write.add(
        schema.synset_count,
        [
            {
                "wnid": wnid,
                "n_present": counter["n_present"],
                "n_absent": counter["n_absent"],
                "n_candidates": counter["n_candidates"],
            }
            for wnid, counter in sorted(amounts.items())
        ],
    )


def _pairs(
    connection: Connection, table: sa.Table, image_ids: Sequence[int]
) -> set[tuple[int, str]]:
    rows = connection.execute(
        sa.select(table.c.image_id, table.c.wnid).where(table.c.image_id.in_(image_ids))
    )
    return {(row.image_id, row.wnid) for row in rows}


def add_synsets(write: Write, wnids: Sequence[str], *, taxonomy: Taxonomy) -> None:
    """Copies synsets that are used for the first time, with their parents, into the catalog."""
    here = set(
        write.connection.execute(
            sa.select(schema.synset.c.wnid).where(schema.synset.c.wnid.in_(wnids))
        ).scalars()
    )
    fresh = taxonomy.synsets([wnid for wnid in wnids if wnid not in here])
    write.insert(
        schema.synset,
        [
            {
                "wnid": one.wnid,
                "words": list(one.words),
                "gloss": one.gloss,
                "height": one.height,
                "safety": "unreviewed",
                "safety_by": "",
                "imageability": None,
                "source": taxonomy.source_of(one.wnid),
            }
            for one in fresh
        ],
    )
    write.insert(
        schema.hypernym,
        [{"child": one.wnid, "parent": parent} for one in fresh for parent in one.parents],
    )
