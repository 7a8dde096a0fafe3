"""Exponential moving average of the weights, which often generalises better than the last weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """Running average of every floating-point parameter and buffer of a model (Polyak & Juditsky 1992).

    The decay rises with the number of updates, min(decay, (1 + n) / (10 + n)), so that the initial weights fade soon.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model, self._decay = model, decay
        self.tensors = {n: t.detach().clone() for n, t in self._live.items()}

    @property
    def _live(self) -> dict[str, Tensor]:
        """Tensors to average at their present addresses, which a change of memory format moves."""
        return drop_shared({n: t for n, t in self._model.state_dict().items() if t.is_floating_point()})

    def update(self, n_updates: int) -> None:
        """Move the average towards the weights after `n_updates` earlier updates."""
        decay = min(self._decay, (1 + n_updates) / (10 + n_updates))
        get_ema_multi_avg_fn(decay)(list(self.tensors.values()), list(self._live.values()), n_updates)

    @contextmanager
    def use_averages(self) -> Iterator[None]:
        """Put the averages into the model for the duration of the block, then restore its weights bit for bit."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def copy_to_model(self) -> None:
        """Replace the weights of the model by the averages."""
        for name, live in self._live.items():
            live.copy_(self.tensors[name])

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore stored averages."""
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, live in self._live.items():
            kept = live.clone()
            live.copy_(self.tensors[name])
            self.tensors[name].copy_(kept)


def drop_shared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop tensors that share memory with an earlier one (tied weights)."""
    first: dict[int, str] = {}
    for name, tensor in tensors.items():
        first.setdefault(tensor.data_ptr(), name)
    return {name: tensors[name] for name in first.values()}
