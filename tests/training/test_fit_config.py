"""Tests of the settings of the training loop: errors, schedules and learning rates by part."""

import math

import pytest

from workbench.core.errors import ConfigError, UnknownNameError, WorkbenchError
from workbench.training.fit_config import FitConfig


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"optimizer": "adem"}, UnknownNameError, "Did you mean 'adam'"),
        ({"schedule": "cosin"}, UnknownNameError, "Did you mean 'cosine'"),
        ({"precision": "bf"}, UnknownNameError, "Did you mean 'bf16'"),
        ({"steps": 0}, ConfigError, "'steps' of FitConfig should be a whole number of 1 or more, not 0"),
        ({"lr": 0.0}, ConfigError, "'lr' of FitConfig should be a number above 0, not 0"),
        ({"lr": math.nan}, ConfigError, "number above 0, not nan"),
        ({"gradient_clip": -1.0}, ConfigError, "number above 0 or none, not -1"),
        ({"weight_decay": -5.0}, ConfigError, "number of 0 or more, not -5"),
        ({"final_factor": -3.0}, ConfigError, "number from 0 to 1, not -3"),
        ({"warmup": -10}, ConfigError, "whole number of 0 or more, not -10"),
        ({"betas": (0.9, 1.0)}, ConfigError, "entry 1 of 'betas' of FitConfig should be a number from 0 to below 1"),
        ({"keep_steps": (-1,)}, ConfigError, "entry 0 of 'keep_steps'"),
        ({"steps": 5, "keep_steps": (6,)}, ConfigError, "from 0 to 5"),
        ({"ema": 1.0}, ConfigError, "from 0 to below 1 or none, not 1.0"),
        ({"other_lr": 2.0, "optimizer": "sgd"}, ConfigError, "with sgd"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_once(
    settings: dict, error: type[WorkbenchError], message: str
) -> None:
    with pytest.raises(error, match=message):
        FitConfig(**settings)


def test_the_factor_follows_the_named_schedule() -> None:
    cfg = FitConfig(steps=10, schedule="linear", warmup=2, final_factor=0.5)
    assert [cfg.factor(step) for step in (0, 1, 2, 10)] == pytest.approx([0.5, 1, 1, 0.5])


def test_parts_of_a_network_have_learning_rates_of_their_own() -> None:
    cfg = FitConfig(steps=4, optimizer="muon_sgd", lr=0.5, bias_lr=4.0, other_lr=2.0, schedule="linear")
    assert [cfg.learning_rate(1, part) for part in ("hidden", "weight", "bias")] == [0.375, 0.75, 1.5]
