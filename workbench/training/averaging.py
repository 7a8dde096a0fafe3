"""An exponential moving average of the weights, which often generalises better than the last weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """A running average of every floating parameter and buffer of a model (Polyak & Juditsky 1992).

    The decay rises with the number of updates, min(decay, (1 + n) / (10 + n)), so that the initial weights fade soon.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model, self._decay = model, decay
        self.tensors = {n: t.detach().clone() for n, t in self._live.items()}

    @property
    def _live(self) -> dict[str, Tensor]:
        """What is averaged, where it lies now: laying a model out anew moves its kernels."""
        return distinct({n: t for n, t in self._model.state_dict().items() if t.is_floating_point()})

    def update(self, n_updates: int) -> None:
        """Moves the average towards the weights after `n_updates` earlier updates."""
        decay = min(self._decay, (1 + n_updates) / (10 + n_updates))
        get_ema_multi_avg_fn(decay)(list(self.tensors.values()), list(self._live.values()), n_updates)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model holds the averages inside the block and its own weights, bit for bit, after it."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def copy_to_model(self) -> None:
        """Leaves the averages in the model for good."""
        for name, live in self._live.items():
            live.copy_(self.tensors[name])

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """Takes back averages stored earlier."""
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, live in self._live.items():
            kept = live.clone()
            live.copy_(self.tensors[name])
            self.tensors[name].copy_(kept)


def distinct(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without those that share another's memory (tied weights)."""
    first: dict[int, str] = {}
    for name, tensor in tensors.items():
        first.setdefault(tensor.data_ptr(), name)
    return {name: tensors[name] for name in first.values()}
