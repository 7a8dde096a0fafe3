"""Classification of parameters as weights or biases, and the matrix of each weight."""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
TABLES = ("W_E", "W_pos")
INTO_HEADS = ("W_Q", "W_K", "W_V")


@dataclass(frozen=True)
class Fans:
    """Number of inputs per output (`fan_in`) and of outputs per input (`fan_out`)."""

    fan_in: int
    fan_out: int


def is_bias(name: str) -> bool:
    """Return whether a parameter has the name of a bias: `bias`, `bias_hh`, `in_proj_bias`, `b_in`, `b`."""
    last = last_part(name)
    return last == "b" or last.startswith(("b_", "bias")) or last.endswith("_bias")


def is_weight(name: str, parameter: Tensor) -> bool:
    """Return whether a parameter is a weight: two or more axes, and not a bias (attention's `b_Q` has two axes)."""
    return parameter.ndim >= 2 and not is_bias(name)


def as_matrix(name: str, weight: Float[Tensor, "*weight"]) -> Float[Tensor, "row column"]:
    """Reshape a weight to the matrix that it multiplies with.

    `W_Q`, `W_K`, `W_V` (head d_model d_head) become d_model by (head d_head), `W_O` (head d_head d_model) becomes
    (head d_head) by d_model, and a kernel becomes output channels by everything else.
    """
    if last_part(name) in INTO_HEADS and weight.ndim == 3:
        return rearrange(weight, "head d_model d_head -> d_model (head d_head)")
    if last_part(name) == "W_O" and weight.ndim == 3:
        return rearrange(weight, "head d_head d_model -> (head d_head) d_model")
    return rearrange(weight, "row ... -> row (...)")


def from_matrix(name: str, matrix: Float[Tensor, "row column"], shape: torch.Size) -> Float[Tensor, "*weight"]:
    """Invert `as_matrix`."""
    if last_part(name) in INTO_HEADS and len(shape) == 3:
        return rearrange(matrix, "d_model (head d_head) -> head d_model d_head", head=shape[0])
    return matrix.reshape(shape)


def fans_of(name: str, weight: Float[Tensor, "*weight"], owner: nn.Module) -> Fans:
    """Compute the fans of a weight at stride 1, by the convention of its module.

    Layers of torch store (out, in, *kernel), transposed convolutions (in, out, *kernel) with the share of each group.
    `W_*` store (in, out), with all heads of an attention as one map. An embedding table has a fan-in of one.
    """
    matrix, kernel = as_matrix(name, weight), weight[0, 0].numel()
    groups = getattr(owner, "groups", 1)
    if isinstance(owner, nn.Embedding) or last_part(name) in TABLES:
        return Fans(1, weight.shape[1])
    if isinstance(owner, TRANSPOSED):
        return Fans(weight.shape[0] // groups * kernel, weight.shape[1] * kernel)
    if last_part(name).lstrip("_").startswith("W_"):
        return Fans(matrix.shape[0], matrix.shape[1])
    return Fans(matrix.shape[1], weight.shape[0] // groups * kernel)


def last_part(name: str) -> str:
    """Return the name of a parameter within its module."""
    return name.rpartition(".")[2]
