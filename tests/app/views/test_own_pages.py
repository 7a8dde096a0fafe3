"""Tests of pages with a view of their own: links, widgets and buttons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import workbench
from tests.app.pages import Open, clean, said_by, value
from workbench.data.text.preferences import read
from workbench.experiments.inputs.labelling import labels_file


def test_a_link_opens_what_it_says(opened: Open) -> None:
    page = clean(opened("activations", m="digits_mlp", inputs="test:5:9", hook="hook_input", row="2"))
    assert [value(page, label) for label in ("Model", "Inputs", "Hook", "Example")] == [
        "digits_mlp", "test:5:9", "hook_input", 2,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"m": "digits_mpl"}, "Did you mean 'digits"),
        ({"m": "digits_mlp", "hook": "blocks.0.hook_psot"}, "hook"),
        ({"m": "digits_mlp", "inputs": "test:99990:99999"}, "do not exist"),
        ({"m": "digits_mlp", "inputs": "rows 1 to 3"}, "source of inputs"),
        ({"m": "digits_mlp", "inputs": "file:nowhere.png"}, "no other file of its server"),
    ],
)
def test_a_wrong_link_is_answered_with_cause_and_fix(opened: Open, choices: dict[str, str], said: str) -> None:
    page = opened("activations", **choices)
    assert not page.exception
    assert [box for box in page.error if said in said_by(box)]


def test_jumping_to_a_site_opens_its_activations(opened: Open) -> None:
    page = clean(opened("model", m="digits_mlp"))
    page = page.text_input(key="jump").set_value("blocks.0.hook_post[unit=3]").run()
    clean(page)
    assert page.title[0].value == "Activations"
    assert [value(page, label) for label in ("Hook", "Unit")] == ["blocks.0.hook_post", "3"]


def test_a_stored_run_is_listed_and_can_be_opened_and_deleted(opened: Open) -> None:
    clean(opened("ablation", m="digits_mlp", inputs="test:11:13"))
    key = next(iter(workbench.catalog()["key"]))
    page = clean(opened("runs", run=key))
    assert said_by(page.subheader[0]) == "ablation of digits_mlp" and page.get("plotly_chart")
    page = next(button for button in page.button if button.label == "Delete this result").click().run()
    clean(page)
    assert key not in set(workbench.catalog()["key"])


def test_an_episode_is_played_again_with_a_unit_changed(opened: Open) -> None:
    choices = {"m": "cartpole_ppo", "hook": "actor.blocks.1.hook_post", "change": "add", "unit": "2", "amount": "80"}
    page = clean(opened("episodes", step="3", **choices))
    told = next(said_by(text) for text in page.markdown if "Changed: " in said_by(text))
    steps = [int(part.split(" steps")[0].split(": ")[-1]) for part in told.split(" · ")]
    assert steps[0] == 500 and steps[1] < 500
    assert page.slider[0].value == 3
    code = next(block.value for block in page.code if "import play" in block.value)
    scope: dict[str, Any] = {}
    exec(code, scope)
    assert len(scope["episode"].trace.action) == steps[1]
    page = clean(page.slider[0].set_value(7).run())
    assert any("step 7 of 499" in said_by(text) for text in page.markdown)


def test_a_network_that_is_no_policy_plays_no_episodes(opened: Open) -> None:
    page = clean(opened("episodes", m="digits_mlp"))
    assert any("not a policy" in said_by(box) for box in page.info)


def test_a_judgement_is_kept_and_the_next_pair_is_shown(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    page = clean(opened("preferences", m="tales_gpt"))
    first = [said_by(text) for text in page.markdown]
    page = clean(next(button for button in page.button if button.label == "Right is better").click().run())
    assert [said_by(text) for text in page.markdown] != first
    assert any("1 judged with this seed" in said_by(text) for text in page.markdown)
    kept = read(labels_file("tales_gpt"))
    assert [(one.pair, one.chosen) for one in kept] == [(0, "right")] and kept[0].right in "".join(first)


@pytest.mark.parametrize(
    ("view", "said"), [("preferences", "does not write tales"), ("difference", "not tuned from another model")]
)
def test_a_model_of_something_else_has_nothing_to_judge(opened: Open, view: str, said: str) -> None:
    page = clean(opened(view, m="digits_mlp"))
    assert any(said in said_by(box) for box in page.info)


def test_tuned_models_stand_side_by_side(opened: Open) -> None:
    page = clean(opened("difference", m="tales_ppo", examples="2"))
    said = " ".join(said_by(text) for text in page.markdown)
    assert "tales_ppo changed" in said and "tales_hacked changed" in said and page.get("plotly_chart")
    assert all({"tales_ppo", "tales_dpo", "tales_hacked"} <= set(twin.value) for twin in page.dataframe[:4])


@pytest.mark.slow
def test_parts_are_put_back_on_request(opened: Open) -> None:
    page = clean(opened("difference", m="tales_ppo", others="false", restore="true", examples="8"))
    assert any("of which restoring" in said_by(text) for text in page.markdown)
    assert any("weights restored" in box.label for box in page.expander)


@pytest.mark.parametrize(("asked", "shown"), [("99999", 499), ("-3", 0), ("last", 0)])
def test_a_step_that_is_not_there_is_said_and_the_nearest_shown(opened: Open, asked: str, shown: int) -> None:
    page = opened("episodes", m="cartpole_ppo", step=asked)
    assert not page.exception and page.slider[0].value == shown
    assert any("There is no step" in said_by(box) and "from 0 to 499" in said_by(box) for box in page.error)
    assert clean(page.slider[0].set_value(7).run()).slider[0].value == 7


@pytest.mark.slow
def test_the_gallery_compares_a_policys_units_with_states_that_come_up(opened: Open) -> None:
    page = opened("maximization", m="cliffwalking_q", steps="4", units="0", reach="true")
    page = clean(next(button for button in page.button if button.label == "Run").click().run())
    assert any("higher activation in the box" in said_by(text) for text in page.markdown)
    assert any("reachable of cliffwalking_q" in said_by(caption) for caption in page.caption)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["digits_mlp", "induction_gpt"])
def test_a_circuit_is_checked_on_its_page(opened: Open, model: str) -> None:
    page = clean(opened("circuit", m=model, check="true", size="30"))
    for _ in range(2):  # first traced, then checked
        run = [button for button in page.button if button.label == "Run"]
        page = clean(run[0].click().run())
    assert any("verify of " in said_by(caption) for caption in page.caption)
    assert any("random circuits of that size" in said_by(text) for text in page.markdown)
