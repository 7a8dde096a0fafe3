"""Measurement of a trained network by its recipe, or by its kind of data."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from workbench.checkpoints.card import Card
from workbench.core.errors import InputError
from workbench.core.hooked import HookedModel
from workbench.core.registry import DATASETS, RECIPES
from workbench.data.environments import make_vector
from workbench.data.images.image_data import ImageData
from workbench.data.tasks.sequences import SequenceData
from workbench.recipes.recipe import Metrics
from workbench.recipes.trainings.several_seeds import EPISODES, EVALUATION_SEED
from workbench.training.policy_evaluation import evaluate_policy
from workbench.training.sequence_answers import answer_metrics
from workbench.training.supervised import classification_metrics


def measure(model: HookedModel, card: Card) -> Metrics:
    """Measure a trained network again from its weights and data."""
    recipe = RECIPES[card.recipe]
    if recipe.measure is not None:
        return recipe.measure(recipe, model)
    if "return_mean" in card.metrics:
        return measure_returns(model, card.data.name)
    if card.data.name in DATASETS and "test_accuracy" in card.metrics:
        return measure_answers(model, DATASETS[card.data.name](), "whole_accuracy" in card.metrics)
    raise InputError(f"The recipe {card.recipe} does not say how its network is measured. Give it `measure`.")


def measure_returns(model: Any, environment: str) -> Metrics:
    """Measure the mean return of greedy episodes in gymnasium's own environment."""
    found = evaluate_policy(model, partial(make_vector, environment), EPISODES, EVALUATION_SEED)
    return {"return_mean": found.score}


def measure_answers(model: HookedModel, data: Any, whole: bool) -> Metrics:
    """Measure accuracy and loss on the test split; with `whole`, on both splits together as well."""
    if isinstance(data, ImageData):
        return classification_metrics(model, data.test_inputs, data.test_targets)
    if not isinstance(data, SequenceData):
        raise InputError(f"{data.name} has no answers that are counted in one way. Give its recipe `measure`.")
    metrics = answer_metrics(model, data.test_inputs, data.test_targets)
    if whole:
        inputs = torch.cat([data.train_inputs, data.test_inputs])
        metrics |= answer_metrics(model, inputs, torch.cat([data.train_targets, data.test_targets]), prefix="whole")
    return metrics
