"""Every page opens on networks that were added."""

from __future__ import annotations

import os
import sys

import pytest

from app.state import pages
from tests.app.pages import Open, clean, said_by, value
from workbench.checkpoints.card import models_folder
from workbench.experiments.adding import add

SOURCE = """
import torch

def policy():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2))

def pictures():
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 16, 3)
    return torch.nn.Sequential(*layers), torch.rand(4, 3, 6, 6)

def words():
    torch.manual_seed(0)
    class Words(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.read = torch.nn.Embedding(9, 4), torch.nn.Linear(4, 9)

        def forward(self, ids):
            return self.read(self.embed(ids).tanh())

    return Words(), torch.arange(12).reshape(3, 4) % 9
"""
ADDED = {"a_policy": "CartPole-v1", "pictures": "", "words": ""}


@pytest.fixture(autouse=True)
def foreign(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest trained network and three that were added."""
    folder = tmp_path_factory.getbasetemp() / "networks beside ours"
    source = folder / "added_networks.py"
    committed = models_folder()
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("WORKBENCH_MODELS", str(folder / "models"))
    if not source.exists():
        (folder / "models").mkdir(parents=True)
        os.symlink(committed / "digits_mlp", folder / "models" / "digits_mlp")
        source.write_text(SOURCE)
        for name, data in ADDED.items():
            add(name, f"{source}:{name.removeprefix('a_')}", data, run_code=True)


@pytest.mark.slow
@pytest.mark.parametrize("model", ADDED)
def test_every_page_opens_or_says_why_not(opened: Open, model: str) -> None:
    for view in pages.all_pages():
        page = opened(view, m=model)
        assert not page.exception, (view, page.exception[0])
        for box in page.error:
            assert "error of the workbench" not in said_by(box) and said_by(box).endswith((".", "?", ")")), view


def test_the_page_of_a_foreign_network_says_so(opened: Open) -> None:
    page = clean(opened("model", m="pictures"))
    assert value(page, "Model") == "pictures"
    assert any("Foreign" in element.proto.body for element in page.get("html"))
    shown = [table.value.to_string() for table in page.dataframe]
    assert shown and not any("added_networks.py'" in text or "'root'" in text for text in shown)
