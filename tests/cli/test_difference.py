"""`workbench difference` prints what tuning changed, for people and for machines."""

from __future__ import annotations

import json

import pytest

from workbench.cli import status


def test_the_tables_name_weights_tokens_and_hooks(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["difference", "tales_gpt", "tales_reward", "--tales", "4", "--rows", "2", "--json"]) == 0
    weights, tokens, shift = json.loads(capsys.readouterr().out).values()
    assert len(weights) == 2 and weights[0]["relative change"] >= weights[1]["relative change"] > 0
    assert len(tokens) == 2 and tokens[0]["times"] >= 1
    assert [row["hook"] for row in shift] == [f"blocks.{layer}.hook_resid_post" for layer in range(3)]


def test_a_model_that_does_not_exist_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["difference", "tales_gtp"]) == 2
    assert "Did you mean 'tales_gpt'" in capsys.readouterr().err
