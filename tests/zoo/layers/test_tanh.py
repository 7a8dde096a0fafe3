"""Tests of both kernels of the hyperbolic tangent."""

import pytest
import torch

from workbench.zoo.layers.tanh import MANY, tanh


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 2e-7), (torch.float64, 1e-15)])
def test_many_entries_have_the_values_and_slopes_of_few(dtype: torch.dtype, near: float) -> None:
    x = torch.linspace(-12, 12, MANY, dtype=dtype, requires_grad=True)
    torch.testing.assert_close(tanh(x), torch.tanh(x), rtol=0, atol=near)
    slopes = [torch.autograd.grad(f(x).sum(), x)[0] for f in (tanh, torch.tanh)]
    torch.testing.assert_close(*slopes, rtol=0, atol=4 * near)


def test_extremes_stay_what_they_are() -> None:
    x = torch.full((MANY,), torch.inf)
    x[0], x[1] = -torch.inf, torch.nan
    assert tanh(x)[0] == -1 and tanh(x)[1].isnan() and (tanh(x)[2:] == 1).all()
