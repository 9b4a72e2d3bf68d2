"""The peers' virtual environments: made once, under the user's cache, by package names.

Peers that want packages of different versions, or that would replace each other's, lie apart.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

# The release of constraints.txt. Never unpinned: newer releases bring gigabytes of CUDA.
TORCH = "torch==2.13.0"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Packages in the order they are installed; `alone` ones come without what they ask for."""

    name: str
    packages: tuple[str, ...]
    alone: tuple[str, ...] = ()
    debian: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)


OPENCV, PILLOW = "opencv-python-headless==5.0.0.93", "pillow==13.0.0"
# Pillow-SIMD is built here; without this it would use SSE4 only.
SIMD = {"CC": "cc -mavx2"} if platform.machine() == "x86_64" else {}

ENVIRONMENTS = {
    one.name: one
    for one in (
        Environment(
            name="torch",
            packages=(
                TORCH,
                "numpy",
                PILLOW,
                OPENCV,
                "simplejpeg==1.9.0",
                "PyTurboJPEG<2",  # 2 needs libjpeg-turbo 3, which Debian 12 has not
                "webdataset==1.0.2",
                "datasets==5.2.0",
            ),
            debian=("libturbojpeg0",),
        ),
        Environment(name="tensorflow", packages=("tensorflow-cpu==2.21.0",)),
        Environment(name="dali", packages=("nvidia-dali-cuda120==2.4.0",)),
        Environment(
            name="pillow-simd",
            packages=("wheel", "setuptools<81", "numpy", "pillow-simd==12.1.1.post0"),
            debian=("libjpeg62-turbo-dev", "zlib1g-dev"),
            variables=SIMD,
        ),
        Environment(
            name="ffcv",
            packages=(
                TORCH,
                "wheel",
                "setuptools<81",
                "numba==0.68.1",
                OPENCV,
                PILLOW,
                "fastargs",
                "terminaltables",
                "pytorch-pfn-extras",
                "assertpy",
                "tqdm",
                "psutil",
                "pandas",
            ),
            # Its list of packages names torchvision, which its code uses for CIFAR only.
            alone=("ffcv==1.0.2",),
            debian=("pkg-config", "libopencv-dev", "libturbojpeg0-dev"),
        ),
        Environment(
            name="streaming",
            packages=(
                TORCH,
                "numpy<2.2",
                PILLOW,
                "transformers<5",
                "Brotli",
                "python-snappy",
                "zstd<2",
                "xxhash",
                "catalogue<3",
                "tqdm",
            ),
            # Their lists name other releases of torch, and clients of every cloud.
            alone=("torchvision==0.28.0", "mosaicml-streaming==0.13.0"),
        ),
    )
}


class NotInstalled(Exception):
    """An environment cannot be made; the message is the last line of what pip or apt-get said."""


def python_of(name: str, *, cache: Path, report: Callable[[str], None]) -> Path:
    """The interpreter of an environment, which is made where it is not there."""
    wanted = ENVIRONMENTS[name]
    folder = cache / name
    python = folder / "bin" / "python"
    stamp = folder / ".installed"
    if stamp.exists() and stamp.read_text() == repr(wanted):
        return python
    report(f"installing the environment {name}: {', '.join(wanted.packages + wanted.alone)}")
    _install_debian(wanted.debian)
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    variables = {**os.environ, **wanted.variables}
    _run([*pip, *wanted.packages], variables)
    for package in wanted.alone:
        _run([*pip, "--no-deps", "--no-build-isolation", package], variables)
    stamp.write_text(repr(wanted))
    return python


def _install_debian(names: tuple[str, ...]) -> None:
    if not names:
        return
    missing = [name for name in names if not _is_installed(name)]
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise NotInstalled(f"needs the Debian packages {' '.join(missing)}")
    variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", "update", "-qq"], variables)
    _run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing], variables)


def _is_installed(name: str) -> bool:
    if shutil.which("dpkg-query") is None:
        return False
    command = ["dpkg-query", "-W", "-f", "${Status}", name]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return "install ok installed" in answer.stdout


def _run(command: list[str], variables: dict[str, str] | None = None) -> None:
    answer = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if answer.returncode:
        said = (answer.stderr.strip() or answer.stdout.strip()).splitlines()
        raise NotInstalled(said[-1].strip() if said else f"{command[0]} ended without a word")
