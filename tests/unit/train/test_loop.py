from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from digits import digit_loaders

from imagetree.core.errors import Conflict, InvalidInput, TrainingFailure
from imagetree.networks import bundle as bundles
from imagetree.networks import registry
from imagetree.train.evaluation import evaluate
from imagetree.train.loop import train
from imagetree.train.prediction import predict
from imagetree.train.recipe import Recipe

torch.set_num_threads(1)  # layers this small lose time on a second thread

SCRIPT = Path(__file__).with_name("run_digits.py")


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder)], stdout=subprocess.PIPE, text=True
    )


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(x) for x in (folder / "metrics.jsonl").read_text().splitlines()]


def test_killed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    with start(tmp_path / "whole") as whole:
        whole.communicate()
    assert whole.returncode == 0
    for stop_at in (8, 15):  # in the middle of the first epoch, then of the second
        with start(tmp_path / "killed") as killed:
            assert killed.stdout is not None
            for line in killed.stdout:
                if int(line) >= stop_at:
                    break
            killed.send_signal(signal.SIGKILL)
        assert killed.returncode == -signal.SIGKILL
    with start(tmp_path / "killed") as again:
        output, _ = again.communicate()
    assert again.returncode == 0
    assert int(output.split()[0]) > 1  # it resumed, it did not start over
    a = torch.load(tmp_path / "whole/final.pt", weights_only=True)
    b = torch.load(tmp_path / "killed/final.pt", weights_only=True)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert rows(tmp_path / "whole") == rows(tmp_path / "killed")
    assert list((tmp_path / "whole/tensorboard").glob("events*"))


def test_lenet_reads_digits_and_its_bundle_predicts(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = registry.build("lenet5", n_classes=10, image_size=32, channels=1)
    recipe = Recipe.of(registry.default_recipe("lenet5", image_size=32, n_classes=10))
    loader, test = digit_loaders(batch_size=recipe.batch_size)
    result = train(network, loader, None, recipe, folder=tmp_path / "run")
    scores = evaluate(network, test)
    assert result.finished
    assert scores.errors[1] <= 0.04, str(scores)
    assert "99.9% interval" in str(scores)
    assert json.loads(json.dumps(scores.as_dict()))["n_images"] == 540
    described = bundles.Bundle(
        network="lenet5",
        wnids=loader.classes,
        class_names=tuple("0123456789"),
        preprocessing=network.preprocessing,
    )
    bundles.save(tmp_path / "bundle", network, bundle=described)
    photos = [np.repeat(image, 3, axis=2) for image in test.images[:20]]
    best = [guesses[0].name for guesses in predict(tmp_path / "bundle", photos)]
    assert best == [str(i) for i in scores.probabilities[:20].argmax(1)]


def small_recipe(**changes: object) -> Recipe:
    return Recipe.of(
        {"epochs": 1, "batch_size": 32, "learning_rate": 0.01, "resize_px": 32} | changes
    )


def test_errors_are_early_and_say_what_to_do(tmp_path: Path) -> None:
    loader, _ = digit_loaders(n_train=64)
    network = registry.build("lenet5", n_classes=10, image_size=32, channels=1)
    train(network, loader, None, small_recipe(), folder=tmp_path / "a")
    with pytest.raises(Conflict, match="another recipe"):
        train(network, loader, None, small_recipe(epochs=2), folder=tmp_path / "a")
    loader.class_counts = [0, *[5] * 9]  # type: ignore[attr-defined]
    with pytest.raises(TrainingFailure, match="n00000000"):
        train(network, loader, None, small_recipe(), folder=tmp_path / "b")
    del loader.class_counts  # type: ignore[attr-defined]
    with torch.no_grad():
        network.get_parameter("f6.bias").fill_(float("nan"))
    with pytest.raises(TrainingFailure, match="learning rate"):
        train(network, loader, None, small_recipe(), folder=tmp_path / "c")
    other = registry.build("alexnet", n_classes=10, image_size=64, channels=1)
    with pytest.raises(InvalidInput, match="image_size"):
        train(other, loader, None, small_recipe(), folder=tmp_path / "d")


def test_asked_to_stop_leaves_a_checkpoint(tmp_path: Path) -> None:
    loader, _ = digit_loaders(n_train=320)
    network = registry.build("lenet5", n_classes=10, image_size=32, channels=1)
    result = train(network, loader, None, small_recipe(), folder=tmp_path, should_stop=lambda: True)
    assert not result.finished
    assert (result.n_steps, (tmp_path / "checkpoint.pt").exists()) == (1, True)
