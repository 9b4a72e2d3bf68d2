"""`Database`: what a user's few lines touch. A write calls one workflow, a read the statements."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from imagetree.catalog import migrations, replay, schema, totals
from imagetree.catalog.engine import open_engine, sqlite_url
from imagetree.catalog.totals import Stats
from imagetree.core.errors import NotFound
from imagetree.core.progress import Report, silent
from imagetree.core.settings import Settings, read_settings
from imagetree.jobs.client import JobClient
from imagetree.jobs.steps import DirectSteps, Json, Params
from imagetree.release.packed import PackedCopy
from imagetree.release.release import Release
from imagetree.taxonomy.taxonomy import Taxonomy
from imagetree.workflows import check as checking
from imagetree.workflows import collect as collecting
from imagetree.workflows import create, gate, packing, releases, runs, training
from imagetree.workflows.catalogue import QUEUE_OF, WORKFLOWS
from imagetree.workflows.check import CheckReport
from imagetree.workflows.collect import CollectResult
from imagetree.workflows.context import Context
from imagetree.workflows.runs import Run

if TYPE_CHECKING:
    from imagetree.train.evaluation import Evaluation
    from imagetree.train.prediction import Guess

StrPath = str | os.PathLike[str]


class Database:
    """One imagetree database: a tree with images on its nodes.

    Example:
        db = imagetree.open("birds.imagetree")
        db.collect("photos/", layout="imagefolder")
        release = db.release("v1", split={"train": 0.7, "test": 0.3})
        run = db.train(release, "alexnet")
        print(db.evaluate(run, split="test"))
    """

    def __init__(self, settings: Settings, *, report: Report = silent) -> None:
        self.settings = settings
        self.context = Context(settings, report=report)
        self.jobs = JobClient(
            settings.folder,
            jobs_url=settings.jobs_url,
            progress_folder=settings.progress_folder,
        )

    # ---- opening ----

    @classmethod
    def open(cls, folder: StrPath, *, report: Report = silent) -> Database:
        """The database in `folder`; NotFound where there is none."""
        return cls(read_settings(Path(folder)), report=report)

    @classmethod
    def create(
        cls,
        folder: StrPath,
        *,
        catalog: str = "",
        wordnet: bool = True,
        tree: StrPath | None = None,
        report: Report = silent,
    ) -> Database:
        """A new, empty database; Conflict where there is one already.

        `tree` is a CSV or JSON file of a tree of one's own; `wordnet=False` leaves WordNet out;
        `catalog` a `postgresql://` URL.
        """
        made = create.create(
            Path(folder), catalog=catalog, wordnet=wordnet, tree=os.fspath(tree or "")
        )
        return cls(made, report=report)

    def __repr__(self) -> str:
        return f"<imagetree.Database {self.settings.folder}>"

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the catalog and the job tables."""
        self.jobs.close()
        self.context.close()

    # ---- what it is ----

    @property
    def folder(self) -> Path:
        """The database's folder."""
        return self.settings.folder

    @property
    def name(self) -> str:
        """The folder's name without `.imagetree`."""
        return self.settings.name

    @property
    def engine(self) -> Engine:
        """The catalog's SQLAlchemy engine, for questions of one's own."""
        return self.context.engine

    @property
    def runs_folder(self) -> Path:
        """One folder a run."""
        return self.settings.runs_folder

    @property
    def releases_folder(self) -> Path:
        """One folder a release."""
        return self.settings.releases_folder

    @property
    def taxonomy(self) -> Taxonomy:
        """The tree: `db.taxonomy["n02084071"].words`."""
        return self.context.taxonomy

    def stats(self) -> Stats:
        """How much of everything there is."""
        return totals.read_stats(self.engine)

    def image_bytes(self, sha256: str) -> bytes:
        """The untouched bytes of an image."""
        return self.context.images.read(self._place(sha256, thumb=False))

    def thumbnail_bytes(self, sha256: str) -> bytes:
        """The bytes of an image's thumbnail, JPEG or PNG."""
        return self.context.thumbs.read(self._place(sha256, thumb=True))

    def _place(self, sha256: str, *, thumb: bool) -> Any:
        place = self.context.place_of(sha256, thumb=thumb)
        if place is None:
            raise NotFound(f"No image {sha256[:16]} is stored here.")
        return place

    # ---- work ----

    def _work(self, kind: str, params: Params, *, durable: bool, report: Report) -> Json:
        """Result of a workflow, run here and now or by the database's job runner."""
        if durable:
            job_id = self.jobs.enqueue(kind, params, queue=QUEUE_OF[kind])
            return self.jobs.wait(job_id, report=report)
        return WORKFLOWS[kind](DirectSteps(report), self.context, params)

    def collect_params(
        self,
        source: StrPath = "",
        *,
        layout: str | None = None,
        classes: StrPath | None = None,
        as_candidates: bool = False,
        wnid: str | None = None,
        **options: Any,
    ) -> Params:
        """The parameters of a collect as a job takes them, checked; see `collect`."""
        location = os.fspath(source)
        if location and "://" not in location:
            location = str(Path(location).expanduser().resolve())
        given = {key: value for key, value in options.items() if value not in (None, "", False)}
        for key in ("csv", "ground_truth", "classes_list"):
            if key in given:
                given[key] = str(Path(given[key]).expanduser().resolve())
        params: Params = {
            "location": location,
            "layout": layout,
            "classes": str(Path(classes).expanduser().resolve()) if classes else "",
            "classes_file": str(Path("classes.csv").resolve()),
            "as_candidates": as_candidates,
            "wnid": wnid,
            "options": given,
        }
        return collecting.plan(self.context, params)

    def collect(
        self,
        source: StrPath = "",
        *,
        layout: str | None = None,
        classes: StrPath | None = None,
        as_candidates: bool = False,
        wnid: str | None = None,
        durable: bool = False,
        report: Report = silent,
        **options: Any,
    ) -> CollectResult:
        """Counts of what was collected from a folder, archive or list.

        `layout`: imagefolder, flat, tar, zip, urls, ilsvrc-train, ilsvrc-val, digits, samples;
        guessed where it is plain. `classes`: a CSV name,wnid that settles names with several
        meanings; without it, InvalidInput lists the meanings and writes `classes.csv`.
        `as_candidates`: what the source says waits for votes. `wnid`: for sources without
        labels, the synset that all are proposed for. Options by source: csv, ground_truth,
        licence, author, allow_private.
        """
        params = self.collect_params(
            source,
            layout=layout,
            classes=classes,
            as_candidates=as_candidates,
            wnid=wnid,
            **options,
        )
        done = self._work("collect", params, durable=durable, report=report)
        return CollectResult(**done)

    def undo(
        self,
        collection_id: int,
        *,
        force: bool = False,
        durable: bool = False,
        report: Report = silent,
    ) -> dict[str, int]:
        """Counts of a collect taken back: n_removed, n_kept (held by a release, votes, boxes)."""
        params = {"collection_id": collection_id, "force": force}
        done: dict[str, int] = self._work("undo", params, durable=durable, report=report)
        return done

    def collections(self) -> list[dict[str, Any]]:
        """The collects so far, oldest first."""
        return self._rows(sa.select(schema.collection).order_by(schema.collection.c.collection_id))

    def rejects(self, collection_id: int | None = None) -> list[dict[str, Any]]:
        """What was not stored, with location, code and reason."""
        table = schema.reject
        statement = sa.select(table).order_by(table.c.reject_id)
        if collection_id is not None:
            collecting.find_collection(self.context, collection_id)
            statement = statement.where(table.c.collection_id == collection_id)
        return self._rows(statement)

    def decide(self, wnid: str, *, safety: str) -> None:
        """Records a curator's decision: 'safe', 'unsafe' or 'unreviewed'."""
        gate.decide(self.context, wnid, safety)

    def check(self, *, repair: bool = False, report: Report = silent) -> CheckReport:
        """What is wrong with shards and catalog, every byte read; mended where it can be."""
        return checking.check(self.context, repair=repair, report=report)

    # ---- releases ----

    def release(
        self,
        name: str,
        *,
        split: Mapping[str, float] | None = None,
        seed: int = 0,
        wnids: Sequence[str] | None = None,
        report: Report = silent,
        **options: Any,
    ) -> Release:
        """The release of that name; with `split` it is created.

        Creating one that exists with the same content opens it; with other content it is a
        Conflict.
        """
        pieces = releases.pieces_of(self.context)
        if split is not None:
            releases.create_release(
                pieces, name, split=split, seed=seed, wnids=wnids, report=report, **options
            )
        return releases.open_release(pieces, name)

    def releases(self) -> list[dict[str, Any]]:
        """The releases so far, oldest first."""
        return self._rows(sa.select(schema.release).order_by(schema.release.c.created_at))

    def verify_release(self, name: str, *, report: Report = silent) -> Any:
        """What differs between a release and its bytes, rows and hash; nothing when it holds."""
        return releases.verify_release(releases.pieces_of(self.context), name, report=report)

    def diff_releases(self, one: str, other: str) -> Any:
        """What changed from one release to another."""
        return releases.diff_releases(releases.pieces_of(self.context), one, other)

    def pack(
        self,
        release: Release | str,
        *,
        max_side: int = 400,
        quality: int = 90,
        splits: Sequence[str] | None = None,
        durable: bool = False,
        report: Report = silent,
    ) -> PackedCopy:
        """The packed copy of a release for training; `release.loader("train", packed=True)`.

        The longer side is at most `max_side` px, JPEG of that quality; by default all splits but
        those for testing. One that is there already is just opened.
        """
        name = release if isinstance(release, str) else release.name
        params = packing.plan(
            self.context, name, max_side_px=max_side, quality=quality, splits=splits
        )
        done = self._work("pack", params, durable=durable, report=report)
        return next(one for one in self.packed_copies(name) if one.name == done["name"])

    def packed_copies(self, release: Release | str) -> list[PackedCopy]:
        """The packed copies of a release, the one nearest to the originals first."""
        return packing.copies(self.context, release if isinstance(release, str) else release.name)

    def remove_packed(
        self, release: Release | str, *, max_side: int = 400, quality: int = 90
    ) -> int:
        """Bytes freed by deleting a packed copy; the release and its originals stay."""
        name = release if isinstance(release, str) else release.name
        return packing.remove(self.context, name, max_side_px=max_side, quality=quality)

    # ---- runs ----

    def train(
        self,
        release: Release | str,
        network: str = "alexnet",
        *,
        name: str | None = None,
        seed: int = 0,
        packed: bool | str = False,
        durable: bool = False,
        report: Report = silent,
        **recipe: Any,
    ) -> Run:
        """The finished run of a network on a release.

        `packed` trains on a packed copy, named or the nearest to the originals; scores are of the
        originals all the same. Without a recipe the network's own for the images' size is used. A
        run of the same name that was interrupted goes on where its last checkpoint is.
        """
        release_name = release if isinstance(release, str) else release.name
        if packed:
            recipe["reads"] = "packed" if packed is True else packed
        params = training.plan(
            self.context, release_name, network, name=name, seed=seed, recipe=recipe
        )
        self._work("train", params, durable=durable, report=report)
        return self.run(params["name"])

    def run(self, name: str) -> Run:
        """A run by its name; NotFound when there is none."""
        return runs.open_run(self.context, name)

    def runs(self) -> list[Run]:
        """The runs so far, newest first."""
        return runs.list_runs(self.context)

    def evaluate(
        self,
        run: Run | str,
        *,
        split: str = "test",
        views: int = 1,
        seed: int = 0,
        report: Report = silent,
    ) -> Evaluation:
        """Top-1 and top-5 error with 99.9% intervals, protocol, seed and versions; stored."""
        name = run if isinstance(run, str) else run.name
        return runs.evaluate(self.context, name, split=split, views=views, seed=seed, report=report)

    def figure(self, run: Run | str, *, split: str = "test", seed: int = 0) -> Path:
        """The picture of eight test images and their five most probable labels."""
        name = run if isinstance(run, str) else run.name
        return runs.figure(self.context, name, split=split, seed=seed)

    def predict(self, run: Run | str, images: Iterable[StrPath]) -> list[tuple[Guess, ...]]:
        """The five most probable synsets of each image file."""
        name = run if isinstance(run, str) else run.name
        return runs.predict(self.context, name, [Path(one) for one in images])

    # ---- the log ----

    def replay_check(self, *, report: Report = silent) -> list[str]:
        """What differs when the event log is replayed into an empty catalog; nothing if right."""
        with tempfile.TemporaryDirectory() as folder:
            target = open_engine(sqlite_url(Path(folder) / "replayed.sqlite"))
            try:
                migrations.upgrade(target)
                replay.replay(
                    self.engine,
                    target,
                    events_folder=self.settings.events_folder,
                    report=report,
                )
                return replay.differences(self.engine, target)
            finally:
                target.dispose()

    def _rows(self, statement: sa.Select[Any]) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(statement)]
