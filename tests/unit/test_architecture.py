"""The shape of the code: layers, lazy imports, complete exports, module sizes."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import imagetree

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "imagetree"
HEAVY = ("sqlalchemy", "dbos", "fastapi", "torch", "numpy", "scipy", "PIL", "uvicorn")


def modules_after(code: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after running `code`."""
    program = f"{code}\nimport sys, json\nsys.stderr.write(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_import_linter_keeps_its_contracts() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_help_loads_nothing_heavy() -> None:
    code = "from imagetree.cli.main import run\nassert run(['--help']) == 0"
    loaded = modules_after(code)
    assert not loaded & set(HEAVY)
    assert "imagetree.cli.collecting" not in loaded


@pytest.mark.parametrize("command", ["collect", "release", "train", "web", "jobs", "demo"])
def test_help_of_a_command_loads_nothing_heavy(command: str) -> None:
    code = f"from imagetree.cli.main import run\nassert run([{command!r}, '--help']) == 0"
    assert not modules_after(code) & set(HEAVY)


def test_import_imagetree_loads_nothing_heavy() -> None:
    assert not modules_after("import imagetree") & set(HEAVY)


def test_workflows_load_no_torch() -> None:
    code = (
        "import importlib, pkgutil, imagetree.workflows as w\n"
        "[importlib.import_module('imagetree.workflows.' + m.name) "
        "for m in pkgutil.iter_modules(w.__path__)]\nimport imagetree.database"
    )
    assert "torch" not in modules_after(code)


def test_exports_are_complete_and_sorted() -> None:
    assert imagetree.__all__ == sorted(imagetree.__all__)
    for name in imagetree.__all__:
        assert getattr(imagetree, name) is not None
    assert dir(imagetree) == imagetree.__all__


def test_an_unknown_export_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        imagetree.nonsense  # noqa: B018


def test_every_error_is_exported() -> None:
    from imagetree.core import errors

    raised = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
    raised -= {"ClassVar"}
    assert raised <= set(imagetree.__all__)


def _modules() -> list[Path]:
    # A migration is a list of columns, written once and never again.
    return sorted(path for path in SOURCE.rglob("*.py") if path.parent.name != "versions")


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "common", "manager", "misc"}
    assert not [path for path in _modules() if path.stem in drawers]


def test_modules_and_functions_are_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {n} lines"
        for path in _modules()
        if (n := len(path.read_text("utf-8").splitlines())) > 440  # the aim is 400
    ]
    for path in _modules():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                n_lines = (node.end_lineno or node.lineno) - node.body[0].lineno + 1
                if n_lines > 60:  # the aim is 50
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {n_lines} lines")
    assert not long


def test_every_module_says_what_it_is() -> None:
    silent = [path for path in _modules() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent
