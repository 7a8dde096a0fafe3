"""Tests of training states: round trip, damage and changed configurations."""

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from workbench.core.errors import CheckpointError
from workbench.training.resume import TrainingState, read_state, require_same, restore_model, write_state

STATE = TrainingState(
    {
        "model.w": torch.arange(6.0).reshape(2, 3),
        "random.torch": torch.get_rng_state(),
        "optimizer.0.step": torch.tensor(3.0),
    },
    {"step": 3, "curve": [[1], {"a": [0.1]}]},
)


def test_a_state_reads_back_as_it_was_written(tmp_path: Path) -> None:
    write_state(tmp_path / "new" / "state.safetensors", STATE)
    back = read_state(tmp_path / "new" / "state.safetensors")
    assert back.facts == STATE.facts
    assert back.tensors.keys() == STATE.tensors.keys()
    assert all(torch.equal(back.tensors[n], t) for n, t in STATE.tensors.items())
    assert torch.equal(back.under("model")["w"], STATE.tensors["model.w"])


def test_tensors_that_share_memory_or_are_not_contiguous_are_stored(tmp_path: Path) -> None:
    tied = torch.randn(3, 2).T
    write_state(tmp_path / "s", TrainingState({"a": tied, "b": tied}))
    assert torch.equal(read_state(tmp_path / "s").tensors["b"], tied)


@pytest.mark.parametrize("damage", ["empty", "truncated", "altered", "pickled", "foreign"])
def test_a_damaged_state_is_one_clear_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "state.safetensors"
    write_state(path, STATE)
    content = path.read_bytes()
    if damage == "foreign":
        from safetensors.torch import save_file

        save_file({"w": torch.zeros(1)}, path)
    else:
        torch.save({"w": torch.zeros(1)}, tmp_path / "pickled")
        replacement = {
            "empty": b"",
            "truncated": content[: len(content) // 2],
            "altered": content[:-1] + bytes([content[-1] ^ 1]),
            "pickled": (tmp_path / "pickled").read_bytes(),
        }[damage]
        path.write_bytes(replacement)
    with pytest.raises(CheckpointError, match=r"state\.safetensors is not a readable training state.*Delete it"):
        read_state(path)


def test_every_flipped_bit_of_a_state_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    write_state(path, TrainingState({"w": torch.arange(2.0)}, {"step": 3, "lr": 0.1}))
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(CheckpointError):
            read_state(path)


@pytest.mark.parametrize("moment", ["write", "replace"])
def test_a_failure_while_writing_leaves_the_old_state_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = tmp_path / "state.safetensors"
    write_state(path, STATE)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "write") if moment == "write" else (Path, "replace")), full)
    with pytest.raises(CheckpointError, match="Free some room"):
        write_state(path, TrainingState({"model.w": torch.zeros(1)}))
    monkeypatch.undo()
    assert read_state(path).facts == STATE.facts
    assert os.listdir(tmp_path) == [path.name]


def test_a_different_configuration_is_refused_by_field(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"lr=0\.1, and this one has lr=0\.2"):
        require_same({"lr": 0.1, "betas": [0.9, 0.99]}, {"lr": 0.2, "betas": (0.9, 0.99)}, tmp_path / "s")


@pytest.mark.parametrize(
    ("stored", "where"), [(nn.Linear(3, 2), "'weight' is of shape"), (nn.Linear(2, 2, bias=False), "'bias' is absent")]
)
def test_another_architecture_is_refused_with_both_shapes(tmp_path: Path, stored: nn.Module, where: str) -> None:
    with pytest.raises(CheckpointError, match=where):
        restore_model(nn.Linear(2, 2), stored.state_dict(), tmp_path / "s")
