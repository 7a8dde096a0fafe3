"""Tests in Chromium that every link of every page opens the page, network and site that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from playwright.sync_api import expect

from app.state.pages import all_pages
from tests.app.conftest import At
from tests.app.server import PATIENCE, Visit

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(900)]
LABELS = {"m": "Model", "hook": "Hook", "inputs": "Inputs", "unit": "Unit"}
"""Labels of the boxes that show a choice, by its name in a link."""
LINK = '[data-testid="stPageLink-NavLink"]'
TITLES = {"": "Interpretability workbench"}
OPENED = {
    "": {},
    "model": {"m": "shapes_cnn", "hook": "blocks.0.hook_post"},
    "activations": {"m": "shapes_cnn", "hook": "blocks.0.hook_post", "unit": "3", "inputs": "test:2:5", "row": "2"},
    "ablation": {"m": "shapes_cnn", "hook": "blocks.1.hook_post", "inputs": "test:0:4"},
    "maximization": {"m": "cliffwalking_q"},
    "traversal": {"m": "shapes_vae"},
    "episodes": {"m": "cartpole_ppo", "seed": "3"},
    "saliency": {"m": "cartpole_ppo"},
    "circuit": {"m": "cliffwalking_q"},
    "training": {"r": "digits_mlp", "do": "Check", "steps": "3"},
    "difference": {"m": "shapes_cnn"},
    "preferences": {"m": "shapes_cnn"},
    "runs": {},
}  # fmt: skip
"""A link to every page, to a network that is not the one that pages begin with."""


@pytest.fixture
def visited(at: At) -> Iterator[Visit]:
    with at(width=1900) as visited:  # the top bar shows all pages
        yield visited
        assert visited.elsewhere == [] and visited.complaints == []


def to(view: str, choices: dict[str, str]) -> str:
    return f"/{view}?{urlencode(choices, quote_via=quote)}" if choices else f"/{view}"


def require_landed(visited: Visit, href: str, model: str | None) -> None:
    """The page is the one of the link, and shows its choices; without any, the network stays as it was."""
    target = urlsplit(href)
    view = target.path.strip("/")
    page = visited.page
    title = TITLES.get(view, view.capitalize())
    page.get_by_role("heading", name=title, level=1, exact=True).wait_for(timeout=PATIENCE)
    visited.rest()
    choices = {key: values[0] for key, values in parse_qs(target.query).items()}
    if model and view not in ("", "training", "runs"):
        choices.setdefault("m", model)
    assert page.locator('[data-testid="stException"]').count() == 0
    for key, value in choices.items():
        if key in LABELS:
            shown = page.get_by_role("combobox", name=LABELS[key], exact=True)
            expect(shown).to_have_value(value, timeout=PATIENCE)


def links(page: Any) -> dict[int, str]:
    """Places and addresses of the links in the body of a page, one for each destination and kind of choices."""
    found = page.locator(LINK).evaluate_all("all => all.map(link => link.href)")
    kinds = {
        (urlsplit(href).path, *parse_qs(urlsplit(href).query)): (i, href) for i, href in reversed([*enumerate(found)])
    }
    return dict(kinds.values())


@pytest.mark.parametrize("view", OPENED)
def test_every_link_of_a_page_that_a_link_opened_lands_where_it_says(visited: Visit, view: str) -> None:
    here, model = to(view, OPENED[view]), OPENED[view].get("m")
    visited.open(here)
    require_landed(visited, here, None)
    for place, href in links(visited.page).items():
        visited.open(here)
        visited.page.locator(LINK).nth(place).click()
        require_landed(visited, href, model)
        visited.page.go_back()
        require_landed(visited, here, None)
        visited.page.go_forward()
        require_landed(visited, href, model)
        visited.page.reload()
        require_landed(visited, href, model)


@pytest.mark.parametrize("target", [view for view in OPENED if view])
def test_the_top_bar_keeps_the_network_of_a_page_that_a_link_opened(visited: Visit, target: str) -> None:
    start = "model" if target != "model" else "activations"
    visited.open(to(start, OPENED[start]))
    name = TITLES.get(target, target.capitalize())
    group = all_pages()[target].group
    if group:
        visited.page.locator('[data-testid="stTopNavSection"]').filter(has_text=group).click()
    link = "stTopNavDropdownLink" if group else "stTopNavLink"
    visited.page.locator(f'[data-testid="{link}"]').get_by_text(name, exact=True).click()
    require_landed(visited, f"/{target}", OPENED[start]["m"])
    visited.page.reload()
    require_landed(visited, f"/{target}", OPENED[start]["m"])
