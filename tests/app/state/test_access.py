"""Tests of access to the dashboard, with and without a token."""

from __future__ import annotations

import hmac
from collections.abc import Iterator

import pytest
import streamlit as st
from streamlit import config
from streamlit.testing.v1 import AppTest

from app.state import access
from tests.app.pages import open_page
from workbench.cli.dashboard import TOKEN_VARIABLE

TOKEN = "a-token-of-this-test"


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that listens on every address."""
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    config.set_option("server.address", "0.0.0.0")
    st.cache_resource.clear()
    yield
    config.set_option("server.address", "localhost")
    st.cache_resource.clear()


def visit(view: str = "model", **choices: str) -> AppTest:
    return open_page(view, choices)


def refused(page: AppTest) -> bool:
    assert not page.exception
    return not page.selectbox and any("asks for a token" in box.value for box in page.info)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        (None, False), ("", False), ("0.0.0.0", False), ("::", False), ("192.168.1.5", False), ("example.org", False),
        ("localhost.evil.example", False), ("127.0.0.1.evil.example", False), ("localhost", True), ("127.0.0.1", True),
        ("127.8.9.1", True), ("::1", True), ("unix:///tmp/workbench.sock", True),
    ],
)  # fmt: skip
def test_an_address_is_of_this_machine_or_of_all(address: str | None, local: bool) -> None:
    assert access.is_local(address) is local


def test_a_page_without_its_token_shows_nothing(shared: None) -> None:
    assert (
        refused(visit()) and refused(visit(token="")) and refused(visit(token=TOKEN[:-1])) and refused(visit(token="é"))
    )
    assert refused(visit("runs")) and refused(visit("home"))


def test_the_link_with_the_token_opens_the_page_and_its_links_hold_it(shared: None) -> None:
    page = visit(token=TOKEN, m="shapes_cnn")
    assert not page.exception and not refused(page) and page.selectbox[0].value == "shapes_cnn"
    assert page.query_params["token"] == TOKEN and page.query_params["m"] == "shapes_cnn"
    assert all("token" in link.proto.query_string for link in page.get("page_link"))
    shown = next(block.value for block in page.code if "m=shapes_cnn" in block.value)
    assert TOKEN not in shown  # a link for others is shared without the key to the door
    assert not refused(page.run())


def test_the_token_can_be_typed(shared: None) -> None:
    page = visit()
    page = page.text_input[0].set_value("wrong").run()
    assert refused(page) and any("not the token" in box.value for box in page.error)
    page = page.text_input[0].set_value(TOKEN).run()
    assert not refused(page) and page.query_params["token"] == TOKEN


def test_a_server_started_without_a_token_makes_one_and_logs_it(
    shared: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE)
    st.cache_resource.clear()
    assert refused(visit())
    made = access.token()
    assert len(made) >= 32 and made == access.token() and made in caplog.text


def test_tokens_are_compared_in_constant_time(shared: None, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    plain = hmac.compare_digest

    def compare(given: bytes, right: bytes) -> bool:
        compared.append(given)
        return plain(given, right)

    monkeypatch.setattr(access.hmac, "compare_digest", compare)
    assert not access.matches("x") and access.matches(TOKEN) and compared == [b"x", TOKEN.encode()]


def test_a_page_of_this_machine_asks_for_nothing() -> None:
    page = visit(m="shapes_cnn")
    assert page.selectbox and "token" not in page.query_params
