"""Training of GPTs on algorithmic tasks, on random rows or on all rows at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.registry import DATASETS
from workbench.data.tasks.sequences import SequenceData, random_rows
from workbench.recipes.recipe import Recipe, Session, Trained
from workbench.training.language_modelling import train_language_model
from workbench.training.sequence_answers import answer_metrics

Measure = Callable[..., dict[str, dict[str, Any]]]
"""Maps (model, inputs, targets) to metrics."""


def train_on(name: str, batch_size: int | None, whole: bool = False, measure: Measure = answer_metrics) -> Any:
    """Return a recipe's training on a data set of sequences; `whole` also measures training and test rows together."""

    def train(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
        data: SequenceData = DATASETS[name]()
        evaluate = partial(measure, inputs=data.test_inputs, targets=data.test_targets)
        batch = random_rows(data, batch_size, recipe.seed)
        curve = train_language_model(
            model, batch, recipe.training, evaluate, session.state, session.progress, session.keep
        )
        metrics = evaluate(model)
        if whole:
            inputs = torch.cat([data.train_inputs, data.test_inputs])
            targets = torch.cat([data.train_targets, data.test_targets])
            metrics |= answer_metrics(model, inputs, targets, prefix="whole")
        return Trained(curve, metrics, DataSource(data.name, data.sha256, data.note), data.tokenizer)

    return train
