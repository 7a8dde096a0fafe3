"""Tests of initializers: variances, orthogonality, heads, biases and seeds."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from workbench.core.errors import UnknownNameError
from workbench.core.initializers import BIAS_INITIALIZERS, INITIALIZERS, initialize


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Raw(nn.Module):
    """Parameters as TransformerLens names them."""

    def __init__(self) -> None:
        super().__init__()
        self.W_Q = nn.Parameter(torch.full((4, 64, 16), 9.0))
        self.b_Q = nn.Parameter(torch.full((4, 16), 9.0))
        self.W_in = nn.Parameter(torch.full((64, 256), 9.0))


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("xavier_uniform", 2 / (200 + 300)),
        ("xavier_normal", 2 / (200 + 300)),
        ("he_uniform", 2 / 200),
        ("he_normal", 2 / 200),
        ("small_normal", 0.02**2),
        ("naive", 1.0),
    ],
)
def test_weights_have_mean_zero_and_the_variance_of_the_paper(name: str, variance: float) -> None:
    layer = nn.Linear(200, 300)
    initialize(layer, name, generator=seeded())
    standard_error = variance * (2 / layer.weight.numel()) ** 0.5
    assert layer.weight.var().item() == pytest.approx(variance, abs=5 * standard_error)
    assert abs(layer.weight.mean().item()) < 5 * (variance / layer.weight.numel()) ** 0.5


@pytest.mark.parametrize(
    ("name", "torchs"),
    [
        ("xavier_uniform", nn.init.xavier_uniform_),
        ("he_uniform", lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu")),
    ],
)
def test_uniform_weights_fill_the_same_range_as_torchs(name: str, torchs: Callable[[Tensor], Tensor]) -> None:
    ours, theirs = nn.Conv2d(16, 32, 3), nn.Conv2d(16, 32, 3)
    initialize(ours, name, generator=seeded())
    torchs(theirs.weight)
    assert ours.weight.max().item() == pytest.approx(theirs.weight.max().item(), rel=0.01)
    assert ours.weight.min().item() == pytest.approx(theirs.weight.min().item(), rel=0.01)


def test_he_keeps_the_second_moment_through_many_relu_layers_and_naive_does_not() -> None:
    x = torch.randn(256, 100, generator=seeded(1))
    moments = {}
    for name in ("he_normal", "he_uniform", "naive"):
        layers = [nn.Linear(100, 100) for _ in range(10)]
        out = x
        for i, layer in enumerate(layers):
            initialize(layer, name, generator=seeded(i))
            out = layer(out.relu() if i else out)
        moments[name] = (out.square().mean() / x.square().mean()).item()
    assert 0.5 < moments["he_normal"] / 2 < 2 and 0.5 < moments["he_uniform"] / 2 < 2
    assert moments["naive"] > 1e10


@pytest.mark.parametrize("shape", [(5, 8), (8, 5)])
def test_orthogonal_weights_have_orthonormal_rows_or_columns(shape: tuple[int, int]) -> None:
    layer = nn.Linear(*shape)
    initialize(layer, "orthogonal", generator=seeded())
    weight = layer.weight.detach()
    gram = weight @ weight.T if weight.shape[0] < weight.shape[1] else weight.T @ weight
    torch.testing.assert_close(gram, torch.eye(5), atol=1e-5, rtol=0)


def test_the_heads_of_an_attention_are_one_map() -> None:
    model = Raw()
    initialize(model, "orthogonal", generator=seeded())
    x = torch.randn(3, 64)
    q = torch.einsum("pd,hde->phe", x, model.W_Q.detach())
    torch.testing.assert_close(q.flatten(1).norm(dim=1), x.norm(dim=1))
    initialize(model, "he_normal", generator=seeded())
    assert model.W_Q.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.05)
    assert model.W_in.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.05)
    assert model.b_Q.count_nonzero() == 0


@pytest.mark.parametrize(("bias", "std"), [("zeros", 0.0), ("small_normal", 0.02), ("naive", 1.0)])
def test_biases_are_drawn_apart_from_weights(bias: str, std: float) -> None:
    layer = nn.Linear(2, 20_000)
    initialize(layer, "zeros", bias, seeded())
    assert layer.weight.count_nonzero() == 0
    assert layer.bias.std().item() == pytest.approx(std, rel=0.05)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_norms_keep_their_scale_and_a_seed_decides_the_rest(name: str) -> None:
    models = [nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3)) for _ in range(2)]
    for model in models:
        initialize(model, name, "small_normal", seeded(3))
    first, second = (list(model.parameters()) for model in models)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.equal(models[0][1].weight, torch.ones(4)) and torch.equal(models[0][1].bias, torch.zeros(4))


def test_the_layout_in_memory_does_not_change_the_draw() -> None:
    plain, last = nn.Conv2d(4, 6, 3), nn.Conv2d(4, 6, 3).to(memory_format=torch.channels_last)
    for layer in (plain, last):
        initialize(layer, "he_normal", generator=seeded())
    assert torch.equal(plain.weight, last.weight)


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'he_normal'"):
        initialize(nn.Linear(1, 1), "he_norml")
    with pytest.raises(UnknownNameError, match="for biases"):
        initialize(nn.Linear(1, 1), bias="orthogonal")
    assert BIAS_INITIALIZERS.keys() <= INITIALIZERS.keys()
