"""Indirect object identification by three heads set by hand, after the circuit in GPT-2 (Wang et al. 2023)."""

from __future__ import annotations

import torch

from workbench.core.metrics import LogitDifference
from workbench.core.registry import CIRCUITS
from workbench.ground_truth.known import KnownCircuit, make_matter, zero_weights
from workbench.ground_truth.planted_induction import SHARP
from workbench.zoo.gpt import GPT, GPTConfig

NAMES, VERB, TO, BEGIN = 4, 4, 5, 6
N_TOKENS, LENGTH = 7, 6
TOKEN = slice(0, N_TOKENS)
PLACE = slice(N_TOKENS, N_TOKENS + LENGTH)
REPEATED = PLACE.stop
SUBJECT = slice(REPEATED + 1, REPEATED + 1 + N_TOKENS)
ANSWER = slice(SUBJECT.stop, SUBJECT.stop + N_TOKENS)
UNREAD = slice(ANSWER.stop, ANSWER.stop + N_TOKENS)
"""Parts of the stream: token, position, mark of a repeated token, its name, answer, and output of the distractors."""
EYE, PLACES = torch.eye(N_TOKENS).double(), torch.eye(LENGTH).double()
SOFT = 4.0
"""Reduction of the name mover's score of the subject, small enough that weaker inhibition changes the answer."""


@CIRCUITS.register("planted_ioi")
def planted_ioi() -> KnownCircuit:
    """`_ A B verb A to` is answered by B, in either order.

    Head 0.0 (duplicate token) attends to an earlier occurrence of the same name and writes a mark; without one it
    attends to the beginning. Head 1.0 (subject inhibition) attends to the mark and copies its name to the end. Head 2.0
    (name mover) attends to names other than that one and copies them. Distractors: head 0.1 copies the previous token
    and head 2.1 copies names to a part that nothing reads.
    """
    cfg = GPTConfig(
        d_vocab=N_TOKENS, n_ctx=LENGTH, n_layers=3, d_model=UNREAD.stop, n_heads=2, d_head=14, normalization="none",
        attn_only=True,
    )  # fmt: skip
    model = zero_weights(GPT(cfg))
    model.embed.W_E[:, TOKEN] = EYE
    model.pos_embed.W_pos[:, PLACE] = PLACES
    duplicate, inhibit, move = (block.attn for block in model.blocks)
    sharp = SHARP * cfg.head_width**0.5
    duplicate.W_Q[0, TOKEN, :N_TOKENS], duplicate.W_K[0, TOKEN, :N_TOKENS] = sharp * EYE, EYE
    duplicate.W_Q[0, PLACE, 7:13], duplicate.W_K[0, PLACE, 7:13] = -sharp * PLACES, PLACES  # not the same position
    duplicate.W_Q[0, PLACE, 13], duplicate.W_K[0, PLACE.start, 13] = sharp / 2, 1  # else the beginning
    duplicate.W_V[0, TOKEN.start : TOKEN.start + NAMES, 0], duplicate.W_O[0, 0, REPEATED] = 1, 1
    duplicate.W_Q[1, PLACE, :LENGTH] = sharp * PLACES.roll(-1, dims=1)
    duplicate.W_K[1, PLACE, :LENGTH] = PLACES
    inhibit.W_Q[0, TOKEN.start + TO, 0], inhibit.W_K[0, REPEATED, 0] = sharp, 1
    inhibit.W_K[0, PLACE.start, 0] = 0.5  # attended to without a mark
    move.W_Q[:, SUBJECT, :N_TOKENS], move.W_Q[:, TOKEN.start + TO, N_TOKENS] = -sharp / SHARP * SOFT * EYE, sharp
    move.W_K[:, TOKEN, :N_TOKENS] = EYE
    move.W_K[:, TOKEN.start : TOKEN.start + NAMES, N_TOKENS] = 1
    for attn, head, target in ((duplicate, 1, UNREAD), (inhibit, 0, SUBJECT), (move, 0, ANSWER), (move, 1, UNREAD)):
        attn.W_V[head, TOKEN, :N_TOKENS], attn.W_O[head, :N_TOKENS, target] = EYE, EYE
    model.unembed.W_U[ANSWER] = EYE
    tokens, others, subjects = make_sentences()
    return KnownCircuit(
        about="`_ A B verb A to` is answered by B; logit of B minus logit of A at the end.",
        model=model,
        inputs=tokens,
        corrupted=remove_repetition(tokens),
        metric=LogitDifference(others, subjects),
        matter=make_matter(model.graph(), {"zero": edges(True), "resample": edges(False)}),
    )


def make_sentences() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return all pairs of names in both orders, with the answer and the repeated name."""
    pairs = [(a, b) for a in range(NAMES) for b in range(NAMES) if a != b]
    rows = [(BEGIN, a, b, VERB, subject, TO) for a, b in pairs for subject in (a, b)]
    subjects = torch.tensor([row[4] for row in rows])
    tokens = torch.tensor(rows)
    return tokens, tokens[:, 1] + tokens[:, 2] - subjects, subjects


def remove_repetition(tokens: torch.Tensor) -> torch.Tensor:
    """Shift all names by one and replace the second occurrence of the subject by a new name."""
    moved = torch.where(tokens < NAMES, (tokens + 1) % NAMES, tokens)
    fresh = [min(set(range(NAMES)) - set(row[1:3])) for row in moved.tolist()]
    moved[:, 4] = torch.tensor(fresh)
    return moved


def edges(positions: bool) -> list[str]:
    """Return the planted circuit. Edges that carry the same on all inputs do not matter under resampling."""
    places = [f"hook_pos_embed -> blocks.0.hook_{x}_input[head=0]" for x in "qk"]
    return [
        *(f"hook_embed -> blocks.0.hook_{x}_input[head=0]" for x in ("qkv" if positions else "qk")),
        *(f"hook_embed -> blocks.1.hook_{x}_input[head=0]" for x in ("qv" if positions else "v")),
        *(places if positions else ()),
        "blocks.0.attn.hook_z[head=0] -> blocks.1.hook_k_input[head=0]",
        "blocks.1.attn.hook_z[head=0] -> blocks.2.hook_q_input[head=0]",
        *(f"hook_embed -> blocks.2.hook_{x}_input[head=0]" for x in ("qkv" if positions else "kv")),
        "blocks.2.attn.hook_z[head=0] -> blocks.2.hook_resid_post",
    ]
