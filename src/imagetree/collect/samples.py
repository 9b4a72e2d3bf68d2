"""Photos that installed Python packages carry: scikit-image's and scikit-learn's samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from imagetree.collect.source import Item, Rejected, Skip, skip_nothing
from imagetree.core.errors import MissingPart

# Where each package keeps its files, and its name for pip.
FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}
NAMES = {"skimage": "scikit-image", "sklearn": "scikit-learn"}
CC0 = "CC0"
PUBLIC = "public domain"
FREE = "no known copyright restrictions"
CC_BY = "CC BY 2.0"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A file of a package, what it shows, and its rights as the package states them."""

    package: str
    filename: str
    wnid: str
    licence: str = ""
    author: str = ""


def _skimage(filename: str, wnid: str, licence: str = "", author: str = "") -> Sample:
    return Sample(package="skimage", filename=filename, wnid=wnid, licence=licence, author=author)


def _sklearn(filename: str, wnid: str, licence: str, author: str) -> Sample:
    return Sample(package="sklearn", filename=filename, wnid=wnid, licence=licence, author=author)


# The synset, in WordNet 3.0, of what a person sees first; drawings, charts and portraits are
# left out. Rights are those of skimage's docstrings and of sklearn's README.txt.
SAMPLES = (
    _skimage("brick.png", "n02898369", CC0),  # brickwork
    _skimage("camera.png", "n02942699", CC0, "Lav Varshney"),  # photographic camera
    _skimage("cell.png", "n00006484", CC0),  # cell (biology)
    _skimage("chelsea.png", "n02121808", CC0, "Stefan van der Walt"),  # domestic cat
    _skimage("clock_motion.png", "n04548280", PUBLIC, "Stefan van der Walt"),  # wall clock
    _skimage("coffee.png", "n03063073", CC0, "Rachel Michetti"),  # coffee cup
    _skimage("coins.png", "n13388245", FREE),  # coin
    _skimage("grass.png", "n12102133", CC0),  # grass
    _skimage("gravel.png", "n14698884", CC0),  # gravel
    _skimage("horse.png", "n02374451", CC0, "Andreas Preuss (marauder)"),  # horse
    _skimage("hubble_deep_field.jpg", "n08271042", PUBLIC, "NASA"),  # galaxy (astronomy)
    _skimage("moon.png", "n09358358"),  # the Earth's moon
    _skimage("motorcycle_left.png", "n03790512"),  # motorcycle
    _skimage("motorcycle_right.png", "n03790512"),
    _skimage("page.png", "n06256697"),  # page of a book
    _skimage("retina.jpg", "n05426989", CC0),  # retina
    _skimage("rocket.jpg", "n04099429", PUBLIC, "SpaceX"),  # vehicle with a rocket engine
    _skimage("text.png", "n06403393", PUBLIC),  # handwriting
    _sklearn("china.jpg", "n03874965", CC_BY, "danielbuechele"),  # pagoda
    # The README names danielbuechele, but links to vultilion's photo.
    _sklearn("flower.jpg", "n11960245", CC_BY, "danielbuechele or vultilion"),  # dahlia
)


class SamplePhotos:
    """The photos in the wheels of scikit-image and scikit-learn, as candidates for votes.

    Nothing is fetched: only files that lie in the installed packages are read.

    Example:
        >>> "n02121808" in SamplePhotos().wnids()
        True
    """

    kind = "samples"
    location = "scikit-image and scikit-learn"
    n_total = len(SAMPLES)

    def labels(self) -> set[str]:
        """None: the synsets are named by wnid."""
        return set()

    def wnids(self) -> set[str]:
        """The synsets of what the photos show."""
        return {sample.wnid for sample in SAMPLES}

    def items(self, *, skip: Skip = skip_nothing) -> Iterator[Item | Rejected]:
        """The photos by package and name; MissingPart where a package is not installed."""
        folders = {package: _folder(package) for package in FOLDERS}
        for sample in SAMPLES:
            key = f"{sample.package}/{sample.filename}"
            path = folders[sample.package] / sample.filename
            name = NAMES[sample.package]
            location = f"{name}/{FOLDERS[sample.package]}/{sample.filename}"
            if skip(key):
                continue
            if not path.is_file():
                reason = f"is not in the installed {name}"
                yield Rejected(location=location, code="no_file", reason=reason)
                continue
            yield Item(
                key=key,
                location=location,
                data=path.read_bytes,
                filename=sample.filename,
                wnid=sample.wnid,
                licence=sample.licence or f"see the licence file of {name}",
                author=sample.author or None,
                claim="candidate",
            )


def _folder(package: str) -> Path:
    """Where a package keeps its photos; the package itself is not imported."""
    try:
        spec = find_spec(package)
    except ValueError:  # what Python raises for a package that was switched off
        spec = None
    if spec is None or spec.origin is None:
        raise MissingPart(
            f"The sample photos come with {NAMES[package]}, which is not installed.",
            hint="pip install 'imagetree[demo]'",
        )
    return Path(spec.origin).parent / FOLDERS[package]
