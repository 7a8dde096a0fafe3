"""Tests of strict parsing of user input, with one error message of one sentence for each mistake."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workbench.core.errors import ConfigError, InputError, WorkbenchError, short
from workbench.core.reading import integer, read_file, read_json, read_text, read_toml, whole


@example(2**63 - 1)
@given(st.integers(0, 2**63 - 1))
def test_a_whole_number_is_read_as_python_writes_it(number: int) -> None:
    assert whole(str(number)) == integer(str(number)) == number
    assert integer(str(-number)) == -number


@pytest.mark.parametrize("text", ["", " 1", "1 ", "+1", "1_000", "٣", "²", "1.0", "0x1", str(2**63), "9" * 5000, "--1"])
def test_other_spellings_of_a_number_are_none(text: str) -> None:
    assert whole(text) is None and integer(text) is None and whole("-1") is None


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert read_toml(tmp_path / "a.toml") == {"a": 1} and read_text(tmp_path / "a.toml") == "a = 1\n"
    assert read_json('\ufeff{"a": 1}', "it") == {"a": 1}


@pytest.mark.parametrize(
    "text", [f"a = {'[' * 5000}{']' * 5000}", f"{'a.' * 5000}b = 1", f"a = {'9' * 5000}", "a", "\0", "a = 1\na = 2"]
)
def test_toml_that_cannot_be_read_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigError, match="is not TOML") as caught:
        read_toml(tmp_path / "a.toml")
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[" * 5000, "[" * 200 + "]" * 200, "9" * 5000])
def test_json_that_cannot_be_read_is_one_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="A circuit is not JSON"):
        read_json(text, "A circuit")


@pytest.mark.parametrize("path", ["a" * 300, "a\0b", "\udc80", "~nobody-is-called-so/a", "a/b/c", "", "/dev/zero", "."])
def test_a_path_that_leads_to_no_file_is_one_sentence(path: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Give the path of a picture") as caught:
        read_file(path, 1000, "picture")
    assert len(str(caught.value)) < 500


def test_a_pipe_an_unreadable_and_a_large_file_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is a pipe, not a file"):
        read_file(tmp_path / "pipe", 1000)
    (tmp_path / "large").write_bytes(bytes(1001))
    with pytest.raises(InputError, match="1,001 bytes, but a file may have 1,000"):
        read_file(tmp_path / "large", 1000)
    (tmp_path / "text").write_text("a" * 16_000_000)
    assert len(read_text(tmp_path / "text")) == 16_000_000
    (tmp_path / "text").write_text("a" * 16_000_001)
    with pytest.raises(InputError, match="16,000,001 bytes, but a text file may have 16,000,000"):
        read_text(tmp_path / "text")
    (tmp_path / "latin").write_bytes("é".encode("latin-1"))
    with pytest.raises(ConfigError, match="not text in UTF-8"):
        read_text(tmp_path / "latin")


@given(st.one_of(st.integers(), st.text(), st.binary(), st.lists(st.text()), st.just("x" * 10**6), st.just(10**5000)))
def test_a_value_in_a_message_is_short(value: object) -> None:
    assert len(short(value)) < 2000 and issubclass(ConfigError, WorkbenchError)
