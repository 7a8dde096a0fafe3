"""Tests of technique pages, redirects from earlier addresses, and a plug-in's page."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import workbench
from app.state import pages
from tests.app.pages import Open, clean, require_data_of, said_by, value
from tests.conftest import distinct, pairs
from workbench.cli import main
from workbench.core.registry import ANALYSES


@pytest.mark.parametrize(("technique", "model"), pairs(["ablation", "patching"], distinct()))
def test_ablation_and_patching_show_a_figure_and_its_table(opened: Open, technique: str, model: str) -> None:
    require_data_of(model)
    page = clean(opened(technique, m=model))
    assert page.get("plotly_chart") and page.dataframe
    assert any(f"{technique} of {model}" in said_by(caption) for caption in page.caption)
    assert any("result " in said_by(caption) for caption in page.caption)


def test_inputs_that_do_not_exist_keep_the_page_usable(opened: Open) -> None:
    page = opened("ablation", m="digits_mlp", inputs="test:0:0")
    assert not page.exception and len(page.error) == 1
    page = next(box for box in page.selectbox if box.label == "Inputs").set_value("test:0:1").run()
    assert value(clean(page), "Inputs") == "test:0:1"


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


@pytest.mark.parametrize("model", ["maze_ppo", "minatar_breakout_ppo"])
@pytest.mark.parametrize("technique", ["counterfactuals", "vector_field", "saliency", "q_accuracy"])
def test_a_policys_techniques_show_figure_finding_and_table(opened: Open, technique: str, model: str) -> None:
    page = clean(opened(technique, m=model))
    assert page.get("plotly_chart") and page.dataframe
    assert any(f"{technique} of {model}" in said_by(caption) for caption in page.caption)


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
    answered = page.get("plotly_chart") or any("result " in said_by(caption) for caption in page.caption)
    assert answered or any(button.label == "Run" for button in page.button)


def test_the_navigation_holds_every_registered_technique_once() -> None:
    shown = [page.technique for page in pages.all_pages().values() if page.technique]
    assert sorted(shown) == ANALYSES.names()


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
