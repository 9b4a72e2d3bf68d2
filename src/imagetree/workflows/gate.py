"""The gate before collecting: which synsets are refused until a curator has decided."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from imagetree.catalog import schema
from imagetree.core.errors import InvalidInput
from imagetree.taxonomy.taxonomy import Taxonomy
from imagetree.workflows.claims import add_synsets
from imagetree.workflows.context import Context

# "person, individual, someone": what is under it is about people and not for a crowd to label.
PERSON = "n00007846"
DECISIONS = ("safe", "unsafe", "unreviewed")


def refused(context: Context, wnids: Iterable[str]) -> dict[str, str]:
    """Why each refused synset is refused, by wnid; those that may be collected are left out.

    A curator's decision on the synset itself counts first; without one, synsets at or under
    person are refused, and so are those under a synset marked unsafe.
    """
    taxonomy = context.taxonomy
    with context.engine.connect() as connection:
        rows = connection.execute(
            sa.select(schema.synset.c.wnid, schema.synset.c.safety).where(
                schema.synset.c.safety != "unreviewed"
            )
        ).all()
    decided = {row.wnid: row.safety for row in rows}
    unsafe = [wnid for wnid, safety in decided.items() if safety == "unsafe"]
    reasons: dict[str, str] = {}
    for wnid in wnids:
        if decided.get(wnid) == "safe":
            continue
        reason = _reason(taxonomy, wnid, unsafe)
        if reason:
            reasons[wnid] = f"{taxonomy[wnid].name} ({wnid}) {reason}"
    return reasons


def _reason(taxonomy: Taxonomy, wnid: str, unsafe: list[str]) -> str:
    for above in unsafe:
        if wnid == above:
            return "is marked unsafe"
        if above in taxonomy and taxonomy.under(wnid, above):
            return f"is under {taxonomy[above].name} ({above}), which is marked unsafe"
    if PERSON in taxonomy and (wnid == PERSON or taxonomy.under(wnid, PERSON)):
        return "is about people and waits for a curator's decision"
    return ""


def decide(context: Context, wnid: str, safety: str) -> None:
    """Records a curator's decision on a synset: 'safe', 'unsafe' or 'unreviewed'."""
    if safety not in DECISIONS:
        raise InvalidInput(
            f"{safety!r} is no decision.", hint=f"Use one of: {', '.join(DECISIONS)}."
        )
    one = context.taxonomy[wnid]
    with context.writing("synset.decided") as write:
        add_synsets(write, [wnid], taxonomy=context.taxonomy)
        write.update(
            schema.synset,
            [{"wnid": wnid, "safety": safety, "safety_by": context.settings.actor}],
        )
        write.summary = f"{one.name} ({wnid}) was marked {safety}"
