"""Small random network of every architecture, in evaluation mode and float64."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import torch
from torch.utils._pytree import tree_map

from workbench.core.hooked import HookedModel
from workbench.core.random import seed_everything
from workbench.core.registry import MODELS, config_type
from workbench.zoo.actor_critic import ActorCriticConfig
from workbench.zoo.airbench import AirbenchConfig
from workbench.zoo.cnn import CNNConfig
from workbench.zoo.encoder_decoder import EncoderDecoderConfig
from workbench.zoo.gan import GANConfig
from workbench.zoo.gpt import GPTConfig
from workbench.zoo.lora_gpt import LoRAGPTConfig
from workbench.zoo.mlp import MLPConfig
from workbench.zoo.q_network import QNetworkConfig
from workbench.zoo.q_table import QTableConfig
from workbench.zoo.resnet import ResNetConfig
from workbench.zoo.vae import VAEConfig

SMALL: dict[str, tuple[str, Any]] = {
    "mlp": ("mlp", MLPConfig(n_features=6, hidden=(5, 4), n_classes=3)),
    "cnn": ("cnn", CNNConfig(in_channels=2, size=8, channels=(3, 4), n_classes=3)),
    "airbench": ("airbench", AirbenchConfig(in_channels=2, size=9, channels=(3, 4), n_classes=3)),
    "resnet": ("resnet", ResNetConfig(in_channels=2, size=8, channels=(4, 6), blocks_per_group=2, n_classes=3)),
    "resnet plain": (
        "resnet", ResNetConfig(in_channels=2, size=8, channels=(4, 6), blocks_per_group=1, n_classes=3, residual=False),
    ),
    "gpt": ("gpt", GPTConfig(d_vocab=11, n_ctx=12, n_layers=2, d_model=16, n_heads=2)),
    "gpt rotary rms tied": (
        "gpt",
        GPTConfig(
            d_vocab=11, n_ctx=12, n_layers=2, d_model=16, n_heads=4, positions="rotary", normalization="rms",
            activation="relu", tie_embeddings=True,
        ),
    ),
    "gpt bare": (
        "gpt",
        GPTConfig(
            d_vocab=11, n_ctx=12, n_layers=2, d_model=10, n_heads=3, d_head=4, d_mlp=6, causal=False,
            normalization="none", activation="relu",
        ),
    ),
    "gpt attention only": ("gpt", GPTConfig(d_vocab=11, n_ctx=12, n_layers=2, d_model=8, n_heads=2, attn_only=True)),
    "lora_gpt": ("lora_gpt", LoRAGPTConfig(d_vocab=11, n_ctx=12, n_layers=2, d_model=8, n_heads=2, rank=2, alpha=0.5)),
    "encoder_decoder": ("encoder_decoder", EncoderDecoderConfig(d_vocab=11, n_ctx=12, d_model=16, n_heads=2, pad=10)),
    "encoder_decoder bare": (
        "encoder_decoder",
        EncoderDecoderConfig(
            d_vocab=9, n_ctx=12, encoder_layers=1, d_model=10, n_heads=3, d_head=4, d_mlp=6, positions="rotary",
            normalization="none", activation="relu", tie_embeddings=True,
        ),
    ),
    "actor_critic": ("actor_critic", ActorCriticConfig(observation=(4,), n_actions=3, hidden=(5, 4))),
    "actor_critic shared": (
        "actor_critic",
        ActorCriticConfig(
            observation=(2, 4, 4), n_actions=3, trunk="convolutional", channels=(3,), hidden=(5,), critic="shared",
        ),
    ),
    "q_network": ("q_network", QNetworkConfig(observation=(4,), n_actions=3, hidden=(5, 4))),
    "q_network duelling": (
        "q_network",
        QNetworkConfig(
            observation=(2, 4, 4), n_actions=3, trunk="convolutional", channels=(3,), hidden=(5,), duelling=True,
        ),
    ),
    "q_table": ("q_table", QTableConfig(n_states=6, n_actions=3)),
    "gan": ("gan", GANConfig(n_latents=4, out_channels=2, size=8, channels=(4, 6))),
    "vae": ("vae", VAEConfig(in_channels=2, size=8, channels=(3, 4), n_latents=3)),
}  # fmt: skip
SMALL |= {entry.name: (entry.name, config_type(entry.load())()) for entry in entry_points(group=MODELS.package)}
"""An architecture of another distribution is tried in its default size."""


def small(name: str, seed: int = 0) -> HookedModel:
    """The named small network; its norms have statistics of their own, as after training."""
    architecture, cfg = SMALL[name]
    random = seed_everything(seed)
    model = MODELS[architecture](cfg)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=random)
        for label, buffer in model.named_buffers():
            if buffer.is_floating_point():
                buffer.copy_(torch.rand(buffer.shape, generator=random) + (0.5 if "var" in label else 0))
    return model.eval().double()


def example(model: HookedModel, batch: int = 2, seed: int = 0) -> Any:
    """A random input in double precision."""
    return tree_map(lambda x: x.double() if x.is_floating_point() else x, model.example(batch, seed))
