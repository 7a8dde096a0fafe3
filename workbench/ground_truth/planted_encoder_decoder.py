"""An encoder-decoder that shifts every letter of a word by one and reverses the word."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from workbench.core.registry import CIRCUITS
from workbench.core.source_target import SourceTarget
from workbench.ground_truth.known import KnownCircuit, make_matter, zero_weights
from workbench.ground_truth.planted_induction import SHARP
from workbench.zoo.encoder_decoder import EncoderDecoder, EncoderDecoderConfig

N_LETTERS, LENGTH = 3, 4
START = N_LETTERS
N_TOKENS = N_LETTERS + 1
TOKEN = slice(0, N_TOKENS)
PLACE = slice(N_TOKENS, N_TOKENS + LENGTH)
SHIFTED = slice(PLACE.stop, PLACE.stop + N_TOKENS)
ANSWER = slice(SHIFTED.stop, SHIFTED.stop + N_TOKENS)
UNREAD = slice(ANSWER.stop, ANSWER.stop + N_TOKENS)
"""Parts of both streams: token, position, next letter of the alphabet, answer, and output of the distractors."""
EYE, PLACES = torch.eye(N_TOKENS).double(), torch.eye(LENGTH).double()


@dataclass(frozen=True)
class RightLetters:
    """Logit of the right letter minus the mean of the others, summed over the target's positions."""

    expected: Tensor

    def __call__(self, logits: Tensor) -> Tensor:
        letters = logits[..., :N_LETTERS]
        right = letters.gather(2, self.expected[..., None])[..., 0]
        return (right - (letters.sum(dim=-1) - right) / (N_LETTERS - 1)).sum(dim=1)


@CIRCUITS.register("planted_encoder_decoder")
def planted_encoder_decoder() -> KnownCircuit:
    """Shift each letter in the encoder's MLP, and read the mirrored position by two cross-attention heads, half each.

    Both cross-attention heads matter. Distractors: the encoder's heads and the decoder's self-attention copy letters to
    a part that nothing reads, and so does the decoder's MLP with shifted letters.
    """
    cfg = EncoderDecoderConfig(
        d_vocab=N_TOKENS, n_ctx=LENGTH, encoder_layers=1, decoder_layers=1, d_model=UNREAD.stop, n_heads=2, d_head=4,
        d_mlp=N_TOKENS, normalization="none", activation="relu", start=START,
    )  # fmt: skip
    model = zero_weights(EncoderDecoder(cfg))
    for stack in (model.encoder, model.decoder):
        stack.embed.W_E[:, TOKEN] = EYE
        stack.pos_embed.W_pos[:, PLACE] = PLACES
    encoder, decoder = model.encoder.blocks[0], model.decoder.blocks[0]
    shift(encoder.mlp, SHIFTED)
    shift(decoder.mlp, UNREAD)
    scale = SHARP * cfg.stack(1, causal=False).head_width ** 0.5
    for head, attn in product((0, 1), (encoder.attn, decoder.attn)):
        attn.W_Q[head, PLACE], attn.W_K[head, PLACE] = scale * PLACES, PLACES
        attn.W_V[head, TOKEN], attn.W_O[head, :, UNREAD] = EYE, EYE
    for head in (0, 1):
        decoder.cross_attn.W_Q[head, PLACE], decoder.cross_attn.W_K[head, PLACE] = scale * PLACES, PLACES.flip(0)
        decoder.cross_attn.W_V[head, SHIFTED], decoder.cross_attn.W_O[head, :, ANSWER] = EYE, 0.5 * EYE
    model.unembed.W_U[ANSWER] = EYE
    words = torch.tensor(list(product(range(N_LETTERS), repeat=LENGTH)))
    answers = ((words + 1) % N_LETTERS).flip(1)
    inputs = SourceTarget(words, torch.cat([torch.full_like(words[:, :1], START), answers[:, :-1]], dim=1))
    return KnownCircuit(
        about="Each letter shifted by one, backwards; right letter minus the others' mean, at every position.",
        model=model,
        inputs=inputs,
        corrupted=SourceTarget(*(tokens.roll(29, dims=0) for tokens in inputs)),
        metric=RightLetters(answers),
        matter=make_matter(model.graph(), {"zero": edges(True), "resample": edges(False)}),
    )


def shift(mlp: Any, target: slice) -> None:
    """Set an MLP to write the next letter of the alphabet; the start token has none."""
    mlp.W_in[TOKEN] = EYE
    mlp.W_out[:N_LETTERS, target.start : target.start + N_LETTERS] = torch.eye(N_LETTERS).double().roll(1, dims=1)


def edges(positions: bool) -> list[str]:
    """Return the planted circuit. Positions are equal on all inputs, so their edges do not matter under resampling."""
    found = ["encoder.hook_embed -> encoder.blocks.0.hook_mlp_in"]
    for head in (0, 1):
        cross = "decoder.blocks.0.hook_cross_{}_input[head={}]"
        found.append(f"encoder.blocks.0.hook_mlp_out -> {cross.format('v', head)}")
        found.append(f"decoder.blocks.0.cross_attn.hook_z[head={head}] -> decoder.blocks.0.hook_resid_post")
        if positions:
            found.append(f"decoder.hook_pos_embed -> {cross.format('q', head)}")
            found.append(f"encoder.hook_pos_embed -> {cross.format('k', head)}")
    return found
