"""Choices kept in the address: a link shows the same page to whoever opens it.

A page keeps its choices in one `Address` per session. It starts from the link that opened the page, follows the
reader's widgets, and is written back to the browser at the end of each run. Widgets are filled from it and are not
bound to the query themselves: Streamlit drops a parameter of a link that a widget of the page before was bound to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Any, NoReturn
from urllib.parse import urlencode

import streamlit as st

from app.state import access, pages
from app.text.errors import show
from workbench.core.errors import InputError, UnknownNameError, WorkbenchError

STATE, TOUCHED, KEPT = "address", "address touched", "address kept"
ACROSS = ("m",)
"""Choices that a page without them in its link takes over from the page before."""


@dataclass
class Address:
    """The choices of one page, by name and as text.

    `visit` counts the links followed, `written` is the browser's query, `fresh` are choices of the link that were not
    looked at yet, and `across` what is taken over from the page before where a link says nothing of it. `drawn` holds
    each choice of this run beside its usual value, `before` those of the run before.
    """

    view: str
    visit: int
    written: dict[str, str]
    chosen: dict[str, str]
    fresh: set[str]
    across: dict[str, str] = field(default_factory=dict)
    drawn: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    before: dict[str, tuple[str, str | None]] = field(default_factory=dict)


def begin(view: str) -> bool:
    """Start a run of a page and tell whether it is another page than before.

    A link, another page or the browser's history replace the choices made before.
    """
    given = {key: value for key, value in st.query_params.to_dict().items() if key != access.TOKEN}
    state, touched = current(), st.session_state.pop(TOUCHED, False)
    moved = state.view != view
    if not moved and (touched or given == state.written):
        state.before, state.drawn = state.before | state.drawn, {}
        return False
    for key in (*state.drawn, *state.before):
        st.session_state.pop(key, None)
    across = dict(st.session_state.get(KEPT, {})) if moved else state.across
    st.session_state[STATE] = Address(view, state.visit + 1, given, across | given, set(given), across)
    return moved


def finish(complete: bool = True) -> None:
    """Write the choices of this run to the browser; those that an incomplete run did not reach stay as they are.

    A query that says the same in other words is left alone, because the browser's history keeps each that is written.
    """
    state = current()
    told = {} if complete else {key: text for key, text in state.written.items() if key not in state.drawn}
    told |= {key: text for key, (text, usual) in state.drawn.items() if text != usual}
    drawn = {key: text for key, (text, _) in state.drawn.items()}
    if any(state.written.get(key) != text for key, text in told.items()) or any(
        drawn[key] != text for key, text in state.written.items() if key in drawn
    ):
        state.written = told
    if (query := state.written | access.query()) != st.query_params.to_dict():
        st.query_params.from_dict(query)


def stop() -> NoReturn:
    """End this run of the page here."""
    finish(complete=False)
    st.stop()


def current() -> Address:
    """The address of this session's page."""
    if STATE not in st.session_state:
        st.session_state[STATE] = Address("", 0, {}, {}, set())
    return st.session_state[STATE]


def go(view: str, choices: Mapping[str, str]) -> NoReturn:
    """Open a page with these choices."""
    st.switch_page(pages.to_streamlit(pages.all_pages()[view]), query_params=dict(choices) | access.query())


def page_link(view: str, label: str, icon: str, choices: Mapping[str, str] | None = None) -> None:
    """A link to a page with these choices; it also opens in a window of its own."""
    query = dict(choices or {}) | access.query()
    page = pages.to_streamlit(pages.all_pages()[view])
    st.page_link(page, label=label, icon=f":material/{icon}:", query_params=query)


def remember(key: str, value: Any, usual: Any = None) -> Any:
    """Note a choice for the address, which leaves `usual` out, and return it."""
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
    """The text of a choice, of the reader or the link, before its widget is drawn; None where it is the usual one."""
    held = st.session_state.get(key)
    return current().chosen.get(key) if held is None else as_text(held)


def previous(key: str) -> str | None:
    """The text of a choice in the run before this one; None where this is the first since the link."""
    return current().before.get(key, (None, None))[0]


def visit() -> int:
    """The number of links followed; a component whose key holds it forgets its state when the next one is opened."""
    return current().visit


def forget(*keys: str) -> None:
    """Let choices go back to what is usual when the page is drawn next."""
    for key in keys:
        st.session_state.pop(key, None)
        current().chosen.pop(key, None)
    touch()


def put(key: str, value: str) -> None:
    """Make a choice for the next run of the page."""
    st.session_state.pop(key, None)
    state = current()
    state.chosen[key] = value
    state.fresh.discard(key)
    touch()


def touch() -> None:
    """Note that the reader changed something, so that the browser's query is older than the choices."""
    st.session_state[TOUCHED] = True


def as_text(value: Any) -> str:
    """A value as the address spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def take(key: str, read: Callable[[str], Any], usual: Any) -> Any:
    """The value of a widget that is about to be drawn: of the reader, else of the link, else `usual`.

    `read` turns a text into a value. It raises for one that cannot be used, whose sentence is shown when a link asked
    for it, and may carry the nearest one that can as `error.nearest`.
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
                show(error)
    if not held or as_text(st.session_state[key]) != as_text(value):
        st.session_state[key] = value
    return value


def refuse(error: WorkbenchError, nearest: Any) -> NoReturn:
    """Raise an error that carries the nearest value that can be used."""
    error.nearest = nearest  # type: ignore[attr-defined]
    raise error


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
    value = take(key, lambda text: one_of(text, options, default, free, kind or label.lower()), default)
    if value not in options:
        options.append(value)
    chosen = st.selectbox(label, options, key=key, accept_new_options=free, help=help, on_change=touch)
    return remember(key, chosen or default, default)


def one_of(text: str, options: Sequence[str], default: str, free: bool, kind: str) -> str:
    """The text, when it is one of the options or any text will do."""
    if text in options or (free and text):
        return text
    refuse(UnknownNameError(kind, text, options, where=", which the link asks for"), default)


def number(label: str, low: int, high: int, key: str, default: int, help: str | None = None) -> int:
    """A whole number kept in the address; one beyond the limits gives way to the nearest."""
    default = min(max(default, low), high)
    take(key, lambda text: parse_whole(text, low, high, default, label), default)
    value = st.number_input(label, low, high, key=key, help=help, on_change=touch)
    return remember(key, value, default)


def scrub(label: str, last: int, key: str) -> int:
    """A place from 0 to `last` on a slider, kept in the address."""
    take(key, lambda text: parse_whole(text, 0, last, 0, label), 0)
    return remember(key, st.slider(label, 0, last, key=key, on_change=touch), 0)


def parse_whole(text: str, low: int, high: int, default: int, label: str) -> int:
    """The whole number from `low` to `high` that a text spells."""
    try:
        value = float(text) if len(text) <= 40 else float("nan")
    except ValueError:
        value = float("nan")
    if value.is_integer() and low <= value <= high:
        return int(value)
    nearest = default if isnan(value) else low if value < low else high if value > high else round(value)
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    refuse(
        InputError(f"There is no {label.lower()} {shown}: it goes from {low} to {high}. Taken is {nearest}."), nearest
    )


def write(
    label: str, key: str, default: str = "", help: str | None = None, check: Callable[[str], object] = lambda text: None
) -> str:
    """A line of text kept in the address; one of a link that `check` refuses gives way to the default."""

    def read(text: str) -> str:
        check(text)
        return text

    typed = st.session_state.get(key) is not None
    take(key, str if typed else read, default)  # what was typed stays in the box, and the page says what is wrong
    return remember(key, st.text_input(label, key=key, help=help, on_change=touch) or default, default)


def switch(label: str, key: str, default: bool = False, help: str | None = None) -> bool:
    """Yes or no, kept in the address."""
    take(key, lambda text: parse_bool(text, key, default), default)
    return remember(key, st.toggle(label, key=key, help=help, on_change=touch), default)


def parse_bool(text: str, key: str, default: bool) -> bool:
    """The truth value that a text spells."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    refuse(InputError(f"{key!r} is true or false and not {text[:40]!r}, which the link asks for."), default)


def pick(label: str, options: Sequence[str], key: str) -> str:
    """One of a few options side by side, kept in the address."""
    take(key, lambda text: one_of(text, options, options[0], False, label.lower()), options[0])
    chosen = st.segmented_control(label, options, key=key, required=True, on_change=touch)
    return remember(key, chosen or options[0], options[0])


def link() -> str:
    """The address of the page as it is now, every choice spelled out."""
    page = (st.context.url or "").partition("?")[0]
    choices = {key: text for key, (text, _) in current().drawn.items() if text}
    return f"{page}?{urlencode(choices)}" if choices else page
