"""Small network and its card, for the tests of checkpoints."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from workbench.checkpoints.card import Card, DataSource, Score
from workbench.core.hooked import AxisHookPoint, HookedModel


@dataclass(frozen=True)
class Trunk:
    widths: tuple[int, ...] = (3,)
    bias: bool = True


@dataclass(frozen=True)
class TinyConfig:
    features: int = 4
    trunk: Trunk = Trunk()
    mode: Literal["plain", "tied"] = "plain"
    scale: float = 1.0
    name: str | None = None


class Layer(nn.Module):
    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.linear = nn.Linear(wide, narrow)
        self.norm = nn.BatchNorm1d(narrow)
        self.hook_post = AxisHookPoint("batch unit")

    def forward(self, x: Tensor) -> Tensor:
        return self.hook_post(self.norm(self.linear(x)).tanh())


ARCHITECTURE = "tiny_for_tests"


class Tiny(HookedModel):
    """Linear layers with batch normalization; tied, the last one is the first transposed."""

    family = "mlp"

    def __init__(self, cfg: TinyConfig) -> None:
        super().__init__()
        self.cfg = cfg
        widths = (cfg.features, *cfg.trunk.widths)
        self.layers = nn.ModuleList(Layer(a, b) for a, b in pairwise(widths))
        if cfg.mode == "tied":
            self.again = nn.Linear(*widths[:2])
            self.again.weight = self.layers[0].linear.weight
        self.setup(stages=[*self.layers])

    def example(self, batch: int = 2, seed: int = 0) -> Tensor:
        return torch.randn(batch, self.cfg.features, generator=torch.Generator().manual_seed(seed))


def tiny(seed: int = 0, cfg: TinyConfig | None = None) -> Tiny:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Tiny(cfg or TinyConfig())
        for buffer in model.buffers():
            if buffer.is_floating_point():
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    return model.eval()


def card(dtype: str = "float32", note: str = "") -> Card:
    score = Score(value=0.98, n=360, interval=(0.96, 0.99))
    return Card(
        ARCHITECTURE, "digits_mlp", DataSource("digits", "ab" * 32), 0, {"test_accuracy": score}, dtype=dtype, note=note
    )


def change_card(folder: Path, change: Callable[[str], str]) -> None:
    """Change the text of a card as somebody would who then confirms the change: without its hash."""
    path = folder / "card.json"
    written = json.loads(path.read_text())
    written.pop("file_sha256", None)
    path.write_text(change(json.dumps(written, indent=2)))
