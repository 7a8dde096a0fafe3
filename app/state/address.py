"""Page state in the URL, so that a link reproduces the page.

Each session has one `Address`. It is initialised from the link, updated by the widgets, and written back to the browser
at the end of each run. Widgets are not bound to query parameters directly, because Streamlit drops a parameter of a
link to which a widget of the previous page was bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlencode

import streamlit as st

from app.state import access, pages
from app.state.choices import one_of, parse_bool, parse_whole
from app.text.errors import show
from workbench.core.errors import InputError, UnknownNameError, WorkbenchError

STATE, TOUCHED, KEPT = "address", "address touched", "address kept"
ACROSS = ("m",)
"""Choices carried over from the previous page unless the link sets them."""
FULL_NAMES = {"model": "m", "recipe": "r"}
"""Names that a link may be expected to have, and those that it has."""
LATER = ("node", "check", "size", "go", "go-check", "reach", "overview")
"""Choices that pages read only once a result is there."""


@dataclass
class Address:
    """Choices of one page, as text by name.

    Attributes:
        view: Name of the page.
        visit: Number of links followed.
        written: The browser's query.
        chosen: Choices that differ from their default.
        fresh: Choices of the link that no widget has read yet.
        across: Choices carried over from the previous page.
        drawn: Choices of this run with their defaults.
        before: Choices of the previous run with their defaults.
        read: Names of the choices that the page asked for.
        waiting: A result of this run is not available yet.
        notices: Errors of the link, which stay as long as the page waits.
    """

    view: str
    visit: int
    written: dict[str, str]
    chosen: dict[str, str]
    fresh: set[str]
    across: dict[str, str] = field(default_factory=dict)
    drawn: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    before: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    waiting: bool = False
    notices: list[WorkbenchError] = field(default_factory=list)


def begin(view: str) -> bool:
    """Start a run of a page; returns True if the page changed.

    A link, another page or the browser's history replace earlier choices.
    """
    given = {key: value for key, value in st.query_params.to_dict().items() if key != access.TOKEN}
    state, touched = current(), st.session_state.pop(TOUCHED, False)
    moved = state.view != view
    if not moved and (touched or given == state.written):
        state.before, state.drawn = state.before | state.drawn, {}
        repeat_notices(state)
        return False
    for key in (*state.drawn, *state.before):
        st.session_state.pop(key, None)
    across = dict(st.session_state.get(KEPT, {})) if moved else state.across
    fresh = given.keys() - FULL_NAMES.keys()
    st.session_state[STATE] = Address(view, state.visit + 1, given, across | given, fresh, across)
    for name in given.keys() & FULL_NAMES.keys():
        key = FULL_NAMES[name]
        complain(InputError(f"A link has no {name!r}, so it was not used. Write {key}={given[name][:40]}."))
    return moved


def complain(error: WorkbenchError) -> None:
    """Show an error of the link; it is shown again while the page waits for a result."""
    current().notices.append(error)
    show(error)


def repeat_notices(state: Address) -> None:
    """Show the errors of the link again if the page has waited since, else forget them."""
    if not state.waiting:
        state.notices.clear()
    state.waiting = False
    for error in state.notices:
        show(error)


def report_unread() -> None:
    """Show an error for each choice of the link that the page, drawn to its end, did not ask for."""
    state = current()
    known = state.read | state.drawn.keys()
    for name in sorted(state.fresh - known - set(ACROSS) - set(LATER if state.waiting else ())):
        state.fresh.discard(name)
        state.chosen.pop(name, None)
        state.written = {key: text for key, text in state.written.items() if key != name}
        complain(UnknownNameError("choice", name, sorted(known), where=" on this page, so the link's was not used"))


def finish(complete: bool = True) -> None:
    """Write the choices of this run to the browser; those that an incomplete run did not reach are kept.

    An equivalent query is left unchanged, because each change adds an entry to the browser's history.
    """
    state = current()
    query = {} if complete else {key: text for key, text in state.written.items() if key not in state.drawn}
    query |= {key: text for key, (text, usual) in state.drawn.items() if text != usual}
    drawn = {key: text for key, (text, _) in state.drawn.items()}
    if any(state.written.get(key) != text for key, text in query.items()) or any(
        drawn[key] != text for key, text in state.written.items() if key in drawn
    ):
        state.written = query
    if (whole := state.written | access.query()) != st.query_params.to_dict():
        st.query_params.from_dict(whole)


def stop() -> NoReturn:
    """Write the address and end this run of the page."""
    finish(complete=False)
    st.stop()


def current() -> Address:
    """Return the address of this session."""
    if STATE not in st.session_state:
        st.session_state[STATE] = Address("", 0, {}, {}, set())
    return st.session_state[STATE]


def go(view: str, choices: Mapping[str, str]) -> NoReturn:
    """Open a page with these choices."""
    st.switch_page(pages.to_streamlit(pages.all_pages()[view]), query_params=dict(choices) | access.query())


def page_link(view: str, label: str, icon: str, choices: Mapping[str, str] | None = None) -> None:
    """Draw a link to a page with these choices."""
    query = dict(choices or {}) | access.query()
    page = pages.to_streamlit(pages.all_pages()[view])
    st.page_link(page, label=label, icon=f":material/{icon}:", query_params=query)


def remember(key: str, value: Any, usual: Any = None) -> Any:
    """Record a choice for the address, which omits it where it equals `usual`, and return it."""
    state, text, usual = current(), as_text(value), None if usual is None else as_text(usual)
    state.drawn[key] = text, usual
    state.fresh.discard(key)
    if text == usual:
        state.chosen.pop(key, None)
    else:
        state.chosen[key] = text
    if key in ACROSS:
        st.session_state.setdefault(KEPT, {})[key] = text
    return value


def requested(key: str) -> str | None:
    """Return a choice as text before its widget is drawn, or None if it is the default."""
    held = st.session_state.get(key)
    current().read.add(key)
    return current().chosen.get(key) if held is None else as_text(held)


def previous(key: str) -> str | None:
    """Return a choice of the previous run as text, or None in the first run after a link."""
    return current().before.get(key, (None, None))[0]


def visit() -> int:
    """Return the number of links followed. Use it in the key of a component that a new link should reset."""
    return current().visit


def forget(*keys: str) -> None:
    """Reset choices to their defaults in the next run."""
    for key in keys:
        st.session_state.pop(key, None)
        current().chosen.pop(key, None)
    touch()


def put(key: str, value: str) -> None:
    """Set a choice for the next run of the page."""
    st.session_state.pop(key, None)
    state = current()
    state.chosen[key] = value
    state.fresh.discard(key)
    touch()


def touch() -> None:
    """Record that a widget changed, so that the choices are newer than the browser's query."""
    st.session_state[TOUCHED] = True


def as_text(value: Any) -> str:
    """Return a value as text for the address."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def take(key: str, read: Callable[[str], Any], usual: Any) -> Any:
    """Return the value of a widget before it is drawn: from the session, else the link, else `usual`.

    `read` parses text. The error that it raises is shown if the text came from a link; its attribute `nearest`, if
    present, replaces the value.
    """
    state, held = current(), st.session_state.get(key) is not None
    text, value = requested(key), usual
    if held and text == state.before.get(key, (None, None))[1]:
        text = None  # the usual choice, of which there may be another one by now
    if text is not None:
        try:
            value = read(text)
        except WorkbenchError as error:
            value = getattr(error, "nearest", usual)
            if not held and key in state.fresh:
                complain(error)
    if not held or as_text(st.session_state[key]) != as_text(value):
        st.session_state[key] = value
    return value


def choose(
    label: str,
    options: Sequence[str],
    key: str,
    default: str | None = None,
    free: bool | Callable[[str], object] = False,
    kind: str = "",
    help: str | None = None,
) -> str:
    """Draw a select box kept in the address as `key`; with `free` it accepts any text.

    An unknown name in a link shows an error with the nearest valid one; a function as `free` raises for other texts of
    a link that are not valid.
    """
    options = list(options)
    default = default if default in options else options[0]
    typed = st.session_state.get(key) is not None

    def read(text: str) -> str:
        if callable(free) and not typed and text and text not in options:
            free(text)
        return one_of(text, options, default, bool(free), kind or label.lower())

    value = take(key, read, default)
    if value not in options:
        options.append(value)
    chosen = st.selectbox(label, options, key=key, accept_new_options=bool(free), help=help, on_change=touch)
    return remember(key, chosen or default, default)


def number(label: str, low: int, high: int, key: str, default: int, help: str | None = None) -> int:
    """Draw a number field kept in the address; a value beyond the limits is replaced by the nearest valid one."""
    default = min(max(default, low), high)
    take(key, lambda text: parse_whole(text, low, high, default, label), default)
    value = st.number_input(label, low, high, key=key, help=help, on_change=touch)
    return remember(key, value, default)


def scrub(label: str, last: int, key: str) -> int:
    """Draw a slider from 0 to `last`, kept in the address."""
    take(key, lambda text: parse_whole(text, 0, last, 0, label), 0)
    return remember(key, st.slider(label, 0, last, key=key, on_change=touch), 0)


def write(
    label: str, key: str, default: str = "", help: str | None = None, check: Callable[[str], object] = lambda text: None
) -> str:
    """Draw a text field kept in the address; a link's text that `check` refuses is replaced by the default."""

    def read(text: str) -> str:
        check(text)
        return text

    typed = st.session_state.get(key) is not None
    take(key, str if typed else read, default)  # what was typed stays in the box, and the page says what is wrong
    return remember(key, st.text_input(label, key=key, help=help, on_change=touch) or default, default)


def switch(label: str, key: str, default: bool = False, help: str | None = None) -> bool:
    """Draw a toggle kept in the address."""
    take(key, lambda text: parse_bool(text, key, default), default)
    return remember(key, st.toggle(label, key=key, help=help, on_change=touch), default)


def pick(label: str, options: Sequence[str], key: str) -> str:
    """Draw a row of options kept in the address."""
    take(key, lambda text: one_of(text, options, options[0], False, label.lower()), options[0])
    chosen = st.segmented_control(label, options, key=key, required=True, on_change=touch)
    return remember(key, chosen or options[0], options[0])


def link() -> str:
    """Return a link to the page with every choice spelled out."""
    page = (st.context.url or "").partition("?")[0]
    choices = {key: text for key, (text, _) in current().drawn.items() if text}
    return f"{page}?{urlencode(choices)}" if choices else page
