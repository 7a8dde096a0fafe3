"""An attention-only GPT with a previous-token head and two induction heads set by hand (Olsson et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import torch
from torch import Tensor

from workbench.core.registry import CIRCUITS
from workbench.ground_truth.known import KnownCircuit, make_matter, zero_weights
from workbench.zoo.gpt import GPT, GPTConfig

N_TOKENS, HALF = 4, 4
LENGTH = 2 * HALF
TOKEN = slice(0, N_TOKENS)
PLACE = slice(N_TOKENS, N_TOKENS + LENGTH)
BEFORE = slice(PLACE.stop, PLACE.stop + N_TOKENS)
ECHO = slice(BEFORE.stop, BEFORE.stop + N_TOKENS)
NEXT = slice(ECHO.stop, ECHO.stop + N_TOKENS)
"""Parts of the stream: token, position, previous token, output of the distractor, and next token."""
SHARP = 60.0
"""Attention score of the attended position, large enough to exclude all others."""


@dataclass(frozen=True)
class RightNext:
    """Logit of the right next token minus the mean of the others, summed over the second half but its last position."""

    following: Tensor

    def __call__(self, logits: Tensor) -> Tensor:
        inside = logits[:, HALF : LENGTH - 1]
        right = inside.gather(2, self.following[..., None])[..., 0]
        return (right - (inside.sum(dim=-1) - right) / (N_TOKENS - 1)).sum(dim=1)


@CIRCUITS.register("planted_induction")
def planted_induction() -> KnownCircuit:
    """Head 0.0 copies the previous token; heads 1.0 and 1.1 attend to what followed the same token, and copy it.

    The induction heads each write half of the answer, so both matter. Distractors: head 0.1 copies every token to where
    head 1.2 reads, whose output nothing reads.
    """
    cfg = GPTConfig(
        d_vocab=N_TOKENS, n_ctx=LENGTH, n_layers=2, d_model=NEXT.stop, n_heads=3, d_head=LENGTH,
        normalization="none", attn_only=True,
    )  # fmt: skip
    model = zero_weights(GPT(cfg))
    model.embed.W_E[:, TOKEN] = torch.eye(N_TOKENS).double()
    model.pos_embed.W_pos[:, PLACE] = torch.eye(LENGTH).double()
    first, second = (block.attn for block in model.blocks)
    scale = LENGTH**0.5
    first.W_Q[0, PLACE] = torch.eye(LENGTH).double().roll(-1, dims=1) * SHARP * scale  # the previous position
    first.W_K[0, PLACE] = torch.eye(LENGTH).double()
    copy(first, 0, TOKEN, BEFORE)
    first.W_Q[1, PLACE], first.W_K[1, PLACE] = torch.eye(LENGTH).double() * SHARP * scale, torch.eye(LENGTH).double()
    copy(first, 1, TOKEN, ECHO)
    for head, (key, value, gain) in enumerate(((BEFORE, TOKEN, 0.5), (BEFORE, TOKEN, 0.5), (ECHO, ECHO, 5.0))):
        second.W_Q[head, TOKEN, :N_TOKENS] = torch.eye(N_TOKENS).double() * SHARP * scale
        second.W_K[head, key, :N_TOKENS] = torch.eye(N_TOKENS).double()
        copy(second, head, value, NEXT if head < 2 else ECHO, gain)
    model.unembed.W_U[NEXT] = torch.eye(N_TOKENS).double()
    tokens = torch.tensor(list(permutations(range(N_TOKENS)))).repeat(1, 2)
    return KnownCircuit(
        about="Continue a repeated sequence; right next token minus the others' mean, over the repetition.",
        model=model,
        inputs=tokens,
        corrupted=tokens.roll(7, dims=0),
        metric=RightNext(tokens[:, HALF + 1 :]),
        matter=make_matter(model.graph(), {"zero": edges(True), "resample": edges(False)}),
    )


def copy(attn: Any, head: int, source: slice, target: slice, gain: float = 1.0) -> None:
    """Set a head to copy one part of the stream to another."""
    attn.W_V[head, source, :N_TOKENS] = torch.eye(N_TOKENS).double()
    attn.W_O[head, :N_TOKENS, target] = gain * torch.eye(N_TOKENS).double()


def edges(positions: bool) -> list[str]:
    """Return the planted circuit. Edges that carry only positions do not matter under resampling."""
    ends = ["hook_embed -> blocks.0.hook_v_input[head=0]"]
    ends += [f"hook_pos_embed -> blocks.0.hook_{x}_input[head=0]" for x in "qk" if positions]
    for head in (0, 1):
        ends += [f"hook_embed -> blocks.1.hook_{x}_input[head={head}]" for x in "qv"]
        ends.append(f"blocks.0.attn.hook_z[head=0] -> blocks.1.hook_k_input[head={head}]")
        ends.append(f"blocks.1.attn.hook_z[head={head}] -> blocks.1.hook_resid_post")
    return ends
