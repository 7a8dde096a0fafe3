"""What a link names and its page does not have is answered by one sentence with the nearest name, on every page."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.state import jobs
from tests.app.pages import open_page, said_by


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PATIENCE", 60.0)


def errors(page: AppTest) -> list[str]:
    assert not page.exception
    return [said_by(box) for box in page.error]


UNKNOWN = [
    ("home", {"technique": "ablation"}, "No choice named 'technique' on this page", ""),
    ("model", {"m": "digits_mlp", "hok": "hook_input"}, "No choice named 'hok' on this page", "Did you mean 'hook'?"),
    ("ablation", {"m": "digits_mlp", "metod": "mean"}, "No choice named 'metod'", "Did you mean 'method'?"),
    ("ablation", {"m": "digits_mlp", "technique": "patching"}, "No choice named 'technique'", ""),
    ("activations", {"m": "digits_mlp", "site": "hook_input"}, "No choice named 'site'", ""),
    ("activations", {"m": "digits_mlp", "input": "test:0:2"}, "No choice named 'input'", "Did you mean 'inputs'?"),
    ("circuit", {"m": "digits_mlp", "metrik": "correct"}, "No choice named 'metrik'", "Did you mean 'metric'?"),
    ("episodes", {"m": "cartpole_ppo", "enviroment": "x"}, "No choice named 'enviroment'", "mean 'environment'?"),
    ("episodes", {"m": "cartpole_ppo", "amount": "3"}, "No choice named 'amount'", ""),
    ("training", {"r": "digits_mlp", "sets": "steps=5"}, "No choice named 'sets'", "Did you mean 'set'?"),
    ("runs", {"al": "true"}, "No choice named 'al'", "Did you mean 'all'?"),
]


@pytest.mark.parametrize(("view", "choices", "said", "near"), UNKNOWN)
def test_a_choice_that_a_page_does_not_have_is_said(view: str, choices: dict[str, str], said: str, near: str) -> None:
    page = open_page(view, choices)
    found = errors(page)
    assert len(found) == 1 and said in found[0] and near in found[0], found
    assert not (choices.keys() - {"m", "r"}) & page.query_params.keys()
    if view != "circuit":  # it waits for Run
        assert not errors(page.run())


VALUES = [
    ("training", {"r": "digits_mlp", "set": "stpes=5"}, "'stpes'", "Did you mean 'steps'?"),
    ("training", {"do": "Search", "r": "digits_mlp", "ranges": "lrr=1..2"}, "'lrr'", "Did you mean 'lr'?"),
    ("training", {"r": "digits_mpl"}, "No recipe named 'digits_mpl'", "Did you mean 'digits_mlp'?"),
    ("training", {"do": "Trian"}, "'Trian'", "Did you mean 'Train'?"),
    ("statistics", {"m": "digits_mlp", "hook": "hook_inptu"}, "'hook_inptu'", "Did you mean 'hook_input'?"),
    ("circuit", {"m": "induction_gpt", "detail": "haed"}, "No detail named 'haed'", "Did you mean 'head'?"),
    ("circuit", {"m": "digits_mlp", "method": "eap_gi"}, "'eap_gi'", "Did you mean 'eap_ig'?"),
    ("maximization", {"m": "digits_mlp", "hook": "blocks.0.hook_post", "units": "7777"}, "7777", "0"),
    ("path", {"m": "digits_mlp", "path": "hook_inptu -> x"}, "No hook named 'hook_inptu'", "'hook_input'?"),
    ("alike", {"m": "cartpole_ppo", "others": "cartpole_a3c"}, "'cartpole_a3c'", "Did you mean 'cartpole_a2c'?"),
    ("patch", {"m": "digits_mlp", "technique": "ablatoin"}, "'ablatoin'", "Did you mean 'ablation'?"),
]


@pytest.mark.parametrize(("view", "choices", "said", "near"), VALUES)
def test_a_name_that_does_not_exist_is_said_before_anything_runs(
    view: str, choices: dict[str, str], said: str, near: str
) -> None:
    found = errors(open_page(view, choices))
    assert len(found) == 1 and said in found[0] and near in found[0], found


def test_what_a_link_got_wrong_stays_while_its_page_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that waits is drawn again when the result is there; nobody could read what it said before."""
    page = open_page("circuit", {"m": "digits_mlp", "metod": "eap"})
    assert any(button.label == "Run" for button in page.button)
    assert len(errors(page.run())) == 1
    assert not any("node" in text for text in errors(open_page("circuit", {"m": "digits_mlp", "node": "x"})))


def test_a_step_that_training_kept_opens_as_a_model_and_another_one_is_answered_with_the_nearest() -> None:
    page = open_page("activations", {"m": "cartpole_ppo@10", "inputs": "explored:0:2"})
    assert not errors(page) and next(box.value for box in page.selectbox if box.label == "Model") == "cartpole_ppo@10"
    for view in ("model", "statistics", "episodes"):
        assert not errors(open_page(view, {"m": "cartpole_ppo@10"}))
    (said,) = (text.replace("\u2060", "") for text in errors(open_page("model", {"m": "cartpole_ppo@11"})))
    assert "No trained model named 'cartpole_ppo@11'" in said and "Did you mean 'cartpole_ppo@10'?" in said
