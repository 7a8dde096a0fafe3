"""Variational autoencoder (Kingma & Welling 2014) with convolutions, for small images with values in 0..1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

import torch
from annotated_types import MinLen
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.graph import Graph, Nodes, Ports, Wire
from workbench.core.hooked import AxisHookPoint, HookedModel
from workbench.core.random import generator
from workbench.core.ranges import PositiveInt, check_fields
from workbench.core.registry import MODELS
from workbench.zoo.actor_critic import carry_flat
from workbench.zoo.layers.linear_carry import carry_side_by_side
from workbench.zoo.layers.strided import CHANNELS, Image, ImageWriter, add_blocks, downsample, halve

Codes = Float[Tensor, "batch latent"]


@dataclass(frozen=True)
class VAEConfig:
    """Sizes of encoder and decoder. The defaults fit 28x28 grey digits."""

    in_channels: PositiveInt = 1
    size: PositiveInt = 28
    """Side of the images in pixels."""
    channels: Annotated[tuple[PositiveInt, ...], MinLen(1)] = (32, 64)
    """Channels of the encoder after each halving of the image; the decoder uses them in reverse order."""
    n_latents: PositiveInt = 32

    def __post_init__(self) -> None:
        check_fields(self)
        halve(self.size, self.channels)  # raises if the image cannot be halved so often

    @property
    def side(self) -> int:
        """Side of the smallest feature map in pixels."""
        return halve(self.size, self.channels)


class Posterior(NamedTuple):
    """Approximate posterior of each image's code: a diagonal normal distribution."""

    mean: Codes
    log_variance: Codes


class Reconstruction(NamedTuple):
    """Reconstructed images and their codes. `logits` are the pixel logits, one row per image."""

    logits: Float[Tensor, "batch pixel"]
    image: Image
    mean: Codes
    log_variance: Codes


class DecoderState(NamedTuple):
    """State of the decoder's stages: the activation, and the code that is passed through to the output."""

    x: Float[Tensor, "batch ..."]
    mean: Codes
    log_variance: Codes


class Encoder(nn.Module):
    """Strided convolutions, then linear maps to the mean and the log variance of the code."""

    def __init__(self, cfg: VAEConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(downsample(i, o) for i, o in pairwise((cfg.in_channels, *cfg.channels)))
        width = cfg.channels[-1] * cfg.side**2
        self.mean, self.log_variance = nn.Linear(width, cfg.n_latents), nn.Linear(width, cfg.n_latents)
        self.hook_mean, self.hook_log_variance = AxisHookPoint("batch latent"), AxisHookPoint("batch latent")

    def read_out(self, x: Image) -> Posterior:
        """Compute the posterior from the last feature maps."""
        flat = x.flatten(1)
        return Posterior(self.hook_mean(self.mean(flat)), self.hook_log_variance(self.log_variance(flat)))


class Decoder(ImageWriter):
    """Pixel logits and images from codes."""

    def __init__(self, cfg: VAEConfig) -> None:
        super().__init__(cfg.n_latents, (*reversed(cfg.channels), cfg.in_channels), cfg.side)

    def read_out(self, coded: DecoderState) -> Reconstruction:
        """Compute the pixel logits and the image."""
        logits = self.hook_out(self.readout(coded.x))
        return Reconstruction(logits.flatten(1), self.hook_image(logits.sigmoid()), coded.mean, coded.log_variance)


@dataclass(frozen=True)
class OnActivation:
    """Stage that applies `stage` to the activation and leaves the code unchanged."""

    stage: Callable[[Tensor], Tensor]

    def __call__(self, coded: DecoderState) -> DecoderState:
        return coded._replace(x=self.stage(coded.x))


@MODELS.register("vae")
class VAE(HookedModel):
    """Reconstructions and codes of images. The code is sampled in training mode, else it is the posterior mean.

    Example:
        >>> vae = workbench.load("mnist_vae")
        >>> vae.encode(vae.example(batch=3)).mean.shape
        torch.Size([3, 32])
    """

    family = "vae"
    input_axes = CHANNELS

    def __init__(self, cfg: VAEConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.hook_input = AxisHookPoint(CHANNELS)
        self.encoder, self.decoder = Encoder(cfg), Decoder(cfg)
        self.hook_latent, self.hook_code = AxisHookPoint("batch latent"), AxisHookPoint("batch latent")
        decoding = [OnActivation(self.decoder.project), *map(OnActivation, self.decoder.blocks)]
        encoding = [self.hook_input, *self.encoder.blocks, self.encoder.read_out]
        self.setup(stages=[*encoding, self.to_latent, *decoding, self.decoder.read_out])

    def to_latent(self, posterior: Posterior) -> DecoderState:
        """Choose the code that the decoder reads: a sample in training mode, else the posterior mean.

        In evaluation mode the code also goes to the output through `hook_code`, a port of its own.
        """
        mean, log_variance = posterior
        if self.training:
            return DecoderState(reparametrize(posterior, torch.randn_like(mean)), mean, log_variance)
        latent = self.hook_latent(mean)
        return DecoderState(latent, self.hook_code(latent), log_variance)

    def encode(self, images: Image) -> Posterior:
        """Compute the posterior of each image's code."""
        return self.run_stages(images, 0, self.stages.index(self.to_latent))

    def decode(self, latent: Codes) -> Reconstruction:
        """Compute the images that codes decode to."""
        coded = DecoderState(latent, latent, torch.zeros_like(latent))
        return self.run_stages(coded, self.stages.index(self.to_latent) + 1, len(self.stages))

    def sample(self, images: Image, random: torch.Generator) -> Reconstruction:
        """Reconstruct images from codes sampled from their posteriors, one sample per image."""
        posterior = self.encode(images)
        noise = torch.randn(posterior.mean.shape, generator=random).to(posterior.mean)
        return self.decode(reparametrize(posterior, noise))._replace(**posterior._asdict())

    def example(self, batch: int = 2, seed: int = 0) -> Image:
        shape = (batch, self.cfg.in_channels, self.cfg.size, self.cfg.size)
        return torch.rand(shape, generator=generator(seed, "example"))

    def graph(self) -> Graph:
        """Build the graph: channels and latents write, pre-activations read; sinks are image, code and log variance."""
        nodes, ports, wires = [Nodes("hook_input", "channel")], [], []
        encoder: Any = self.encoder.blocks
        add_blocks({f"encoder.blocks.{i}": block for i, block in enumerate(encoder)}, nodes, ports, wires)
        for name in ("mean", "log_variance"):
            head = getattr(self.encoder, name)
            ports.append(Ports(f"encoder.hook_{name}", "latent", lambda head=head: head.bias))
            wires.append(Wire(nodes[-1].hook, ports[-1].hook, carry_flat(head)))
        nodes.append(Nodes("hook_latent", "latent", ("encoder.hook_mean",)))
        ports.append(Ports("hook_code", None))
        wires.append(Wire("hook_latent", "hook_code", carry_side_by_side))
        self.decoder.add_to_graph("decoder", nodes, ports, wires)
        return Graph(self, nodes, ports, wires)


def reparametrize(posterior: Posterior, noise: Codes) -> Codes:
    """Turn standard normal noise into samples of the posterior (the reparametrisation trick)."""
    return posterior.mean + (0.5 * posterior.log_variance).exp() * noise
