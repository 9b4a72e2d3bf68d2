"""What every workflow stands on: one database's settings, catalog, tree and shards."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from imagetree.catalog import migrations, schema
from imagetree.catalog.engine import open_engine
from imagetree.catalog.writing import Write, writing
from imagetree.core.progress import Report, silent
from imagetree.core.settings import Settings
from imagetree.images.shards import Place, ShardReader, ShardSeries
from imagetree.taxonomy.own_tree import read_tree
from imagetree.taxonomy.taxonomy import Taxonomy
from imagetree.taxonomy.wordnet import build_wordnet_file, find_wordnet

IMAGES = "images"
THUMBS = "thumbs"


class Context:
    """One open database, shared by the threads of one process."""

    def __init__(self, settings: Settings, *, report: Report = silent) -> None:
        self.settings = settings
        self._report = report
        self.image_series = ShardSeries(settings.shards_folder, prefix=IMAGES)
        self.thumb_series = ShardSeries(settings.thumbs_folder, prefix=THUMBS)

    @cached_property
    def engine(self) -> Engine:
        """The catalog, at the schema of this version."""
        engine = open_engine(self.settings.catalog_url)
        migrations.require_newest(engine, where=self.settings.folder.name)
        return engine

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The tree; builds the prebuilt WordNet file at its first use on this machine."""
        file = self.settings.wordnet_file
        if self.settings.wordnet and not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            build_wordnet_file(
                find_wordnet(self.settings.wordnet_folder, cache=self.settings.cache_folder),
                file,
                report=self._report,
            )
        own = read_tree(self.settings.tree_file) if self.settings.tree_file else None
        if not self.settings.wordnet:
            assert own is not None  # init refuses a database without any tree
            return Taxonomy.of_tree(own)
        return Taxonomy.open(file, own=own)

    @cached_property
    def images(self) -> ShardReader:
        """Reads the untouched bytes of images."""
        return ShardReader(self.settings.shards_folder)

    @cached_property
    def thumbs(self) -> ShardReader:
        """Reads thumbnails."""
        return ShardReader(self.settings.thumbs_folder)

    def writing(self, kind: str) -> AbstractContextManager[Write]:
        """A transaction that ends in one event of this kind."""
        return writing(
            self.engine,
            kind,
            actor=self.settings.actor,
            events_folder=self.settings.events_folder,
        )

    def image_end(self, shard: str) -> int:
        """Where the last catalogued image of a shard ends, in bytes; 0 for none."""
        image = schema.image.c
        return self._end(
            sa.select(image.offset, image.length).where(image.shard == shard), "offset"
        )

    def thumb_end(self, shard: str) -> int:
        """Where the last catalogued thumbnail of a shard ends, in bytes; 0 for none."""
        image = schema.image.c
        return self._end(
            sa.select(image.thumb_offset, image.thumb_length).where(image.thumb_shard == shard),
            "thumb_offset",
        )

    def _end(self, statement: sa.Select[Any], offset: str) -> int:
        with self.engine.connect() as connection:
            row = connection.execute(
                statement.order_by(schema.image.c[offset].desc()).limit(1)
            ).first()
        return row[0] + row[1] if row else 0

    def place_of(self, sha256: str, *, thumb: bool = False) -> Place | None:
        """Where an image's bytes, or its thumbnail's, lie; None for an unknown image."""
        image = schema.image.c
        columns = (
            (image.thumb_shard, image.thumb_offset, image.thumb_length)
            if thumb
            else (image.shard, image.offset, image.length)
        )
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(*columns).where(image.sha256 == sha256)).first()
        return Place(shard=row[0], offset=row[1], length=row[2]) if row else None

    def close(self) -> None:
        """Lets go of the catalog."""
        if "engine" in self.__dict__:
            self.engine.dispose()
