"""Variational autoencoder (Kingma & Welling 2014) with convolutions, for small images of values in 0..1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.errors import ConfigError
from workbench.core.graph import Graph, Nodes, Ports, Wire
from workbench.core.hooked import AxisHookPoint, HookedModel
from workbench.core.random import generator
from workbench.core.registry import MODELS
from workbench.zoo.actor_critic import carry_flat
from workbench.zoo.layers.linear_carry import carry_side_by_side, carry_transposed
from workbench.zoo.layers.strided import CHANNELS, Image, Spread, down, up

Codes = Float[Tensor, "batch latent"]


@dataclass(frozen=True)
class VAEConfig:
    """Sizes; the defaults fit 28x28 grey digits. `channels` are those after each halving of the image."""

    in_channels: int = 1
    size: int = 28
    channels: tuple[int, ...] = (32, 64)
    n_latents: int = 32

    def __post_init__(self) -> None:
        if not self.channels or self.size % 2 ** len(self.channels):
            raise ConfigError(f"An image of side {self.size} cannot be halved {len(self.channels)} times.")

    @property
    def side(self) -> int:
        """Side of the smallest map."""
        return self.size // 2 ** len(self.channels)


class Posterior(NamedTuple):
    """What the encoder says of each image's code: a normal distribution with independent entries."""

    mean: Codes
    log_variance: Codes


class Autoencoded(NamedTuple):
    """Each image's reconstruction and code; `logits` are those of the pixels, one row for each image."""

    logits: Float[Tensor, "batch pixel"]
    image: Image
    mean: Codes
    log_variance: Codes


class Coded(NamedTuple):
    """What flows through the decoder: the activation, and the code beside it."""

    x: Float[Tensor, "batch ..."]
    mean: Codes
    log_variance: Codes


class Encoder(nn.Module):
    """Convolutions, then the mean and the log variance of the code, each linear in the last maps."""

    def __init__(self, cfg: VAEConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(down(i, o) for i, o in pairwise((cfg.in_channels, *cfg.channels)))
        width = cfg.channels[-1] * cfg.side**2
        self.mean, self.log_variance = nn.Linear(width, cfg.n_latents), nn.Linear(width, cfg.n_latents)
        self.hook_mean, self.hook_log_variance = AxisHookPoint("batch latent"), AxisHookPoint("batch latent")

    def heads(self, x: Image) -> Posterior:
        """The distribution of the code."""
        flat = x.flatten(1)
        return Posterior(self.hook_mean(self.mean(flat)), self.hook_log_variance(self.log_variance(flat)))


class Decoder(nn.Module):
    """A linear map from the code to small maps, then transposed convolutions; the last gives each pixel's logit."""

    def __init__(self, cfg: VAEConfig) -> None:
        super().__init__()
        widths = (*reversed(cfg.channels), cfg.in_channels)
        self.project = Spread(cfg.n_latents, widths[0], cfg.side)
        self.blocks = nn.ModuleList(up(i, o) for i, o in pairwise(widths[:-1]))
        self.readout = nn.ConvTranspose2d(widths[-2], widths[-1], 4, 2, padding=1)
        self.hook_out, self.hook_image = AxisHookPoint(CHANNELS), AxisHookPoint(CHANNELS)

    def read_out(self, coded: Coded) -> Autoencoded:
        """Logits of the pixels, and the image that they make."""
        logits = self.hook_out(self.readout(coded.x))
        return Autoencoded(logits.flatten(1), self.hook_image(logits.sigmoid()), coded.mean, coded.log_variance)


@dataclass(frozen=True)
class Beside:
    """A stage that works on the activation and leaves the code beside it alone."""

    stage: Callable[[Tensor], Tensor]

    def __call__(self, coded: Coded) -> Coded:
        return coded._replace(x=self.stage(coded.x))


@MODELS.register("vae")
class VAE(HookedModel):
    """Reconstructions and codes of images: in training a code is drawn, in evaluation it is the mean."""

    family = "vae"
    input_axes = CHANNELS

    def __init__(self, cfg: VAEConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.hook_input = AxisHookPoint(CHANNELS)
        self.encoder, self.decoder = Encoder(cfg), Decoder(cfg)
        self.hook_latent, self.hook_code = AxisHookPoint("batch latent"), AxisHookPoint("batch latent")
        decoding = [Beside(self.decoder.project), *map(Beside, self.decoder.blocks)]
        encoding = [self.hook_input, *self.encoder.blocks, self.encoder.heads]
        self.setup(stages=[*encoding, self.coded, *decoding, self.decoder.read_out])

    def coded(self, posterior: Posterior) -> Coded:
        """The code that the decoder reads; the output tells it beside the image, through a port of its own."""
        mean, log_variance = posterior
        if self.training:
            return Coded(drawn(posterior, torch.randn_like(mean)), mean, log_variance)
        latent = self.hook_latent(mean)
        return Coded(latent, self.hook_code(latent), log_variance)

    def encode(self, images: Image) -> Posterior:
        """The distribution of each image's code."""
        return self.run_stages(images, 0, self.stages.index(self.coded))

    def decode(self, latent: Codes) -> Autoencoded:
        """The images that codes stand for."""
        coded = Coded(latent, latent, torch.zeros_like(latent))
        return self.run_stages(coded, self.stages.index(self.coded) + 1, len(self.stages))

    def sample(self, images: Image, random: torch.Generator) -> Autoencoded:
        """Reconstructions from codes drawn with this generator, one for each image."""
        posterior = self.encode(images)
        noise = torch.randn(posterior.mean.shape, generator=random).to(posterior.mean)
        return self.decode(drawn(posterior, noise))._replace(**posterior._asdict())

    def example(self, batch: int = 2, seed: int = 0) -> Image:
        shape = (batch, self.cfg.in_channels, self.cfg.size, self.cfg.size)
        return torch.rand(shape, generator=generator(seed, "example"))

    def graph(self) -> Graph:
        """Channels and latents write; pre-activations read. Sinks are the image, the code and its log variance."""
        nodes, ports, wires = [Nodes("hook_input", "channel")], [], []
        encoder: Any = self.encoder.blocks

        def chain(layers: dict[str, Any]) -> None:
            for here, layer in layers.items():
                wires.append(Wire(nodes[-1].hook, f"{here}.hook_pre", layer.carry))
                ports.append(Ports(f"{here}.hook_pre", "channel", layer.constant))
                nodes.append(Nodes(f"{here}.hook_post", "channel", (ports[-1].hook,)))

        chain({f"encoder.blocks.{i}": block for i, block in enumerate(encoder)})
        for name in ("mean", "log_variance"):
            head = getattr(self.encoder, name)
            ports.append(Ports(f"encoder.hook_{name}", "latent", lambda head=head: head.bias))
            wires.append(Wire(nodes[-1].hook, ports[-1].hook, carry_flat(head)))
        nodes.append(Nodes("hook_latent", "latent", ("encoder.hook_mean",)))
        ports.append(Ports("hook_code", None))
        wires.append(Wire("hook_latent", "hook_code", carry_side_by_side))
        decoder: Any = self.decoder
        blocks = {f"decoder.blocks.{i}": block for i, block in enumerate(decoder.blocks)}
        chain({"decoder.project": decoder.project, **blocks})
        last = decoder.readout
        ports.append(Ports("decoder.hook_out", "channel", lambda: rearrange(last.bias, "c -> c 1 1")))
        wires.append(Wire(nodes[-1].hook, "decoder.hook_out", carry_transposed(last)))
        return Graph(self, nodes, ports, wires)


def drawn(posterior: Posterior, noise: Codes) -> Codes:
    """A code from standard normal noise (the reparametrisation)."""
    return posterior.mean + (0.5 * posterior.log_variance).exp() * noise
