from __future__ import annotations

import dataclasses
import hashlib
import io
import threading

import numpy as np
import pytest
from PIL import Image

from imagetree.core.errors import IntegrityFailure, InvalidInput, NotFound
from imagetree.release.loader import Loader
from imagetree.release.pixels import Pixels, image_keys, random_boxes, random_draws
from imagetree.release.record import Label, ReleaseImage
from imagetree.release.source import Originals

CLASSES = ("n01", "n02", "n03")


def encoded(pixels, kind="PNG"):
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, kind)
    return target.getvalue()


def record_of(data, *wnids, absent=()):
    labels = [Label(wnid, "present", None, "imported") for wnid in wnids]
    labels += [Label(wnid, "absent", 0.9, "majority") for wnid in absent]
    try:
        width_px, height_px = Image.open(io.BytesIO(data)).size
    except OSError:
        width_px = height_px = 1
    return ReleaseImage(
        sha256=hashlib.sha256(data).hexdigest(),
        split="train",
        width_px=width_px,
        height_px=height_px,
        length=len(data),
        labels=tuple(labels),
    )


def photos_of(n, size=(90, 120), kind="JPEG"):
    generator = np.random.default_rng(7)
    stored, records = {}, []
    for i in range(n):
        small = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        pixels = np.asarray(Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC))
        data = encoded(pixels, kind)
        record = record_of(data, CLASSES[i % 3])
        stored[record.sha256] = data
        records.append(record)
    return records, stored


@pytest.fixture(scope="module")
def photos():
    return photos_of(41)


def source_of(read):
    return Originals(lambda sha256s: [read(sha256) for sha256 in sha256s])


def loader_of(photos, **options):
    records, stored = photos
    given = {"training": True, "batch_size": 8, "image_size": 32, "seed": 3} | options
    return Loader(records, CLASSES, source_of(stored.__getitem__), **given)


def taken(batches):
    return [(b.images.tobytes(), b.labels.tolist(), b.sha256) for b in batches]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_threads_change_no_pixel(training, kind):
    photos = photos_of(41, kind=kind)
    expected = taken(loader_of(photos, training=training, n_workers=0).epoch(1))
    for n_workers, n_ahead in ((1, 1), (2, 3), (5, 2)):
        loader = loader_of(photos, training=training, n_workers=n_workers, n_ahead=n_ahead)
        assert taken(loader.epoch(1)) == expected
        assert taken(loader.epoch(1)) == expected  # now into buffers that were used before


def test_kept_batches_stay_what_they_are(photos):
    loader = loader_of(photos)
    kept = list(loader.epoch(1))
    parts = [batch.images[1:, :5] for batch in loader.epoch(1)]  # views alone keep it, too
    list(loader.epoch(2))
    assert taken(kept) == taken(loader.epoch(1))
    assert all(np.array_equal(p, b.images[1:, :5]) for p, b in zip(parts, kept, strict=True))


def test_dropped_batches_lend_their_memory(photos):
    allocated = []

    def allocate(n_bytes):
        allocated.append(n_bytes)
        return np.empty(n_bytes, np.uint8)

    loader = loader_of(photos, allocate=allocate, n_ahead=2)
    for epoch in range(10):
        for batch in loader.epoch(epoch):
            assert batch.images.shape[1:] == (32, 32, 3)
    # One in use, one handed over, two waiting, one being filled; and never another.
    assert len(allocated) <= 6
    assert set(allocated) == {8 * 32 * 32 * 3}


def test_processes_can_share_an_epoch_batch_by_batch(photos):
    loader = loader_of(photos)
    whole = taken(loader.epoch(3))
    parts = [taken(loader.epoch(3, start_batch=k, every=2)) for k in (0, 1)]
    assert [batch for pair in zip(*parts, strict=True) for batch in pair] == whole


def test_exif_orientation_is_applied():
    pixels = np.zeros((80, 120, 3), np.uint8)
    pixels[:40, :60] = 255
    target = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: turn it clockwise
    Image.fromarray(pixels).save(target, "JPEG", exif=exif, quality=95)
    data = target.getvalue()
    record = dataclasses.replace(record_of(data, "n01"), width_px=80, height_px=120)
    loader = loader_of(([record], {record.sha256: data}), training=False, crop=False)
    image = next(loader.epoch(0)).images[0]
    assert image[4:12, 20:28].min() > 240  # white is now at the top right
    assert image[20:28].max() < 15


def test_the_order_of_records_does_not_matter(photos):
    records, stored = photos
    turned = loader_of((records[::-1], stored))
    assert taken(turned.epoch(2)) == taken(loader_of(photos).epoch(2))


def test_it_goes_on_in_the_middle_of_an_epoch(photos):
    whole = taken(loader_of(photos).epoch(4))
    assert taken(loader_of(photos).epoch(4, 3)) == whole[3:]
    assert taken(loader_of(photos).epoch(4, start_batch=len(whole))) == []


def test_epochs_and_seeds_differ_and_repeat(photos):
    loader = loader_of(photos)
    first, second = taken(loader.epoch(0)), taken(loader.epoch(1))
    assert first != second
    assert sorted(s for b in first for s in b[2]) == sorted(s for b in second for s in b[2])
    assert taken(loader) == first
    assert taken(loader_of(photos, seed=4).epoch(0)) != first


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_ranks_are_disjoint_complete_and_even(photos, training, world_size):
    records, _ = photos
    ranks = [
        loader_of(photos, training=training, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    batches = [list(one.epoch(2)) for one in ranks]
    seen = [sha256 for one in batches for batch in one for sha256 in batch.sha256]
    assert sorted(seen) == sorted(one.sha256 for one in records)
    assert {len(one) for one in batches} == {len(ranks[0])}
    assert all(len(batch.labels) for one in batches for batch in one)
    assert [sum(len(b.labels) for b in one) for one in batches] == [r.n_images for r in ranks]


def test_a_rank_with_one_image_less_has_as_many_batches():
    photos = photos_of(17)  # ranks of 9 and 8 images in batches of 8
    ranks = [loader_of(photos, rank=rank, world_size=2) for rank in (0, 1)]
    sizes = [[len(batch.labels) for batch in one.epoch(0)] for one in ranks]
    assert sizes == [[8, 1], [7, 1]]


def test_labels_belong_to_their_images(photos):
    records, _ = photos
    truth = {one.sha256: CLASSES.index(one.present[0]) for one in records}
    for batch in loader_of(photos).epoch(0):
        assert batch.labels.dtype == np.int64
        assert [truth[sha256] for sha256 in batch.sha256] == batch.labels.tolist()
    assert loader_of(photos).class_counts == (14, 14, 13)


def test_layouts_and_channels(photos):
    bytes_ = next(loader_of(photos).epoch(0)).images
    floats = next(loader_of(photos, layout="float").epoch(0)).images
    assert (bytes_.shape, bytes_.dtype) == ((8, 32, 32, 3), np.uint8)
    assert (floats.shape, floats.dtype) == ((8, 3, 32, 32), np.float32)
    assert np.array_equal((floats.transpose(0, 2, 3, 1) * 255).round().astype(np.uint8), bytes_)
    grey = next(loader_of(photos, channels=1, training=False).epoch(0))
    colour = next(loader_of(photos, training=False).epoch(0))
    luma = colour.images.astype(float) @ (0.299, 0.587, 0.114)
    assert grey.images.shape == (8, 32, 32, 1)
    assert np.abs(grey.images[..., 0] - luma).max() <= 2.5


def test_evaluation_cuts_the_centre_after_resizing():
    ramp = np.tile(np.linspace(0, 255, 160).astype(np.uint8)[None, :, None], (80, 1, 3))
    data = encoded(ramp)
    loader = loader_of(([record_of(data, "n01")], {record_of(data).sha256: data}), training=False)
    image = next(loader.epoch(0)).images[0]
    reference = Image.fromarray(ramp).resize((74, 37), Image.Resampling.BILINEAR)
    assert loader.pixels.resize_px == 37  # 32 * 256 / 224
    assert np.array_equal(image, np.asarray(reference.crop((21, 2, 53, 34))))
    ten = loader_of(
        ([record_of(data, "n01")], {record_of(data).sha256: data}), training=False, views=10
    )
    assert next(ten.epoch(0)).images.shape == (1, 37, 37, 3)


def test_shrinking_is_antialiased():
    board = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    data = encoded(np.stack([board] * 3, axis=2))
    loader = loader_of(([record_of(data, "n01")], {record_of(data).sha256: data}), training=False)
    image = next(loader.epoch(0)).images[0]
    assert np.abs(image[4:-4, 4:-4].astype(int) - 127).max() <= 2


def test_digits_are_neither_cut_nor_mirrored():
    generator = np.random.default_rng(0)
    digit = generator.integers(0, 256, (8, 8), dtype=np.uint8)
    data = encoded(digit)
    one = ([record_of(data, "n01")], {record_of(data).sha256: data})
    expected = np.asarray(Image.fromarray(digit).resize((32, 32), Image.Resampling.BILINEAR))
    for training in (True, False):
        loader = loader_of(one, training=training, channels=1)
        for epoch in range(6):
            assert np.array_equal(next(loader.epoch(epoch)).images[0, :, :, 0], expected)
    mirrored = loader_of(one, channels=1, flip=True)
    seen = [next(mirrored.epoch(epoch)).images[0, :, :, 0] for epoch in range(20)]
    as_is = [np.array_equal(image, expected) for image in seen]
    assert {True, False} == set(as_is)
    assert all(np.array_equal(i, expected) or np.array_equal(i, expected[:, ::-1]) for i in seen)


def test_half_of_the_photos_are_mirrored():
    ramp = np.tile(np.linspace(0, 255, 128).astype(np.uint8)[None, :, None], (128, 1, 3))
    data = encoded(ramp)
    one = ([record_of(data, "n01")], {record_of(data).sha256: data})
    rising = [
        bool(image[:, -1].mean() > image[:, 0].mean())
        for epoch in range(200)
        for image in next(loader_of(one, n_workers=0).epoch(epoch)).images
    ]
    assert 70 <= sum(rising) <= 130
    never = loader_of(one, n_workers=0, flip=False)
    assert all(
        next(never.epoch(e)).images[0, 0, -1, 0] > next(never.epoch(e)).images[0, 0, 0, 0]
        for e in range(20)
    )


def test_random_boxes_keep_area_and_aspect():
    keys = image_keys([f"{i * 7919:064x}"[::-1] for i in range(2000)])
    draws = random_draws(keys, seed=0, epoch=0, n_draws=40)
    boxes = random_boxes(np.full((2000, 2), (400, 300), np.int32), draws, scale=(0.08, 1.0))
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] <= 400).all()
    assert (boxes[:, 3] <= 300).all()
    shares, aspects = wide * high / 120_000, wide / high
    assert 0.078 <= shares.min() < 0.1
    assert shares.max() > 0.9
    assert 0.74 <= aspects.min() < 0.77
    assert 1.3 < aspects.max() <= 1.35
    # A panorama that no box fits: the largest centred one.
    panorama = random_boxes(np.array([[1000, 10]], np.int32), draws[:1], scale=(1, 1))
    assert panorama.tolist() == [[493, 0, 506, 10]]


def test_draws_are_uniform_and_their_own():
    keys = image_keys([f"{i:064x}"[::-1] for i in range(3000)])
    draws = random_draws(keys, seed=5, epoch=2, n_draws=41)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert abs(draws.mean() - 0.5) < 0.003
    assert np.abs(np.corrcoef(draws[:, :8].T) - np.eye(8)).max() < 0.08
    alone = random_draws(keys[7:8], seed=5, epoch=2, n_draws=41)
    assert np.array_equal(alone[0], draws[7])
    for seed, epoch in ((5, 3), (6, 2), (2, 5)):
        other = random_draws(keys, seed=seed, epoch=epoch, n_draws=41)
        assert abs(np.corrcoef(other[:, 0], draws[:, 0])[0, 1]) < 0.08


def test_protocol_says_what_is_done():
    assert Pixels(image_size=224, training=False).protocol == (
        "resize 256, centre crop 224 (below 64 px: resized to the square)"
    )
    assert Pixels(image_size=32, training=False, crop=False, channels=1).protocol == (
        "resize to 32 x 32, grey"
    )
    assert Pixels(image_size=64, training=True, crop=True, flip=False).protocol == (
        "random crop of 8 to 100% resized to 64"
    )


def test_images_without_a_present_label_are_left_out(photos):
    records, stored = photos
    extra = record_of(b"only absent", absent=("n01",))
    several = record_of(stored[records[0].sha256], "n03", "n02", absent=("n01",))
    loader = loader_of(([extra, several], stored))
    assert (loader.n_images, loader.class_counts) == (1, (0, 1, 0))


@pytest.mark.parametrize("n_workers", [0, 2])
def test_an_unreadable_image_is_named_and_no_thread_stays(photos, n_workers):
    records, stored = photos
    bad = records[20].sha256
    loader = loader_of((records, stored | {bad: stored[bad][:40]}), n_workers=n_workers)
    with pytest.raises(IntegrityFailure, match=bad):
        list(loader.epoch(0))

    def read(sha256):
        raise NotFound("There is no shard.")

    with pytest.raises(IntegrityFailure, match="There is no shard"):
        list(Loader(records, CLASSES, source_of(read), training=True, n_workers=n_workers))
    assert not [t for t in threading.enumerate() if t.name.startswith("imagetree-loader")]


def test_a_left_epoch_leaves_no_thread_and_reads_little_ahead():
    records, stored = photos_of(41)
    calls = []

    def read(sha256):
        calls.append(sha256)
        return stored[sha256]

    loader = Loader(records, CLASSES, source_of(read), training=True, batch_size=2, image_size=16)
    epoch = loader.epoch(0)
    next(epoch)
    epoch.close()
    # The batch that was taken; two of files and two of pixels wait, one of each is in hand.
    assert len(calls) <= 2 * 7
    assert not [t for t in threading.enumerate() if t.name.startswith("imagetree-loader")]


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"layout": "bytes"},
        {"channels": 4},
        {"views": 3},
        {"rank": 2, "world_size": 2},
        {"world_size": 42},
        {"resize_px": 16},
        {"crop_scale": (0.5, 0.1)},
    ],
)
def test_options_that_cannot_be(photos, options):
    with pytest.raises(InvalidInput):
        loader_of(photos, **options)


def test_batches_that_are_not(photos):
    with pytest.raises(InvalidInput, match="no batch 9"):
        loader_of(photos).epoch(0, 9)
