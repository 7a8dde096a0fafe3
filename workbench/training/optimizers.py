"""Optimisers by name, all from torch; Muon shares the work with AdamW and sees attention heads as one matrix."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from workbench.core.errors import UnknownNameError
from workbench.core.initializers import is_norm
from workbench.core.weights import as_matrix, from_matrix, is_weight

Groups = list[dict[str, Any]]
OPTIMIZERS = ("gradient_descent", "sgd", "momentum", "adam", "adamw", "rmsprop", "adagrad", "muon")
LEFT_TO_ADAMW = ("embed", "W_E", "W_U", "W_pos", "readout", "lm_head", "logits")
"""Parts of a parameter's name that mark embeddings and read-outs, which Muon leaves to AdamW."""


@runtime_checkable
class Optimizer(Protocol):
    """What a training loop asks of an optimiser."""

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
    """The named optimiser over a model's trainable parameters; weight decay acts on weights, never on biases or norms.

    `betas` and `eps` are Adam's (rmsprop's memory is `betas[1]`), `momentum` is for "momentum" and "muon", `nesterov`
    for "momentum"; "gradient_descent" is "sgd" whose batch is the whole training set.
    """
    groups = decay_groups(trainable(model), weight_decay)
    fused = fusable(groups)
    builders: dict[str, Callable[[], Optimizer]] = {
        "gradient_descent": lambda: torch.optim.SGD(groups, lr, fused=fused),
        "sgd": lambda: torch.optim.SGD(groups, lr, fused=fused),
        "momentum": lambda: torch.optim.SGD(groups, lr, momentum, nesterov=nesterov, fused=fused),
        "adam": lambda: torch.optim.Adam(groups, lr, betas, eps, fused=fused),
        "adamw": lambda: torch.optim.AdamW(groups, lr, betas, eps, fused=fused),
        "rmsprop": lambda: torch.optim.RMSprop(groups, lr, betas[1], eps, foreach=True),
        "adagrad": lambda: torch.optim.Adagrad(groups, lr, eps=eps, fused=fused),
        "muon": lambda: MuonAdamW(model, lr, weight_decay, betas, momentum, eps),
    }
    if name not in builders:
        raise UnknownNameError("optimizer", name, known=OPTIMIZERS)
    return builders[name]()


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that need a gradient, by name; tied ones appear once."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def decay_groups(parameters: dict[str, nn.Parameter], weight_decay: float) -> Groups:
    """Parameter groups: weights, which decay, then everything else, which does not; one group when nothing decays."""
    weights = [p for n, p in parameters.items() if is_weight(n, p)]
    others = [p for n, p in parameters.items() if not is_weight(n, p)]
    if weight_decay == 0:
        return [{"params": weights + others, "weight_decay": 0.0}]
    groups = [
        {"params": weights, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


class MuonAdamW:
    """Muon for hidden weight matrices and AdamW for the rest, stepped as one (Jordan et al. 2024, Liu et al. 2025).

    Both take the same learning rate: Muon's update is scaled to the RMS of AdamW's. Per-head attention weights and
    convolution kernels are orthogonalised as the matrices that `as_matrix` documents.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float,
        weight_decay: float,
        betas: tuple[float, float],
        momentum: float,
        eps: float = 1e-8,
    ) -> None:
        parameters = trainable(model)
        self._hidden = hidden_matrices(model)
        self._copies = {n: nn.Parameter(as_matrix(n, p.detach()).clone()) for n, p in self._hidden.items()}
        rest = {n: p for n, p in parameters.items() if n not in self._hidden}
        self._parts: list[torch.optim.Optimizer] = []
        if self._copies:
            muon = torch.optim.Muon(self._copies.values(), lr, weight_decay, momentum, adjust_lr_fn="match_rms_adamw")
            self._parts.append(muon)
        if rest:
            groups = decay_groups(rest, weight_decay)
            self._parts.append(torch.optim.AdamW(groups, lr, betas, eps, fused=fusable(groups)))
        self.param_groups: Groups = [group for part in self._parts for group in part.param_groups]

    @torch.no_grad()
    def step(self) -> None:
        """One update of every parameter that has a gradient."""
        for name, parameter in self._hidden.items():
            copy = self._copies[name]
            copy.copy_(as_matrix(name, parameter))
            copy.grad = None if parameter.grad is None else as_matrix(name, parameter.grad)
        for part in self._parts:
            part.step()
        for name, parameter in self._hidden.items():
            if parameter.grad is not None:
                parameter.copy_(from_matrix(name, self._copies[name], parameter.shape))

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of both parts."""
        for parameter in self._hidden.values():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()
        for part in self._parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """One state for both: Muon's parameters are numbered first, AdamW's after them."""
        state, groups = {}, []
        for first, part in self._numbered():
            own = part.state_dict()
            state |= {first + i: entry for i, entry in own["state"].items()}
            groups += own["param_groups"]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back what `state_dict` gave."""
        groups = iter(state_dict["param_groups"])
        for first, part in self._numbered():
            own = {i - first: s for i, s in state_dict["state"].items() if 0 <= i - first < _count(part)}
            part.load_state_dict({"state": own, "param_groups": [next(groups) for _ in part.param_groups]})
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    def _numbered(self) -> Iterator[tuple[int, torch.optim.Optimizer]]:
        first = 0
        for part in self._parts:
            yield first, part
            first += _count(part)


def hidden_matrices(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that Muon is for: every weight but embeddings, read-outs and norms."""
    others = [m for m in model.modules() if isinstance(m, nn.Embedding) or is_norm(m)]
    tables = {id(p) for m in others for p in m.parameters()}
    return {
        name: p
        for name, p in trainable(model).items()
        if is_weight(name, p) and id(p) not in tables and not any(mark in name for mark in LEFT_TO_ADAMW)
    }


def fusable(groups: Iterable[dict[str, Any]]) -> bool:
    """Whether torch's one-kernel step runs on these parameters (floating point, on a processor or a CUDA device)."""
    parameters = (p for group in groups for p in group["params"])
    return all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)


def _count(part: torch.optim.Optimizer) -> int:
    return sum(len(group["params"]) for group in part.param_groups)
