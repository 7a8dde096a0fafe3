"""Actor-critic networks: one stream of blocks ends in action logits, the other in the value of the state."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod, sqrt
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.errors import ConfigError, ShapeError
from workbench.core.hooked import AxisHookPoint, HookedModel, Stage
from workbench.core.random import generator
from workbench.core.registry import MODELS

Features = Float[Tensor, "batch *feature"]
Streams = tuple[Features, Features]
INPUT_AXES = {"mlp": "batch feature", "convolutional": "batch channel height width"}
ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


class PolicyValue(NamedTuple):
    """What the actor and the critic make of each observation."""

    logits: Float[Tensor, "batch action"]
    value: Float[Tensor, " batch"]


@dataclass(frozen=True)
class ActorCriticConfig:
    """Sizes of the network; the defaults fit CartPole.

    `observation` is the shape of one observation: (feature,) for the trunk "mlp", (channel, height, width) for
    "convolutional". `channels` are those of the convolutions, `hidden` the units of the layers after them.
    A "shared" critic reads the actor's last hidden layer.
    """

    observation: tuple[int, ...] = (4,)
    n_actions: int = 2
    trunk: Literal["mlp", "convolutional"] = "mlp"
    channels: tuple[int, ...] = (16, 32)
    hidden: tuple[int, ...] = (64, 64)
    activation: Literal["tanh", "relu"] = "tanh"
    critic: Literal["separate", "shared"] = "separate"

    def __post_init__(self) -> None:
        axes = INPUT_AXES[self.trunk].split()[1:]
        if len(self.observation) != len(axes):
            raise ConfigError(
                f"The trunk {self.trunk!r} reads observations of axes {axes}, not of shape {self.observation}. "
                f"Give {len(axes)} sizes, or choose the other trunk."
            )


class Dense(nn.Module):
    """A linear layer and a non-linearity."""

    def __init__(self, n_in: int, n_units: int, activation: str) -> None:
        super().__init__()
        self.act = ACTIVATIONS[activation]
        self.linear = nn.Linear(n_in, n_units)
        self.hook_pre, self.hook_post = AxisHookPoint("batch unit"), AxisHookPoint("batch unit")

    def forward(self, x: Features) -> Float[Tensor, "batch unit"]:
        return self.hook_post(self.act(self.hook_pre(self.linear(x.flatten(1)))))


class Convolution(nn.Module):
    """A 3x3 convolution that keeps the size, and a non-linearity."""

    def __init__(self, n_in: int, n_channels: int, activation: str) -> None:
        super().__init__()
        self.act = ACTIVATIONS[activation]
        self.conv = nn.Conv2d(n_in, n_channels, kernel_size=3, padding=1)
        self.hook_pre, self.hook_post = (AxisHookPoint(INPUT_AXES["convolutional"]) for _ in range(2))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c_out h w"]:
        return self.hook_post(self.act(self.hook_pre(self.conv(x))))


class Trunk(nn.Module):
    """The blocks of one stream, from the observation to its last hidden layer."""

    def __init__(self, cfg: ActorCriticConfig) -> None:
        super().__init__()
        kernels, width = [], prod(cfg.observation)
        if cfg.trunk == "convolutional":
            kernels = [Convolution(i, o, cfg.activation) for i, o in pairwise((cfg.observation[0], *cfg.channels))]
            width = prod((*cfg.channels[-1:], *cfg.observation[1:])) if cfg.channels else width
        layers = [Dense(i, o, cfg.activation) for i, o in pairwise((width, *cfg.hidden))]
        self.blocks = nn.ModuleList([*kernels, *layers])
        self.width = cfg.hidden[-1] if cfg.hidden else width


class Actor(nn.Module):
    """Logits of the actions; its own trunk comes first when it shares none."""

    def __init__(self, blocks: nn.ModuleList, width: int, n_actions: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.readout = nn.Linear(width, n_actions)
        self.hook_logits = AxisHookPoint("batch action")

    def read_out(self, x: Features) -> Float[Tensor, "batch action"]:
        """Action logits from the last hidden layer."""
        return self.hook_logits(self.readout(x.flatten(1)))


class Critic(nn.Module):
    """The expected return; its own trunk comes first when it shares none."""

    def __init__(self, blocks: nn.ModuleList, width: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.readout = nn.Linear(width, 1)
        self.hook_value = AxisHookPoint("batch")

    def read_out(self, x: Features) -> Float[Tensor, " batch"]:
        """Values from the last hidden layer."""
        return self.hook_value(self.readout(x.flatten(1))[:, 0])


@dataclass(frozen=True)
class SideBySide:
    """A stage of two streams: each goes through its own part."""

    actor: Stage
    critic: Stage

    def __call__(self, streams: Streams) -> Streams:
        return self.actor(streams[0]), self.critic(streams[1])


@MODELS.register("actor_critic")
class ActorCritic(HookedModel):
    """Action logits and state values from observations."""

    family = "rl"

    def __init__(self, cfg: ActorCriticConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.input_axes = INPUT_AXES[cfg.trunk]
        self.hook_input = AxisHookPoint(self.input_axes)
        trunk, none = Trunk(cfg), nn.ModuleList()
        if cfg.critic == "shared":
            self.trunk = trunk
            self.actor, self.critic = Actor(none, trunk.width, cfg.n_actions), Critic(nn.ModuleList(), trunk.width)
            stages = [*trunk.blocks, self.forked]
        else:
            self.actor = Actor(trunk.blocks, trunk.width, cfg.n_actions)
            self.critic = Critic(Trunk(cfg).blocks, trunk.width)
            stages = [self.forked, *map(SideBySide, self.actor.blocks, self.critic.blocks)]
        self.reset_parameters()
        self.setup(stages=[self.observed, *stages, self.read_out])

    def reset_parameters(self) -> None:
        """Orthogonal weights and zero biases; a small read-out makes the first policy nearly uniform (CleanRL)."""
        gains = {self.actor.readout: 0.01, self.critic.readout: 1.0}
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.orthogonal_(module.weight, gains.get(module, sqrt(2)))
                nn.init.zeros_(module.bias)

    def observed(self, observation: Features) -> Features:
        """The observation, checked."""
        if observation.shape[1:] != self.cfg.observation:
            raise ShapeError(
                f"This policy sees observations of shape {('batch', *self.cfg.observation)}; "
                f"given {tuple(observation.shape)}."
            )
        return self.hook_input(observation)

    def forked(self, x: Features) -> Streams:
        """One stream for the actor and one for the critic."""
        return x, x

    def read_out(self, streams: Streams) -> PolicyValue:
        """Logits and values from the two last hidden layers."""
        return PolicyValue(self.actor.read_out(streams[0]), self.critic.read_out(streams[1]))

    def example(self, batch: int = 2, seed: int = 0) -> Features:
        return torch.randn(batch, *self.cfg.observation, generator=generator(seed, "example"))
