"""Trains LeNet-5 on some digits in a folder; a process of its own, for the test that kills it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from digits import digit_loaders

from imagetree.core.progress import Progress
from imagetree.networks import registry
from imagetree.train.loop import train
from imagetree.train.recipe import Recipe


def tell(progress: Progress) -> None:
    print(progress.n_done, flush=True)  # noqa: T201


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    network = registry.build("alexnet", n_classes=10, image_size=32, channels=1, width=0.25)
    recipe = Recipe(
        epochs=3,
        batch_size=32,
        learning_rate=0.01,
        ema=0.9,
        checkpoint_every_batches=3,
        colour_jitter=0.2,
        resize_px=32,
    )
    loader, validation = digit_loaders(n_train=320)
    train(network, loader, validation, recipe, folder=Path(sys.argv[1]), report=tell)
    torch.save(network.state_dict(), Path(sys.argv[1]) / "final.pt")


if __name__ == "__main__":
    main()
