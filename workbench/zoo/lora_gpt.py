"""GPT with frozen weights and trainable low-rank adapters (LoRA, Hu et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from workbench.core.errors import ConfigError
from workbench.core.ranges import PositiveFloat, PositiveInt
from workbench.core.registry import MODELS
from workbench.core.weights import as_matrix, from_matrix
from workbench.zoo.gpt import GPT, GPTConfig

ADAPTED = ("W_Q", "W_K", "W_V", "W_O", "W_in", "W_out")
"""Weights of attention and MLP that get an adapter. All heads of a weight are treated as one matrix."""


@dataclass(frozen=True)
class LoRAGPTConfig(GPTConfig):
    """Sizes of the GPT and of its adapters."""

    rank: PositiveInt = 8
    """Rank of each adapter."""
    alpha: PositiveFloat = 16.0
    """Adapters are multiplied by `alpha` / `rank`."""
    base: str = ""
    """Checkpoint of the frozen weights, so that they need not be saved again; "" for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank > self.d_model:
            raise ConfigError(f"rank {self.rank} is out of range. Choose 1 to {self.d_model} (d_model).")


class LowRank(nn.Module):
    """Parametrization that adds scale * down @ up to a weight; `up` starts at zero."""

    def __init__(self, name: str, weight: Tensor, rank: int, scale: float) -> None:
        super().__init__()
        rows, columns = as_matrix(name, weight).shape
        self.name, self.scale = name, scale
        self.down = nn.Parameter(nn.init.normal_(torch.empty(rows, rank), std=rows**-0.5))
        self.up = nn.Parameter(torch.zeros(rank, columns))

    def forward(self, weight: Float[Tensor, "*weight"]) -> Float[Tensor, "*weight"]:
        return weight + from_matrix(self.name, self.scale * self.down @ self.up, weight.shape)


@MODELS.register("lora_gpt")
class LoRAGPT(GPT):
    """GPT whose adapted weights are the sum of a frozen weight and a low-rank adapter.

    Hooks and graph are those of `GPT`: reading `W_Q` gives the sum.
    """

    def __init__(self, cfg: LoRAGPTConfig) -> None:
        super().__init__(cfg)
        self.requires_grad_(False)
        for block in self.blocks:
            for part in (block.attn, *([] if cfg.attn_only else [block.mlp])):
                for name in (name for name in ADAPTED if hasattr(part, name)):
                    adapter = LowRank(name, getattr(part, name), cfg.rank, cfg.alpha / cfg.rank)
                    register_parametrization(part, name, adapter, unsafe=True)  # its forward keeps the shape

    @property
    def inherited(self) -> dict[str, str]:
        """Names of the frozen weights, mapped to their names in the base GPT."""
        names = [name for name in self.state_dict() if not name.endswith((".down", ".up"))]
        return {name: name.replace(".parametrizations", "").removesuffix(".original") for name in names}

    @torch.no_grad()
    def merge(self) -> GPT:
        """Return an equivalent GPT with the adapters added to the weights."""
        gpt = GPT(GPTConfig(**{field.name: getattr(self.cfg, field.name) for field in fields(GPTConfig)}))
        gpt.load_state_dict({name: attrgetter(name)(self) for name in self.inherited.values()})
        return gpt.eval()
