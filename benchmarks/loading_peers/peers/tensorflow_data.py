"""TensorFlow's tf.data with `decode_and_crop_jpeg`, which decodes only the crop's rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import tensorflow as tf

from loading_peers.work import BATCH, SIDE_PX, Epoch, Work

PACKAGES = ("tensorflow-cpu",)


def _open(work: Work, *, antialias: bool) -> Epoch:
    tf.config.threading.set_intra_op_parallelism_threads(work.n_threads)
    tf.config.threading.set_inter_op_parallelism_threads(work.n_threads)
    blobs = tf.data.Dataset.from_tensor_slices(work.blobs()).repeat()
    left, top, right, bottom = work.boxes.T
    windows = tf.stack([top, left, bottom - top, right - left], axis=1)
    items = tf.data.Dataset.from_tensor_slices((windows, work.flips))

    def cut(data: Any, window: Any, flip: Any) -> Any:
        pixels = tf.image.decode_and_crop_jpeg(data, window, channels=3)
        pixels = tf.image.resize(pixels, [SIDE_PX, SIDE_PX], antialias=antialias)
        # Rounding down, as is usual there: the fastest cast, at the price of half a grey level.
        pixels = tf.cast(pixels, tf.uint8)
        return tf.cond(flip, lambda: tf.reverse(pixels, [1]), lambda: pixels)

    photos = tf.data.Dataset.zip(blobs, items).map(
        lambda data, item: cut(data, *item), num_parallel_calls=work.n_threads
    )
    options = tf.data.Options()
    options.threading.private_threadpool_size = work.n_threads
    options.threading.max_intra_op_parallelism = 1
    batches = photos.batch(BATCH).prefetch(1).with_options(options)

    # The graph is built once; an epoch makes a new iterator, which has nothing prepared.
    def epoch() -> Iterator[Any]:
        return (batch.numpy() for batch in batches)

    return epoch


VARIANTS = {
    "plain": lambda work: _open(work, antialias=False),
    "antialias": lambda work: _open(work, antialias=True),
}
