"""Tests of the file of preferences: round trip, order, side bias and errors by line."""

from pathlib import Path

import pytest

from workbench.core.errors import DataError
from workbench.data.text.preferences import Preference, append, left_share, read


def preference(chosen: str = "left", pair: int = 0) -> Preference:
    return Preference("Tell of Ada.", "one", "tw\u00f6", chosen, False, "tales_gpt", pair, 0, "me")  # type: ignore[arg-type]


def test_what_was_written_is_read_in_order(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "labels.jsonl"
    assert read(file) == []
    kept = [preference(pair=i) for i in range(3)]
    for one in kept:
        append(file, one)
    assert read(file) == kept
    assert len(file.read_text().splitlines()) == 3


def test_a_text_may_hold_every_kind_of_line_end(tmp_path: Path) -> None:
    kept = Preference("Tell.", "a\u2028b\u0085c\x0bd\re", "f\ng", "left", False, "tales_gpt", 0, 0, "me")
    append(tmp_path / "labels.jsonl", kept)
    assert read(tmp_path / "labels.jsonl") == [kept]


def test_the_better_text_comes_first_wherever_it_stood() -> None:
    assert preference("left").ordered == ("one", "tw\u00f6")
    assert preference("right").ordered == ("tw\u00f6", "one")
    assert preference("equal").ordered is None


def test_a_liking_for_one_side_shows() -> None:
    assert left_share([preference(c) for c in ("left", "left", "right", "left", "equal")]) == 0.75
    assert left_share([preference("equal")]) is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("not json", "line 2 is no preference"),
        ('{"prompt": "p"}', "line 2 is no preference"),
        ('{"prompt": "p", "left": "a", "right": "b", "chosen": "both", "swapped": true, "model": "m", "pair": 0, '
         '"seed": 0, "annotator": "x"}', "chosen is 'both'. Write one of left, right, equal"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_preference_is_named(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "labels.jsonl"
    append(file, preference())
    with file.open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(DataError, match=said):
        read(file)


@pytest.mark.parametrize("prompt", ["Tell of Ada.\nTell of Tom.", "", " \n"])
def test_a_prompt_of_several_lines_or_none_is_refused_with_its_line(tmp_path: Path, prompt: str) -> None:
    path = tmp_path / "labels.jsonl"
    append(path, preference())
    text = path.read_text()
    path.write_text(text + text.replace("Tell of Ada.", prompt.replace("\n", "\\n")))
    with pytest.raises(DataError, match=r"line 2 is no preference: The prompt .* has [02] lines"):
        read(path)


def test_a_value_of_another_type_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    append(path, preference())
    path.write_text(path.read_text().replace('"left": "one"', '"left": 3'))
    with pytest.raises(DataError, match=r"line 1 is no preference: 'left' of Preference should be text, not 3"):
        read(path)
