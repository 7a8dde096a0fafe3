"""Choices that live in the address: a link shows whoever opens it the same page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app.errors import show
from workbench.core.errors import InputError, UnknownNameError

STATE, BEFORE = "address", "address before"


def begin() -> None:
    """Starts the address of this run of the page anew."""
    st.session_state[BEFORE] = st.session_state.get(STATE, {})
    st.session_state[STATE] = {}


def go(view: str, choices: Mapping[str, str]) -> None:
    """Opens a page with these choices; runs before any of them is drawn.

    What this page shows already is changed through its widget, the rest through the new page's address: Streamlit
    takes each in one of the two ways alone.
    """
    drawn = st.session_state[BEFORE]
    for key, value in choices.items():
        if key in drawn:
            st.session_state[key] = value
        else:
            st.session_state.pop(key, None)
    st.switch_page(view, query_params={key: value for key, value in choices.items() if key not in drawn})


def remember(key: str, value: Any) -> Any:
    """Notes a choice for the link and gives it back."""
    st.session_state.setdefault(STATE, {})[key] = value
    return value


def choose(
    label: str,
    options: Sequence[str],
    key: str,
    default: str | None = None,
    free: bool = False,
    kind: str = "",
    help: str | None = None,
) -> str:
    """One of `options` (or any text, when `free`), chosen in a box and kept in the address as `key`.

    A name in a link that does not exist is answered with the nearest one that does.
    """
    options = list(options)
    default = default if default in options else options[0]
    settle(key, options, default, free, kind or label.lower())
    value = st.session_state.get(key) or st.query_params.get(key)
    if free and value and value not in options:
        options.append(value)
    chosen = st.selectbox(
        label, options, options.index(default), key=key, accept_new_options=free, help=help, bind="query-params"
    )
    return remember(key, chosen or default)


def settle(key: str, options: Sequence[str], default: str, free: bool, kind: str) -> None:
    """Puts the default in place of a choice that is not to be had, and says so when a link asked for it."""
    asked = st.session_state[key] if key in st.session_state else st.query_params.get(key)
    if free or asked is None or asked in options:
        return
    if key not in st.session_state:
        show(UnknownNameError(kind, asked, options, where=", which the link asks for"))
    st.session_state[key] = default


def number(label: str, low: int, high: int, key: str, default: int, help: str | None = None) -> int:
    """A whole number kept in the address."""
    if not low <= st.session_state.get(key, default) <= high:
        st.session_state[key] = min(max(st.session_state[key], low), high)
    value = st.number_input(label, low, high, min(max(default, low), high), key=key, help=help, bind="query-params")
    return remember(key, value)


def scrub(label: str, last: int, key: str) -> int:
    """A place from 0 to `last` on a slider, kept in the address; one that a link asks for beyond them is refused."""
    asked = st.query_params.get(key)
    if key not in st.session_state and asked is not None and not (asked.isdecimal() and int(asked) <= last):
        show(InputError(f"There is no {label.lower()} {asked}: they go from 0 to {last}. Shown is the nearest."))
        st.session_state[key] = 0 if asked.startswith("-") or not asked.isdecimal() else last
    if st.session_state.get(key, 0) > last:
        st.session_state[key] = last
    return remember(key, st.slider(label, 0, last, 0, key=key, bind="query-params"))


def write(label: str, key: str, default: str = "", help: str | None = None) -> str:
    """A line of text kept in the address."""
    return remember(key, st.text_input(label, default, key=key, help=help, bind="query-params") or default)


def switch(label: str, key: str, default: bool = False, help: str | None = None) -> bool:
    """Yes or no, kept in the address."""
    return remember(key, st.toggle(label, default, key=key, help=help, bind="query-params"))


def pick(label: str, options: Sequence[str], key: str) -> str:
    """One of a few options side by side, kept in the address."""
    settle(key, options, options[0], False, label.lower())
    chosen = st.segmented_control(label, options, default=options[0], key=key, required=True, bind="query-params")
    return remember(key, chosen or options[0])


def link() -> str:
    """The address of the page as it is now, every choice spelled out."""
    page = (st.context.url or "").partition("?")[0]
    choices = {key: str(value) for key, value in st.session_state.get(STATE, {}).items()}
    return f"{page}?{urlencode(choices)}" if choices else page
