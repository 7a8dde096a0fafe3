"""Tests of saving and loading networks: exact weights, damage, dtypes, steps, interruptions, full disks."""

import json
import pickle
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load as read_safetensors

from tests.checkpoints.networks import Tiny, TinyConfig, Trunk, card, change_card, tiny
from tests.core.test_atomic import everything_in, killed_while
from workbench.checkpoints.store import load, load_folder, save, save_step
from workbench.core.errors import CheckpointError, ConfigError, UnknownNameError
from workbench.core.tensor_file import pack, sha256
from workbench.training.curve import Curve

RUN = "r1"
CURVE = Curve([1], {"train_loss": [2.0]})


@pytest.fixture
def folder(models: Path) -> Path:
    save(models / "tiny", tiny(), replace(card(), run=RUN), CURVE)
    return models / "tiny"


def reseal(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Other weights under a card that names them."""
    content = pack(tensors, {})
    (folder / "weights.safetensors").write_bytes(content)
    change_card(folder, lambda text: json.dumps(json.loads(text) | {"weights_sha256": sha256(content)}))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return read_safetensors((folder / "weights.safetensors").read_bytes())


configs = st.builds(
    TinyConfig,
    features=st.integers(1, 4),
    trunk=st.builds(Trunk, st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)),
    mode=st.sampled_from(["plain", "tied"]),
    name=st.none() | st.text(max_size=3),
)


@given(configs, st.integers(0, 100))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_network_comes_back_bit_for_bit_in_eval_mode(models: Path, cfg: TinyConfig, seed: int) -> None:
    model = tiny(seed, cfg)
    save(models / "tiny", model.train(), card(), CURVE, overwrite=True)
    loaded = load("tiny")
    assert loaded.cfg == cfg and not loaded.training
    inputs = model.example(3)
    assert torch.equal(loaded(inputs), model.eval()(inputs))
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_tied_weights_are_stored_once_and_stay_tied(models: Path) -> None:
    save(models / "tiny", tiny(cfg=TinyConfig(mode="tied")), card(), CURVE)
    assert "again.weight" not in weights(models / "tiny")
    loaded = load("tiny")
    assert loaded.again.weight is loaded.layers[0].linear.weight


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_kept_in_half_precision_are_float32_in_memory(models: Path, dtype: str) -> None:
    model = tiny()
    save(models / "tiny", model, card(dtype), CURVE)
    loaded = load("tiny")
    for name, tensor in model.state_dict().items():
        expected = tensor.to(getattr(torch, dtype)).float() if tensor.is_floating_point() else tensor
        torch.testing.assert_close(loaded.state_dict()[name], expected, rtol=0, atol=0)
    assert weights(models / "tiny")["layers.0.linear.weight"].dtype == getattr(torch, dtype)


def test_loading_draws_no_random_number(folder: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    load("tiny")
    assert torch.equal(torch.rand(2), expected)


def test_the_loaded_network_has_its_card_and_no_tokenizer(folder: Path) -> None:
    model = load("tiny")
    assert model.card.metrics["test_accuracy"].n == 360 and model.tokenizer is None


def test_the_tokenizer_comes_back(models: Path) -> None:
    from workbench.data.text.tokenizers import CharacterTokenizer

    tokenizer = CharacterTokenizer(tuple("helo wrd"))
    save(models / "tiny", tiny(), card(), CURVE, tokenizer)
    loaded = load("tiny").tokenizer
    assert torch.equal(loaded.encode("hello"), tokenizer.encode("hello"))
    path = models / "tiny" / "tokenizer.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is missing or altered"):
        load("tiny")


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_of_the_weights_is_refused(folder: Path, data: st.DataObject) -> None:
    content = bytearray((folder / "weights.safetensors").read_bytes())
    copy = folder.with_name("flipped")
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (copy / "weights.safetensors").write_bytes(bytes(content))
    with pytest.raises(CheckpointError):
        load("flipped")


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_of_a_kept_step_is_refused(folder: Path, data: st.DataObject) -> None:
    path = save_step(folder, tiny(), 10, RUN)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError):
        load("tiny", step=10)


def test_weights_cut_short_are_refused_with_both_sizes(folder: Path) -> None:
    path = folder / "weights.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    with pytest.raises(CheckpointError, match=f"cut short: it has {len(content) - 9} of {len(content)} bytes"):
        load("tiny")


def test_other_weights_than_the_card_names_are_refused(folder: Path, models: Path) -> None:
    save(models / "other", tiny(seed=1), card(), CURVE)
    shutil.copy(models / "other" / "weights.safetensors", folder)
    with pytest.raises(CheckpointError, match="not the file its card names"):
        load("tiny")


def test_a_wrong_shape_is_refused_with_both_shapes(folder: Path) -> None:
    reseal(folder, weights(folder) | {"layers.0.linear.weight": torch.zeros(3, 5)})
    with pytest.raises(CheckpointError, match=r"'layers.0.linear.weight'.*\(3, 5\).*\(3, 4\)"):
        load("tiny")


def test_a_missing_weight_is_named_with_the_nearest_one_there_is(folder: Path) -> None:
    tensors = weights(folder)
    tensors["layers.0.linear.weights"] = tensors.pop("layers.0.linear.weight")
    reseal(folder, tensors)
    with pytest.raises(CheckpointError, match=r"'layers.0.linear.weights'.*Did you mean 'layers.0.linear.weight'"):
        load("tiny")
    del tensors["layers.0.linear.weights"]
    reseal(folder, tensors)
    with pytest.raises(CheckpointError, match=r"lack 'layers.0.linear.weight'"):
        load("tiny")


def test_whole_numbers_in_place_of_weights_are_refused(folder: Path) -> None:
    reseal(folder, weights(folder) | {"layers.0.linear.bias": torch.zeros(3, dtype=torch.int64)})
    with pytest.raises(CheckpointError, match=r"'layers.0.linear.bias'.*int64.*float32"):
        load("tiny")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_neither_loaded_nor_saved(folder: Path, bad: float) -> None:
    before = everything_in(folder)
    model = tiny()
    with torch.no_grad():
        model.layers[0].linear.bias[1] = bad
    with pytest.raises(CheckpointError, match=r"'layers.0.linear.bias'.* 1 of 3 values"):
        save(folder, model, card(), CURVE)
    assert everything_in(folder) == before
    reseal(folder, weights(folder) | {"layers.0.linear.bias": torch.tensor([0.0, bad, 0.0])})
    with pytest.raises(CheckpointError, match=r"'layers.0.linear.bias'.* 1 of 3 values"):
        load("tiny")


def test_weights_too_large_for_float16_are_refused_when_saving(models: Path) -> None:
    model = tiny()
    with torch.no_grad():
        model.layers[0].linear.bias[1] = 1e6
    with pytest.raises(CheckpointError, match=r"as float16.*save as float32"):
        save(models / "tiny", model, card("float16"), CURVE)


def test_pickled_weights_are_refused_with_the_way_out(folder: Path) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(pickle.dumps({"layers.0.linear.bias": [1.0]}))
    with pytest.raises(CheckpointError, match=r"is a pickle.*save_file"):
        load("tiny")
    path.rename(folder / "weights.pt")
    with pytest.raises(CheckpointError, match=r"weights\.pt, a pickle.*save_file"):
        load("tiny")
    (folder / "weights.pt").unlink()
    with pytest.raises(CheckpointError, match=r"has no weights\.safetensors"):
        load("tiny")


@pytest.mark.parametrize(
    ("old", "new", "error", "complaint"),
    [
        ('"features"', '"feetures"', ConfigError, "'feetures'. Did you mean 'features'"),
        ('"scale": 1.0,', "", ConfigError, "lacks the field 'scale'"),
        ('"plain"', '"odd"', ConfigError, r"config\.mode should be"),
        ('"bias": true', '"bias": 3', ConfigError, r"config\.trunk\.bias should be bool"),
        ("tiny_for_tests", "tiny_for_test", UnknownNameError, "Did you mean 'tiny_for_tests'"),
        ('"features": 4', '"features": 5', CheckpointError, r"\(3, 4\).*\(3, 5\)"),
    ],
)
def test_an_altered_card_is_one_clear_error(
    folder: Path, old: str, new: str, error: type[Exception], complaint: str
) -> None:
    change_card(folder, lambda text: text.replace(old, new))
    with pytest.raises(error, match=complaint):
        load("tiny")


def test_the_card_must_name_the_architecture_of_the_model(models: Path) -> None:
    with pytest.raises(CheckpointError, match="the model is a Tiny"):
        save(models / "tiny", tiny(), replace(card(), architecture="mlp"), CURVE)
    assert not (models / "tiny").exists()


def test_an_unknown_dtype_is_refused_with_the_nearest(models: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'float16'"):
        save(models / "tiny", tiny(), card("flot16"), CURVE)


def test_the_network_of_an_earlier_step_is_kept_beside_the_final_one(folder: Path) -> None:
    early = tiny(seed=9)
    save_step(folder, early, 10, RUN, dtype="float32")
    inputs = early.example()
    assert torch.equal(load("tiny", step=10)(inputs), early(inputs))
    assert not torch.equal(load("tiny")(inputs), early(inputs))
    with pytest.raises(UnknownNameError, match=r"training step named '11'.*Did you mean '10'"):
        load("tiny", step=11)


def test_a_step_under_the_number_of_another_is_refused(folder: Path) -> None:
    save_step(folder, tiny(), 10, RUN).rename(folder / "steps" / RUN / "20.safetensors")
    with pytest.raises(CheckpointError, match="kept at step 10 of run 'r1', not at step 20"):
        load("tiny", step=20)


def test_killed_at_any_moment_a_saved_network_is_whole_the_old_one_or_the_new(folder: Path) -> None:
    models = {seed: tiny(seed) for seed in range(3)}
    inputs = models[0].example()
    outputs = [model(inputs) for model in models.values()]

    def save_all() -> None:
        for seed, model in models.items():
            save(folder, model, replace(card(), seed=seed), CURVE, overwrite=True)

    for trial in range(15):
        killed_while(save_all, random.Random(trial).uniform(0.0, 0.06))
        loaded = load("tiny")
        assert torch.equal(loaded(inputs), outputs[loaded.card.seed])


def test_on_a_full_disk_the_old_network_stays(mount: Callable[[str], Path]) -> None:
    folder = mount("size=128k") / "tiny"
    model = tiny()
    save(folder, model, card(), CURVE)
    wide = tiny(cfg=TinyConfig(features=400, trunk=Trunk((200,))))
    with pytest.raises(CheckpointError, match=r"MB are needed and .* MB are free"):
        save(folder, wide, card(), CURVE, overwrite=True)
    inputs = model.example()
    assert torch.equal(load_folder(folder)(inputs), model(inputs))


def test_a_network_loads_from_a_read_only_disk_and_is_not_saved_there(mount: Callable[[str], Path]) -> None:
    folder = mount("size=128k") / "tiny"
    save(folder, tiny(), card(), CURVE)
    mount("remount,ro")
    assert isinstance(load_folder(folder), Tiny)
    with pytest.raises(CheckpointError, match="read-only"):
        save(folder, tiny(), card(), CURVE)


def test_the_same_network_gives_the_same_bytes(models: Path) -> None:
    first, second = (save(models / name, tiny(), card(), CURVE) for name in ("one", "two"))
    assert first.weights_sha256 == second.weights_sha256
