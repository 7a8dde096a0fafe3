"""Tests of the classification of parameters, their matrices and fans."""

import pytest
import torch
from torch import nn

from workbench.core.weights import Fans, as_matrix, fans_of, from_matrix, is_bias, is_weight


@pytest.mark.parametrize("name", ["bias", "fc.bias", "b_in", "attn.b_Q", "lstm.bias_hh_l0", "in_proj_bias", "ln.b"])
def test_a_bias_is_known_by_its_name(name: str) -> None:
    assert is_bias(name)
    assert not is_weight(name, torch.zeros(2, 2))


@pytest.mark.parametrize("name", ["weight", "blocks.0.weight", "W_in", "in_proj_weight", "unembed._W_U", "base.weight"])
def test_a_weight_is_known_by_its_name(name: str) -> None:
    assert is_weight(name, torch.zeros(2, 2))


@pytest.mark.parametrize("name", ["attn.W_Q", "W_K", "W_V", "W_O", "weight"])
def test_a_matrix_turns_back_into_its_weight(name: str) -> None:
    weight = torch.randn(2, 3, 4)
    assert torch.equal(from_matrix(name, as_matrix(name, weight), weight.shape), weight)


def test_the_matrix_of_the_heads_is_the_map_they_compute() -> None:
    W_Q, W_O = torch.randn(2, 6, 3), torch.randn(2, 3, 6)
    x, z = torch.randn(5, 6), torch.randn(5, 2, 3)
    q = torch.einsum("pd,hde->phe", x, W_Q)
    torch.testing.assert_close(x @ as_matrix("W_Q", W_Q), q.flatten(1))
    out = torch.einsum("phe,hed->pd", z, W_O)
    torch.testing.assert_close(z.flatten(1) @ as_matrix("W_O", W_O), out)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Linear(5, 7, bias=False), (5,)),
        (nn.Conv1d(4, 6, 3, padding=1, bias=False), (4, 9)),
        (nn.Conv2d(4, 6, 3, padding=1, bias=False), (4, 9, 9)),
        (nn.Conv2d(4, 6, 3, padding=1, groups=2, bias=False), (4, 9, 9)),
        (nn.ConvTranspose2d(4, 6, 3, padding=1, bias=False), (4, 9, 9)),
        (nn.ConvTranspose2d(4, 6, 3, padding=1, groups=2, bias=False), (4, 9, 9)),
    ],
)
def test_fans_count_the_connections_of_a_unit_away_from_the_border(module: nn.Module, shape: tuple[int, ...]) -> None:
    nn.init.ones_(module.weight)
    middle = tuple(n // 2 for n in shape[1:])
    jacobian = torch.autograd.functional.jacobian(lambda x: module(x[None])[0], torch.zeros(shape))
    axes = len(shape)
    incoming = jacobian[(0, *middle)].count_nonzero().item()
    outgoing = jacobian.movedim(tuple(range(axes, 2 * axes)), tuple(range(axes)))[(0, *middle)].count_nonzero().item()
    assert fans_of("weight", module.weight, module) == Fans(incoming, outgoing)


def test_fans_of_raw_parameters_follow_transformer_lens() -> None:
    owner = nn.Module()
    assert fans_of("mlp.W_in", torch.zeros(8, 32), owner) == Fans(8, 32)
    assert fans_of("attn.W_Q", torch.zeros(2, 8, 4), owner) == Fans(8, 8)
    assert fans_of("attn.W_O", torch.zeros(3, 4, 8), owner) == Fans(12, 8)
    assert fans_of("unembed._W_U", torch.zeros(8, 50), owner) == Fans(8, 50)
    assert fans_of("embed.W_E", torch.zeros(50, 8), owner) == Fans(1, 8)
    assert fans_of("weight", torch.zeros(50, 8), nn.Embedding(50, 8)) == Fans(1, 8)
