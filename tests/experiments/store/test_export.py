"""Tests of exported results: CSV, JSON, Parquet and web pages."""

import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
import torch

from workbench.core.errors import CheckpointError, UnknownNameError
from workbench.experiments.questions.spec import Spec
from workbench.experiments.run import run
from workbench.experiments.store.export import FORMATS, export, format_of, render
from workbench.experiments.store.results import ResultStore


@pytest.fixture
def key(workspace: Path) -> str:
    spec = Spec("digits", "share", "test:0:4", parameters={"factor": 2.0})
    run(spec)
    return spec.key


def decode_tales(content: bytes, to: str) -> pd.DataFrame:
    if to == "json":
        return pd.DataFrame(json.loads(content)["rows"])
    return pd.read_csv(io.BytesIO(content)) if to == "csv" else pd.read_parquet(io.BytesIO(content))


@pytest.mark.parametrize("to", ["csv", "json", "parquet"])
def test_a_file_holds_the_numbers_of_the_result(key: str, to: str) -> None:
    store = ResultStore()
    rows = decode_tales(render(key, to, store), to)
    torch.testing.assert_close(torch.tensor(rows["value"].to_list()), store.get(key).value, rtol=1e-6, atol=1e-6)


def test_json_says_what_was_asked_and_how_it_was_computed(key: str) -> None:
    about = json.loads(render(key, "json", ResultStore()))
    assert about["key"] == key and about["spec"]["parameters"]["factor"] == 2.0 and about["provenance"]["python"]


def test_a_web_page_loads_nothing(key: str) -> None:
    page = render(key, "html", ResultStore()).decode()
    assert "<html" in page and not re.search(r"<(script|link|img)[^>]*(src|href)=", page)


@pytest.mark.parametrize("to", FORMATS)
def test_a_file_is_written_under_the_beginning_of_its_key(key: str, to: str, workspace: Path) -> None:
    path = workspace / "new" / f"result.{to}"
    assert export(key[:8], to, path) == path and path.stat().st_size > 0 and format_of(path) == to


def test_an_unknown_format_and_key_are_errors(key: str, workspace: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'parquet'"):
        export(key, "parqet", workspace / "x")
    with pytest.raises(UnknownNameError, match="ending of x.txt"):
        format_of(Path("x.txt"))
    with pytest.raises(UnknownNameError, match="stored result"):
        export("nothing", "csv", workspace / "x.csv")


def test_a_folder_that_cannot_be_written_is_an_error_and_keeps_the_result(key: str) -> None:
    with pytest.raises(CheckpointError, match="Cannot write"):
        export(key, "csv", Path("/proc/nowhere/x.csv"))
    assert ResultStore().has(key)
