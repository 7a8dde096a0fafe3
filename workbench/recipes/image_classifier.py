"""The training that all image classifiers' recipes share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.registry import DATASETS
from workbench.data.minibatches import Augment, minibatches
from workbench.recipes.recipe import Recipe, Session, Trained
from workbench.training.fit import fit
from workbench.training.supervised import classification_loss, classification_metrics


def train_on_images(
    recipe: Recipe,
    model: HookedModel,
    session: Session,
    dataset: str,
    batch_size: int,
    augment: Augment | None = None,
    label_smoothing: float = 0.0,
    channels_last: bool = False,
) -> Trained:
    """Cross entropy on random mini-batches; accuracy over the whole test split."""
    data = DATASETS[dataset]()
    batch = minibatches(data, batch_size, recipe.seed, augment)
    layout = torch.channels_last if channels_last else torch.preserve_format
    model.to(memory_format=layout)
    test_inputs = data.test_inputs.contiguous(memory_format=layout) if channels_last else data.test_inputs

    def step(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, targets = batch(number)
        return (inputs.contiguous(memory_format=layout) if channels_last else inputs), targets

    evaluate = partial(classification_metrics, inputs=test_inputs, targets=data.test_targets)
    curve = fit(
        model, step, partial(classification_loss, label_smoothing=label_smoothing), recipe.training,
        evaluate, session.state, session.progress, session.keep,
    )  # fmt: skip
    model.to(memory_format=torch.contiguous_format)
    return Trained(curve, evaluate(model), DataSource(data.name, data.sha256, data.note))
