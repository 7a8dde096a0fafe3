"""Default inputs, corrupted inputs and metric of each model, and the presets offered in the app.

Every contrast has one form, whatever the network: an input is compared with one of the same kind that has another
answer (`other:SEED`), and the metric is the logit of its own answer minus that of the other. So each example moves in
the same direction, and the mean effect is that of single examples.
"""

from __future__ import annotations

from workbench.checkpoints.card import read_card
from workbench.checkpoints.present import traits_of
from workbench.experiments.inputs.modality import Preset, modality_of_model, parse_inputs

SEVERAL_RIGHT = ("greater_than",)
"""Data sets whose questions have several right answers."""


def presets(model: str) -> tuple[Preset, ...]:
    """Return inputs to offer for a trained network, the default first; the network is not loaded."""
    return modality_of_model(model).presets(model)


def default_inputs(model: str) -> str:
    """Return the inputs of a trained network if none are given."""
    return presets(model)[0].inputs


def default_corrupted(model: str, inputs: str) -> str:
    """Return the corrupted inputs for `inputs` if none are given."""
    for preset in presets(model):
        if preset.inputs == inputs:
            return preset.corrupted
    return modality_of_model(model).corrupt(model, parse_inputs(inputs, read_card(model))[0])


def default_metric(model: str, contrast: bool) -> str:
    """Return the metric of a question if none is given.

    In a contrast with corrupted inputs it is the logit of the right answer minus that of the corrupted input's, the
    probability of all right answers minus that of the others where a task has several, and the log probability of the
    clean image under an autoencoder's reconstruction. Without corrupted inputs it is the logit.
    """
    if not contrast:
        return "logit"
    card = read_card(model)
    if traits_of(card).family == "vae":
        return "reconstruction"
    return "probability_difference" if card.data.name in SEVERAL_RIGHT else "logit_difference"
