"""Vision transformer (Dosovitskiy et al. 2021) for small images; patches are averaged, without a class token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.errors import ConfigError
from workbench.core.graph import Graph
from workbench.core.hooked import AxisHookPoint, HookedModel
from workbench.core.random import generator
from workbench.core.ranges import PositiveInt, check_fields
from workbench.zoo.gpt import Block, GPTConfig
from workbench.zoo.layers.normalization import make_norm
from workbench.zoo.layers.transformer_graph import DETAILS, residual_graph

Image = Float[Tensor, "batch channel height width"]
Stream = Float[Tensor, "batch pos d_model"]


@dataclass(frozen=True)
class ViTConfig:
    """Sizes of the network; the defaults fit the drawn shapes of 24x24 pixels."""

    in_channels: PositiveInt = 3
    size: PositiveInt = 24
    """Side of the images in pixels."""
    patch: PositiveInt = 4
    """Side of a patch in pixels."""
    n_classes: PositiveInt = 4
    n_layers: PositiveInt = 2
    d_model: PositiveInt = 32
    n_heads: PositiveInt = 4
    causal: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.size % self.patch:
            raise ConfigError(f"Images of {self.size} pixels cannot be cut into patches of {self.patch}.")

    @property
    def n_patches(self) -> int:
        """Number of patches of an image."""
        return (self.size // self.patch) ** 2

    @property
    def block(self) -> GPTConfig:
        """The configuration of one block."""
        return GPTConfig(n_ctx=self.n_patches, d_model=self.d_model, n_heads=self.n_heads, causal=False)


class ViT(HookedModel):
    """Logits (batch, class) from images; attention and MLPs add to a stream with one position per patch."""

    family = "vit"
    input_axes = "batch channel height width"
    details = DETAILS

    def __init__(self, cfg: ViTConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.embed = nn.Linear(cfg.in_channels * cfg.patch**2, cfg.d_model)
        self.W_pos = nn.Parameter(torch.zeros(cfg.n_patches, cfg.d_model))
        self.hook_embed, self.hook_pos_embed = (AxisHookPoint("batch pos d_model") for _ in range(2))
        self.blocks = nn.ModuleList(Block(cfg.block) for _ in range(cfg.n_layers))
        for p in (p for name, p in self.named_parameters() if "W_" in name):
            nn.init.normal_(p, std=0.02)
        self.ln_final = make_norm(cfg.d_model, "layer")
        self.hook_pooled, self.hook_logits = AxisHookPoint("batch d_model"), AxisHookPoint("batch class")
        self.linear = nn.Linear(cfg.d_model, cfg.n_classes)
        parts = (part for block in self.blocks for part in block.parts())  # type: ignore[operator]
        self.setup(stages=[self.embed_patches, *parts, self.read_out])

    def embed_patches(self, images: Image) -> Stream:
        """Compute the stream before the first block."""
        flat = rearrange(images, "b c (h i) (w j) -> b (h w) (c i j)", i=self.cfg.patch, j=self.cfg.patch)
        return self.hook_embed(self.embed(flat)) + self.hook_pos_embed(self.W_pos.expand(len(images), -1, -1))

    def read_out(self, stream: Stream) -> Float[Tensor, "batch class"]:
        """Average the patches and compute the logits."""
        return self.hook_logits(self.linear(self.hook_pooled(self.ln_final(stream).mean(dim=1))))

    def example(self, batch: int = 2, seed: int = 0) -> Image:
        cfg = self.cfg
        return torch.randn(batch, cfg.in_channels, cfg.size, cfg.size, generator=generator(seed, "example"))

    def graph(self, detail: str = "head") -> Graph:
        return residual_graph(self, detail)
