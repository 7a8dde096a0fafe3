"""Tests of comparisons: missing trainings are run, finished ones kept, and stopped ones named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.conftest import missing_data
from workbench import figure, table
from workbench.cli import status
from workbench.core.errors import Cancelled, ConfigError, InputError
from workbench.experiments.pipelines import comparison
from workbench.experiments.pipelines.comparison import (
    attempt,
    compare,
    comparisons,
    layer_gradients,
    outdated_variants,
    read_comparison,
    read_plan,
)
from workbench.figures.alt import describe
from workbench.recipes.recipe import build
from workbench.training.sanity import Lesson

PLAN = """# Which learns faster?
recipe = "digits_mlp"
seeds = [0, 1]
[settings]
steps = 10
evaluate_every = 0
[variants.SGD]
optimizer = "sgd"
lr = 0.1
[variants.wild]
optimizer = "sgd"
lr = 1e12
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> str:
    (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
    return str(tmp_path / "plan.toml")


def test_every_variant_is_trained_with_every_seed_and_a_diverging_one_says_so(plan_file: str, tmp_path: Path) -> None:
    result = compare(read_plan(plan_file), tmp_path)
    sgd, wild = result.variants
    assert [a.seed for a in sgd.attempts] == [0, 1] and all(a.accuracy and a.n == 359 for a in sgd.attempts)
    assert wild.accuracies == [] and all("not finite" in a.error or "loss is" in a.error for a in wild.attempts)
    assert read_comparison(tmp_path / "plan.json").variants[0].accuracies == pytest.approx(sgd.accuracies, rel=1e-5)
    assert figure(result).data and len(table(result)) == 2 and "wild" in describe(result)


def test_what_is_there_is_not_trained_again_and_what_changed_is(
    plan_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, asked = read_plan(plan_file), []

    def counted(recipe: object, seed: int, progress: object) -> object:
        asked.append(seed)
        return attempt(recipe, seed)

    def stop(done: int, total: int) -> None:
        if done > 10:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        compare(plan, tmp_path, stop)
    monkeypatch.setattr(comparison, "attempt", counted)
    compare(plan, tmp_path)
    assert asked == [0, 1, 1]  # the first attempt had come to its end
    compare(plan, tmp_path)
    assert asked == [0, 1, 1]
    compare(replace(plan, variants={"SGD": {**plan.variants["SGD"], "steps": 5}}), tmp_path)
    assert asked == [0, 1, 1, 0, 1]


def test_what_another_code_or_other_data_trained_is_trained_again(
    plan_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, asked = read_plan(plan_file), []
    monkeypatch.setattr(comparison, "attempt", lambda recipe, seed, _: asked.append(seed) or attempt(recipe, seed))
    compare(plan, tmp_path)
    stored = read_comparison(tmp_path / "plan.json")
    assert asked == [0, 0, 1, 1] and outdated_variants(plan, stored) == {}
    for part, name, words in (
        ("code", "workbench.training.supervised", "code of workbench.training.supervised changed"),
        ("versions", "torch", "torch"),
        ("settings", "training.momentum", "training.momentum"),
        ("data", "digits", "data digits changed"),
    ):
        facts = json.loads(json.dumps(stored.facts))
        facts["SGD"][part][name] = "another"
        assert words in outdated_variants(plan, replace(stored, facts=facts))["SGD"][0]
        assert set(outdated_variants(plan, replace(stored, facts=facts))) == {"SGD"}
    (tmp_path / "plan.json").write_text(json.dumps(replace(stored, facts=facts).to_json()))
    compare(plan, tmp_path)
    assert asked == [0, 0, 1, 1, 0, 1]
    assert outdated_variants(plan, read_comparison(tmp_path / "plan.json")) == {}


def test_a_file_that_does_not_say_what_its_code_was_is_kept_for_the_same_data(plan_file: str, tmp_path: Path) -> None:
    plan = read_plan(plan_file)
    stored = replace(compare(plan, tmp_path), facts={})
    assert outdated_variants(plan, stored) == {}
    assert set(outdated_variants(plan, replace(stored, data="0" * 64))) == {"SGD", "wild"}


@pytest.mark.parametrize("name", comparisons())
def test_the_comparisons_that_come_along_are_kept(name: str) -> None:
    plan = read_plan(name)
    if missing_data(plan.recipe_of(next(iter(plan.variants)), 0).train.dataset):
        pytest.skip("its data set is missing")
    assert outdated_variants(plan, read_comparison(comparison.stored_at(plan))) == {}


def test_gradients_by_layer_are_autograds_and_leave_the_network_as_it_was() -> None:
    recipe = read_plan("plain_vs_residual").recipe_of("plain, 8 layers", 0)
    model = build(recipe)
    x, y = torch.randn(8, 1, 14, 14, generator=torch.Generator().manual_seed(0)), torch.arange(8)
    lesson = Lesson(lambda step: (x, y), torch.nn.functional.cross_entropy)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    norms = layer_gradients(model, lesson)
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items()) and not model.training
    torch.nn.functional.cross_entropy(model.train()(x), y).backward()
    expected = {n: p.grad.norm().item() for n, p in model.named_parameters() if p.ndim > 1}
    assert norms == pytest.approx(expected)
    assert next(iter(norms)) == "stem.conv.weight" and list(norms)[-1] == "readout.linear.weight"


@pytest.mark.parametrize("name", comparisons())
def test_a_comparison_that_comes_along_can_be_read(name: str) -> None:
    plan = read_plan(name)
    assert plan.question.endswith("?") or "?" in plan.question
    assert len(plan.variants) > 1 and len(plan.seeds) > 1


def test_the_command_lists_and_refuses(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert status(["compare"]) == 0 and "optimizers" in capsys.readouterr().out
    assert status(["compare", "optimisers"]) == 2 and "Did you mean 'optimizers'" in capsys.readouterr().err
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(str(tmp_path / "none.toml"))


DIGITS = "recipe = 'digits_mlp'\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seeds = [0]", "needs a recipe"),
        ("recipe = 'mnist_gan'\n[variants.a]\nlr = 1.0", "batch"),
        ("recipe = 3\n[variants.a]", "'recipe' of .* should be text"),
        (f"{DIGITS}variants = 3", "'variants' of .* should be a table"),
        (f"{DIGITS}variants.a = 3", "Variant 'a' of .* should be a table"),
        (f"{DIGITS}settings = 3\n[variants.a]", "'settings' of .* should be a table"),
        (f"{DIGITS}seeds = []\n[variants.a]", "'seeds' of .* should be"),
        (f"{DIGITS}seeds = [-1]\n[variants.a]", "entry 0 of 'seeds' of .* should be"),
        (f"a = {'[' * 5000}", "is not TOML"),
    ],
)
def test_a_file_that_is_no_comparison_is_one_sentence(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(text, encoding="utf-8-sig")
    with pytest.raises((InputError, ConfigError), match=says):
        read_plan(str(tmp_path / "bad.toml"))
