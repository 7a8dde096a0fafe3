"""Tests that user text reaches a page only escaped, and that escaped text is inert."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.escaping import JOINER, code, escape

APP = Path(__file__).parents[3] / "app"
MARKDOWN = {
    "markdown": 1, "caption": 1, "info": 1, "error": 1, "warning": 1, "success": 1, "title": 1, "header": 1,
    "subheader": 1, "metric": 2, "expander": 1, "popover": 1, "button": 1, "download_button": 1, "page_link": 2,
    "toast": 1, "spinner": 1, "toggle": 1, "checkbox": 1, "selectbox": 1, "number_input": 1, "text_input": 1,
    "text_area": 1, "slider": 1, "segmented_control": 1, "tabs": 1, "write": 1, "status": 1, "file_uploader": 1,
    "choose": 1, "number": 1, "scrub": 1, "switch": 1, "pick": 1,
}  # fmt: skip
"""Calls that read Markdown, with the number of leading arguments that do."""
KEYWORDS = {"help", "caption", "text", "label", "body"}
SAFE = {"escape", "code", "prose", "short", "amount", "measured", "len", "int", "float", "min", "max", "sum", "method"}
"""Functions whose result is safe in Markdown: escaped, or a number. `method` is a line of Markdown made of these."""


def calls() -> Iterator[tuple[str, ast.Call, str, set[str]]]:
    """Every call of the app's source with the name of what it calls, and the constants of its file."""
    for path in sorted(APP.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name) and target.id.isupper()
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and path.name != "address.py":  # whose callers are looked at instead
                where = f"{path.relative_to(APP.parent)}:{node.lineno}"
                yield where, node, ast.unparse(node.func).rpartition(".")[2], constants


def is_safe(node: ast.expr, constants: set[str]) -> bool:
    """Whether an expression is Markdown that holds no text of a user as it came."""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.JoinedStr):
        return all(is_safe(part, constants) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return is_number(node.format_spec) or is_safe(node.value, constants)
    if isinstance(node, ast.IfExp):
        return is_safe(node.body, constants) and is_safe(node.orelse, constants)
    if isinstance(node, ast.BoolOp):
        return all(is_safe(part, constants) for part in node.values)
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Name) and node.value.id in constants
    if isinstance(node, ast.Name):
        return node.id in constants
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        joined = name == "join" and isinstance(node.args[0], ast.GeneratorExp)
        return name in SAFE or (joined and is_safe(node.args[0].elt, constants))  # type: ignore[attr-defined]
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Mult | ast.Div)


def is_number(spec: ast.expr | None) -> bool:
    """Whether a format specification is one that only numbers take."""
    text = ast.unparse(spec).strip("f'\"") if spec is not None else ""
    return bool(re.fullmatch(r"[,+]?(\.\d+)?[defg%]?", text)) and text != ""


def arguments(node: ast.Call, name: str) -> Iterator[ast.expr]:
    """The arguments of a call that are read as Markdown."""
    if name not in MARKDOWN and name not in ("image", "progress"):
        return
    if name in ("write", "number", "title") and not ast.unparse(node.func).startswith(("st.", "address.")):
        return
    yield from node.args[name == "page_link" : MARKDOWN.get(name, 0)]  # a link's first argument is the page
    yield from (word.value for word in node.keywords if word.arg in KEYWORDS)


MARKUP = {
    "body", "chip", "training", "symbol", "line", "bar", "big", "inside", "row", "drawing", "label", "images", "cards",
    "small", "lines", "spans", "maps", "as_png", "cart_drawing", "image_tag", "card", "parts", "visible_spaces",
    "write_score", "verdict", "kind", "decode",
}  # fmt: skip
"""Names of the app's own functions and variables that hold HTML made of escaped text."""
LOOKS = {"colour", "fill", "columns", "places", "COLUMNS", "at", "top", "stroke"}
"""Names of colours, lengths and places."""


def is_markup(node: ast.expr, constants: set[str]) -> bool:
    """Whether an expression in a piece of HTML is escaped, a number or HTML itself."""
    if isinstance(node, ast.FormattedValue):
        return is_number(node.format_spec) or is_markup(node.value, constants)
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.JoinedStr):
        return all(is_markup(part, constants) for part in node.values)
    if isinstance(node, ast.IfExp):
        return is_markup(node.body, constants) and is_markup(node.orelse, constants)
    if isinstance(node, ast.Name):
        return node.id in MARKUP | LOOKS | constants
    name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    if name.endswith(".join"):
        return True  # of pieces that are looked at where they are made
    return name in ("html.escape", "quote", "format_value") or name.rpartition(".")[2] in MARKUP | (
        SAFE - {"escape", "code"}
    )


def test_no_page_builds_html_of_text_that_was_not_escaped() -> None:
    wrong = []
    for path in sorted(APP.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            pieces = [part.value for part in getattr(node, "values", []) if isinstance(part, ast.Constant)]
            if isinstance(node, ast.JoinedStr) and re.search(r"</?[a-z]", "".join(map(str, pieces))):
                values = [part for part in node.values if not is_markup(part, set())]
                wrong += [f"{path.name}:{node.lineno}: {ast.unparse(part)}" for part in values]
    assert not wrong, "\n".join(wrong)


HOSTILE = (
    "www.evil.example", "https://evil.example/x", "a@evil.example", "![p](https://evil.example/p.png)",
    "[l](javascript:alert(1))", "<img src=//evil.example/p.png>", ":red[x]", "$x^2$", ":streamlit:", ":material/home:",
    "`` ` ``", "# h", "1. l", "***", "| a |\n|---|", "~~~\ncode\n~~~", "    indented", "\u202eevil", "\x00\x1b[31m",
    "&lt;b&gt;", "[^1]: x", "<https://evil.example>", "\\", ":blue-badge[x]",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_every_mark_is_escaped_and_nothing_else_is_changed(text: str) -> None:
    shown = escape(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[!-/:-@[-`{-~]", re.sub(r"\\[!-/:-@[-`{-~]", "", shown))
    plain = re.sub(r"\\([!-/:-@[-`{-~])", r"\1", shown).replace(JOINER, "").replace("\u00a0", " ")
    assert plain == re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]", "\ufffd", text)


@given(st.text())
def test_code_ends_where_the_text_ends(text: str) -> None:
    shown = code(text)
    fence = re.match("`+", shown)[0]  # type: ignore[index]
    inside = shown[len(fence) : -len(fence)]
    assert shown.endswith(fence) and fence not in re.findall("`+", inside) and "\n" not in inside


def test_what_streamlit_would_make_a_link_of_is_broken_up() -> None:
    for text in ("www.evil.example", "http://evil.example", "HTTPS://evil.example", "me@evil.example", ":streamlit:"):
        assert JOINER in escape(text)
    assert JOINER not in escape("test:0:16 blocks.0.hook_post[unit=3] --inputs text:a=>b")


def test_no_page_shows_text_as_markdown_that_was_not_escaped() -> None:
    wrong = [
        f"{where}: {ast.unparse(argument)}"
        for where, node, name, constants in calls()
        for argument in arguments(node, name)
        if not is_safe(argument, constants)
    ]
    assert not wrong, "\n".join(wrong)
