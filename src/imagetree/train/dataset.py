"""The loader as a torch dataset: whole batches of tensors, with or without worker processes.

The loader has threads of its own, so `num_workers=0` is the fastest way. Worker processes take
turns: of k workers each makes every k-th batch, and they come out in the loader's order.

    dataset = ReleaseDataset(release.loader("train", batch_size=256, layout="bfloat16"))
    for epoch in range(90):
        dataset.set_epoch(epoch)
        for images, labels in DataLoader(dataset, batch_size=None, num_workers=0):
            step(images, labels)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from imagetree.core.errors import InvalidInput

if TYPE_CHECKING:
    from imagetree.release.loader import Loader


class ReleaseDataset(IterableDataset[tuple[Tensor, Tensor]]):
    """Iterates over one epoch of a loader as (images, labels): give DataLoader batch_size=None.

    images are uint8 (N, H, W, C), float32 or bfloat16 (N, C, H, W), as the loader's layout says,
    on its memory, without a copy; labels int64 (N,). In the main process the memory is pinned
    where CUDA is there, so that `images.to("cuda", non_blocking=True)` overlaps.

    An epoch of `start_batch` goes on in its middle, as `Loader.epoch`. `set_epoch` also reaches
    workers that live on (`persistent_workers=True`).
    """

    def __init__(self, loader: Loader, *, epoch: int = 0, start_batch: int = 0) -> None:
        # A twin of its own, with all that a worker needs: none may ask the parent's catalog.
        pinned = pinned_memory if torch.cuda.is_available() else None
        self._loader = loader.twin(allocate=pinned)
        # Shared memory, so that workers that live on see the next epoch.
        self._place: Tensor = torch.zeros(2, dtype=torch.int64)
        self._place.share_memory_()  # type: ignore[no-untyped-call]
        self.set_epoch(epoch, start_batch=start_batch)

    def set_epoch(self, epoch: int, *, start_batch: int = 0) -> None:
        """Chooses the epoch that is iterated over next, from `start_batch` on."""
        if epoch < 0 or not 0 <= start_batch <= len(self._loader):
            raise InvalidInput(
                f"Epoch {epoch} has no batch {start_batch}.",
                hint=f"Epochs count from 0, batches from 0 to {len(self._loader) - 1}.",
            )
        self._place[:] = torch.tensor([epoch, start_batch])

    def __len__(self) -> int:
        """Batches that an iteration gives."""
        return len(self._loader) - int(self._place[1])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch, start = (int(one) for one in self._place)
        loader, worker = self._loader, get_worker_info()
        n_workers = 1
        if worker is not None:
            n_workers, start = worker.num_workers, start + worker.id
            loader = loader.twin(n_workers=-(-loader.n_workers // n_workers))
        start = min(start, len(loader))
        for batch in loader.epoch(epoch, start_batch=start, every=n_workers):
            yield tensors(batch.images), torch.from_numpy(batch.labels)


def tensors(images: NDArray[Any]) -> Tensor:
    """A batch's images as a tensor on the same memory; the kernel's 16 bits as bfloat16.

    Example:
        >>> tensors(np.full((1, 3, 1, 1), 0x3F80, np.uint16)).unique()
        tensor([1.], dtype=torch.bfloat16)
    """
    tensor = torch.from_numpy(images)
    return tensor.view(torch.bfloat16) if images.dtype == np.uint16 else tensor


def pinned_memory(n_bytes: int) -> NDArray[np.uint8]:
    """Page-locked memory, which a GPU reads by itself; for a loader's `allocate`."""
    memory: NDArray[np.uint8] = torch.empty(n_bytes, dtype=torch.uint8, pin_memory=True).numpy()
    return memory
