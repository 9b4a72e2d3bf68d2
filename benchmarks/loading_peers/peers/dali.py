"""NVIDIA DALI on the CPU: a pipeline that decodes the crop only (`decoders.image_slice`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from nvidia.dali import fn, pipeline_def, types

from loading_peers.work import BATCH, SIDE_PX, Epoch, Work, slices

PACKAGES = ("nvidia-dali-cuda120",)


@pipeline_def
def _pipeline(source: Callable[[], Any], *, antialias: bool) -> Any:
    data, corner, extent, flip = fn.external_source(source=source, num_outputs=4, batch=True)
    pixels = fn.decoders.image_slice(
        data,
        corner,
        extent,
        axis_names="WH",
        normalized_anchor=False,
        normalized_shape=False,
        adjust_orientation=False,
        output_type=types.RGB,
    )
    pixels = fn.resize(
        pixels,
        resize_x=SIDE_PX,
        resize_y=SIDE_PX,
        interp_type=types.INTERP_LINEAR,
        antialias=antialias,
    )
    return fn.flip(pixels, horizontal=flip)


def _open(work: Work, *, antialias: bool) -> Epoch:
    blobs = [np.frombuffer(data, np.uint8) for data in work.blobs()]
    left: list[slice] = []

    def source() -> Any:
        if not left:
            raise StopIteration
        part = left.pop(0)
        data = [blobs[item % work.n_photos] for item in range(part.start, part.stop)]
        corners, extents = work.boxes[part, :2], work.boxes[part, 2:] - work.boxes[part, :2]
        return data, list(corners), list(extents), list(work.flips[part].astype(np.int32))

    pipeline = _pipeline(
        source,
        antialias=antialias,
        batch_size=BATCH,
        num_threads=work.n_threads,
        device_id=None,
        prefetch_queue_depth=2,
    )
    pipeline.build()

    def epoch() -> Iterator[Any]:
        left.extend(slices(work.n_items))
        while True:
            try:
                (batch,) = pipeline.run()
            except StopIteration:
                # All that was prepared has been given; nothing is begun before the next epoch.
                pipeline.reset()
                return
            yield batch.as_array()

    return epoch


VARIANTS = {
    "plain": lambda work: _open(work, antialias=False),
    "antialias": lambda work: _open(work, antialias=True),
}
