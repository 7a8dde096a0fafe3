"""Tests of `workbench difference`, for people and as JSON."""

from __future__ import annotations

import json

import pytest

from workbench.cli import status


def test_the_tables_name_parts_weights_tokens_and_hooks_of_models_side_by_side(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["difference", "tales_ppo", "tales_reward", "--examples", "4", "--rows", "2", "--json"]
    assert status(asked) == 0
    parts, weights, tokens, shift = json.loads(capsys.readouterr().out).values()
    assert parts[0]["part"] == "embed" and all({"tales_ppo", "tales_reward"} <= set(row) for row in parts)
    assert len(weights) == 2 and max(weights[0]["tales_ppo"], weights[0]["tales_reward"]) > 0
    assert tokens[0]["token"] == "(all)" and len(tokens) == 3
    assert [row["hook"] for row in shift] == [f"blocks.{layer}.hook_resid_post" for layer in range(3)]


def test_the_original_may_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["difference", "tales_gpt", "--original", "tales_ppo", "--examples", "2", "--rows", "1"]) == 0
    assert "Weights that moved most" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["tales_gtp"], "Did you mean 'tales_gpt'"),
        (["digits_mlp"], "tuned from no other model"),
        ([], "Name one or more models"),
    ],
)
def test_what_cannot_be_compared_is_one_line(capsys: pytest.CaptureFixture[str], asked: list[str], said: str) -> None:
    assert status(["difference", *asked]) == 2
    assert said in capsys.readouterr().err
