"""One image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagetree.catalog.statements import image
from imagetree.web.contexts import ImagePage, Label
from imagetree.web.nodes import in_tree, name_of, path_of
from imagetree.web.page import Page, Params

if TYPE_CHECKING:
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
    first = next(
        (one.wnid for one in labels if one.state != "absent" and in_tree(tree, one.wnid)), ""
    )
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
    )


PAGES = (Page(path="/image/{sha256}", template="image.html", context=ImagePage, build=one_image),)
