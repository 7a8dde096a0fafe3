"""Networks of sequences without attention."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.networks.network import Network, entry


class Last(nn.Module):
    """The last state of a recurrent layer, read out."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.layer, self.out = layer, nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layer(x)[0][:, -1])


def recurrent() -> dict[str, Callable[[], Network]]:
    """Networks of sequences without attention."""
    signals = lambda: torch.randn(4, 5, 3)
    return dict(
        [
            entry("recurrent", "rnn", lambda: Last(nn.RNN(3, 6, batch_first=True), 6), signals),
            entry("recurrent", "lstm", lambda: Last(nn.LSTM(3, 6, 2, batch_first=True), 6), signals),
            entry("recurrent", "gru", lambda: Last(nn.GRU(3, 6, batch_first=True), 6), signals),
            entry(
                "recurrent",
                "gru_both_ways",
                lambda: Last(nn.GRU(3, 4, batch_first=True, bidirectional=True), 8),
                signals,
            ),
        ]
    )
