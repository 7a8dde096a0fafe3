"""Tests of learning-rate schedules against their closed forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import UnknownNameError
from workbench.training.schedules import SCHEDULES, schedule


@pytest.mark.parametrize("name", SCHEDULES)
@given(steps=st.integers(1, 200), warmup=st.integers(0, 50), final=st.floats(0, 1))
def test_factors_lie_between_zero_and_one(name: str, steps: int, warmup: int, final: float) -> None:
    factors = [schedule(name)(step, steps, warmup, final) for step in range(steps)]
    assert all(0 <= factor <= 1 + 1e-12 for factor in factors)


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "warmup_stable_decay"])
def test_warmup_is_a_line_that_reaches_one_on_its_last_step(name: str) -> None:
    factors = [schedule(name)(step, 100, 4, 0.1) for step in range(5)]
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_linear_falls_evenly_to_its_final_factor() -> None:
    assert [schedule("linear")(s, 14, 4, 0.5) for s in (4, 9, 14)] == pytest.approx([1, 0.75, 0.5])


def test_cosine_has_the_closed_form_of_the_paper() -> None:
    for step in range(10, 110):
        expected = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - 10) / 100))
        assert schedule("cosine")(step, 110, 10, 0.1) == pytest.approx(expected)


def test_stable_phase_ends_after_four_fifths() -> None:
    factors = [schedule("warmup_stable_decay")(s, 100, 10, 0.0) for s in range(101)]
    assert factors[10:81] == pytest.approx([1.0] * 71)
    assert factors[80:101] == pytest.approx([1 - i / 20 for i in range(21)])


@pytest.mark.parametrize("warmup", [0, 20])
def test_one_cycle_is_torchs_one_cycle(warmup: int) -> None:
    steps, final = 100, 1e-3
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    torchs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        1.0,
        total_steps=steps,
        pct_start=(warmup or 30) / steps,
        div_factor=25,
        final_div_factor=1 / 25 / final,
    )
    for step in range(steps):
        assert schedule("one_cycle")(step, steps, warmup, final) == pytest.approx(torchs.get_last_lr()[0])
        optimizer.step()
        if step < steps - 1:
            torchs.step()


def test_an_unknown_schedule_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'cosine'"):
        schedule("cosin")
