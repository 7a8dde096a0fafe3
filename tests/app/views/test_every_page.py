"""Tests that every page opens on every committed model without an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.state import pages
from tests.app.pages import MAIN, Open, clean, require_data_of, said_by, value
from tests.conftest import distinct, pairs
from workbench.checkpoints.card import names

FILES = sorted(path.stem for path in (Path(MAIN).parent / "views").glob("[!_]*.py"))
VIEWS = [name for name in pages.all_pages() if name in FILES]


@pytest.mark.parametrize(("view", "model"), pairs(VIEWS, names(), light=("activations",)))
def test_every_page_opens_on_every_model(opened: Open, view: str, model: str) -> None:
    require_data_of(model)
    page = clean(opened(view, m=model))
    assert len(page.title) == 1
    if view not in ("home", "runs", "training"):
        assert value(page, "Model") == model


@pytest.mark.slow
@pytest.mark.parametrize(("view", "model"), pairs(["circuit", "maximization"], distinct()))
def test_long_work_waits_for_run_and_then_shows_its_result(opened: Open, view: str, model: str) -> None:
    require_data_of(model)
    page = clean(opened(view, m=model, steps="4"))
    run = [button for button in page.button if button.label == "Run"]
    page = clean(run[0].click().run()) if run else page
    assert any(button.label == "Run" for button in page.button) is False
    assert any("result " in said_by(caption) for caption in page.caption)


def test_views_are_thin() -> None:
    sizes = {view: len((Path(MAIN).parent / "views" / f"{view}.py").read_text().splitlines()) for view in FILES}
    assert max(sizes.values()) < 150, sizes


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
