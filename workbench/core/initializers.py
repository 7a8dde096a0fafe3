"""Initializers of weights and biases, by name."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.errors import UnknownNameError
from workbench.core.weights import Fans, as_matrix, fans_of, from_matrix, is_bias, is_weight

Matrix = Float[Tensor, "row column"]
Initializer = Callable[[Matrix, Fans, torch.Generator | None], object]
SMALL = 0.02
"""Standard deviation of "small_normal" (GPT-2's)."""


def xavier_uniform(weight: Matrix, fans: Fans, generator: torch.Generator | None) -> None:
    """Draw from a uniform distribution with variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""
    _uniform(weight, math.sqrt(2 / (fans.fan_in + fans.fan_out)), generator)


def xavier_normal(weight: Matrix, fans: Fans, generator: torch.Generator | None) -> None:
    """Draw from a normal distribution with variance 2 / (fan_in + fan_out)."""
    weight.normal_(0, math.sqrt(2 / (fans.fan_in + fans.fan_out)), generator=generator)


def he_uniform(weight: Matrix, fans: Fans, generator: torch.Generator | None) -> None:
    """Draw from a uniform distribution with variance 2 / fan_in (He et al. 2015)."""
    _uniform(weight, math.sqrt(2 / fans.fan_in), generator)


def he_normal(weight: Matrix, fans: Fans, generator: torch.Generator | None) -> None:
    """Draw from a normal distribution with variance 2 / fan_in."""
    weight.normal_(0, math.sqrt(2 / fans.fan_in), generator=generator)


def orthogonal(weight: Matrix, fans: Fans, generator: torch.Generator | None) -> None:
    """Draw a matrix with orthonormal rows or columns, whichever are fewer (Saxe et al. 2014)."""
    nn.init.orthogonal_(weight, generator=generator)


def small_normal(weight: Tensor, fans: Fans | None, generator: torch.Generator | None) -> None:
    """Draw from a normal distribution with standard deviation 0.02."""
    weight.normal_(0, SMALL, generator=generator)


def naive(weight: Tensor, fans: Fans | None, generator: torch.Generator | None) -> None:
    """Draw from a normal distribution with standard deviation 1, for comparison: activations grow with the width."""
    weight.normal_(0, 1, generator=generator)


def zeros(weight: Tensor, fans: Fans | None, generator: torch.Generator | None) -> None:
    """Set to zero: usual for biases; with zero weights all units of a layer stay equal."""
    weight.zero_()


INITIALIZERS: dict[str, Initializer] = {
    "xavier_uniform": xavier_uniform,
    "xavier_normal": xavier_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "orthogonal": orthogonal,
    "small_normal": small_normal,
    "naive": naive,
    "zeros": zeros,
}
BIAS_INITIALIZERS = {"zeros": zeros, "small_normal": small_normal, "naive": naive}


@torch.no_grad()
def initialize(
    module: nn.Module, weights: str = "he_normal", bias: str = "zeros", generator: torch.Generator | None = None
) -> None:
    """Initialize every weight and bias of a module, in the order of `named_parameters`, except those of norms.

    Each weight is drawn as the matrix of `as_matrix` with the fans of `fans_of`. By default torch's global generator is
    used.
    """
    if weights not in INITIALIZERS:
        raise UnknownNameError("initializer", weights, known=INITIALIZERS, where=" for weights")
    if bias not in BIAS_INITIALIZERS:
        raise UnknownNameError("initializer", bias, known=BIAS_INITIALIZERS, where=" for biases")
    owners = {id(p): m for m in module.modules() for p in m.parameters(recurse=False)}
    for name, parameter in module.named_parameters():
        owner = owners[id(parameter)]
        if is_norm(owner):
            continue
        if is_bias(name):
            BIAS_INITIALIZERS[bias](parameter, None, generator)
        elif is_weight(name, parameter):
            matrix = as_matrix(name, parameter).clone(memory_format=torch.contiguous_format)
            INITIALIZERS[weights](matrix, fans_of(name, parameter, owner), generator)
            parameter.copy_(from_matrix(name, matrix, parameter.shape))


def is_norm(module: nn.Module) -> bool:
    """Return whether a module is a norm, whose scale of 1 and shift of 0 are kept."""
    return "Norm" in type(module).__name__


def _uniform(weight: Matrix, std: float, generator: torch.Generator | None) -> None:
    bound = math.sqrt(3) * std
    weight.uniform_(-bound, bound, generator=generator)
