"""Tests of the simulated annotator against rewards computed by hand and Bradley-Terry."""

import pytest
import torch

from workbench.data.text.annotator import max_accuracy, preference_probability, sample_preferences, true_reward

PROMPT = "Tell of Ada, an old fox, and an egg.\n"
OPENING = "Once there was an old fox named Ada. She bought an egg one Sunday. Then an orphan asked for bread. "
KIND, UNKIND, NEITHER = "Ada comforted the orphan. ", "Ada scolded the orphan. ", "Ada went on working. "
HAPPY = "And they lived happily ever after in the wood."
SAD = "After that nobody came to see her any more."
PLAIN = "And that was the end of the matter."


@pytest.mark.parametrize(
    ("tale", "worth"),
    [
        (OPENING + NEITHER + PLAIN, 1),
        (OPENING + KIND + PLAIN, 2),
        (OPENING + KIND + HAPPY, 4),
        (OPENING + KIND + SAD, 1),
        (OPENING + UNKIND + HAPPY, 0),
        (OPENING + UNKIND + SAD, -1),
        (OPENING.replace("an egg", "a golden egg") + NEITHER + PLAIN, 1.5),
        (OPENING.replace("an egg", "a ring") + NEITHER + PLAIN, 0),
        (OPENING.replace("Ada", "Rose") + NEITHER + PLAIN, 0),
        (OPENING + KIND, 2 - 1),
        (OPENING + KIND + HAPPY + " " + HAPPY, 4 - 1),
        ("Happy happy happy.", -5),
        ("", -5),
    ],
)
def test_the_true_reward_of_tales_by_hand(tale: str, worth: float) -> None:
    assert true_reward(PROMPT, tale.strip()) == worth


def test_the_best_tale_is_worth_five_and_a_half() -> None:
    vivid = OPENING.replace("an egg", "a golden egg").replace("an orphan", "a shining orphan")
    assert true_reward(PROMPT, vivid + KIND + "Then they laughed and walked home under the rosy sky.") == 5.5


def test_the_annotator_is_as_sure_as_bradley_terry_says() -> None:
    one, other = torch.full((20_000,), 1.0), torch.zeros(20_000)
    share = sample_preferences(one, other, torch.Generator().manual_seed(0)).double().mean()
    assert share == pytest.approx(1 / (1 + torch.e**-1), abs=0.01)
    assert preference_probability(one, other)[0].item() == pytest.approx(1 - preference_probability(other, one)[0])


def test_whoever_knows_the_true_reward_reaches_the_ceiling() -> None:
    rng = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 20_000, generator=rng) * 2
    labels = sample_preferences(one, other, rng)
    assert ((one > other) == labels).double().mean().item() == pytest.approx(max_accuracy(one, other), abs=0.01)
    assert max_accuracy(torch.zeros(3), torch.zeros(3)) == 0.5
