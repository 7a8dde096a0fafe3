"""Fuzz tests of page links: no traceback, usable widgets, and no expensive computation."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.state import jobs
from tests.app.pages import open_page, said_by
from workbench.experiments.store.run_log import RunLog

POLICY, IMAGE = "cartpole_ppo", "digits_mlp"
PAGES = {
    "activations": (IMAGE, ("m", "inputs", "hook", "row", "unit", "overview")),
    "patch": (IMAGE, ("m", "inputs", "corrupted", "technique", "metric", "hook", "axis", "method", "seed")),
    "maximization": (IMAGE, ("m", "inputs", "hook", "units", "objective", "steps", "seed", "go", "reach")),
    "traversal": (IMAGE, ("m", "inputs", "hook", "units", "seen", "reach", "steps")),
    "episodes": (POLICY, ("m", "environment", "seed", "hook", "change", "unit", "amount", "saliency", "step")),
    "policy": (POLICY, ("m", "technique", "hook", "seed", "episodes", "states", "limit", "units", "steps", "go")),
    "circuit": (IMAGE, ("m", "inputs", "corrupted", "metric", "method", "steps", "group", "node", "check", "size")),
    "model": (IMAGE, ("m", "hook", "series")),
    "training": (IMAGE, ("do", "r", "set", "name", "ranges", "trials", "comparison")),
    "difference": ("tales_ppo", ("m", "examples", "seed", "others", "restore")),
    "preferences": ("tales_gpt", ("m", "annotator", "seed")),
    "runs": (IMAGE, ("run", "all")),
    "home": (IMAGE, ("m",)),
}  # fmt: skip
"""Every page with a network that it is for, and the choices that its link may name."""
ODD = (
    "", " ", "abc", "-1", "1e99", "nan", "inf", "99999999999999999999", "9" * 5000, "0:99999999999", "1.5", "true",
    "none", "\x00", "\u2028", "💥", "a" * 20_000, "[", "]", "blocks.0.hook_post[unit=99999]", "*", "[[[]]]",
    "test:0:1000000000", "explored:0:1000000000", "rollout:0:1:1000000000", "sample:0:99999999999", "test:9:3",
    "text:" + "x" * 20_000, "file:/etc/passwd", "fitted:../../a", "file:\x00", "other:0", "walk:0:99999", "train:0:",
    "<img src=//evil.example/p.png>", "![p](https://evil.example/p.png)", ":red[x] $x$ `", "../../../etc", "%00", "'\"",
    "__class__", "{0}", "steps=1e9", "hidden=99999999", "lr=nan", "circuit", "zero", "test:0:4",
)  # fmt: skip


def require_sentences(page: AppTest, choices: dict[str, str]) -> None:
    assert not page.exception, choices
    assert len(page.title) == 1, choices
    for box in page.error:
        assert "This page failed" not in box.value and "Traceback" not in box.value, (choices, box.value)
        assert len(box.value) < 5_000, choices


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PATIENCE", 20.0)


@pytest.mark.parametrize("view", PAGES)
def test_a_page_answers_any_link_in_sentences(view: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes longer than three seconds is cancelled by the button that the page then shows."""
    monkeypatch.setattr(jobs, "PATIENCE", 3.0)
    model, names = PAGES[view]
    draw = random.Random(view)
    for _ in range(6):
        choices = {name: draw.choice(ODD) for name in draw.sample(names, min(len(names), draw.randint(1, 2)))}
        if "do" in choices or view == "training":
            choices |= {"do": draw.choice(("Train", "Search", "Compare"))}
        choices = {"m": model} | choices if "m" in names else choices
        page = open_page(view, choices)
        require_sentences(page, choices)
        for button in page.button:
            if button.label == "Cancel":
                require_sentences(button.click().run(), choices)


@pytest.mark.parametrize(
    ("view", "choices"),
    [
        ("activations", {"m": POLICY, "inputs": "explored:0:1000000000"}),
        ("activations", {"m": POLICY, "inputs": "rollout:0:0:1000000000"}),
        ("activations", {"m": "shapes_gan", "inputs": "sample:0:1000000000"}),
        ("activations", {"m": IMAGE, "inputs": "test:0:1000000000"}),
        ("patch", {"m": IMAGE, "technique": "patching", "corrupted": "test:0:1000000000"}),
        ("maximization", {"m": IMAGE, "units": "0:99999999999", "go": "0" * 12}),
        ("maximization", {"m": IMAGE, "steps": "1000000000"}),
        ("policy", {"m": POLICY, "technique": "unit_returns", "episodes": "1000000000"}),
        ("training", {"do": "Check", "r": IMAGE, "set": "hidden=1000000,1000000", "steps": "1"}),
    ],
)
def test_a_link_never_starts_work_above_the_budget(view: str, choices: dict[str, str]) -> None:
    before = len(RunLog().runs())
    begin = time.monotonic()
    page = open_page(view, choices)
    require_sentences(page, choices)
    assert any("are too many for one request" in box.value.replace("\\", "") for box in page.error)
    assert time.monotonic() - begin < 60
    runs = RunLog().runs()
    assert len(runs[runs["status"] == "running"]) == 0 and len(runs) <= before + 1  # the parts of the network, at most


def test_many_examples_wait_for_a_press_on_run() -> None:
    page = open_page("ablation", {"m": IMAGE, "inputs": "test:0:300"})
    assert [button.label for button in page.button if button.label == "Run"] and not page.get("plotly_chart")
    assert any("runs on 300 examples" in box.value for box in page.info)
    page = next(button for button in page.button if button.label == "Run").click().run()
    require_sentences(page, {})
    assert page.get("plotly_chart") and any(
        "n \\= 300" in caption.value or "n = 300" in caption.value for caption in page.caption
    )


def test_what_a_link_got_wrong_is_said_and_the_nearest_is_shown() -> None:
    page = open_page(
        "activations", {"m": IMAGE, "inputs": "test:0:4", "row": "99", "unit": "7777", "hook": "hook_inptu"}
    )
    said = " ".join(box.value.replace("\\", "") for box in page.error)
    assert "row" not in said and "There is no example 99: choose one from 0 to 3. Using 3." in said
    assert "Did you mean 'hook_input'" in said and "No unit named '7777'" in said
    assert next(box.value for box in page.number_input if box.label == "Example") == 3
    assert page.query_params["row"] == "3" and "unit" not in page.query_params
    page.run()
    assert not page.error and page.query_params["row"] == "3"


def test_a_file_of_the_server_is_refused_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"secret")
    for view, key in (
        ("activations", "inputs"),
        ("patch", "inputs"),
        ("patch", "corrupted"),
        ("maximization", "inputs"),
    ):
        page = open_page(view, {"m": IMAGE, "technique": "patching", key: f"file:{tmp_path / 'a.png'}"})
        assert any("no other file of its server" in box.value for box in page.error)
        assert not any(str(tmp_path) in box.value.replace("\\", "") for box in page.error)


@pytest.mark.parametrize(("view", "name", "key"), [("activations", "model", "m"), ("training", "recipe", "r")])
def test_a_link_with_a_full_name_says_the_name_that_links_have(view: str, name: str, key: str) -> None:
    said = [said_by(box) for box in open_page(view, {name: "nosuch"}).error]
    assert any(f"Write {key}=nosuch" in text for text in said), said
