"""imagetree: build, verify, release and benchmark an ImageNet of your own.

    import imagetree
    db = imagetree.open("birds.imagetree")

The names below are imported when they are first used, so that `import imagetree` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagetree.core.errors import (
        Busy,
        Cancelled,
        Conflict,
        DamagedImage,
        ExternalFailure,
        ImagetreeError,
        IntegrityFailure,
        InvalidInput,
        MissingPart,
        NotFound,
        OutOfSpace,
        PermissionDenied,
        TrainingFailure,
    )
    from imagetree.core.progress import Progress
    from imagetree.core.settings import Settings
    from imagetree.database import Database

    __version__: str
    init = Database.create
    open = Database.open  # noqa: A001  the name is the one users expect

__all__ = [
    "Busy",
    "Cancelled",
    "Conflict",
    "DamagedImage",
    "Database",
    "ExternalFailure",
    "ImagetreeError",
    "IntegrityFailure",
    "InvalidInput",
    "MissingPart",
    "NotFound",
    "OutOfSpace",
    "PermissionDenied",
    "Progress",
    "Settings",
    "TrainingFailure",
    "__version__",
    "init",
    "open",
]

_ELSEWHERE = {
    "Database": "imagetree.database",
    "Progress": "imagetree.core.progress",
    "Settings": "imagetree.core.settings",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'imagetree' has no attribute {name!r}")
    value: Any
    if name == "__version__":
        from importlib.metadata import version

        value = version("imagetree")
    elif name in {"init", "open"}:
        database = importlib.import_module("imagetree.database").Database
        value = database.create if name == "init" else database.open
    else:
        module = importlib.import_module(_ELSEWHERE.get(name, "imagetree.core.errors"))
        value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
