"""Generative adversarial network (Goodfellow et al. 2014) with the layout of DCGAN (Radford et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

import torch
from annotated_types import MinLen
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.graph import Graph, Nodes, Ports, Wire
from workbench.core.hooked import AxisHookPoint, HookedModel
from workbench.core.random import generator
from workbench.core.ranges import NonNegativeFloat, PositiveInt, ShareBelowOne, check_fields
from workbench.core.registry import MODELS
from workbench.zoo.actor_critic import carry_flat
from workbench.zoo.layers.strided import Image, ImageWriter, add_blocks, downsample, halve

Codes = Float[Tensor, "batch latent"]
Verdict = Float[Tensor, "batch class"]
SLOPE = 0.2
"""Negative slope of the discriminator's leaky ReLUs."""


@dataclass(frozen=True)
class GANConfig:
    """Sizes of generator and discriminator. The defaults fit 28x28 grey digits."""

    n_latents: PositiveInt = 64
    out_channels: PositiveInt = 1
    size: PositiveInt = 28
    """Side of the images in pixels."""
    channels: Annotated[tuple[PositiveInt, ...], MinLen(1)] = (32, 64)
    """Channels of the discriminator after each halving of the image; the generator uses them in reverse order."""
    dropout: ShareBelowOne = 0.3
    """Dropout probability after each convolution of the discriminator."""
    noise: NonNegativeFloat = 0.0
    """Standard deviation of the noise added to the discriminator's input during training (Sonderby et al. 2017)."""

    def __post_init__(self) -> None:
        check_fields(self)
        halve(self.size, self.channels)  # raises if the image cannot be halved so often

    @property
    def side(self) -> int:
        """Side of the smallest feature map in pixels."""
        return halve(self.size, self.channels)


class Generator(ImageWriter):
    """Images with values in 0..1 from codes, with BatchNorm."""

    def __init__(self, cfg: GANConfig) -> None:
        super().__init__(cfg.n_latents, (*reversed(cfg.channels), cfg.out_channels), cfg.side, norm=True)

    def forward(self, latent: Codes) -> Image:
        x = self.project(latent)
        for block in self.blocks:
            x = block(x)
        return self.read_out(x)

    def read_out(self, x: Float[Tensor, "batch c h w"]) -> Image:
        """Compute the image from the last feature maps."""
        return self.hook_image(self.hook_out(self.readout(x)).sigmoid())


class Discriminator(nn.Module):
    """Logits of the classes "generated" and "real" for each image: strided convolutions, then a linear map."""

    def __init__(self, cfg: GANConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            downsample(i, o, slope=SLOPE) for i, o in pairwise((cfg.out_channels, *cfg.channels))
        )
        self.dropout, self.noise = nn.Dropout(cfg.dropout), cfg.noise
        self.readout = nn.Linear(cfg.channels[-1] * cfg.side**2, 2)
        self.hook_logits = AxisHookPoint("batch class")

    def forward(self, x: Image) -> Verdict:
        if self.training and self.noise:
            x = x + self.noise * torch.randn_like(x)
        for block in self.blocks:
            x = self.dropout(block(x))
        return self.read_out(x)

    def read_out(self, x: Image) -> Verdict:
        """Compute the logits from the last feature maps."""
        return self.hook_logits(self.readout(x.flatten(1)))


@MODELS.register("gan")
class GAN(HookedModel):
    """Logits of the discriminator (generated, real) for the images that the generator produces from codes."""

    family = "gan"
    input_axes = "batch latent"

    def __init__(self, cfg: GANConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.hook_input = AxisHookPoint("batch latent")
        self.generator, self.discriminator = Generator(cfg), Discriminator(cfg)
        made = [self.generator.project, *self.generator.blocks, self.generator.read_out]
        self.setup(stages=[self.hook_input, *made, *self.discriminator.blocks, self.discriminator.read_out])

    def example(self, batch: int = 2, seed: int = 0) -> Codes:
        return torch.randn(batch, self.cfg.n_latents, generator=generator(seed, "example"))

    def graph(self) -> Graph:
        """Build the graph: latents, channels and the image write; pre-activations, pixel and class logits read."""
        nodes, ports, wires = [Nodes("hook_input", "latent")], [], []
        judge: Any = self.discriminator
        self.generator.add_to_graph("generator", nodes, ports, wires)
        nodes.append(Nodes("generator.hook_image", "channel", ("generator.hook_out",)))
        add_blocks({f"discriminator.blocks.{i}": block for i, block in enumerate(judge.blocks)}, nodes, ports, wires)
        wires.append(Wire(nodes[-1].hook, "discriminator.hook_logits", carry_flat(judge.readout)))
        ports.append(Ports("discriminator.hook_logits", "class", lambda: judge.readout.bias))
        return Graph(self, nodes, ports, wires)
