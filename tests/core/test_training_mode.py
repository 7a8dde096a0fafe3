"""Tests that training mode is detected in any submodule, and that a survey keeps every mode."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.zoo.small import example, small
from workbench.core.errors import TrainingModeError
from workbench.core.interventions import zero
from workbench.core.stages import sweep
from workbench.core.training_mode import evaluating


def test_a_submodule_in_training_mode_is_refused_by_name() -> None:
    model = small("gpt")
    x = example(model)
    model.get_submodule("blocks.1.attn").train()
    for run in (
        lambda: model.cache(x),
        lambda: model.run_with_cache(x),
        lambda: model.run_with_hooks(x),
        lambda: sweep(model, x, [[zero("blocks.0.hook_mlp_out")]], lambda y: y[:, -1, 0]),
    ):
        with pytest.raises(TrainingModeError, match=r"'blocks\.1\.attn"):
            run()
    model.eval()
    assert model.cache(x)


def test_a_part_that_was_added_in_training_mode_is_refused() -> None:
    model = small("mlp")
    model.cache(example(model))
    model.extra = nn.Dropout()
    with pytest.raises(TrainingModeError, match=r"'extra' \(Dropout\)"):
        model.cache(example(model))


def test_evaluating_restores_each_mode() -> None:
    module = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout(), nn.Linear(1, 1)))
    module.eval()
    module[1].train()
    before = [part.training for part in module.modules()]
    with pytest.raises(ValueError), evaluating(module):
        assert not any(part.training for part in module.modules())
        raise ValueError
    assert [part.training for part in module.modules()] == before and any(before) and not all(before)
    assert torch.equal(torch.tensor(before), torch.tensor([False, False, True, True, True]))
