import json
from pathlib import Path

import pytest

from workbench.checkpoints.store import load
from workbench.cli import status


@pytest.mark.parametrize("name", ["digits", "text", "policy"])
def test_a_model_is_shown_with_its_card_hooks_and_graph(
    name: str, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(["show", name, "--json"]) == 0
    shown, model = json.loads(capsys.readouterr().out), load(name)
    assert shown["card"]["parameters"] == sum(p.numel() for p in model.parameters())
    assert {hook["hook"] for hook in shown["hooks"]} == set(model.trace())
    assert shown["graph"]["edges"] == model.graph().n_edges
    assert status(["show", name]) == 0
    text = capsys.readouterr().out
    assert f"{model.graph().n_edges:,} edges" in text and all(hook in text for hook in model.trace())
