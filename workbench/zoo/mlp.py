"""Multi-layer perceptron."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, relu

from workbench.core.graph import Graph, Nodes, Ports, Wire
from workbench.core.hooked import AxisHookPoint, HookedModel
from workbench.core.random import generator
from workbench.core.ranges import PositiveInt, check_fields
from workbench.core.registry import MODELS
from workbench.zoo.layers.linear_carry import carry_linear
from workbench.zoo.layers.readout import ReadOut
from workbench.zoo.layers.tanh import tanh


@dataclass(frozen=True)
class MLPConfig:
    """Sizes of the network. The defaults fit scikit-learn's 8x8 digits."""

    n_features: PositiveInt = 64
    hidden: tuple[PositiveInt, ...] = (64,)
    """Units of each hidden layer."""
    n_classes: PositiveInt = 10
    activation: Literal["relu", "tanh", "gelu"] = "relu"

    def __post_init__(self) -> None:
        check_fields(self)


class DenseBlock(nn.Module):
    """Linear map and non-linearity."""

    def __init__(self, n_in: int, n_out: int, activation: str) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.act = {"relu": relu, "tanh": tanh, "gelu": gelu}[activation]
        self.hook_pre = AxisHookPoint("batch unit")
        self.hook_post = AxisHookPoint("batch unit")

    def forward(self, x: Float[Tensor, "batch n_in"]) -> Float[Tensor, "batch n_out"]:
        return self.hook_post(self.act(self.hook_pre(self.linear(x))))


@MODELS.register("mlp")
class MLPClassifier(HookedModel):
    """Logits (batch, class) from features (batch, feature)."""

    family = "mlp"
    input_axes = "batch feature"

    def __init__(self, cfg: MLPConfig) -> None:
        super().__init__()
        self.cfg = cfg
        widths = (cfg.n_features, *cfg.hidden)
        self.hook_input = AxisHookPoint("batch feature")
        self.blocks = nn.ModuleList(DenseBlock(i, o, cfg.activation) for i, o in pairwise(widths))
        self.readout = ReadOut(widths[-1], cfg.n_classes, "unit")
        self.setup(stages=[self.hook_input, *self.blocks, self.readout])

    def example(self, batch: int = 2, seed: int = 0) -> Float[Tensor, "batch feature"]:
        return torch.rand(batch, self.cfg.n_features, generator=generator(seed, "example"))

    def graph(self) -> Graph:
        """Build the graph: features and units write; pre-activations and logits read, through the weights."""
        blocks: Any = self.blocks
        layers: list[Any] = [block.linear for block in blocks] + [self.readout.linear]
        reads = [f"blocks.{i}.hook_pre" for i in range(len(self.blocks))] + ["readout.hook_logits"]
        nodes = [Nodes("hook_input", "feature")]
        nodes += [Nodes(f"blocks.{i}.hook_post", "unit", (reads[i],)) for i in range(len(self.blocks))]
        axes = ["unit"] * len(self.blocks) + ["class"]
        ports = [Ports(h, a, lambda b=x.bias: b) for h, a, x in zip(reads, axes, layers, strict=True)]
        wires = [Wire(n.hook, h, carry_linear(x)) for n, h, x in zip(nodes, reads, layers, strict=True)]
        return Graph(self, nodes, ports, wires)
