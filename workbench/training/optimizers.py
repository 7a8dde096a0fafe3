"""Optimisers by name, all from torch; Muon is combined with AdamW or SGD and treats heads as one matrix."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.errors import UnknownNameError
from workbench.core.initializers import is_norm
from workbench.core.weights import as_matrix, from_matrix, is_weight

Groups = list[dict[str, Any]]
OPTIMIZERS = ("gradient_descent", "sgd", "momentum", "adam", "adamw", "rmsprop", "adagrad", "muon", "muon_sgd")
LEFT_BY_MUON = ("embed", "W_E", "W_U", "W_pos", "readout", "lm_head", "logits")
"""Parts of the names of embeddings and read-outs, which Muon leaves to the other optimiser."""
FEW_ITERATIONS = 3
"""Newton-Schulz iterations of "muon_sgd"; torch's Muon takes 5 otherwise."""


@runtime_checkable
class Optimizer(Protocol):
    """Methods of an optimiser that the training loops call."""

    param_groups: Groups

    def step(self) -> Any: ...
    def zero_grad(self, set_to_none: bool = True) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


def build_optimizer(
    model: nn.Module,
    name: str,
    lr: float,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    momentum: float = 0.9,
    nesterov: bool = False,
    eps: float = 1e-8,
) -> Optimizer:
    """Build the named optimiser for a model's trainable parameters.

    Weight decay applies to weights, not to biases and norms. Each group's "part" is "hidden" (Muon's weights), "weight"
    (other weights) or "bias" (biases and norms).

    Args:
        model: The network.
        name: One of `OPTIMIZERS`; "gradient_descent" is "sgd" with the whole training set as its batch.
        lr: Learning rate.
        weight_decay: Weight decay.
        betas: Decay rates of Adam; rmsprop uses the second.
        momentum: Momentum of "momentum" and Muon.
        nesterov: Use Nesterov's form of "momentum".
        eps: Adam's epsilon.
    """
    groups = decay_groups(trainable_parameters(model), weight_decay)
    fused = can_fuse(groups)
    builders: dict[str, Callable[[], Optimizer]] = {
        "gradient_descent": lambda: torch.optim.SGD(groups, lr, fused=fused),
        "sgd": lambda: torch.optim.SGD(groups, lr, fused=fused),
        "momentum": lambda: torch.optim.SGD(groups, lr, momentum, nesterov=nesterov, fused=fused),
        "adam": lambda: torch.optim.Adam(groups, lr, betas, eps, fused=fused),
        "adamw": lambda: torch.optim.AdamW(groups, lr, betas, eps, fused=fused),
        "rmsprop": lambda: torch.optim.RMSprop(groups, lr, betas[1], eps, foreach=True),
        "adagrad": lambda: torch.optim.Adagrad(groups, lr, eps=eps, fused=fused),
        "muon": lambda: muon_adamw(model, lr, weight_decay, betas, momentum, eps),
        "muon_sgd": lambda: muon_sgd(model, lr, weight_decay, momentum),
    }
    if name not in builders:
        raise UnknownNameError("optimizer", name, known=OPTIMIZERS)
    return builders[name]()


def trainable_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that need a gradient by name; tied ones appear once."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def decay_groups(parameters: dict[str, nn.Parameter], weight_decay: float) -> Groups:
    """Return two parameter groups: weights, which decay, and all others, which do not."""
    weights = [p for n, p in parameters.items() if is_weight(n, p)]
    others = [p for n, p in parameters.items() if not is_weight(n, p)]
    groups = [
        {"params": weights, "weight_decay": weight_decay, "part": "weight"},
        {"params": others, "weight_decay": 0.0, "part": "bias"},
    ]
    return [group for group in groups if group["params"]]


class MuonWith:
    """Muon for hidden weight matrices combined with another optimiser for the rest (Jordan et al. 2024).

    Per-head attention weights and convolution kernels are orthogonalised as the matrices that `as_matrix` returns.
    `prepare` changes such a matrix in place before each of its steps.
    """

    def __init__(
        self,
        model: nn.Module,
        muon: Callable[[Groups], torch.optim.Optimizer],
        other: Callable[[Groups], torch.optim.Optimizer],
        weight_decay: float,
        prepare: Callable[[Tensor], object] | None = None,
    ) -> None:
        parameters = trainable_parameters(model)
        self._prepare = prepare
        self._hidden = hidden_matrices(model)
        self._copies = {n: nn.Parameter(as_matrix(n, p.detach()).clone()) for n, p in self._hidden.items()}
        rest = {n: p for n, p in parameters.items() if n not in self._hidden}
        self._parts: list[torch.optim.Optimizer] = []
        if self._copies:
            self._parts.append(muon([{"params": list(self._copies.values()), "part": "hidden"}]))
        if rest:
            self._parts.append(other(decay_groups(rest, weight_decay)))
        self.param_groups: Groups = [group for part in self._parts for group in part.param_groups]

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for name, parameter in self._hidden.items():
            copy = self._copies[name]
            copy.copy_(as_matrix(name, parameter))
            if self._prepare is not None:
                self._prepare(copy)
            copy.grad = None if parameter.grad is None else as_matrix(name, parameter.grad)
        for part in self._parts:
            part.step()
        for name, parameter in self._hidden.items():
            if parameter.grad is not None:
                parameter.copy_(from_matrix(name, self._copies[name], parameter.shape))

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of both parts."""
        for parameter in self._hidden.values():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()
        for part in self._parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return one state for both optimisers: Muon's parameters are numbered first, the other's after them."""
        state, groups = {}, []
        for first, part in self._number_parts():
            own = part.state_dict()
            state |= {first + i: entry for i, entry in own["state"].items()}
            groups += own["param_groups"]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state of `state_dict`."""
        groups = iter(state_dict["param_groups"])
        for first, part in self._number_parts():
            own = {i - first: s for i, s in state_dict["state"].items() if 0 <= i - first < _count(part)}
            part.load_state_dict({"state": own, "param_groups": [next(groups) for _ in part.param_groups]})
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    def _number_parts(self) -> Iterator[tuple[int, torch.optim.Optimizer]]:
        first = 0
        for part in self._parts:
            yield first, part
            first += _count(part)


def muon_adamw(
    model: nn.Module, lr: float, weight_decay: float, betas: tuple[float, float], momentum: float, eps: float
) -> MuonWith:
    """Combine Muon and AdamW at one learning rate, with Muon's update scaled to AdamW's RMS (Liu et al. 2025)."""

    def adamw(groups: Groups) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups, lr, betas, eps, fused=can_fuse(groups))

    muon = partial(
        torch.optim.Muon, lr=lr, weight_decay=weight_decay, momentum=momentum, adjust_lr_fn="match_rms_adamw"
    )
    return MuonWith(model, muon, adamw, weight_decay)


def muon_sgd(model: nn.Module, lr: float, weight_decay: float, momentum: float) -> MuonWith:
    """Combine Muon on weights of constant norm with Nesterov's SGD on the rest (airbench94_muon, Jordan 2024).

    `lr` is the relative change of a weight matrix's norm per step; hidden weights do not decay. SGD's learning rates
    are usually many times larger (`FitConfig.bias_lr`, `other_lr`).
    """

    def sgd(groups: Groups) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups, lr, momentum, nesterov=momentum > 0, fused=can_fuse(groups))

    muon = partial(torch.optim.Muon, lr=lr, weight_decay=0.0, momentum=momentum, ns_steps=FEW_ITERATIONS)
    return MuonWith(model, muon, sgd, weight_decay, scale_to_unit_rows)


def scale_to_unit_rows(matrix: Float[Tensor, "row column"]) -> None:
    """Scale a matrix in place to the norm that it has if each row's norm is one."""
    matrix.mul_(len(matrix) ** 0.5 / matrix.norm().clamp_min(torch.finfo(matrix.dtype).tiny))


def hidden_matrices(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weights that Muon trains: all but embeddings, read-outs and norms."""
    others = [m for m in model.modules() if isinstance(m, nn.Embedding) or is_norm(m)]
    tables = {id(p) for m in others for p in m.parameters(recurse=False)}
    return {
        name: p
        for name, p in trainable_parameters(model).items()
        if is_weight(name, p) and id(p) not in tables and not any(mark in name for mark in LEFT_BY_MUON)
    }


def can_fuse(groups: Iterable[dict[str, Any]]) -> bool:
    """Return whether torch's fused step supports these parameters (floating point, on CPU or CUDA)."""
    parameters = (p for group in groups for p in group["params"])
    return all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)


def _count(part: torch.optim.Optimizer) -> int:
    return sum(len(group["params"]) for group in part.param_groups)
