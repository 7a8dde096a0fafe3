"""Tests of contrasts between clean and corrupted inputs: accepted, and refused where effects cancel."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.zoo.small import example, small
from workbench.analysis.circuits.cut_composition import cut_composition
from workbench.analysis.circuits.node_effects import node_effects
from workbench.analysis.circuits.path_patching import patch_path
from workbench.analysis.circuits.tracing import trace_circuit
from workbench.analysis.circuits.verification import verify_circuit
from workbench.analysis.contrast import metric_gap
from workbench.analysis.patching import patch_activations
from workbench.core.errors import InputError
from workbench.core.metrics import LogitDifference, Signed

NOTHING = torch.zeros(16)


def test_the_gap_is_the_difference_of_the_means() -> None:
    clean = torch.linspace(1, 2, 16)
    assert metric_gap(clean, clean - 3) == pytest.approx(3)
    assert metric_gap(-clean, NOTHING) == pytest.approx(-1.5)
    assert metric_gap(torch.tensor([2.0]), torch.tensor([5.0])) == pytest.approx(-3)


@given(seed=st.integers(0, 2**16), n=st.integers(2, 40))
def test_effects_of_both_signs_that_cancel_are_refused_with_a_way_out(seed: int, n: int) -> None:
    half = 0.1 + torch.rand(n, generator=torch.Generator().manual_seed(seed))
    clean = torch.cat([half, -half])  # mean 0, single examples up to 1.1
    with pytest.raises(InputError, match=r"signed_logit.*Signed.*logit_difference.*other or more inputs"):
        metric_gap(clean, torch.zeros(2 * n))


def test_a_mean_that_is_small_beside_single_effects_is_refused_even_where_many_examples_make_it_sure() -> None:
    clean = torch.tensor([1.0] * 55 + [-1.0] * 45).repeat(200)  # 0.1 in the mean, 1 on an example
    with pytest.raises(InputError, match=r"by 1 on an example, but by only 0\.1 in the mean of 20000"):
        metric_gap(clean, torch.zeros_like(clean))


def test_an_interval_that_holds_zero_is_refused_and_one_that_does_not_is_not() -> None:
    unsure = torch.tensor([3.0, -1.0])
    with pytest.raises(InputError, match=r"interval -1 to 3"):
        metric_gap(unsure, torch.zeros(2))
    assert metric_gap(torch.tensor([3.0, 1.0]), torch.zeros(2)) == 2


def test_inputs_that_change_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="no effect to restore"):
        metric_gap(NOTHING + 1, NOTHING + 1)
    with pytest.raises(InputError, match="no effect to restore"):
        metric_gap(NOTHING, NOTHING)


def two_way(n: int = 6) -> tuple[Any, torch.Tensor, torch.Tensor, LogitDifference]:
    """A network of attention on pairs of inputs that are each other's corrupted ones: the mean effect is exactly 0."""
    model = small("gpt")
    one, other = example(model, n, seed=0), example(model, n, seed=1)
    metric = LogitDifference(torch.zeros(2 * n).long(), torch.ones(2 * n).long())
    return model, torch.cat([one, other]), torch.cat([other, one]), metric


HEAD = "blocks.0.attn.hook_z[head=0]"
TECHNIQUES = {
    "circuit": trace_circuit,
    "verify": verify_circuit,
    "path": patch_path,
    "nodes": node_effects,
    "patching": lambda model, *rest: patch_activations(model, *rest[:2], "blocks.0.attn.hook_z", rest[2]),
    "cut_composition": lambda *given: cut_composition(*given, [HEAD], [HEAD.replace("0", "1", 1)]),
}


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_technique_refuses_such_a_contrast_and_takes_the_way_out(name: str) -> None:
    model, clean, corrupted, metric = two_way()
    with pytest.raises(InputError, match="examples move in both directions"):
        TECHNIQUES[name](model, clean, corrupted, metric)
    signed = Signed.of(metric, model(clean).detach(), model(corrupted).detach())
    assert TECHNIQUES[name](model, clean, corrupted, signed) is not None
