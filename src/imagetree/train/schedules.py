"""The learning rate of a step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from imagetree.train.recipe import Recipe

MAX_DROPS = 3  # the paper divided by ten three times


@dataclass
class Plateau:
    """What the paper's schedule remembers: the best validation error and how often it dropped."""

    best: float = math.inf
    n_waiting: int = 0
    n_drops: int = 0

    def see(self, error: float, *, patience: int) -> None:
        """Takes the validation error of one epoch."""
        if error < self.best:
            self.best, self.n_waiting = error, 0
            return
        self.n_waiting += 1
        if self.n_waiting >= patience and self.n_drops < MAX_DROPS:
            self.n_drops, self.n_waiting = self.n_drops + 1, 0


def learning_rate(recipe: Recipe, step: int, *, steps_an_epoch: int, plateau: Plateau) -> float:
    """The rate of a step (from 0), after a linear warm-up.

    Example:
        >>> recipe = Recipe(epochs=2, batch_size=1, learning_rate=1.0)
        >>> learning_rate(recipe, 5, steps_an_epoch=5, plateau=Plateau())
        0.5
    """
    n_warm = recipe.warmup_epochs * steps_an_epoch
    rate = recipe.learning_rate * (min(1.0, (step + 1) / n_warm) if n_warm else 1.0)
    if recipe.schedule == "cosine":
        return rate * 0.5 * (1 + math.cos(math.pi * step / (recipe.epochs * steps_an_epoch)))
    if recipe.schedule == "step":
        return rate * 0.1 ** sum(step >= m * steps_an_epoch for m in recipe.milestones)
    if recipe.schedule == "plateau":
        return rate * 0.1**plateau.n_drops
    return rate
