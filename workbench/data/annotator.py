"""A simulated annotator of tales: its taste, which is the true reward, and how surely it prefers what it likes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.data.tales import HAPPY, KIND, SAD, SENTENCES, UNKIND, Sentence, order, understood


def true_reward(prompt: str, tale: str) -> float:
    """How much the simulated annotator likes a tale told to order; the best is worth 5.5.

    +1 for a kind deed, -1 for an unkind one; +1 for a happy end, -1 for a sad one; +1 when a kind deed ends happily,
    -1 when an unkind one does; half a point for each vivid adjective; +1 when name, animal and thing are
    those ordered; -1 for each sentence that is none of a tale's in its place, and for each one missing.
    """
    sentences = understood(tale)
    known = [sentence for sentence in sentences if sentence]
    wordings = {sentence.wording for sentence in known}
    kind, unkind, happy, sad = (bool(wordings & set(group)) for group in (KIND, UNKIND, HAPPY, SAD))
    moral = kind - unkind + happy - sad + (kind - unkind) * happy
    vivid = sum(bool(sentence.slots.get("vivid")) for sentence in known)
    broken = len(sentences) - len(known) + max(0, len(SENTENCES) - len(sentences))
    return moral + vivid / 2 + fulfils(prompt, known) - broken


def fulfils(prompt: str, known: Sequence[Sentence]) -> bool:
    """Whether the tale tells of the name, the animal and the thing that were ordered, and of no others."""
    wanted = order(prompt)
    told = {(slot, words) for sentence in known for slot, words in sentence.slots.items()}
    asked = {(slot, wanted[slot]) for slot in ("name", "animal", "thing") if slot in wanted}
    return bool(asked) and {pair for pair in told if pair[0] in ("name", "animal", "thing")} == asked


def preference_probability(one: Float[Tensor, " pair"], other: Float[Tensor, " pair"]) -> Float[Tensor, " pair"]:
    """Probability that the annotator prefers the first of two, from their true rewards (Bradley & Terry 1952)."""
    return (one - other).sigmoid()


def prefers_first(
    one: Float[Tensor, " pair"], other: Float[Tensor, " pair"], random: torch.Generator
) -> Bool[Tensor, " pair"]:
    """The annotator's labels of pairs, drawn from `preference_probability`."""
    return torch.rand(len(one), generator=random) < preference_probability(one, other)


def ceiling(one: Float[Tensor, " pair"], other: Float[Tensor, " pair"]) -> float:
    """Accuracy on the annotator's labels of whoever knows the true reward: nobody can do better on average."""
    first = preference_probability(one, other)
    return float(torch.maximum(first, 1 - first).mean())
