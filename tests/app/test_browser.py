"""Tests of the dashboard in Chromium: links, keyboard, narrow and dark pages, no outgoing requests."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.app.conftest import At
from tests.app.server import PATIENCE, Visit, dashboard, visit

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(900)]
VIEWS = (
    "", "model", "activations", "ablation", "maximization", "circuit", "episodes", "saliency", "composition",
    "training", "difference", "preferences", "runs",
)  # fmt: skip
CIRCUIT = "/circuit?m=digits_mlp&inputs=test:0:4&method=eap"


@pytest.fixture
def graph(visited: Visit) -> Any:
    """The circuit page with its graph drawn."""
    page = visited.open(CIRCUIT)
    if page.get_by_role("button", name="Run", exact=True).count():
        page.get_by_role("button", name="Run", exact=True).click()
    page.locator('[data-id="graph"] .node').first.wait_for(timeout=PATIENCE)
    visited.rest()
    return page


@pytest.mark.parametrize("view", VIEWS)
def test_a_cold_link_opens_every_page_without_a_request_to_another_machine(visited: Visit, view: str) -> None:
    page = visited.open(f"/{view}?m=digits_mlp")
    assert page.locator('[data-testid="stException"]').count() == 0
    assert page.locator('[data-testid="stAlertContentError"]').count() == 0
    unnamed = "[...document.querySelectorAll('img:not([alt])')].length"
    assert page.evaluate(unnamed) == 0


def test_four_links_at_once_open_a_cold_server(browser: Any, tmp_path: Path) -> None:
    links = (
        "/activations?m=shapes_cnn",
        "/ablation?m=digits_mlp",
        "/saliency?m=cartpole_ppo",
        "/model?m=induction_gpt",
    )
    with dashboard(tmp_path) as address, ExitStack() as stack:
        visits = [stack.enter_context(visit(browser, address)) for _ in links]
        for visited, link in zip(visits, links, strict=True):
            visited.page.goto(address + link, wait_until="commit")
        for visited in visits:
            visited.page.locator("h1").first.wait_for(timeout=PATIENCE)
            visited.page.get_by_role("combobox", name="Model", exact=True).wait_for(timeout=PATIENCE)
            visited.rest()
            assert visited.page.locator('[data-testid="stAlertContentError"]').count() == 0
            assert visited.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_narrow_page_does_not_scroll_sideways(at: At, view: str, scheme: str) -> None:
    with at(width=390, scheme=scheme) as visited:
        page = visited.open(f"/{view}?m=digits_mlp")
        main = page.locator('[data-testid="stMain"]')
        assert main.evaluate("main => main.scrollWidth - main.clientWidth") <= 0
        assert visited.complaints == []


def test_a_cold_link_shows_the_state_it_names(visited: Visit) -> None:
    page = visited.open("/activations?m=digits_mlp&inputs=test:5:9&hook=hook_input&row=2")
    expect(page.get_by_label("Example", exact=True)).to_have_value("2", timeout=PATIENCE)
    page.get_by_text("hook_input runs from").first.wait_for(timeout=PATIENCE)
    assert "row=2" in page.url and "hook=hook_input" in page.url


def test_a_changed_unit_plays_the_episode_again_beside_the_original(visited: Visit) -> None:
    page = visited.open("/episodes?m=cartpole_ppo&hook=actor.blocks.0.hook_post&change=add&unit=3&amount=50&step=4")
    page.get_by_text("Changed at actor.blocks.0.hook_post").first.wait_for(timeout=PATIENCE)
    expect(page.get_by_alt_text("the cart at step 4")).to_have_count(2, timeout=PATIENCE)
    slider = page.get_by_role("slider", name="Step").first
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.get_by_alt_text("the cart at step 5").first.wait_for(timeout=PATIENCE)
    visited.rest()
    assert "step=5" in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_episode_does_not_scroll_sideways(at: At, scheme: str) -> None:
    with at(width=390, scheme=scheme) as visited:
        page = visited.open("/episodes?m=maze_ppo&change=zero&step=2")
        page.get_by_alt_text("the maze at step 2", exact=True).first.wait_for(timeout=PATIENCE)
        main = page.locator('[data-testid="stMain"]')
        assert main.evaluate("main => main.scrollWidth - main.clientWidth") <= 0
        assert visited.complaints == []


def test_a_click_on_a_node_tells_its_edges_and_a_second_click_forgets_it(graph: Any, visited: Visit) -> None:
    node = graph.locator('[data-id="graph"] .node').nth(2)
    site = node.get_attribute("data-id")
    node.click()
    visited.rest()
    graph.get_by_text(site, exact=True).first.wait_for(timeout=PATIENCE)
    assert node.get_attribute("aria-pressed") == "true"
    node.click()
    visited.rest()
    graph.get_by_text("Choose a node").wait_for(timeout=PATIENCE)
    assert node.get_attribute("aria-pressed") == "false"


def test_a_cold_link_to_a_node_has_it_selected(graph: Any, browser: Any, address: str) -> None:
    site = graph.locator('[data-id="graph"] .node').nth(1).get_attribute("data-id")
    with visit(browser, address) as other:
        page = other.open(f"{CIRCUIT}&node={quote(site)}")
        page.locator('[data-id="graph"] .node.selected').wait_for(timeout=PATIENCE)
        page.get_by_text(site, exact=True).first.wait_for(timeout=PATIENCE)


def test_the_keyboard_reaches_a_node_moves_on_and_selects(graph: Any, visited: Visit) -> None:
    graph.locator('[data-id="threshold"]').focus()
    for _ in range(8):
        graph.keyboard.press("Tab")
        focused = focused_id(graph)
        if focused and "[" in focused:
            break
    assert "feature" in focused
    graph.keyboard.press("ArrowRight")
    moved = focused_id(graph)
    assert moved != focused and "unit" in moved
    graph.keyboard.press("Enter")
    visited.rest()
    graph.get_by_text(moved, exact=True).first.wait_for(timeout=PATIENCE)


def focused_id(page: Any) -> str:
    """The `data-id` of what has the focus, also inside a component."""
    return page.evaluate(
        "() => { let at = document.activeElement; while (at && at.shadowRoot) at = at.shadowRoot.activeElement;"
        " return at ? at.getAttribute('data-id') || '' : ''; }"
    )


def test_the_slider_thins_the_graph_out_in_the_browser(graph: Any) -> None:
    slider, edges = graph.locator('[data-id="threshold"]'), graph.locator('[data-id="graph"] .edge')
    slider.fill("400")
    most = edges.count()
    slider.fill("150")
    assert 0 < edges.count() < most <= 2000
    assert "edges kept" in graph.locator('[data-id="summary"]').inner_text()
    assert "faithfulness" in graph.locator('[data-id="summary"]').inner_text()


def test_the_graph_follows_a_dark_page(at: At) -> None:
    with at(scheme="dark") as visited:
        page = visited.open(CIRCUIT)
        if page.get_by_role("button", name="Run", exact=True).count():
            page.get_by_role("button", name="Run", exact=True).click()
        page.locator(".wb-circuit.dark").wait_for(timeout=PATIENCE)


def test_a_drawing_becomes_the_input(visited: Visit) -> None:
    page = visited.open("/activations?m=digits_mlp")
    page.get_by_role("button", name="Own input", exact=True).click()
    canvas = page.locator('[data-id="canvas"]')
    canvas.wait_for(timeout=PATIENCE)
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 120, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 210, steps=12)
    page.mouse.up()
    use = page.get_by_role("button", name="Use this drawing")
    use.wait_for(timeout=PATIENCE)
    use.click()
    page.get_by_text("your own pictures").wait_for(timeout=PATIENCE)
    visited.rest()
    assert "inputs=file" in page.url


def test_a_hook_in_the_diagram_is_chosen_by_a_click(visited: Visit) -> None:
    page = visited.open("/model?m=digits_mlp")
    page.locator('button[data-id="readout.hook_logits"]').click()
    visited.rest()
    page.wait_for_url("**hook=readout.hook_logits**", timeout=PATIENCE)
    assert page.locator('button[data-id="readout.hook_logits"]').get_attribute("aria-pressed") == "true"


def test_the_jump_box_leads_to_another_model(visited: Visit) -> None:
    page = visited.open("/model?m=digits_mlp")
    page.get_by_label("Jump to a site", exact=True).fill("digits_mlp/blocks.0.hook_post[unit=3]")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Activations").first.wait_for(timeout=PATIENCE)
    page.wait_for_url("**hook=blocks.0.hook_post**", timeout=PATIENCE)
    assert "unit=3" in page.url
