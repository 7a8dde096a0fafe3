"""Tests that the first lines of a command's output are its finding."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from workbench.cli import status


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))


def written(capsys: pytest.CaptureFixture[str], command: str) -> list[str]:
    assert status(["run", *command.split()]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_circuit_begins_with_both_distances_their_intervals_faithfulness_n_and_seed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second, *rest = written(capsys, "circuit --model digits_mlp --draws 3 --seed 4")
    number = r"[\d.]+ \(95 % interval [\d.]+ to [\d.]+\)"
    assert re.match(
        rf"CMD {number} over 16 examples, against {number} for 3 random circuits of each size, which", first
    )
    assert re.match(r"the [\d,]+ strongest of 6,464 edges keep [\d.]+ % \(95 % interval", second)
    assert "seed 4" in second and "usual sizes" in second
    assert rest[-1].startswith("circuit of digits_mlp on test:0:16 against other:0 by logit_difference: computed, key")


@pytest.mark.parametrize(
    "command", ["nodes --model digits_mlp", "ablation --model digits_mlp --hook blocks.0.hook_post"]
)
def test_effects_are_ranked_with_mean_and_interval(capsys: pytest.CaptureFixture[str], command: str) -> None:
    lines = written(capsys, command)
    assert "changes the metric most" in lines[0]
    (start,) = (i for i, line in enumerate(lines) if line.startswith("rank"))
    assert re.split(r"  +", lines[start].strip()) == ["rank", "part", "mean effect", "95 % low", "95 % high", "n"]
    rows = [re.split(r"  +", line.strip()) for line in lines[start + 1 : start + 11]]
    assert [row[0] for row in rows] == [str(rank) for rank in range(1, 11)] and {row[-1] for row in rows} == {"16"}
    means = [abs(float(row[2])) for row in rows]
    assert means == sorted(means, reverse=True)
    assert all(float(low) <= float(mean) <= float(high) for _, _, mean, low, high, _ in rows)


def test_few_examples_are_said_to_be_few(capsys: pytest.CaptureFixture[str]) -> None:
    few = written(capsys, "nodes --model digits_mlp --inputs test:0:3")
    assert "n = 3 is small: intervals over fewer than 8 examples are too narrow." in few
    one = written(capsys, "nodes --model digits_mlp --inputs test:0:1")
    assert "n = 1 is small: there is no interval." in one
    assert not any("is small" in line for line in written(capsys, "nodes --model digits_mlp --inputs test:0:8"))


def test_json_has_no_finding_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["run", "circuit", "--model", "digits_mlp", "--draws", "2", "--sizes", "mib", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["spec"]["metric"] == "logit_difference" and answer["spec"]["parameters"]["sizes"] == "mib"
    assert len(answer["rows"]) == 6464


def test_a_contrast_without_a_common_effect_is_refused_in_one_sentence_with_the_way_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = "circuit --model cartpole_dqn --corrupted rollout:1:16 --metric logit"
    assert status(["run", *command.split()]) != 0
    told = capsys.readouterr().err
    assert "signed_logit" in told and "0.106 on an example" in told and "Traceback" not in told
    assert status(["run", *command.replace("logit", "signed_logit").split(), "--draws", "2"]) == 0
