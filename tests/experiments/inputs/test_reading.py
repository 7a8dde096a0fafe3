"""Tests of input texts read into batches, for images, prompts, windows and episodes."""

from pathlib import Path

import gymnasium
import pytest
import torch
from PIL import Image

from workbench.checkpoints.store import load
from workbench.core.errors import InputError, UnknownNameError
from workbench.core.hooked import HookedModel
from workbench.core.registry import DATASETS
from workbench.data.text.text_data import TextData
from workbench.experiments.inputs.reading import read_inputs
from workbench.experiments.modalities.text import first_tokens
from workbench.experiments.store.data_contents import forget


@pytest.fixture
def digits(workspace: Path) -> HookedModel:
    return load("digits")


@pytest.fixture
def text(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> HookedModel:
    data = TextData("tiny_shakespeare", "ab" * 400, "the cat sat. " * 50, "", "", "")
    monkeypatch.setitem(DATASETS._items, "tiny_shakespeare", lambda: data)
    forget()
    yield load("text")
    forget()


@pytest.fixture
def policy(workspace: Path) -> HookedModel:
    return load("policy")


def test_rows_are_those_of_the_models_own_data(digits: HookedModel) -> None:
    data, batch = DATASETS["digits"](), read_inputs("test:3:7", digits)
    torch.testing.assert_close(batch.inputs, data.test_inputs[3:7])
    assert batch.targets.tolist() == data.test_targets[3:7].tolist() == [int(label) for label in batch.labels]
    torch.testing.assert_close(read_inputs("train:5", digits).inputs, data.train_inputs[5:6])
    assert len(read_inputs("test::", digits).inputs) == len(data.test_inputs)


@pytest.mark.parametrize("text", ["test:class=3:0:5", "train:class=3:2:"])
def test_rows_of_one_class_are_of_that_class(digits: HookedModel, text: str) -> None:
    assert set(read_inputs(text, digits).labels) == {"3"}


def test_other_classes_differ_from_each_clean_example(digits: HookedModel) -> None:
    clean = read_inputs("test:0:50", digits)
    other = read_inputs("other:0", digits, clean)
    assert (other.targets != clean.targets).all()
    torch.testing.assert_close(other.inputs, read_inputs("other:0", digits, clean).inputs)
    assert not torch.equal(other.inputs, read_inputs("other:1", digits, clean).inputs)


def test_a_picture_becomes_what_the_network_takes(digits: HookedModel, workspace: Path) -> None:
    Image.new("L", (8, 8), 255).save(workspace / "white.png")
    Image.new("RGB", (30, 20), "white").save(workspace / "large.png")
    batch = read_inputs(f"file:{workspace / 'white.png'}", digits)
    torch.testing.assert_close(batch.inputs, torch.ones(1, 64))
    assert batch.targets is None and batch.labels == ("white.png",)
    torch.testing.assert_close(read_inputs(f"fitted:{workspace / 'large.png'}", digits).inputs, torch.ones(1, 64))
    clean = read_inputs("other:0", digits, batch)  # without a label, the model's own choice is the class
    assert clean.targets.item() != digits(batch.inputs).argmax().item()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("test:0:9999", "has 359. Choose a range inside 0:359"),
        ("test:7:7", "do not exist"),
        ("test:three", "no range of rows"),
        ("test:-1:3", "no range of rows"),
        ("test::class=3", "no range of rows"),
        ("other:0", "cannot stand alone"),
        ("file:nowhere.png", "cannot be read .No such file"),
        ("rollout:0:3", "inputs are of kind 'image'"),
    ],
)
def test_inputs_that_are_not_there_are_errors(digits: HookedModel, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_inputs(text, digits)


def test_an_unknown_class_is_answered_with_the_known(digits: HookedModel) -> None:
    with pytest.raises(UnknownNameError, match="class named 'three'"):
        read_inputs("test:class=three:0:3", digits)


def test_a_picture_of_another_size_is_refused_with_the_size_needed(digits: HookedModel, workspace: Path) -> None:
    Image.new("L", (9, 8)).save(workspace / "wide.png")
    with pytest.raises(InputError, match="9 x 8 pixels .* needs 8 x 8"):
        read_inputs(f"file:{workspace / 'wide.png'}", digits)


def test_corrupted_inputs_must_match_the_clean_ones(digits: HookedModel) -> None:
    with pytest.raises(InputError, match=r"\(3, 64\), the clean ones \(2, 64\)"):
        read_inputs("test:0:3", digits, read_inputs("test:0:2", digits))


def test_prompts_become_tokens_with_their_names(text: HookedModel) -> None:
    batch = read_inputs("text:To be||or no", text)
    assert batch.inputs.shape == (2, 5) and batch.labels == ("To be", "or no")
    assert batch.tokens[1] == ("o", "r", " ", "n", "o") and batch.targets is None


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("text:ab||abc", "'ab' has 2, 'abc' has 3"),
        ("text:a||", "empty"),
        ("text:" + "a" * 81, "81 tokens; this model reads at most 80"),
        ("text:a%", "not in the vocabulary"),
        ("text:", "does not say which"),
        ("test:class=a:0:2", "has no classes"),
        ("test:0:99", "has 10"),
    ],
)
def test_prompts_that_cannot_be_read_are_errors(text: HookedModel, prompt: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_inputs(prompt, text)


def test_the_target_of_a_window_is_the_token_that_follows_it(text: HookedModel) -> None:
    whole = text.tokenizer.encode("the cat sat. " * 50)
    for rows in ("test:0:3", "test:2", "test::"):
        batch = read_inputs(rows, text)
        first = 2 * 64 if rows == "test:2" else 0
        assert batch.inputs.flatten().tolist() == whole[first : first + batch.inputs.numel()].tolist()
        assert batch.targets.tolist() == [whole[first + 64 * (i + 1)].item() for i in range(len(batch.inputs))]


def test_the_first_tokens_of_a_long_text_are_those_of_the_whole(text: HookedModel) -> None:
    long = "the cat sat. " * 1000
    assert first_tokens(long, text.tokenizer, 700).tolist() == text.tokenizer.encode(long)[:700].tolist()
    assert len(first_tokens(long, text.tokenizer, 10**6)) == len(long)


def test_a_rollout_is_what_the_greedy_policy_saw(policy: HookedModel) -> None:
    everything = read_inputs("rollout:3:0:8", policy).inputs
    environment = gymnasium.make("CartPole-v1")
    observation, _ = environment.reset(seed=3)
    for seen in everything:
        torch.testing.assert_close(seen, torch.from_numpy(observation))
        observation, *_ = environment.step(int(policy(seen[None]).logits.argmax()))
    spread = read_inputs("rollout:3:4", policy)
    assert spread.inputs.shape == (4, 4) and spread.labels[0] == "step 0"
    torch.testing.assert_close(read_inputs("rollout:3:2:5", policy).inputs, everything[2:5])


@pytest.mark.parametrize("steps", ["0", "a:3", "0:0", "0:4:3", "0:1:2:3", "0:90000"])
def test_rollouts_that_do_not_exist_are_errors(policy: HookedModel, steps: str) -> None:
    with pytest.raises(InputError):
        read_inputs(f"rollout:{steps}", policy)


def test_short_episodes_are_followed_by_those_of_the_next_seeds(policy: HookedModel) -> None:
    first, second = (read_inputs(f"rollout:{seed}:0:8", policy).inputs for seed in (3, 4))
    several = read_inputs("rollout:3:30", policy)
    assert torch.equal(several.inputs[:8], first)
    start = several.labels.index("seed 4, step 0")
    assert torch.equal(several.inputs[start : start + 8], second) and "seeds 3 to" in several.note


def test_explored_states_are_those_of_random_actions(policy: HookedModel) -> None:
    one, again, other = (read_inputs(f"explored:{seed}:40", policy).inputs for seed in (0, 0, 1))
    assert one.shape == (40, 4) and torch.equal(one, again) and not torch.equal(one, other)
    for wrong in ("0", "a:3", "0:0", "0:1:2"):
        with pytest.raises(InputError, match="cannot be read|asks for no states"):
            read_inputs(f"explored:{wrong}", policy)
