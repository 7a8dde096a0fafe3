"""Training throughput of the zoo, beside the same networks without hook points, at the recipes' batch sizes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tests.bench import peers
from tests.bench.harness import Figure, paired
from workbench.core.allocator import keep_freed_pages
from workbench.core.random import generator
from workbench.core.registry import RECIPES
from workbench.recipes.recipe import Recipe, build
from workbench.training.fit import Run, advance
from workbench.training.supervised import lay_out

BATCHES = {
    "digits_mlp": 64, "mnist_mlp": 128, "mnist_cnn": 128, "shapes_cnn": 128, "plain_vs_residual": 128,
    "cifar10_resnet20": 128, "cifar10_fast": 2000, "shakespeare_gpt": 32,
}  # fmt: skip
"""Examples in a step, by recipe."""
PLAIN = "the same network without hook points"


def figures() -> Iterator[Figure]:
    """Every figure of this benchmark."""
    keep_freed_pages()
    for name, batch_size in BATCHES.items():
        yield from throughput(RECIPES[name], batch_size)


def throughput(recipe: Recipe, batch_size: int) -> Iterator[Figure]:
    """Examples per second of whole updates (forward, backward, optimiser), and their ratio to the plain network's."""
    model = build(recipe)
    inputs, targets = example(model, recipe, batch_size)
    plain = peers.without_points(copy.deepcopy(model))
    times = paired(step(model, recipe, inputs, targets), step(plain, recipe, inputs, targets), budget=10.0)
    ours = batch_size / (times.median * times.peer_ms / 1e3)
    yield Figure(f"zoo.{recipe.name}.examples_per_second", ours, f"in batches of {batch_size}")
    yield Figure(f"zoo.{recipe.name}.throughput", 1 / times.median, "x plain PyTorch", PLAIN, ">= 0.97")


def example(model: nn.Module, recipe: Recipe, batch_size: int) -> tuple[Tensor, Tensor]:
    """Random inputs of the recipe's size, and random targets."""
    if recipe.architecture == "gpt":
        shape = (batch_size, recipe.config.n_ctx)
        tokens = (torch.randint(recipe.config.d_vocab, shape, generator=generator(i, "tokens")) for i in range(2))
        return next(tokens), next(tokens)
    inputs: Tensor = model.example(batch_size)  # type: ignore[operator]
    targets = torch.randint(recipe.config.n_classes, (batch_size,), generator=generator(0, "targets"))
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs, targets


def step(model: nn.Module, recipe: Recipe, inputs: Tensor, targets: Tensor) -> Callable[[], object]:
    """One update, as `fit` makes it."""
    lay_out(model, torch.channels_last)
    run = Run(model.train(), recipe.training, checkpoint=None)
    return partial(advance, run, lambda step: (inputs, targets), loss)


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of classes, or of tokens at every position."""
    return cross_entropy(logits.flatten(0, -2), targets.flatten())
