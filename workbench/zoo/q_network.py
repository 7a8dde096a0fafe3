"""Deep Q-network: an action value for each action, optionally with the duelling read-out of Wang et al. 2016."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.graph import Graph, Nodes, Ports, Wire
from workbench.core.hooked import AxisHookPoint, HookedModel
from workbench.core.random import generator
from workbench.core.registry import MODELS
from workbench.zoo.actor_critic import (
    INPUT_AXES,
    Features,
    Trunk,
    TrunkConfig,
    carry_matrix,
    chain_blocks,
    require_shape,
)
from workbench.zoo.layers.action_values import ActionValues


@dataclass(frozen=True)
class QNetworkConfig(TrunkConfig):
    """Sizes of a Q-network."""

    activation: Literal["tanh", "relu"] = "relu"
    duelling: bool = False
    """Estimate the state value and the advantages separately and add them."""


class LinearReadOut(nn.Module):
    """Linear map from the last hidden layer to the Q-values."""

    def __init__(self, width: int, n_actions: int) -> None:
        super().__init__()
        self.advantage = nn.Linear(width, n_actions)

    def forward(self, x: Features) -> Float[Tensor, "batch action"]:
        return self.advantage(x)

    def matrix(self) -> Float[Tensor, "action unit"]:
        """Return the weight of each unit on each Q-value."""
        return self.advantage.weight

    def constant(self) -> Float[Tensor, " action"]:
        """Return the Q-values for a hidden layer of zeros."""
        return self.advantage.bias


class DuellingReadOut(nn.Module):
    """Q = V + A - mean A (Wang et al. 2016, equation 9)."""

    def __init__(self, width: int, n_actions: int) -> None:
        super().__init__()
        self.value, self.advantage = nn.Linear(width, 1), nn.Linear(width, n_actions)
        self.hook_value, self.hook_advantage = AxisHookPoint("batch"), AxisHookPoint("batch action")

    def forward(self, x: Features) -> Float[Tensor, "batch action"]:
        value, advantage = self.hook_value(self.value(x)[:, 0]), self.hook_advantage(self.advantage(x))
        return value[:, None] + advantage - advantage.mean(dim=1, keepdim=True)

    def matrix(self) -> Float[Tensor, "action unit"]:
        """Return the weight of each unit on each Q-value, through value and advantages together."""
        return self.value.weight + self.advantage.weight - self.advantage.weight.mean(dim=0, keepdim=True)

    def constant(self) -> Float[Tensor, " action"]:
        """Return the Q-values for a hidden layer of zeros."""
        return self.value.bias + self.advantage.bias - self.advantage.bias.mean()


@MODELS.register("q_network")
class QNetwork(HookedModel):
    """Q-values (batch, action) from observations."""

    family = "rl"

    def __init__(self, cfg: QNetworkConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.input_axes = INPUT_AXES[cfg.trunk]  # type: ignore[misc]  (depends on the trunk)
        self.hook_input = AxisHookPoint(self.input_axes)
        trunk = Trunk(cfg)
        self.blocks = trunk.blocks
        self.readout = (DuellingReadOut if cfg.duelling else LinearReadOut)(trunk.width, cfg.n_actions)
        self.hook_q = AxisHookPoint("batch action")
        self.setup(stages=[self.read_observation, *trunk.stages, self.read_out])

    def read_observation(self, observation: Features) -> Features:
        """Check the shape of the observation and pass it through `hook_input`."""
        require_shape(observation, self.cfg.observation)
        return self.hook_input(observation)

    def read_out(self, x: Features) -> ActionValues:
        """Compute Q-values from the last hidden layer."""
        return ActionValues(self.hook_q(self.readout(x)))

    def example(self, batch: int = 2, seed: int = 0) -> Features:
        return torch.randn(batch, *self.cfg.observation, generator=generator(seed, "example"))

    def graph(self) -> Graph:
        """Build the graph: observations, channels and units write; pre-activations and Q-values read."""
        reads, writes = chain_blocks("", self.blocks)
        nodes = [Nodes("hook_input", self.hook_input.axes[1]), *writes]
        readout: Any = self.readout
        ports = [*(port for port, _ in reads), Ports("hook_q", "action", readout.constant)]
        carries = [*(carry for _, carry in reads), carry_matrix(readout.matrix)]
        wires = [Wire(n.hook, p.hook, c) for n, p, c in zip(nodes, ports, carries, strict=True)]
        return Graph(self, nodes, ports, wires)
