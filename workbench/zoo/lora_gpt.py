"""A GPT whose weights are fixed, with a low-rank change to learn beside each (LoRA, Hu et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from workbench.core.errors import ConfigError
from workbench.core.registry import MODELS
from workbench.core.weights import as_matrix, from_matrix
from workbench.zoo.gpt import GPT, GPTConfig

ADAPTED = ("W_Q", "W_K", "W_V", "W_O", "W_in", "W_out")
"""Weights of attention and of the MLP that get an adapter, all heads as one matrix."""


@dataclass(frozen=True)
class LoRAGPTConfig(GPTConfig):
    """The GPT's own sizes; `rank` of each change, which is multiplied by `alpha` / `rank`.

    `base` is the checkpoint that the fixed weights are those of, so that a file need not hold them; "" for none.
    """

    rank: int = 8
    alpha: float = 16.0
    base: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.rank <= self.d_model:
            raise ConfigError(f"rank {self.rank} is no rank of a change. Choose 1 to {self.d_model} (d_model).")


class LowRank(nn.Module):
    """A weight with the product of two thin matrices added, the second of which starts at zero."""

    def __init__(self, name: str, weight: Tensor, rank: int, scale: float) -> None:
        super().__init__()
        rows, columns = as_matrix(name, weight).shape
        self.name, self.scale = name, scale
        self.down = nn.Parameter(torch.randn(rows, rank) / rows**0.5)
        self.up = nn.Parameter(torch.zeros(rank, columns))

    def forward(self, weight: Float[Tensor, "*weight"]) -> Float[Tensor, "*weight"]:
        return weight + from_matrix(self.name, self.scale * self.down @ self.up, weight.shape)


@MODELS.register("lora_gpt")
class LoRAGPT(GPT):
    """A GPT in which each adapted weight reads as the sum of what is fixed and what is learned.

    Hooks, graph and techniques are the GPT's: whatever reads `W_Q` reads the sum.
    """

    def __init__(self, cfg: LoRAGPTConfig) -> None:
        super().__init__(cfg)
        self.requires_grad_(False)
        for block in self.blocks:
            for part in (block.attn, *([] if cfg.attn_only else [block.mlp])):
                for name in (name for name in ADAPTED if hasattr(part, name)):
                    adapter = LowRank(name, getattr(part, name), cfg.rank, cfg.alpha / cfg.rank)
                    register_parametrization(part, name, adapter)

    @property
    def inherited(self) -> dict[str, str]:
        """Names of the fixed weights here and in the GPT that they come from."""
        names = [name for name in self.state_dict() if not name.endswith((".down", ".up"))]
        return {name: name.replace(".parametrizations", "").removesuffix(".original") for name in names}

    @torch.no_grad()
    def merged(self) -> GPT:
        """The GPT without adapters that computes the same: each weight is the sum."""
        gpt = GPT(GPTConfig(**{field.name: getattr(self.cfg, field.name) for field in fields(GPTConfig)}))
        gpt.load_state_dict({name: attrgetter(name)(self) for name in self.inherited.values()})
        return gpt.eval()
