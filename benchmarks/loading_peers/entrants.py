"""Who takes part, and what the issue of this benchmark asks for."""

from __future__ import annotations

from dataclasses import dataclass

ORIGINALS, PACKED = "originals", "packed"
BOTH = (ORIGINALS, PACKED)


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """One row: a variant of a file in `peers/`, and the environment that it runs in.

    `crops` is "same" for the boxes that all share and "own" for draws of its own. `n_cores`
    fixes the cores whatever the table's; None takes the table's.
    """

    key: str
    title: str
    module: str
    variant: str
    environment: str = ""  # empty: the one that this benchmark runs in, with imagetree
    output: str = "uint8"
    crops: str = "same"
    sets: tuple[str, ...] = BOTH
    n_cores: int | None = None


# What the ratios are of: run just before each peer whose output is the same.
SUBJECTS = tuple(
    Entrant(
        key=f"{engine}-{output}",
        title=f"imagetree kernel, {words}" + (", float32" if output == "float32" else ""),
        module="imagetree_kernel",
        variant=engine if output == "uint8" else f"{engine}-float32",
        output=output,
    )
    for output in ("uint8", "float32")
    for engine, words in (("turbo", "libjpeg-turbo"), ("own", "own decoder"))
)

FLOORS = (
    Entrant(
        key="floor-crop",
        title="entropy decoding alone, to the crop's last row",
        module="entropy_floor",
        variant="crop",
        output="none",
    ),
    Entrant(
        key="floor-whole",
        title="entropy decoding alone, whole file, coefficients kept",
        module="entropy_floor",
        variant="whole",
        output="none",
    ),
)

# The same kernels on one core, for the tables of two cores.
ON_ONE_CORE = tuple(
    Entrant(
        key=f"{engine}-one-core",
        title=f"imagetree kernel, {words}, one core",
        module="imagetree_kernel",
        variant=engine,
        n_cores=1,
    )
    for engine, words in (("turbo", "libjpeg-turbo"), ("own", "own decoder"))
)

PEERS = (
    Entrant(
        key="loader",
        title="imagetree release.loader",
        module="imagetree_loader",
        variant="uint8",
        crops="own",
    ),
    Entrant(
        key="pillow",
        title="Pillow",
        module="pillow",
        variant="antialias",
        environment="torch",
    ),
    Entrant(
        key="dataloader",
        title="torch DataLoader + Pillow, ImageFolder style",
        module="torch_loader",
        variant="float32",
        environment="torch",
        output="float32",
    ),
    Entrant(
        key="pillow-simd",
        title="Pillow-SIMD",
        module="pillow",
        variant="antialias",
        environment="pillow-simd",
    ),
    Entrant(
        key="opencv",
        title="OpenCV, no antialias",
        module="opencv",
        variant="plain",
        environment="torch",
    ),
    Entrant(
        key="opencv-area",
        title="OpenCV, area",
        module="opencv",
        variant="area",
        environment="torch",
    ),
    Entrant(
        key="simplejpeg",
        title="simplejpeg + OpenCV, area",
        module="simple_jpeg",
        variant="area",
        environment="torch",
    ),
    Entrant(
        key="pyturbojpeg",
        title="PyTurboJPEG + OpenCV, area",
        module="py_turbo_jpeg",
        variant="area",
        environment="torch",
    ),
    Entrant(
        key="torchvision",
        title="torchvision.io",
        module="torchvision_io",
        variant="antialias",
        environment="streaming",
    ),
    Entrant(
        key="dali",
        title="DALI CPU, no antialias",
        module="dali",
        variant="plain",
        environment="dali",
    ),
    Entrant(
        key="dali-antialias",
        title="DALI CPU, antialias",
        module="dali",
        variant="antialias",
        environment="dali",
    ),
    Entrant(
        key="tensorflow",
        title="TensorFlow decode_and_crop_jpeg, no antialias",
        module="tensorflow_data",
        variant="plain",
        environment="tensorflow",
    ),
    Entrant(
        key="tensorflow-antialias",
        title="TensorFlow decode_and_crop_jpeg, antialias",
        module="tensorflow_data",
        variant="antialias",
        environment="tensorflow",
    ),
    Entrant(
        key="ffcv-stored",
        title="FFCV, the same files in its format",
        module="ffcv_loader",
        variant="stored",
        environment="ffcv",
        crops="own",
    ),
    Entrant(
        key="ffcv-full",
        title="FFCV, full size, its writer's JPEG (q90)",
        module="ffcv_loader",
        variant="full",
        environment="ffcv",
        crops="own",
        sets=(ORIGINALS,),
    ),
    Entrant(
        key="ffcv-400",
        title="FFCV, its 400 px format (q90)",
        module="ffcv_loader",
        variant="400",
        environment="ffcv",
        crops="own",
    ),
    Entrant(
        key="webdataset",
        title="WebDataset + Pillow",
        module="web_dataset",
        variant="antialias",
        environment="torch",
    ),
    Entrant(
        key="streaming",
        title="MosaicML streaming + Pillow",
        module="mosaic_streaming",
        variant="antialias",
        environment="streaming",
    ),
    Entrant(
        key="datasets",
        title="Hugging Face datasets + Pillow",
        module="hugging_face",
        variant="antialias",
        environment="torch",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A ratio to show: imagetree over `peer`, with libjpeg-turbo and with the own decoder."""

    set_name: str
    n_cores: int
    peer: str
    turbo: float
    own: float


GOALS = (
    Goal(set_name=ORIGINALS, n_cores=1, peer="tensorflow", turbo=1.1, own=1.5),
    Goal(set_name=ORIGINALS, n_cores=1, peer="tensorflow-antialias", turbo=2.2, own=2.4),
    Goal(set_name=ORIGINALS, n_cores=1, peer="dali", turbo=1.7, own=2.1),
    Goal(set_name=ORIGINALS, n_cores=1, peer="ffcv-stored", turbo=1.7, own=2.1),
    Goal(set_name=ORIGINALS, n_cores=1, peer="ffcv-full", turbo=1.7, own=2.1),
    Goal(set_name=ORIGINALS, n_cores=1, peer="dataloader", turbo=3.0, own=3.5),
    Goal(set_name=ORIGINALS, n_cores=2, peer="turbo-one-core", turbo=1.8, own=0.0),
    Goal(set_name=ORIGINALS, n_cores=2, peer="own-one-core", turbo=0.0, own=1.8),
    Goal(set_name=PACKED, n_cores=1, peer="ffcv-400", turbo=2.0, own=2.8),
    Goal(set_name=PACKED, n_cores=1, peer="tensorflow", turbo=1.25, own=1.7),
)
