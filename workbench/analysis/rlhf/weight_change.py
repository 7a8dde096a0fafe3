"""Change of the weights and of the residual stream by tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.errors import InputError


@dataclass(frozen=True)
class WeightChange:
    """Frobenius norms of each weight's change and of the original weight.

    `top` is the share of the squared change in its first singular direction (1 for vectors). Weights of heads have one
    row per head, such as `blocks.0.attn.W_Q[head=1]`.
    """

    names: tuple[str, ...]
    change: Float[Tensor, " weight"]
    before: Float[Tensor, " weight"]
    top: Float[Tensor, " weight"]

    @property
    def relative(self) -> Float[Tensor, " weight"]:
        """Norm of the change divided by that of the original."""
        return self.change / self.before.clamp_min(1e-12)

    def within(self, prefix: str) -> float:
        """Return the relative change of all weights whose names start with `prefix`."""
        inside = torch.tensor([name.startswith(prefix) for name in self.names])
        return float(self.change[inside].norm() / self.before[inside].norm().clamp_min(1e-12))

    def largest(self, n: int) -> list[tuple[str, float, float]]:
        """Return name, relative change and `top` of the `n` weights with the largest relative change."""
        relative = self.relative
        order = relative.argsort(descending=True)[:n].tolist()
        return [(self.names[i], float(relative[i]), float(self.top[i])) for i in order]


@torch.no_grad()
def measure_weight_change(tuned: nn.Module, original: nn.Module) -> WeightChange:
    """Compare the weights of two networks of the same architecture.

    Cost: 1 singular value decomposition per matrix.
    """
    before = dict(original.named_parameters())
    if {name: p.shape for name, p in tuned.named_parameters()} != {name: p.shape for name, p in before.items()}:
        raise InputError("The networks differ in names or shapes of weights. Compare two of the same architecture.")
    rows = [row for name, after in tuned.named_parameters() for row in list_changes(name, after, before[name])]
    names, *columns = zip(*rows, strict=True)
    return WeightChange(names, *(torch.tensor(column) for column in columns))


def list_changes(name: str, after: Tensor, before: Tensor) -> list[tuple[str, float, float, float]]:
    """Return name, norm of the change, norm of the original and `top` of a weight, or of each of its heads."""
    if after.ndim == 3:
        return [
            (f"{name}[head={i}]", *measure_change(a, b)) for i, (a, b) in enumerate(zip(after, before, strict=True))
        ]
    return [(name, *measure_change(after, before))]


def measure_change(after: Tensor, before: Tensor) -> tuple[float, float, float]:
    """Return the norms of a change and of the original, and the share of the change in its first singular direction."""
    change, norm = (after - before).double(), float(before.norm())
    size = change.norm()
    if size == 0:
        return 0.0, norm, 1.0
    first = torch.linalg.matrix_norm(change, ord=2) if change.ndim == 2 else size
    return float(size), norm, float((first / size) ** 2)


@dataclass(frozen=True)
class StreamShift:
    """Shift of the residual stream by tuning, on the same tokens, at each layer's output.

    `direction` is the mean shift, `share` the share of the squared shift along it, `size` its norm divided by that of
    the original stream, and `promoted` the tokens whose logits it increases most.
    """

    hooks: tuple[str, ...]
    direction: Float[Tensor, "layer d_model"]
    share: Float[Tensor, " layer"]
    size: Float[Tensor, " layer"]
    promoted: tuple[tuple[int, ...], ...]


@torch.no_grad()
def measure_stream_shift(tuned: Any, original: Any, tokens: Tensor, counted: Tensor, n: int = 8) -> StreamShift:
    """Measure the shift of `blocks.*.hook_resid_post` at the tokens `counted` (row, pos).

    Cost: 1 forward pass of each model.
    """
    hooks = tuned.select("blocks.*.hook_resid_post")
    after, before = (model.cache(tokens, hooks) for model in (tuned, original))
    shifts = torch.stack([(after[hook] - before[hook])[counted] for hook in hooks])
    norms = torch.stack([before[hook][counted].norm(dim=-1).mean() for hook in hooks])
    direction = shifts.mean(dim=1)
    unit = direction / direction.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    along = (shifts * unit[:, None]).sum(dim=-1).square().sum(dim=1)
    promoted = (unit @ original.W_U).topk(n, dim=-1).indices.tolist()
    share = along / shifts.square().sum(dim=(1, 2)).clamp_min(1e-12)
    return StreamShift(tuple(hooks), direction, share, direction.norm(dim=-1) / norms, tuple(map(tuple, promoted)))
