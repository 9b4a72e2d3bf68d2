"""AlexNet's small form on imagenette: 10 classes, 490 training photos each, 96 px.

command   python recipes/imagenette_alexnet.py DATABASE RELEASE
cost      40 epochs of 4,900 photos: 12 min 20 s on 2 quiet cores (bf16 with AVX-512), with
          collecting, scoring and the picture 12 min 36 s
score     75.38% top-1 (24.62% wrong, 99.9% interval 21.66 to 27.84%) on the 2,100 test photos of
          a 70/30 release of imagenette's 7,000, through the product: seed 0, resize 110, centre
          crop 96, 1 view; the same in two runs
"""

from __future__ import annotations

import sys

from imagetree.cli.recipe_file import run

NETWORK = "alexnet"
RECIPE = {
    "image_size": 96,
    "channels": 3,
    "epochs": 40,
    "batch_size": 64,
    "learning_rate": 0.02,
    "momentum": 0.9,
    "nesterov": True,
    "weight_decay": 5e-4,
    "schedule": "cosine",
    "warmup_epochs": 2.0,
    "label_smoothing": 0.1,
    "ema": 0.998,
    "clip_norm": 2.0,
    "bf16": True,
    "colour_jitter": 0.3,
    "crop_scale": (0.3, 1.0),
    "flip": True,
    "resize_px": 110,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "validation": 0.05,
}

if __name__ == "__main__":
    run(__file__, sys.argv[1:])
