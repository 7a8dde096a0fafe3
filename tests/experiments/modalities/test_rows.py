"""Tests of rows of numbers as inputs, from files and command lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from tests.experiments.tiny_models import card
from workbench.checkpoints.card import read_card
from workbench.checkpoints.store import load, save
from workbench.core.errors import InputError, UnknownNameError
from workbench.core.registry import DATASETS
from workbench.experiments.inputs.language import Inputs
from workbench.experiments.inputs.modality import modality_of
from workbench.experiments.inputs.reading import identity, read_inputs
from workbench.experiments.inputs.views import NumberView
from workbench.experiments.questions.defaults import default_corrupted, presets
from workbench.experiments.questions.spec import Spec
from workbench.experiments.run import run_analysis
from workbench.experiments.store.dependencies import facts_of, reads_data
from workbench.training.curve import Curve
from workbench.zoo.mlp import MLPClassifier, MLPConfig


def test_rows_of_a_table_with_names_in_any_order_are_the_images_of_the_data_set(workspace: Path) -> None:
    model, digits = load("digits"), load_digits(as_frame=True)
    digits.data[digits.feature_names[::-1]].to_csv(workspace / "digits.csv", index=False)
    batch = read_inputs(f"rows:{workspace / 'digits.csv'}:0:9", model)
    data = DATASETS["digits"]()
    assert all(
        (row == data.train_inputs).all(1).any() or (row == data.test_inputs).all(1).any() for row in batch.inputs
    )
    torch.testing.assert_close(batch.inputs, torch.tensor(digits.data.to_numpy()[:9] / 16).float())
    np.savez(workspace / "digits.npz", labels=digits.target, inputs=digits.data.to_numpy())
    assert torch.equal(read_inputs(f"rows:{workspace / 'digits.npz'}:0:9", model).inputs, batch.inputs)
    np.save(workspace / "digits.npy", digits.data.to_numpy())
    whole = read_inputs(f"rows:{workspace / 'digits.npy'}", model)
    assert whole.inputs.shape == (1797, 64) and whole.labels[8] == batch.labels[8] == "row 8"


def test_observations_are_taken_as_they_are_and_their_columns_by_name(workspace: Path) -> None:
    model = load("policy")
    (workspace / "a.csv").write_text("angle (rad),velocity (m/s),angular velocity (rad/s),position (m)\n3,2,4,1\n")
    (workspace / "b.csv").write_text("1,2,3,4\n")
    for text in (f"rows:{workspace}/a.csv", f"rows:{workspace}/b.csv", "numbers:1,2,3,4"):
        assert read_inputs(text, model).inputs.tolist() == [[1, 2, 3, 4]]
    (workspace / "c.csv").write_text("position,velocity (m/s),angle (rad),angular velocity (rad/s)\n1,2,3,4\n")
    with pytest.raises(UnknownNameError, match=r"No column named 'position \(m\)' in .* Did you mean 'position'"):
        read_inputs(f"rows:{workspace}/c.csv", model)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("numbers:1,2,3", "have 3 numbers; this model takes 64: 'pixel_0_0' to 'pixel_7_7'"),
        ("numbers:1,2||3", "the same number of numbers, not .2, 1."),
        ("numbers:" + ",".join(["17", *["0"] * 63]), "'pixel_0_0' of row 0 is 17. Give a number from 0 to 16, as in"),
        ("rows:ragged.csv", "Row 1 of 'ragged.csv' is '4'; every row"),
        ("rows:words.csv", "Row 0 of 'words.csv' is 'b'; every row"),
        ("rows:cube.npy", "float64 of shape .1, 1, 1., not rows"),
        ("rows:broken.npy", "cannot be read as an array of numbers"),
        ("rows:two.npz", "cannot be read as an array of numbers .*numpy.savez under the name 'inputs'"),
        ("rows:objects.npy", "cannot be read as an array"),
        ("rows:nowhere.csv", "cannot be read .No such file"),
        ("rows:ok.csv:0:5", "Rows 0:5 do not exist: the file 'ok.csv' has 1"),
        ("rows:ok.csv:class=3:0:1", "cannot be read. Write rows:PATH.csv"),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    monkeypatch.chdir(workspace)
    for name, content in {"ragged": "1,2,3\n4\n", "words": "a\nb\n", "ok": ",".join(["1"] * 64)}.items():
        Path(f"{name}.csv").write_text(content)
    np.save("cube.npy", np.zeros((1, 1, 1)))
    np.save("objects.npy", np.array([[None]]), allow_pickle=True)
    np.savez("two.npz", a=np.zeros((1, 64)), b=np.zeros((1, 64)))
    Path("broken.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match=words):
        read_inputs(text, load("digits"))


def test_a_table_of_values_takes_states_only() -> None:
    model = load("frozenlake_q")
    state = ["0"] * 16
    state[5] = "1"
    assert read_inputs(f"numbers:{','.join(state)}", model).inputs.argmax().item() == 5
    state[6] = "1"
    for text in (f"numbers:{','.join(state)}", "normal:0:4"):
        with pytest.raises(InputError, match="a single 1 among zeros|takes one-hot states"):
            read_inputs(text, model)


def test_networks_of_grids_and_tokens_take_no_rows() -> None:
    for name in ("maze_ppo", "induction_gpt"):
        with pytest.raises(InputError, match="This model cannot read 'numbers'"):
            read_inputs("numbers:1,2", load(name))


@pytest.fixture
def table(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("WORKBENCH_MODELS", str(workspace / "models"))
    torch.manual_seed(0)
    folder = workspace / "models" / "table"
    save(folder, MLPClassifier(MLPConfig(5, (7,), 3)), card("mlp", "my own table"), Curve([1], {"loss": [1.0]}))
    return "table"


def test_a_network_of_a_users_own_table_has_presets_counterparts_and_views(table: str) -> None:
    model = load(table)
    modality = modality_of(model.card)
    clean = read_inputs(presets(table)[0].inputs, model)
    other = read_inputs(default_corrupted(table, "normal:0:16"), model, clean)
    assert (model(clean.inputs).argmax(1) != model(other.inputs).argmax(1)).all()
    (view,) = modality.show(model, clean, 3, "hook_input")
    assert isinstance(view, NumberView) and view.names[4] == "feature 4" and len(view.values) == 5
    found = run_analysis("ablation", table, hook="blocks.0.hook_post", inputs="numbers:1,2,3,4,5")
    assert found.effect.shape[0] == 7


def test_other_answers_of_typed_rows_are_found_by_the_networks_own_modality(workspace: Path) -> None:
    for name, text in (("digits", "numbers:" + ",".join(["8"] * 64)), ("policy", "numbers:0,0,0,0||0,1,0,1")):
        model = load(name)
        clean = read_inputs(text, model)
        assert read_inputs(default_corrupted(name, text), model, clean).inputs.shape == clean.inputs.shape


def test_the_same_contents_are_the_same_inputs_wherever_the_file_is(workspace: Path) -> None:
    for name in ("a", "b"):
        (workspace / f"{name}.csv").write_text("1,2,3,4\n")
    one, two = (f"rows:{workspace}/{name}.csv:0:1" for name in ("a", "b"))
    assert identity(one) == identity(two) != one and Inputs.parse(identity(one)).selection.examples == 1
    spec = Spec("policy", "activations", one, parameters={"hook": "hook_input"}).complete()
    before = facts_of(spec)
    (workspace / "a.csv").write_text("1,2,3,5\n")
    assert facts_of(spec)["question"] != before["question"]


def test_rows_depend_on_the_units_of_a_data_set_of_images_alone() -> None:
    assert reads_data(read_card("digits_mlp"), ["numbers:1"])
    assert not reads_data(read_card("digits_mlp"), ["normal:0:4"])
    assert not reads_data(read_card("cartpole_ppo"), ["numbers:1"])
