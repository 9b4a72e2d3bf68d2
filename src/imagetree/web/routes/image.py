"""One image."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from imagetree.catalog.statements import image, synset
from imagetree.catalog.statements.synset import State
from imagetree.web.contexts import ImagePage, Label
from imagetree.web.nodes import in_tree, name_of, path_of
from imagetree.web.page import Page, Params

if TYPE_CHECKING:
    from imagetree.catalog.statements.image import LabelRow
    from imagetree.database import Database


def one_image(database: Database, params: Params) -> ImagePage:
    """An image, what is on it and where it came from."""
    with database.engine.connect() as connection:
        row = image.read_image(connection, params["sha256"])
        labels = image.read_labels(connection, row.image_id)
        boxes = image.read_boxes(connection, row.image_id)
        origins = image.read_origins(connection, row.image_id)
        near = image.read_near_duplicates(connection, row.image_id)
        releases = image.read_releases(connection, row.sha256)
    tree = database.taxonomy
    main = next((one for one in labels if one.state != "absent" and in_tree(tree, one.wnid)), None)
    first = main.wnid if main else ""
    before, after = _neighbours(database, row.image_id, main) if main else ("", "")
    return ImagePage(
        image=row,
        name=name_of(database, first) if first else f"Image {row.sha256[:8]}",
        gloss=tree[first].gloss if first else "",
        path=path_of(database, first) if first else [],
        labels=[
            Label(
                wnid=one.wnid,
                name=name_of(database, one.wnid),
                state=one.state,
                confidence=one.confidence,
                method=one.method,
            )
            for one in labels
        ],
        boxes=boxes,
        box_names={one.wnid: name_of(database, one.wnid) for one in boxes},
        origins=origins,
        near_duplicates=near,
        releases=releases,
        before=before,
        after=after,
    )


def _neighbours(database: Database, image_id: int, label: LabelRow) -> tuple[str, str]:
    """The SHA-256 of the images before and after one in its synset's grid."""
    state = cast(State, label.state)
    with database.engine.connect() as connection:
        before = synset.read_photo_before(connection, label.wnid, before=image_id, state=state)
        after = synset.read_photos(connection, label.wnid, after=image_id, state=state, limit=1)
    return before.sha256 if before else "", after[0].sha256 if after else ""


PAGES = (Page(path="/image/{sha256}", template="image.html", context=ImagePage, build=one_image),)
