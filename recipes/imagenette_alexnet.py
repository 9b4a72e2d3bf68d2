"""AlexNet's small form on imagenette: 10 classes, 500 training photos each, 96 px.

command   python recipes/imagenette_alexnet.py       (prints the recipe as JSON)
cost      34 epochs, 1,224 processor seconds, 702 s on 2 cores (bf16, AVX-512)
score     74.65% top-1 on the 2,000 validation photos, averaged weights, last epoch,
          resize 110, centre crop 96, 2 views (centre and its flip), seed 0, one run
          99.9% interval (Wilson) 71.3 to 77.7%

The score was measured by a separate script with the same numbers and photos kept in memory at
144 px, not yet by `imagetree train`: measure again with the release loader before quoting it.
"""

from __future__ import annotations

import json

from imagetree.networks.registry import default_recipe

IMAGE_SIZE = 96
NETWORK = {"name": "alexnet", "n_classes": 10, "image_size": IMAGE_SIZE, "small": True}
RECIPE = default_recipe("alexnet", image_size=IMAGE_SIZE, n_classes=10) | {"seed": 0}

if __name__ == "__main__":
    print(json.dumps({"network": NETWORK, "recipe": RECIPE}, indent=2))
