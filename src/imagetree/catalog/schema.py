"""The catalog: everything that is not pixels, one table a noun.

The words are the ones used everywhere (SQL, JSON, URLs, flags). Times are UTC text in ISO 8601
("2026-03-04T10:11:12.345Z"), so that a replayed row equals the first one byte for byte on every
engine. A SHA-256 is 64 lower-case hex digits: it sorts as its bytes do.

What is derived can be rebuilt: `label` and `candidate` from `origin` and `vote`,
`synset_count` from `label` and `candidate`. What people and sources said (`vote`, `box`,
`origin`, `event`) is appended.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows only in a column declared exactly INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")
Sha256 = String(64)
Wnid = String(64)
Time = String(24)

# ---- the tree: only synsets that are used or edited; WordNet itself is a file of its own ----

synset = Table(
    "synset",
    metadata,
    Column("wnid", Wnid, primary_key=True),
    Column("words", JSON, nullable=False),
    Column("gloss", Text, nullable=False, server_default=""),
    Column("height", Integer, nullable=False, server_default="0"),
    # 'unreviewed', 'safe' or 'unsafe'; unsafe refuses collecting
    Column("safety", String(16), nullable=False, server_default="unreviewed"),
    Column("safety_by", Text, nullable=False, server_default=""),
    Column("imageability", Float),
    Column("source", String(16), nullable=False, server_default="wordnet"),
    CheckConstraint("safety IN ('unreviewed', 'safe', 'unsafe')", name="safety"),
)

hypernym = Table(
    "hypernym",
    metadata,
    Column("child", Wnid, primary_key=True),
    Column("parent", Wnid, primary_key=True),
    Index(None, "parent"),
)

# Counts a synset, kept with every write: summing 14 million rows for a page is too slow.
synset_count = Table(
    "synset_count",
    metadata,
    Column("wnid", Wnid, primary_key=True),
    Column("n_present", BigInteger, nullable=False, server_default="0"),
    Column("n_absent", BigInteger, nullable=False, server_default="0"),
    Column("n_candidates", BigInteger, nullable=False, server_default="0"),
)

# ---- images and where they came from ----

collection = Table(
    "collection",
    metadata,
    Column("collection_id", Id, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("location", Text, nullable=False),
    Column("options", JSON, nullable=False),
    # 'running', 'done', 'stopped' or 'undone'
    Column("state", String(16), nullable=False),
    Column("started_at", Time, nullable=False),
    Column("finished_at", Time),
    Column("n_stored", BigInteger, nullable=False, server_default="0"),
    Column("n_known", BigInteger, nullable=False, server_default="0"),
    Column("n_rejected", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("state IN ('running', 'done', 'stopped', 'undone')", name="state"),
)

image = Table(
    "image",
    metadata,
    Column("image_id", Id, primary_key=True),
    Column("sha256", Sha256, nullable=False, unique=True),
    Column("format", String(16), nullable=False),
    Column("mode", String(16), nullable=False),
    # as shown: after the EXIF orientation (1 to 8) has been applied
    Column("width_px", Integer, nullable=False),
    Column("height_px", Integer, nullable=False),
    Column("orientation", Integer, nullable=False, server_default="1"),
    # where the untouched bytes lie
    Column("shard", String(64), nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("thumb_shard", String(64), nullable=False),
    Column("thumb_offset", BigInteger, nullable=False),
    Column("thumb_length", BigInteger, nullable=False),
    # 64-bit perceptual hash, signed
    Column("fingerprint", BigInteger, nullable=False),
    Column("stored_at", Time, nullable=False),
    Index(None, "shard", "offset"),
    Index(None, "thumb_shard", "thumb_offset"),
)

origin = Table(
    "origin",
    metadata,
    Column("origin_id", Id, primary_key=True),
    Column("image_id", Id, ForeignKey("image.image_id"), nullable=False),
    Column("collection_id", Id, ForeignKey("collection.collection_id"), nullable=False),
    # path or URL; inside an archive "archive.tar!member"
    Column("location", Text, nullable=False),
    # what the source says the image shows, and with what weight: 'label' or 'candidate'
    Column("wnid", Wnid),
    Column("claim", String(16)),
    Column("author", Text, nullable=False, server_default=""),
    Column("licence", Text, nullable=False, server_default=""),
    Column("retrieved_at", Time, nullable=False),
    Index(None, "image_id"),
    UniqueConstraint("collection_id", "location"),
    CheckConstraint("claim IN ('label', 'candidate')", name="claim"),
)

reject = Table(
    "reject",
    metadata,
    Column("reject_id", Id, primary_key=True),
    Column("collection_id", Id, ForeignKey("collection.collection_id"), nullable=False),
    Column("location", Text, nullable=False),
    Column("code", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Time, nullable=False),
    UniqueConstraint("collection_id", "location"),
)

# Stars of near duplicates: every row names its star's centre; the centre has no row.
near_duplicate = Table(
    "near_duplicate",
    metadata,
    Column("image_id", Id, ForeignKey("image.image_id"), primary_key=True),
    Column("centre_id", Id, ForeignKey("image.image_id"), nullable=False),
    # Hamming distance of the fingerprints, 0 to 4 bits
    Column("distance", Integer, nullable=False),
    Index(None, "centre_id"),
)

# ---- what is on an image ----

candidate = Table(
    "candidate",
    metadata,
    Column("image_id", Id, ForeignKey("image.image_id"), primary_key=True),
    Column("wnid", Wnid, primary_key=True),
    # fixed pseudo-random number in [0, 1): a random sample is a range of this column
    Column("draw", Float, nullable=False),
    Index(None, "wnid", "draw"),
    Index(None, "draw"),
)

worker = Table(
    "worker",
    metadata,
    Column("worker_id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", String(16), nullable=False, server_default="annotator"),
    Column("created_at", Time, nullable=False),
)

vote = Table(
    "vote",
    metadata,
    Column("vote_id", Id, primary_key=True),
    Column("image_id", Id, ForeignKey("image.image_id"), nullable=False),
    Column("wnid", Wnid, nullable=False),
    Column("worker_id", Id, ForeignKey("worker.worker_id"), nullable=False),
    Column("answer", String(8), nullable=False),
    Column("at", Time, nullable=False),
    Column("milliseconds", Integer),
    Index(None, "wnid", "image_id"),
    Index(None, "image_id"),
    Index(None, "worker_id"),
    CheckConstraint("answer IN ('yes', 'no', 'unsure')", name="answer"),
)

label = Table(
    "label",
    metadata,
    Column("image_id", Id, ForeignKey("image.image_id"), primary_key=True),
    Column("wnid", Wnid, primary_key=True),
    # 'present' or 'absent': an image may be verified as not showing a synset
    Column("state", String(8), nullable=False),
    # probability that the state is right, 0 to 1; None where the source tells none
    Column("confidence", Float),
    # 'imported', 'majority', 'dawid_skene', ...
    Column("method", String(32), nullable=False),
    Index(None, "wnid", "state", "image_id"),
    CheckConstraint("state IN ('present', 'absent')", name="state"),
)

# xyxy in pixels of the image as shown, half-open floats. PostgreSQL keeps the names xmin and xmax
# for itself, so the columns are called x_min ... in SQL and xmin ... everywhere else.
box = Table(
    "box",
    metadata,
    Column("box_id", Id, primary_key=True),
    Column("image_id", Id, ForeignKey("image.image_id"), nullable=False),
    Column("wnid", Wnid, nullable=False),
    Column("x_min", Float, nullable=False, key="xmin"),
    Column("y_min", Float, nullable=False, key="ymin"),
    Column("x_max", Float, nullable=False, key="xmax"),
    Column("y_max", Float, nullable=False, key="ymax"),
    # 'drawn', 'verified' or 'refused'
    Column("state", String(16), nullable=False),
    Column("method", String(32), nullable=False, server_default="imported"),
    Column("worker_id", Id, ForeignKey("worker.worker_id")),
    Column("at", Time, nullable=False),
    Index(None, "image_id"),
    Index(None, "wnid"),
    CheckConstraint("x_max > x_min AND y_max > y_min", name="area"),
    CheckConstraint("state IN ('drawn', 'verified', 'refused')", name="state"),
)

mask = Table(
    "mask",
    metadata,
    Column("box_id", Id, ForeignKey("box.box_id"), primary_key=True),
    # COCO's run-length code of the image's mask
    Column("run_length", Text, nullable=False),
)

# ---- releases: the manifest is the truth, these rows are for questions about it ----

release = Table(
    "release",
    metadata,
    Column("name", String(64), primary_key=True),
    # SHA-256 of the manifest
    Column("release_id", Sha256, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("splits", JSON, nullable=False),
    Column("n_images", BigInteger, nullable=False),
    Column("n_classes", Integer, nullable=False),
)

release_image = Table(
    "release_image",
    metadata,
    Column("release", String(64), ForeignKey("release.name"), primary_key=True),
    Column("sha256", Sha256, primary_key=True),
    Column("split", String(32), nullable=False),
    Index(None, "sha256"),
    Index(None, "release", "split", "sha256"),
)

release_label = Table(
    "release_label",
    metadata,
    Column("release", String(64), ForeignKey("release.name"), primary_key=True),
    Column("sha256", Sha256, primary_key=True),
    Column("wnid", Wnid, primary_key=True),
    Column("state", String(8), nullable=False),
    Column("confidence", Float),
    Column("method", String(32), nullable=False),
    Index(None, "release", "wnid", "sha256"),
)

release_box = Table(
    "release_box",
    metadata,
    Column("release", String(64), ForeignKey("release.name"), primary_key=True),
    Column("sha256", Sha256, primary_key=True),
    Column("box_number", Integer, primary_key=True),
    Column("wnid", Wnid, nullable=False),
    Column("x_min", Float, nullable=False, key="xmin"),
    Column("y_min", Float, nullable=False, key="ymin"),
    Column("x_max", Float, nullable=False, key="xmax"),
    Column("y_max", Float, nullable=False, key="ymax"),
    Column("state", String(16), nullable=False),
)

# ---- runs and their scores ----

run = Table(
    "run",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("release", String(64), ForeignKey("release.name"), nullable=False),
    Column("network", String(64), nullable=False),
    Column("recipe", JSON, nullable=False),
    # 'running', 'done', 'stopped' or 'failed'; a failed run says why
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("seed", BigInteger, nullable=False),
    Column("started_at", Time, nullable=False),
    Column("finished_at", Time),
    Column("seconds", Float),
    Column("n_parameters", BigInteger),
    Column("versions", JSON, nullable=False),
    Index(None, "started_at"),
)

score = Table(
    "score",
    metadata,
    Column("score_id", Id, primary_key=True),
    Column("run", String(64), ForeignKey("run.name"), nullable=False),
    Column("split", String(32), nullable=False),
    # 'top1_error', 'top5_error', ...; value, low and high are shares, 0 to 1
    Column("metric", String(32), nullable=False),
    Column("value", Float, nullable=False),
    Column("low", Float, nullable=False),
    Column("high", Float, nullable=False),
    Column("n_images", BigInteger, nullable=False),
    # release, views, resizing, interval method, seed, versions: without these no score
    Column("protocol", JSON, nullable=False),
    Column("at", Time, nullable=False),
    Index(None, "run", "split", "metric"),
)

takedown = Table(
    "takedown",
    metadata,
    Column("takedown_id", Id, primary_key=True),
    Column("sha256", Sha256, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Time, nullable=False),
    Index(None, "sha256"),
)

# ---- the log: every write appends its event in the same transaction ----

event = Table(
    "event",
    metadata,
    Column("event_id", Id, primary_key=True, autoincrement=False),
    Column("at", Time, nullable=False),
    # noun.verb: 'collection.stored', 'release.created', ...
    Column("kind", String(64), nullable=False),
    Column("actor", Text, nullable=False),
    # one line for people
    Column("summary", Text, nullable=False),
    # the changes themselves, or, for bulk, the SHA-256 of a file under events/
    Column("changes", JSON(none_as_null=True)),
    Column("payload_sha256", Sha256),
    Index(None, "kind"),
)

# Next free number of each table, drawn inside the writing transaction and logged with it, so
# that no id is ever used twice, not even after an undo.
counter = Table(
    "counter",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("next_value", BigInteger, nullable=False),
)
