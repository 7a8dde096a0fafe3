"""Tests that a change of anything a result depends on changes its key and is named."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.experiments.tiny_models import Share, share
from workbench.checkpoints.read_values import UNKNOWN
from workbench.checkpoints.store import load, save, save_step
from workbench.core.metrics import METRICS
from workbench.core.registry import ANALYSES, DATASETS
from workbench.data.images.image_data import ImageData
from workbench.experiments import computing
from workbench.experiments.computing import compute, loaded
from workbench.experiments.questions.spec import Spec
from workbench.experiments.store.changes import differences
from workbench.experiments.store.data_contents import forget
from workbench.training.curve import Curve

DIGITS = Spec("digits", "share", "test:0:4", parameters={"factor": 2.0})
TEXT = Spec("text", "share", "text:The king", parameters={"factor": 2.0})
POLICY = Spec("policy", "gap", "rollout:0:4", "rollout:1:4", "value")
ALIKE = Spec("policy", "alike", "rollout:0:4", parameters={"others": ["other_policy@3"]})
Change = Callable[[Path, pytest.MonkeyPatch], object]


@pytest.fixture(autouse=True)
def here(workspace: Path, tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models that a test may change."""
    shutil.copytree(tiny_models, workspace / "models")
    monkeypatch.setenv("WORKBENCH_MODELS", str(workspace / "models"))
    shutil.copytree(workspace / "models" / "policy", workspace / "models" / "other_policy")
    edit_card("other_policy", lambda card: card.update(run="r1"))(workspace, monkeypatch)
    save_step(workspace / "models" / "other_policy", load("policy"), 3, "r1")
    forget()
    return workspace


def edit_card(name: str, change: Callable[[dict[str, Any]], object]) -> Change:
    def apply(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = here / "models" / name / "card.json"
        card = json.loads(path.read_text())
        change(card)
        del card["file_sha256"]
        path.write_text(json.dumps(card))

    return apply


def retrain(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load("digits")
    model.readout.linear.bias.data += 1
    save(here / "models" / "digits", model, replace(model.card, weights_sha256=""), Curve([1], {}), overwrite=True)


def alter(place: str) -> Change:
    def apply(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = here / "models" / place
        path.write_bytes(path.read_bytes() + b" ")

    return apply


def other_rows(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = DATASETS["digits"]()
    monkeypatch.setitem(DATASETS._items, "digits", lambda: replace(data, test_pixels=data.test_pixels.flip(0)))


def other_analysis(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(model: Any, inputs: Any, metric: Any, factor: float) -> Share:
        return Share(2 * factor * metric(model(inputs)), ())

    monkeypatch.setitem(ANALYSES._items, "share", twice)


def other_metric(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "logit", lambda question: lambda output: output.sum(dim=1))


def other_rules(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = gymnasium.registry["workbench/CartPole-v1"]
    monkeypatch.setitem(gymnasium.registry, "workbench/CartPole-v1", replace(spec, max_episode_steps=3))


def other_torch(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "99.0")


CHANGES: list[tuple[Spec, Change, str]] = [
    (DIGITS, edit_card("digits", lambda card: card["config"].update(activation="tanh")), "activation relu -> tanh"),
    (DIGITS, edit_card("digits", lambda card: card.update(architecture="cnn")), "architecture of digits: mlp -> cnn"),
    (DIGITS, edit_card("digits", lambda card: card["data"].update(name="flat_mnist")), "data of digits: digits -> "),
    (DIGITS, retrain, "weights of digits changed"),
    (DIGITS, alter("digits/weights.safetensors"), "weights of digits changed"),
    (TEXT, alter("text/tokenizer.json"), "tokenizer of text changed"),
    (ALIKE, alter("other_policy/steps/r1/3.safetensors"), "step of other_policy@3 changed"),
    (ALIKE, alter("other_policy/weights.safetensors"), "weights of other_policy@3 changed"),
    (DIGITS, other_rows, "data digits changed"),
    (DIGITS, other_analysis, "another function is the analysis"),
    (DIGITS, other_metric, "another function is the metric"),
    (POLICY, other_rules, "environment: workbench/CartPole-v1 {"),
    (DIGITS, other_torch, "torch 2"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "change", "words"), CHANGES, ids=[words for _, _, words in CHANGES])
def test_each_change_gives_another_key_and_is_named(
    spec: Spec, change: Change, words: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, key = spec.facts, spec.key
    assert spec.key == key and not differences(before, spec.facts)
    change(here, monkeypatch)
    assert spec.key != key
    assert words in "; ".join(differences(before, spec.facts))


@pytest.mark.parametrize("field", ["title", "note", "hardware", "seed", "metrics"])
def test_what_a_card_says_besides_makes_no_difference(field: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, new = DIGITS.key, {"seed": 7, "metrics": {}}.get(field, "something else")
    edit_card("digits", lambda card: card.update({field: new}))(here, monkeypatch)
    assert DIGITS.key == key


def test_a_data_set_counts_where_inputs_are_read_from_it() -> None:
    assert set(DIGITS.facts["data"]) == {"digits"}
    assert not TEXT.facts["data"] and not POLICY.facts["data"]
    assert "gymnasium" in POLICY.facts["versions"] and "gymnasium" not in DIGITS.facts["versions"]


def test_other_contents_of_a_picture_are_named(here: Path) -> None:
    facts = []
    for grey in (9, 10):
        Image.new("L", (8, 8), grey).save(here / "a.png")
        facts.append(replace(DIGITS, inputs=f"file:{here / 'a.png'}").facts)
    assert differences(*facts) == ("files of inputs changed",)


def test_a_network_in_memory_is_the_one_on_disk(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = loaded("digits")
    assert loaded("digits") is first
    edit_card("digits", lambda card: card["config"].update(activation="tanh"))(here, monkeypatch)
    assert loaded("digits") is not first and loaded("digits").cfg.activation == "tanh"
    retrain(here, monkeypatch)
    stored = load_file(here / "models" / "digits" / "weights.safetensors")["readout.linear.bias"]
    assert torch.equal(loaded("digits").readout.linear.bias, stored)


NOT_FOLLOWED = ("experiments.computing", "experiments.store.data_contents", "experiments.store.dependencies",
                "experiments.inputs.reading", "checkpoints.source_code", "experiments.questions.parameters",
                "experiments.questions.spec", "experiments.questions.defaults", "experiments.store.run_log",
                "experiments.store.changes", "checkpoints.provenance", "data.files.storage",
                "experiments.questions.own_metric", "experiments.modalities.tensors")  # fmt: skip
BESIDE = {f"workbench.{name}" for name in NOT_FOLLOWED}
"""Modules that run besides: they ask the question and find files, or count by their own code alone."""


@pytest.mark.parametrize(
    "spec",
    [
        Spec("digits", "ablation", parameters={"hook": "blocks.0.hook_post"}),
        Spec("digits", "circuit", "test:0:4", metric="signed_logit"),
        Spec("text", "composition"),
        Spec("policy", "saliency", "rollout:0:4"),
        ALIKE,
    ],
    ids=lambda spec: spec.analysis,
)
def test_every_module_that_runs_is_among_the_code(spec: Spec) -> None:
    spec = spec.complete()
    code, ran = set(spec.facts["code"]), set()
    forget()
    computing._loaded.cache_clear()

    def note(frame: Any, event: str, _: object) -> None:
        if event == "call":
            ran.add(str(frame.f_globals.get("__name__")))

    sys.setprofile(note)
    try:
        compute(spec, lambda done, total: None)
    finally:
        sys.setprofile(None)
    ours = {name for name in ran if name.startswith("workbench.")}
    assert ours - code <= BESIDE
    assert len(ours & code) > 5


def test_the_toy_analysis_is_keyed_by_the_file_it_stands_in() -> None:
    assert "tests.experiments.tiny_models" in DIGITS.facts["code"] and DIGITS.facts["functions"]["analysis"].endswith(
        ":share"
    )
    assert share.__module__ in DIGITS.facts["code"]


def test_a_data_set_that_reads_a_variable_counts_by_its_contents(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = DATASETS["digits"]

    def rows() -> ImageData:
        assert os.environ["ROWS"]
        return plain()

    monkeypatch.setenv("ROWS", "1")
    monkeypatch.setitem(DATASETS._items, "digits", rows)
    facts = DIGITS.facts
    assert UNKNOWN not in facts.get("values", {}).values()
    monkeypatch.setenv("ROWS", "2")
    assert DIGITS.facts == facts, "the contents are the same"
