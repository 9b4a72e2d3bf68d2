"""Images that installed Python packages carry: scikit-learn's digits."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from imagetree.collect.source import Item, Rejected, Skip, skip_nothing
from imagetree.core.errors import MissingPart

# The cardinal numbers of WordNet 3.0, each a hyponym of digit (n13741022), zero to nine.
WNIDS = (
    "n13742358",
    "n13742573",
    "n13743269",
    "n13744044",
    "n13744304",
    "n13744521",
    "n13744722",
    "n13744916",
    "n13745086",
    "n13745270",
)
AUTHOR = "E. Alpaydin, C. Kaynak"
LICENCE = "CC BY 4.0 (UCI Optical Recognition of Handwritten Digits)"


class Digits:
    """1,797 handwritten digits as 8 x 8 grey PNG, under the synsets of the numbers 0 to 9."""

    kind = "digits"
    location = "sklearn.datasets.load_digits"
    n_total = 1797

    def labels(self) -> set[str]:
        """None: the synsets are named by wnid."""
        return set()

    def wnids(self) -> set[str]:
        """The ten number synsets."""
        return set(WNIDS)

    def items(self, *, skip: Skip = skip_nothing) -> Iterator[Item | Rejected]:
        """The scans in scikit-learn's order; MissingPart without scikit-learn."""
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise MissingPart(
                "The digits come with scikit-learn.", hint="pip install 'imagetree[demo]'"
            ) from error
        digits = load_digits()
        for number, (scan, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
            name = f"digit_{number:04d}_{digit}.png"
            if skip(name):
                continue
            # Scans count ink from 0 to 16.
            grey = np.rint(scan * (255 / 16)).astype(np.uint8)  # (8, 8)
            target = io.BytesIO()
            Image.fromarray(grey).save(target, "PNG")
            yield Item(
                key=name,
                location=f"{self.location}#{number}",
                data=target.getvalue(),
                filename=name,
                wnid=WNIDS[int(digit)],
                licence=LICENCE,
                author=AUTHOR,
            )
