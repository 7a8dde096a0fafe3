"""Actor-critic networks: a stream of blocks for action logits and one, possibly shared, for state values."""

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
from workbench.core.ranges import PositiveInt, check_fields
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
    """Action logits and value estimate for each observation."""

    logits: Float[Tensor, "batch action"]
    value: Float[Tensor, " batch"]


@dataclass(frozen=True)
class TrunkConfig:
    """Sizes of the layers from an observation to the last hidden layer. The defaults fit CartPole."""

    observation: tuple[PositiveInt, ...] = (4,)
    """Shape of one observation: (feature,) for the trunk "mlp", (channel, height, width) for "convolutional"."""
    n_actions: PositiveInt = 2
    trunk: Literal["mlp", "convolutional"] = "mlp"
    channels: tuple[PositiveInt, ...] = (16, 32)
    """Channels of the convolutions; unused by the trunk "mlp"."""
    hidden: tuple[PositiveInt, ...] = (64, 64)
    """Units of the dense layers, which follow the convolutions."""
    activation: Literal["tanh", "relu"] = "tanh"

    def __post_init__(self) -> None:
        check_fields(self)
        axes = INPUT_AXES[self.trunk].split()[1:]
        if len(self.observation) != len(axes):
            raise ConfigError(
                f"The trunk {self.trunk!r} expects observations with axes {axes}, got the shape {self.observation}. "
                f"Give {len(axes)} sizes, or choose the other trunk."
            )


@dataclass(frozen=True)
class ActorCriticConfig(TrunkConfig):
    """Sizes of an actor-critic network."""

    critic: Literal["separate", "shared"] = "separate"
    """A trunk for each of actor and critic ("separate"), or the actor's trunk for both ("shared")."""


class Convolution(nn.Module):
    """3x3 convolution with padding 1, then a non-linearity."""

    def __init__(self, n_in: int, n_channels: int, activation: str) -> None:
        super().__init__()
        self.act = ACTIVATIONS[activation]
        self.conv = nn.Conv2d(n_in, n_channels, kernel_size=3, padding=1)
        self.hook_pre, self.hook_post = (AxisHookPoint(INPUT_AXES["convolutional"]) for _ in range(2))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c_out h w"]:
        return self.hook_post(self.act(self.hook_pre(self.conv(x))))

    def constant(self) -> Float[Tensor, "c_out 1 1"]:
        """Return the pre-activation of each channel for an input of zeros (the bias)."""
        assert self.conv.bias is not None
        return rearrange(self.conv.bias, "c -> c 1 1")


class Trunk(nn.Module):
    """Blocks from the observation to the last hidden layer of one stream."""

    def __init__(self, cfg: TrunkConfig) -> None:
        super().__init__()
        widths = (cfg.observation[0], *cfg.channels) if cfg.trunk == "convolutional" else cfg.observation
        kernels = [Convolution(i, o, cfg.activation) for i, o in pairwise(widths)]
        width = prod((widths[-1], *cfg.observation[1:]))
        layers = [DenseBlock(i, o, cfg.activation) for i, o in pairwise((width, *cfg.hidden))]
        self.blocks = nn.ModuleList([*kernels, *layers])
        self.width = (width, *cfg.hidden)[-1]
        self.stages: list[Stage] = [*kernels, flatten_space, *layers]


def require_shape(observation: Features, expected: tuple[int, ...]) -> None:
    """Raise a `ShapeError` unless observations have the expected shape."""
    if observation.shape[1:] != expected:
        raise ShapeError(f"Expected observations of shape {('batch', *expected)}, got {tuple(observation.shape)}.")


def flatten_space(x: Features) -> Float[Tensor, "batch unit"]:
    """Flatten channels and positions into one axis of units."""
    return x.flatten(1)


class Actor(nn.Module):
    """Linear map to action logits. Holds the actor's own blocks if the trunk is not shared."""

    def __init__(self, blocks: nn.ModuleList, width: int, n_actions: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.readout = nn.Linear(width, n_actions)
        self.hook_logits = AxisHookPoint("batch action")

    def read_out(self, x: Features) -> Float[Tensor, "batch action"]:
        """Compute action logits from the last hidden layer."""
        return self.hook_logits(self.readout(x))


class Critic(nn.Module):
    """Linear map to the state value. Holds the critic's own blocks if the trunk is not shared."""

    def __init__(self, blocks: nn.ModuleList, width: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.readout = nn.Linear(width, 1)
        self.hook_value = AxisHookPoint("batch")

    def read_out(self, x: Features) -> Float[Tensor, " batch"]:
        """Compute state values from the last hidden layer."""
        return self.hook_value(self.readout(x)[:, 0])


@dataclass(frozen=True)
class ParallelStage:
    """Stage that applies `actor` to the actor's stream and `critic` to the critic's stream."""

    actor: Stage
    critic: Stage

    def __call__(self, streams: Streams) -> Streams:
        return self.actor(streams[0]), self.critic(streams[1])


@MODELS.register("actor_critic")
class ActorCritic(HookedModel):
    """Action logits and state values from observations.

    Returns a `PolicyValue`. With a separate critic, `act` and `predict_values` run one of the two streams alone.

    Example:
        >>> policy = workbench.load("cartpole_ppo")
        >>> policy(policy.example(batch=3)).logits.shape
        torch.Size([3, 2])
    """

    family = "rl"

    def __init__(self, cfg: ActorCriticConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.input_axes = INPUT_AXES[cfg.trunk]  # type: ignore[misc]  (depends on the trunk)
        self.hook_input = AxisHookPoint(self.input_axes)
        own, other = Trunk(cfg), Trunk(cfg)
        if cfg.critic == "shared":
            self.trunk, other = own, own
            stages = [*own.stages, self.fork]
        else:
            stages = [self.fork, *map(ParallelStage, own.stages, other.stages)]
        self.actor_stages, self.critic_stages = tuple(own.stages), tuple(other.stages)
        none = nn.ModuleList()
        self.actor = Actor(none if cfg.critic == "shared" else own.blocks, own.width, cfg.n_actions)
        self.critic = Critic(none if cfg.critic == "shared" else other.blocks, other.width)
        self.reset_parameters()
        self.setup(stages=[self.read_observation, *stages, self.read_out])

    def reset_parameters(self) -> None:
        """Orthogonal weights and zero biases; the actor's gain of 0.01 makes the initial policy nearly uniform."""
        gains = {id(self.actor.readout): 0.01, id(self.critic.readout): 1.0}
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.orthogonal_(module.weight, gains.get(id(module), sqrt(2)))
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def read_observation(self, observation: Features) -> Features:
        """Check the shape of the observation and pass it through `hook_input`."""
        require_shape(observation, self.cfg.observation)
        return self.hook_input(observation)

    def fork(self, x: Features) -> Streams:
        """Duplicate the activation: one copy for the actor, one for the critic."""
        return x, x

    def read_out(self, streams: Streams) -> PolicyValue:
        """Compute logits and values from the two last hidden layers."""
        return PolicyValue(self.actor.read_out(streams[0]), self.critic.read_out(streams[1]))

    @property
    def has_separate_critic(self) -> bool:
        """True if actor and critic share no layer."""
        return self.cfg.critic == "separate"

    def act(self, observation: Features) -> Float[Tensor, "batch action"]:
        """Return action logits without running a separate critic's trunk."""
        if not self.has_separate_critic:
            return self(observation).logits
        return self.run_stream(self.actor_stages, self.actor.read_out, observation)

    def predict_values(self, observation: Features) -> Float[Tensor, " batch"]:
        """Return state values without running the actor's trunk if the critic is separate."""
        if not self.has_separate_critic:
            return self(observation).value
        return self.run_stream(self.critic_stages, self.critic.read_out, observation)

    def run_stream(self, stages: Iterable[Stage], end: Stage, observation: Features) -> Tensor:
        """Run the stages of one stream and its read-out `end`."""
        with self.lock:
            x = self.read_observation(observation)
            for stage in stages:
                x = stage(x)
            return end(x)

    def example(self, batch: int = 2, seed: int = 0) -> Features:
        return torch.randn(batch, *self.cfg.observation, generator=generator(seed, "example"))

    def graph(self) -> Graph:
        """Build the graph: observations, channels and units write; pre-activations, logits and the value read."""
        source = Nodes("hook_input", self.hook_input.axes[1])
        shared = self.cfg.critic == "shared"
        chains = {"trunk": self.trunk.blocks} if shared else {n: getattr(self, n).blocks for n in ENDS}
        nodes, ports, wires = [source], [], []
        for name, blocks in chains.items():
            reads, writes = chain_blocks(name, blocks)
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


def chain_blocks(name: str, blocks: Iterable[nn.Module]) -> tuple[list[tuple[Ports, Carry]], list[Nodes]]:
    """Return the ports of a stream's blocks with their transports, and the nodes of the blocks.

    Args:
        name: Prefix of the hook names ("actor", "critic", "trunk"); empty if the blocks belong to the model itself.
        blocks: `Convolution` and `DenseBlock` modules in order.
    """
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
    """Return the transport of a linear layer on flattened activations; a channel's edge covers all its positions."""
    return carry_matrix(lambda: layer.weight)


def carry_matrix(weight: Callable[[], Float[Tensor, "port entry"]]) -> Carry:
    """Return the transport of a product with `weight()`; a channel's edge covers all its positions."""

    def carry(write: Tensor, mask: Tensor) -> Tensor:
        places = write.shape[2:].numel()
        return write.flatten(1) @ (weight().T * mask.repeat_interleave(places, dim=0))

    return carry
