"""Every page on every committed model, without a browser: nothing raises, links show what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import workbench
from app.state import jobs, pages
from tests.app.pages import MAIN, open_page
from tests.conftest import DATA_FILES, distinct, missing_data, pairs, representatives
from workbench.checkpoints.card import names, read_card
from workbench.core.registry import ANALYSES
from workbench.data.text.preferences import read
from workbench.experiments.inputs.labelling import labels_file

SMALL = [name for name in representatives() if read_card(name).parameters < 1_000_000]
FILES = sorted(path.stem for path in (Path(MAIN).parent / "views").glob("[!_]*.py"))
VIEWS = [name for name in pages.all_pages() if name in FILES]
Open = Callable[..., AppTest]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens a page by its link; results are waited for."""
    monkeypatch.setattr(jobs, "PATIENCE", 100.0)
    return lambda view, **choices: open_page(view, choices)


def require_data_of(model: str) -> None:
    if (data := read_card(model).data.name) in DATA_FILES and (reason := missing_data(data)):
        pytest.skip(reason)


def clean(page: AppTest) -> AppTest:
    assert not page.exception
    assert [said_by(box) for box in page.error] == []
    return page


def said_by(element: Any) -> str:
    """The text of an element as a reader sees it, without the marks of Markdown that escape it."""
    return element.value.replace("\\", "")


def value(page: AppTest, label: str) -> object:
    return next(box.value for box in (*page.selectbox, *page.number_input) if box.label == label)


@pytest.mark.parametrize(("view", "model"), pairs(VIEWS, names(), whole=representatives()))
def test_every_page_opens_on_every_model(opened: Open, view: str, model: str) -> None:
    require_data_of(model)
    page = clean(opened(view, m=model))
    assert len(page.title) == 1
    if view not in ("home", "runs", "training"):
        assert value(page, "Model") == model


@pytest.mark.parametrize(("technique", "model"), pairs(["ablation", "patching"], distinct(), whole=representatives()))
def test_ablation_and_patching_show_a_figure_and_its_table(opened: Open, technique: str, model: str) -> None:
    require_data_of(model)
    page = clean(opened(technique, m=model))
    assert page.get("plotly_chart") and page.dataframe
    assert any(f"{technique} of {model}" in said_by(caption) for caption in page.caption)
    assert any("result " in said_by(caption) for caption in page.caption)


@pytest.mark.slow
@pytest.mark.parametrize(("view", "model"), pairs(["circuit", "maximization"], distinct(), whole=SMALL))
def test_long_work_waits_for_run_and_then_shows_its_result(opened: Open, view: str, model: str) -> None:
    require_data_of(model)
    page = clean(opened(view, m=model, steps="4"))
    run = [button for button in page.button if button.label == "Run"]
    page = clean(run[0].click().run()) if run else page
    assert any(button.label == "Run" for button in page.button) is False
    assert any("result " in said_by(caption) for caption in page.caption)


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


def test_inputs_that_do_not_exist_keep_the_page_usable(opened: Open) -> None:
    page = opened("ablation", m="digits_mlp", inputs="test:0:0")
    assert not page.exception and len(page.error) == 1
    page = next(box for box in page.selectbox if box.label == "Inputs").set_value("test:0:1").run()
    assert value(clean(page), "Inputs") == "test:0:1"


def test_jumping_to_a_site_opens_its_activations(opened: Open) -> None:
    page = clean(opened("model", m="digits_mlp"))
    page = page.text_input(key="jump").set_value("blocks.0.hook_post[unit=3]").run()
    clean(page)
    assert page.title[0].value == "Activations"
    assert [value(page, label) for label in ("Hook", "Unit")] == ["blocks.0.hook_post", "3"]


def test_the_python_that_is_offered_gives_the_numbers_of_the_page(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = clean(opened("ablation", m="digits_mlp", inputs="test:3:9", metric="probability"))
    code = next(block.value for block in page.code if "import workbench" in block.value)
    shown = page.dataframe[0].value
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    scope: dict[str, object] = {}
    exec(code, scope)
    computed = workbench.table(scope["result"])
    assert computed["effect"].tolist() == pytest.approx(shown["effect"].tolist(), abs=1e-6)


def test_the_command_that_is_offered_gives_the_numbers_of_the_page(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import json
    import shlex

    from workbench.cli import main

    page = clean(opened("patching", m="digits_mlp", inputs="test:0:4"))
    command = next(block.value for block in page.code if block.value.startswith("workbench run"))
    shown = page.dataframe[0].value
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    monkeypatch.setattr("sys.argv", [*shlex.split(command), "--json"])
    capsys.readouterr()
    try:
        main()
    except SystemExit as end:
        assert not end.code
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["effect"] for row in rows] == pytest.approx(shown["effect"].tolist(), abs=1e-6)


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
    assert any("no policy" in said_by(box) for box in page.info)


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
    ("view", "said"), [("preferences", "tells no tales"), ("difference", "tuned from no other model")]
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


@pytest.mark.parametrize("model", ["maze_ppo", "minatar_breakout_ppo"])
@pytest.mark.parametrize("technique", ["counterfactuals", "vector_field", "saliency", "q_accuracy"])
def test_a_policys_techniques_show_figure_finding_and_table(opened: Open, technique: str, model: str) -> None:
    page = clean(opened(technique, m=model))
    assert page.get("plotly_chart") and page.dataframe
    assert any(f"{technique} of {model}" in said_by(caption) for caption in page.caption)


@pytest.mark.slow
def test_the_gallery_compares_a_policys_units_with_states_that_come_up(opened: Open) -> None:
    page = opened("maximization", m="cliffwalking_q", steps="4", units="0", reach="true")
    page = clean(next(button for button in page.button if button.label == "Run").click().run())
    assert any("higher activation in the box" in said_by(text) for text in page.markdown)
    assert any("reachable of cliffwalking_q" in said_by(caption) for caption in page.caption)


@pytest.mark.parametrize(
    ("technique", "model", "axis"),
    [
        ("vector_field", "cartpole_ppo", "height"),
        ("saliency", "digits_mlp", "action"),
        ("composition", "shapes_cnn", "head"),
    ],
)
def test_a_page_says_which_axis_a_network_lacks(opened: Open, technique: str, model: str, axis: str) -> None:
    page = clean(opened(technique, m=model))
    assert any(f"needs a network with an axis `{axis}`, and {model} has none" in said_by(box) for box in page.info)


@pytest.mark.parametrize("technique", pages.technique_groups())
def test_every_technique_has_a_page_that_opens_on_a_network_it_fits(opened: Open, technique: str) -> None:
    page = clean(opened(technique))
    assert page.title[0].value == technique.replace("_", " ").capitalize()
    assert any(technique.split("_", maxsplit=1)[0] in block.value for block in page.code)
    assert page.get("plotly_chart") or any(button.label == "Run" for button in page.button)


def test_the_navigation_holds_every_registered_technique_once() -> None:
    shown = [page.technique for page in pages.all_pages().values() if page.technique]
    assert sorted(shown) == ANALYSES.names()


@pytest.mark.parametrize(
    ("old", "choices", "title"),
    [
        ("patch", {"technique": "patching"}, "Patching"),
        ("patch", {}, "Ablation"),
        ("gallery", {}, "Maximization"),
        ("policy", {"technique": "saliency", "m": "cartpole_ppo"}, "Saliency"),
    ],
)
def test_an_earlier_address_opens_the_page_of_its_technique(
    opened: Open, old: str, choices: dict[str, str], title: str
) -> None:
    page = clean(opened(old, **({"m": "digits_mlp"} | choices)))
    assert page.title[0].value == title and value(page, "Model") == choices.get("m", "digits_mlp")


def test_a_technique_of_a_plug_in_has_a_page(opened: Open, plug_in: str) -> None:
    page = clean(opened(plug_in, m="digits_mlp", factor="3", inputs="test:0:2"))
    assert page.title[0].value == "Scaling"
    assert said_by(page.caption[0]) == "Multiply the activation at a hook by a number."
    assert page.get("plotly_chart") and page.dataframe[0].value.shape[0] > 0
    assert "factor=3.0" in next(block.value for block in page.code if "import workbench" in block.value)
    assert pages.all_pages()[plug_in].group == "Plug-ins"


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A distribution of its own with one technique, found through its entry point."""
    (tmp_path / "scaling_plug_in.py").write_text(PLUG_IN)
    about = tmp_path / "scaling_plug_in-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: scaling-plug-in\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[workbench.analysis]\nscaling = scaling_plug_in:scale\n")
    ANALYSES.discover()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(ANALYSES, "_items", dict(ANALYSES._items))
    monkeypatch.setattr(ANALYSES, "_discovered", False)
    forget_pages()
    yield "scaling"
    monkeypatch.undo()
    forget_pages()


def forget_pages() -> None:
    pages.technique_groups.cache_clear()
    pages.all_pages.cache_clear()


PLUG_IN = '''
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from workbench.core.hooked import HookedModel
from workbench.core.ranges import PositiveFloat


@dataclass(frozen=True)
class Scaled:
    """An activation times a number."""

    hook: str
    values: Float[Tensor, "batch unit"]


def scale(model: HookedModel, inputs: Any, hook: str, factor: PositiveFloat = 2.0) -> Scaled:
    """Multiply the activation at a hook by a number.

    Args:
        factor: The number.

    Cost: 1 forward pass.
    """
    return Scaled(hook, factor * model.cache(inputs, [hook])[hook])
'''


def test_views_are_thin() -> None:
    sizes = {view: len((Path(MAIN).parent / "views" / f"{view}.py").read_text().splitlines()) for view in FILES}
    assert max(sizes.values()) < 150, sizes


@pytest.mark.slow
@pytest.mark.parametrize("model", ["digits_mlp", "induction_gpt"])
def test_a_circuit_is_checked_on_its_page(opened: Open, model: str) -> None:
    page = clean(opened("circuit", m=model, check="true", size="30"))
    for _ in range(2):  # first traced, then checked
        run = [button for button in page.button if button.label == "Run"]
        page = clean(run[0].click().run())
    assert any("verify of " in said_by(caption) for caption in page.caption)
    assert any("random circuits of that size" in said_by(text) for text in page.markdown)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands that the page Training starts, which are noted and not run."""
    from app.widgets import training_panel

    commands: list[list[str]] = []
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    monkeypatch.setattr(training_panel.subprocess, "Popen", lambda command, **_: commands.append(command[3:]))
    return commands


@pytest.mark.parametrize("way", ["Check", "Search", "Compare"])
def test_the_training_page_opens_on_each_thing_to_do(opened: Open, way: str, launched: list[list[str]]) -> None:
    page = clean(opened("training", do=way, steps="5"))
    assert not launched and bool(page.get("plotly_chart")) == (way != "Search")  # nothing was searched yet


def test_a_training_is_started_as_a_command_and_a_mistake_is_told_before(
    opened: Open, launched: list[list[str]]
) -> None:
    page = clean(opened("training", set="steps=20 lr=0.01", name="mine"))
    next(button for button in page.button if button.label == "Train").click().run()
    (command,) = launched
    assert command[:2] == ["train", "digits_mlp"] and command[-3:] == ["--set", "steps=20", "lr=0.01"]
    assert Path(command[3]).name == "mine"
    page = opened("training", set="stpes=20", name="mine")
    next(button for button in page.button if button.label == "Train").click().run()
    assert "Did you mean" in said_by(page.error[0]) and len(launched) == 1
    assert "no recipe" in opened("training", name="digits_mlp").error[0].value
