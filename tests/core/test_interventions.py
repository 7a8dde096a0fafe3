"""Tests of interventions: computed values, and errors for wrong axes, references and values."""

from __future__ import annotations

import pytest
import torch

from workbench.core.errors import InputError, ShapeError, UnknownNameError
from workbench.core.interventions import Intervention, apply_all, clamp, mean, patch, resample, scale, steer, zero
from workbench.core.random import generator

BATCH_SECOND = ("axis0", "batch", "unit")
X = torch.arange(24.0).reshape(2, 3, 4)


def apply(intervention: Intervention, axes: tuple[str, ...] = BATCH_SECOND, x: torch.Tensor = X) -> torch.Tensor:
    return apply_all([intervention], axes, x)


def test_mean_and_resample_follow_the_batch_axis_wherever_it_is() -> None:
    reference = torch.randn(2, 5, 4)
    assert torch.equal(apply(mean("h", reference)), reference.mean(1, keepdim=True).expand_as(X))
    drawn = apply(resample("h[unit=1]", reference, generator(0)))
    assert torch.equal(drawn[..., [0, 2, 3]], X[..., [0, 2, 3]])
    rows = [int((reference[0, :, 1] == drawn[0, i, 1]).nonzero()) for i in range(3)]
    assert torch.equal(drawn[..., 1], reference[:, rows, 1])


def test_one_row_is_repeated_along_the_batch_and_along_nothing_else() -> None:
    assert torch.equal(apply(patch("h", X[:, :1])), X[:, :1].expand_as(X))
    for other in (X[:1], X[..., :1], X[:, :2], X[0]):
        with pytest.raises(ShapeError):
            apply(patch("h", other))


def test_an_activation_without_a_batch_can_be_patched_but_has_no_mean() -> None:
    axes = ("axis0", "axis1", "unit")
    assert torch.equal(apply(patch("h", X + 1), axes), X + 1)
    for intervention in (mean("h", X), resample("h", X, generator(0))):
        with pytest.raises(InputError, match="no batch"):
            apply(intervention, axes)
    with pytest.raises(ShapeError):
        apply(patch("h", X[:1]), axes)


def test_an_unknown_axis_is_refused_and_not_replaced_by_the_last() -> None:
    with pytest.raises(UnknownNameError, match="'heads'"):
        apply(steer("h", torch.ones(4), axis="heads"))
    assert torch.equal(apply(steer("h", torch.ones(2), axis="axis0")), X + 1)


def test_negative_factors_are_fine_and_numbers_that_are_none_are_not() -> None:
    assert torch.equal(apply(scale("h", -2.0)), -2 * X)
    for refused in (
        lambda: scale("h", float("nan")),
        lambda: scale("h", float("inf")),
        lambda: clamp("h", 2.0, 1.0),
        lambda: clamp("h", float("nan")),
        lambda: clamp("h"),
        lambda: steer("h", torch.tensor([0.0, float("nan")])),
        lambda: mean("h", torch.empty(0, 4)),
        lambda: resample("h", torch.empty(0, 4), generator(0)),
    ):
        with pytest.raises(InputError):
            refused()
    assert torch.equal(apply(clamp("h", 3.0, 3.0)), torch.full_like(X, 3))


def test_whole_numbers_are_not_cut_off() -> None:
    whole = X.long()
    for intervention in (
        mean("h", whole),
        scale("h", 0.5),
        steer("h", torch.full((4,), 0.5)),
        clamp("h", 0.5),
        patch("h", X + 0.5),
    ):
        with pytest.raises(InputError, match="cannot hold"):
            apply(intervention, x=whole)
    assert torch.equal(apply(zero("h[unit=0]"), x=whole)[..., 1:], whole[..., 1:])
    assert torch.equal(apply(patch("h", X.int()), x=X.double()), X.double())
