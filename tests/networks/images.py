"""Networks of images and signals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.bench.torchvision_resnet import ResNet18
from tests.networks.hugging_face import SMALL, Logits
from tests.networks.network import Network, entry, pictures


class Mixer(nn.Module):
    """An MLP-Mixer block over patches (Tolstikhin et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)
        self.tokens = nn.Sequential(nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 16))
        self.channels = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.norm2(x))
        return self.head(x.mean(dim=1))


class UNet(nn.Module):
    """Down, up, and a joined shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.mid = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(8, 8, 2, 2), nn.Conv2d(11, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.mid(self.down(x).relu()).relu()
        return self.out(torch.cat([self.up(h).relu(), x], dim=1))


class SqueezeExcite(nn.Module):
    """Depthwise and pointwise convolutions, channels scaled by what they pool to (MobileNetV3)."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.depth = (
            nn.Conv2d(3, 12, 1, bias=False),
            nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False),
        )
        self.n1, self.n2 = nn.BatchNorm2d(12), nn.BatchNorm2d(12)
        self.squeeze, self.excite = nn.Conv2d(12, 4, 1), nn.Conv2d(4, 12, 1)
        self.project, self.head = nn.Conv2d(12, 8, 1), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.hardswish(self.n2(self.depth(F.hardswish(self.n1(self.expand(x))))))
        h = h * F.hardsigmoid(self.excite(self.squeeze(h.mean((2, 3), keepdim=True)).relu()))
        return self.head(self.project(h).mean((2, 3)))


def plain_cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3), nn.ELU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 4),
    )  # fmt: skip


def temporal() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv1d(6, 6, 3, dilation=2), nn.GELU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(6, 2),
    )  # fmt: skip


def images() -> dict[str, Callable[[], Network]]:
    """Networks of images and signals."""
    from transformers import (
        ConvNextConfig,
        ConvNextForImageClassification,
        ResNetConfig,
        ResNetForImageClassification,
        ViTConfig,
        ViTForImageClassification,
    )

    def hugging_face(cls: Any, config: Any) -> Callable[[], nn.Module]:
        return lambda: Logits(cls(config))

    vit = ViTConfig(image_size=16, patch_size=4, **{k: v for k, v in SMALL.items() if k != "vocab_size"})
    resnet = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    convnext = ConvNextConfig(num_stages=2, hidden_sizes=[8, 16], depths=[1, 1], patch_size=2)
    return dict(
        [
            entry("cnn", "cnn", plain_cnn, pictures()),
            entry("cnn", "temporal_cnn", temporal, lambda: torch.randn(4, 3, 12)),
            entry("cnn", "squeeze_excite", SqueezeExcite, pictures()),
            entry("resnet", "resnet18_in_place", ResNet18, pictures(3, 32)),
            entry("resnet", "hf_resnet", hugging_face(ResNetForImageClassification, resnet), pictures(3, 32)),
            entry("resnet", "convnext", hugging_face(ConvNextForImageClassification, convnext), pictures(3, 16)),
            entry("vision transformer", "vit", hugging_face(ViTForImageClassification, vit), pictures()),
            entry("mixer", "mlp_mixer", Mixer, pictures()),
            entry("u-net", "u_net", UNet, pictures()),
        ]
    )
