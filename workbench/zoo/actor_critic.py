"""Actor-critic networks: one stream of blocks ends in action logits, the other in the value of the state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import prod, sqrt
from typing import Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.errors import ConfigError, ShapeError
from workbench.core.graph import Carry, Graph, Nodes, Ports, Wire
from workbench.core.hooked import AxisHookPoint, HookedModel, Stage
from workbench.core.random import generator
from workbench.core.registry import MODELS
from workbench.zoo.layers.linear_carry import carry_conv
from workbench.zoo.layers.tanh import tanh
from workbench.zoo.mlp import DenseBlock

Features = Float[Tensor, "batch *feature"]
Streams = tuple[Float[Tensor, "batch ..."], Float[Tensor, "batch ..."]]
INPUT_AXES = {"mlp": "batch feature", "convolutional": "batch channel height width"}
ENDS = {"actor": ("actor.hook_logits", "action"), "critic": ("critic.hook_value", None)}
ACTIVATIONS = {"tanh": tanh, "relu": torch.relu}


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


class Convolution(nn.Module):
    """A 3x3 convolution that keeps the size, and a non-linearity."""

    def __init__(self, n_in: int, n_channels: int, activation: str) -> None:
        super().__init__()
        self.act = ACTIVATIONS[activation]
        self.conv = nn.Conv2d(n_in, n_channels, kernel_size=3, padding=1)
        self.hook_pre, self.hook_post = (AxisHookPoint(INPUT_AXES["convolutional"]) for _ in range(2))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c_out h w"]:
        return self.hook_post(self.act(self.hook_pre(self.conv(x))))

    def constant(self) -> Float[Tensor, "c_out 1 1"]:
        """What each channel's pre-activation is without any input."""
        assert self.conv.bias is not None
        return rearrange(self.conv.bias, "c -> c 1 1")


class Trunk(nn.Module):
    """The blocks of one stream, from the observation to its last hidden layer."""

    def __init__(self, cfg: ActorCriticConfig) -> None:
        super().__init__()
        widths = (cfg.observation[0], *cfg.channels) if cfg.trunk == "convolutional" else cfg.observation
        kernels = [Convolution(i, o, cfg.activation) for i, o in pairwise(widths)]
        width = prod((widths[-1], *cfg.observation[1:]))
        layers = [DenseBlock(i, o, cfg.activation) for i, o in pairwise((width, *cfg.hidden))]
        self.blocks = nn.ModuleList([*kernels, *layers])
        self.width = (width, *cfg.hidden)[-1]
        self.stages: list[Stage] = [*kernels, flat, *layers]


def flat(x: Features) -> Float[Tensor, "batch unit"]:
    """Channels and places, if there are any, as one row of units."""
    return x.flatten(1)


class Actor(nn.Module):
    """Logits of the actions; its own trunk comes first when it shares none."""

    def __init__(self, blocks: nn.ModuleList, width: int, n_actions: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.readout = nn.Linear(width, n_actions)
        self.hook_logits = AxisHookPoint("batch action")

    def read_out(self, x: Features) -> Float[Tensor, "batch action"]:
        """Action logits from the last hidden layer."""
        return self.hook_logits(self.readout(x))


class Critic(nn.Module):
    """The expected return; its own trunk comes first when it shares none."""

    def __init__(self, blocks: nn.ModuleList, width: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.readout = nn.Linear(width, 1)
        self.hook_value = AxisHookPoint("batch")

    def read_out(self, x: Features) -> Float[Tensor, " batch"]:
        """Values from the last hidden layer."""
        return self.hook_value(self.readout(x)[:, 0])


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
        self.input_axes = INPUT_AXES[cfg.trunk]  # type: ignore[misc]  (here it depends on the trunk)
        self.hook_input = AxisHookPoint(self.input_axes)
        own, other = Trunk(cfg), Trunk(cfg)
        if cfg.critic == "shared":
            self.trunk, other = own, own
            stages = [*own.stages, self.forked]
        else:
            stages = [self.forked, *map(SideBySide, own.stages, other.stages)]
        self.own_stages, self.critic_stages = tuple(own.stages), tuple(other.stages)
        none = nn.ModuleList()
        self.actor = Actor(none if cfg.critic == "shared" else own.blocks, own.width, cfg.n_actions)
        self.critic = Critic(none if cfg.critic == "shared" else other.blocks, other.width)
        self.reset_parameters()
        self.setup(stages=[self.observed, *stages, self.read_out])

    def reset_parameters(self) -> None:
        """Orthogonal weights and zero biases; a small read-out makes the first policy nearly uniform (CleanRL)."""
        gains = {id(self.actor.readout): 0.01, id(self.critic.readout): 1.0}
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.orthogonal_(module.weight, gains.get(id(module), sqrt(2)))
                assert module.bias is not None
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

    @property
    def apart(self) -> bool:
        """Whether actor and critic share no layer, so that each can be run alone."""
        return self.cfg.critic == "separate"

    def act(self, observation: Features) -> Float[Tensor, "batch action"]:
        """Action logits alone: a critic's own trunk is not run."""
        return self.alone(self.own_stages, self.actor.read_out, observation) if self.apart else self(observation).logits

    def judge(self, observation: Features) -> Float[Tensor, " batch"]:
        """Values alone: an actor's own trunk is not run."""
        if not self.apart:
            return self(observation).value
        return self.alone(self.critic_stages, self.critic.read_out, observation)

    def alone(self, stages: Iterable[Stage], end: Stage, observation: Features) -> Tensor:
        """What comes out at the end of one stream."""
        with self.lock:
            x = self.observed(observation)
            for stage in stages:
                x = stage(x)
            return end(x)

    def example(self, batch: int = 2, seed: int = 0) -> Features:
        return torch.randn(batch, *self.cfg.observation, generator=generator(seed, "example"))

    def graph(self) -> Graph:
        """Observations, channels and units write; pre-activations, logits and the value read, through the weights."""
        source = Nodes("hook_input", self.hook_input.axes[1])
        shared = self.cfg.critic == "shared"
        chains = {"trunk": self.trunk.blocks} if shared else {n: getattr(self, n).blocks for n in ENDS}
        nodes, ports, wires = [source], [], []
        for name, blocks in chains.items():
            reads, writes = chain(name, blocks)
            wires += [Wire(w.hook, p.hook, c) for w, (p, c) in zip([source, *writes], reads, strict=False)]
            ports += [port for port, _ in reads]
            nodes += writes
        for name, (hook, axis) in ENDS.items():
            readout = getattr(self, name).readout
            last = [node for node in nodes if node is source or shared or node.hook.startswith(name)][-1]
            ports.append(Ports(hook, axis, lambda x=readout: x.bias))
            wires.append(Wire(last.hook, hook, carry_flat(readout)))
        order = list(self.trace())
        return Graph(self, sorted(nodes, key=lambda node: order.index(node.hook)), ports, wires)


def chain(name: str, blocks: Iterable[nn.Module]) -> tuple[list[tuple[Ports, Carry]], list[Nodes]]:
    """What each block of a stream (of the model itself, when it has no name) reads, and how, and what it writes."""
    reads, writes = [], []
    for i, block in enumerate(blocks):
        here = f"{name}.blocks.{i}" if name else f"blocks.{i}"
        if isinstance(block, Convolution):
            port = Ports(f"{here}.hook_pre", "channel", block.constant)
            reads.append((port, carry_conv(block.conv)))
        else:
            assert isinstance(block, DenseBlock)
            port = Ports(f"{here}.hook_pre", "unit", lambda x=block: x.linear.bias)
            reads.append((port, carry_flat(block.linear)))
        writes.append(Nodes(f"{here}.hook_post", port.axis, (port.hook,)))
    return reads, writes


def carry_flat(layer: nn.Linear) -> Carry:
    """A linear layer on units, or on all places of channels: edge (u, p) is unit or channel u's part of the weight."""
    return carry_matrix(lambda: layer.weight)


def carry_matrix(weight: Callable[[], Float[Tensor, "port entry"]]) -> Carry:
    """The same for the product with any matrix."""

    def carry(write: Tensor, mask: Tensor) -> Tensor:
        places = write.shape[2:].numel()
        return write.flatten(1) @ (weight().T * mask.repeat_interleave(places, dim=0))

    return carry
