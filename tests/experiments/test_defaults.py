from pathlib import Path

import pytest

from workbench.checkpoints.store import load
from workbench.core.errors import InputError
from workbench.experiments.defaults import PAIRS, default_corrupted, default_inputs, presets
from workbench.experiments.inputs import read_inputs


@pytest.mark.parametrize("name", ["digits", "text", "policy"])
def test_every_preset_is_a_clean_and_a_different_corrupted_batch_of_one_shape(workspace: Path, name: str) -> None:
    model = load(name)
    for preset in presets(name):
        if preset.inputs in ("rollout:1:16", "rollout:2:16"):
            continue
        steps = (lambda text: text.replace(":16", ":4")) if name == "policy" else str  # the tiny policy soon falls
        clean = read_inputs(steps(preset.inputs), model)
        corrupted = read_inputs(steps(preset.corrupted), model, clean)
        assert not (clean.inputs == corrupted.inputs).flatten(1).all(1).any()


def test_prompts_differ_only_in_what_the_answer_depends_on() -> None:
    assert all(len(clean) == len(other) and clean != other for clean, other in PAIRS)


def test_a_model_of_characters_is_first_asked_for_a_letter(workspace: Path) -> None:
    assert default_inputs("text").startswith("text:The king is dead")


def test_other_inputs_have_their_usual_corruption_too(workspace: Path) -> None:
    assert default_corrupted("digits", "test:5:9") == "other:0"
    assert default_corrupted("policy", "rollout:7:3:5") == "rollout:8:3:5"
    assert default_corrupted("text", "text:ab||cd||ef") == "text:cd||ef||ab"


def test_a_single_prompt_needs_to_be_told_what_corrupts_it(workspace: Path) -> None:
    with pytest.raises(InputError, match="would corrupt 'text:ab'"):
        default_corrupted("text", "text:ab")
