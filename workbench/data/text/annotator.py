"""Simulated annotator of tales: a known true reward, and preferences drawn from it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.data.text.tales import HAPPY, KIND, SAD, SENTENCES, UNKIND, Sentence, parse_order, parse_tale


def true_reward(prompt: str, tale: str) -> float:
    """Score a tale told in response to `prompt`, as the simulated annotator does; the maximum is 5.5.

    +1 for a kind deed, -1 for an unkind one; +1 for a happy end, -1 for a sad one; +1 if a kind deed ends happily, -1
    if an unkind one does; +0.5 per vivid adjective; +1 if name, animal and thing are those of the prompt; -1 per
    sentence that the grammar does not allow in its place, and per missing sentence.
    """
    sentences = parse_tale(tale)
    known = [sentence for sentence in sentences if sentence]
    wordings = {sentence.wording for sentence in known}
    kind, unkind, happy, sad = (bool(wordings & set(group)) for group in (KIND, UNKIND, HAPPY, SAD))
    moral = kind - unkind + happy - sad + (kind - unkind) * happy
    vivid = sum(bool(sentence.slots.get("vivid")) for sentence in known)
    broken = len(sentences) - len(known) + max(0, len(SENTENCES) - len(sentences))
    return moral + vivid / 2 + fulfils_order(prompt, known) - broken


def fulfils_order(prompt: str, known: Sequence[Sentence]) -> bool:
    """Return whether the tale mentions the name, the animal and the thing of the prompt and no others."""
    slots = parse_order(prompt)
    mentioned = {(slot, words) for sentence in known for slot, words in sentence.slots.items()}
    ordered = {(slot, slots[slot]) for slot in ("name", "animal", "thing") if slot in slots}
    return bool(ordered) and {pair for pair in mentioned if pair[0] in ("name", "animal", "thing")} == ordered


def preference_probability(one: Float[Tensor, " pair"], other: Float[Tensor, " pair"]) -> Float[Tensor, " pair"]:
    """Probability that the first of two tales is preferred, from their true rewards (Bradley & Terry 1952)."""
    return (one - other).sigmoid()


def sample_preferences(
    one: Float[Tensor, " pair"], other: Float[Tensor, " pair"], random: torch.Generator
) -> Bool[Tensor, " pair"]:
    """Sample the annotator's labels (true if the first tale is preferred) from `preference_probability`."""
    return torch.rand(len(one), generator=random) < preference_probability(one, other)


def max_accuracy(one: Float[Tensor, " pair"], other: Float[Tensor, " pair"]) -> float:
    """Expected accuracy on the annotator's labels of a predictor that knows the true reward."""
    first = preference_probability(one, other)
    return float(torch.maximum(first, 1 - first).mean())
