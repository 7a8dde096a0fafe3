"""Tests of the sentence with the finding of each result."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.figures.results import RESULTS, ablation, circuit, curve, patching, unheard
from workbench.figures.alt import describe


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_every_result_is_told_in_one_sentence(result: object) -> None:
    text = describe(result)
    assert text.endswith(".") and "\n" not in text and ". " not in text.replace(" vs. ", "")


def test_the_sentence_states_the_finding() -> None:
    assert "blocks.0.hook_post[unit=1] changes the metric most, by \N{MINUS SIGN}5 " in describe(ablation())
    assert "2 of 3 intervals exclude zero" in describe(ablation())
    assert "over 1 example, the largest of 3 effects" in describe(ablation(n=1))
    assert "blocks.1.attn.hook_z[head=1,pos=3] from the clean run restores 90 %" in describe(patching())
    assert "blocks.0.attn.hook_z[head=0,pos=0] from the corrupted run leaves" in describe(patching(direction="noise"))
    text = describe(circuit())
    assert "the 3 strongest of 12 edges keep 95 % (95 % interval 90 to 98) of the behaviour, as many random" in text
    assert text.startswith("CMD 0.1 (95 % interval 0.05 to 0.2) over 2 examples, against 0.6 (95 % interval 0.4 to")
    assert "for 2 random circuits of each size, which it beats: the intervals lie apart;" in text
    assert "n = 2 is small" in text and "seed 0" in text and "usual sizes" in text
    close = replace(circuit(), random_cmd_interval=(0.1, 0.9))
    assert "does not clearly beat" in describe(close) and "MIB's sizes" in describe(replace(close, spacing="mib"))


def test_with_eight_examples_or_more_nothing_is_said_about_their_number() -> None:
    few, enough = (replace(circuit(), n=n) for n in (7, 8))
    assert "n = 7 is small" in describe(few) and "is small" not in describe(enough)
    assert "over 100 steps: train loss goes from 2 to 1;" in describe(curve())
    assert describe(unheard()) == "Unheard.score runs from \N{MINUS SIGN}1 to 3, largest at head 0, place 1."
