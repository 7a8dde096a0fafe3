"""Tabular Q-function as a network: one-hot states times the table."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.errors import ShapeError
from workbench.core.graph import Graph, Nodes, Ports, Wire
from workbench.core.hooked import AxisHookPoint, HookedModel
from workbench.core.random import generator
from workbench.core.ranges import PositiveInt, check_fields
from workbench.core.registry import MODELS
from workbench.zoo.layers.action_values import ActionValues
from workbench.zoo.layers.linear_carry import carry_linear


@dataclass(frozen=True)
class QTableConfig:
    """Numbers of states and actions. The defaults fit FrozenLake."""

    n_states: PositiveInt = 16
    n_actions: PositiveInt = 4

    def __post_init__(self) -> None:
        check_fields(self)


@MODELS.register("q_table")
class QTable(HookedModel):
    """Q-values (batch, action) from one-hot states (batch, feature); all zero before training."""

    family = "rl"
    input_axes = "batch feature"

    def __init__(self, cfg: QTableConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.hook_input = AxisHookPoint("batch feature")
        self.readout = nn.Linear(cfg.n_states, cfg.n_actions, bias=False)
        nn.init.zeros_(self.readout.weight)
        self.hook_q = AxisHookPoint("batch action")
        self.setup(stages=[self.read_observation, self.look_up])

    @property
    def table(self) -> Float[Tensor, "state action"]:
        """View of the weight as (state, action); assigning to its entries changes the model."""
        return self.readout.weight.detach().T

    def read_observation(self, state: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch feature"]:
        """Check the shape of the one-hot states and pass them through `hook_input`."""
        if state.shape[1:] != (self.cfg.n_states,):
            raise ShapeError(
                f"Expected one-hot states of shape {('batch', self.cfg.n_states)}, got {tuple(state.shape)}."
            )
        return self.hook_input(state)

    def look_up(self, state: Float[Tensor, "batch feature"]) -> ActionValues:
        """Return the table's row of each state."""
        return ActionValues(self.hook_q(self.readout(state)))

    def example(self, batch: int = 2, seed: int = 0) -> Float[Tensor, "batch feature"]:
        states = torch.randint(self.cfg.n_states, (batch,), generator=generator(seed, "example"))
        return torch.eye(self.cfg.n_states)[states]

    def graph(self) -> Graph:
        """Build the graph: states write, Q-values read; each edge is an entry of the table."""
        nodes, ports = [Nodes("hook_input", "feature")], [Ports("hook_q", "action")]
        return Graph(self, nodes, ports, [Wire("hook_input", "hook_q", carry_linear(self.readout))])
