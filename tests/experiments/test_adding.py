"""Networks made elsewhere, beside the trained ones by name."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

import workbench
from tests.experiments.own_networks import SOURCE
from workbench.checkpoints.card import names, read_card, read_curve
from workbench.checkpoints.store import load
from workbench.core.errors import CheckpointError, ConfigError, InputError, UnknownNameError
from workbench.experiments.adding import add, remove
from workbench.experiments.run import run_analysis
from workbench.experiments.study import Study
from workbench.zoo.mlp import MLPClassifier, MLPConfig


@pytest.fixture(autouse=True)
def here(network_file: str) -> str:
    return network_file


def test_an_added_network_is_asked_like_the_object(here: str) -> None:
    card = add("mine", f"{here}:with_example", run_code=True)
    assert names() == ["mine"] and card == read_card("mine") and card.architecture == "foreign"
    assert card.parameters == 32 and read_curve("mine").step == []
    module = sys.modules[here].make()
    torch.testing.assert_close(load("mine")(torch.eye(3)), module(torch.eye(3)))
    by_name = Study("mine").answer("share", factor=1.0)
    found = Study(workbench.record(module, torch.eye(3)), inputs=torch.eye(3)).answer("share", factor=1.0)
    assert by_name.computed and not found.computed and found.key == by_name.key
    torch.testing.assert_close(by_name.result.value, module(torch.eye(3)).max(dim=1).values.detach())


def test_an_object_asked_before_it_is_added_is_answered_from_the_store(here: str) -> None:
    sys.path.append(".")
    module = __import__(here).make()
    first = Study(workbench.wrap(module, torch.eye(3)), inputs=torch.eye(3)).answer("share", factor=1.0)
    add("mine", f"{here}.py:with_example", opened="wrap", run_code=True)
    again = Study("mine").answer("share", factor=1.0)
    assert first.computed and not again.computed and torch.equal(first.result.value, again.result.value)


def test_code_is_run_only_if_that_was_agreed_to(here: str) -> None:
    Path(f"{here}.py").write_text("raise SystemExit('this code ran')")
    with pytest.raises(InputError, match=f"runs the code in .*{here}.py.*--yes"):
        add("mine", f"{here}:make")
    assert names() == [] and not Path("models").exists()


def test_a_changed_source_is_refused_with_the_way_out(here: str) -> None:
    add("mine", f"{here}:with_example", run_code=True)
    run_analysis("share", "mine", factor=1.0)
    Path(f"{here}.py").write_text(f"{SOURCE}\n# changed")
    for ask in (lambda: load("mine"), lambda: run_analysis("share", "mine", factor=1.0)):
        with pytest.raises(CheckpointError, match=f"has changed. Restore it, .*workbench add mine --from {here}:with"):
            ask()
    Path(f"{here}.py").unlink()
    with pytest.raises(CheckpointError, match="is gone"):
        load("mine")


def test_weights_that_differ_from_the_card_are_refused(here: str) -> None:
    text = SOURCE.replace("torch.manual_seed(0)", "torch.manual_seed(int(open('seed.txt').read()))")
    Path(f"{here}.py").write_text(text)
    Path("seed.txt").write_text("1")
    add("mine", f"{here}:with_example", run_code=True)
    Path("seed.txt").write_text("2")
    with pytest.raises(CheckpointError, match="returns other weights than when mine was added"):
        load("mine")


def test_removing_leaves_nothing_and_trained_networks_stay(here: str, tiny_models: Path, workspace: Path) -> None:
    add("mine", f"{here}:with_example", run_code=True)
    remove("mine")
    assert names() == [] and [*Path("models").iterdir()] == []
    with pytest.raises(UnknownNameError):
        remove("mine")


def test_a_trained_network_is_neither_removed_nor_replaced(
    here: str, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_MODELS", str(tiny_models))
    with pytest.raises(CheckpointError, match="digits was trained"):
        remove("digits")
    with pytest.raises(CheckpointError, match="digits was trained"):
        add("digits", f"{here}:with_example", run_code=True, overwrite=True)
    assert read_card("digits").recipe == "none"


def test_a_name_is_replaced_on_demand_alone(here: str) -> None:
    add("mine", f"{here}:with_example", run_code=True)
    with pytest.raises(CheckpointError, match="Choose another name, or replace it"):
        add("mine", f"{here}:digits", "digits", run_code=True)
    add("mine", f"{here}:digits", "digits", run_code=True, overwrite=True)
    assert read_card("mine").data.name == "digits" and len([*Path("models/mine").glob("*.safetensors")]) == 1


def test_a_data_set_of_images_gives_the_inputs_that_our_networks_read(here: str) -> None:
    add("mine", f"{here}:digits", "digits", run_code=True)
    inputs = workbench.DATASETS["digits"]().test_inputs[:4]
    values = run_analysis("share", "mine", "test:0:4", factor=1.0, metric="correct").value
    right = load("mine")(inputs).argmax(dim=1) == workbench.DATASETS["digits"]().test_targets[:4]
    assert torch.equal(values, right.float())


def test_an_environment_gives_episodes(here: str) -> None:
    add("mine", f"{here}:policy", "CartPole-v1", run_code=True)
    assert run_analysis("share", "mine", "rollout:0:3", factor=1.0).value.shape == (3,)
    assert run_analysis("gap", "mine", "rollout:0:3").value.shape == (3,)


def test_arrays_with_labels_are_the_right_answers(here: str) -> None:
    x, right = np.random.default_rng(0).normal(size=(6, 3)), np.array([0, 1, 0, 1, 1, 0])
    np.savez("mine.npz", inputs=x, labels=right)
    add("mine", f"{here}:make", "mine.npz", run_code=True)
    values = run_analysis("share", "mine", factor=1.0, metric="loss").value
    logits = sys.modules[here].make()(torch.tensor(x).float())
    torch.testing.assert_close(
        values, nn.functional.cross_entropy(logits, torch.tensor(right), reduction="none").detach()
    )


def test_a_folder_of_images_has_a_class_for_each_folder(here: str) -> None:
    for place, shade in enumerate((0, 255)):
        Path(f"images/{'ab'[place]}").mkdir(parents=True)
        Image.new("RGB", (4, 4), (shade, 0, 0)).save(f"images/{'ab'[place]}/one.png")
    add("mine", f"{here}:pictures", "images", run_code=True)
    x = torch.zeros(2, 3, 4, 4)
    x[1, 0] = 1
    expected = sys.modules[here].pictures()(x)
    values = run_analysis("share", "mine", factor=1.0).value
    torch.testing.assert_close(values, expected[torch.arange(2), torch.arange(2)].detach())
    Image.new("RGB", (5, 4)).save("images/a/two.png")
    with pytest.raises(InputError, match="two.png differs from one.png"):
        add("other", f"{here}:pictures", "images", run_code=True)


def test_a_file_of_weights_becomes_a_network_of_ours() -> None:
    model = MLPClassifier(MLPConfig(hidden=(5,)))
    save_file(model.state_dict(), "weights.safetensors")
    add("mine", "weights.safetensors", "digits", "mlp", {"hidden": "5"})
    x = torch.randn(3, 64)
    torch.testing.assert_close(load("mine")(x), model.eval()(x))
    assert read_card("mine").settings["source"].endswith("weights.safetensors")
    with pytest.raises(CheckpointError, match="weights"):
        add("other", "weights.safetensors", "digits", "mlp", {"hidden": "6"})
    with pytest.raises(InputError, match="--architecture"):
        add("other", "weights.safetensors")
    with pytest.raises(UnknownNameError, match="hidden"):
        add("other", "weights.safetensors", "digits", "mlp", {"hiden": "6"})
    with pytest.raises(ConfigError, match="'hidden' of mlp"):
        add("other", "weights.safetensors", "digits", "mlp", {"hidden": "-6"})
    remove("mine")
    assert names() == []


@pytest.mark.slow
def test_a_hugging_face_folder_needs_no_code(monkeypatch: pytest.MonkeyPatch, workspace: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        n_layer=1, n_head=2, n_embd=8, vocab_size=11, n_positions=16, bos_token_id=0, eos_token_id=0
    )
    torch.manual_seed(0)
    module = transformers.GPT2LMHeadModel(config).eval()
    snapshot = workspace / "hub" / "models--some--gpt" / "snapshots" / "a1"
    module.save_pretrained(snapshot)
    monkeypatch.setenv("HF_HUB_CACHE", str(workspace / "hub"))
    add("folder", str(snapshot))
    add("cached", "some/gpt")
    ids = torch.arange(8).reshape(2, 4)
    torch.testing.assert_close(load("folder")({"input_ids": ids}).logits, module(ids).logits)
    values = run_analysis("share", "folder", {"input_ids": ids}, factor=1.0).value
    torch.testing.assert_close(values, module(ids).logits[:, -1].max(dim=1).values.detach())
    keys = [Study(name, {"input_ids": ids}).answer("share", factor=1.0).key for name in ("folder", "cached")]
    assert keys[0] == keys[1], "the same network under two names"
    (snapshot / "config.json").write_text((snapshot / "config.json").read_text().replace("gelu_new", "relu"))
    with pytest.raises(CheckpointError, match=r"config.json, from which folder was added, has changed"):
        load("folder")


def test_two_inputs_by_name_keep_their_names(here: str) -> None:
    text = """
def named():
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layer = torch.nn.Linear(3, 2)

        def forward(self, one, other):
            return self.layer(one - 2 * other)

    return Two(), {"one": torch.eye(3), "other": torch.ones(3, 3)}
"""
    Path(f"{here}.py").write_text(SOURCE + text)
    add("mine", f"{here}:named", run_code=True)
    module, example = sys.modules[here].named()
    values = run_analysis("share", "mine", factor=1.0).value
    expected: Tensor = module(**example)
    torch.testing.assert_close(values, expected.max(dim=1).values.detach())
