"""Tests of tensor files: round trips, damage, earlier versions and foreign formats."""

import io
import json
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from workbench.core.errors import CheckpointError
from workbench.core.tensor_file import pack, payload, sha256, unpack

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([True, False]), "empty": torch.zeros(0, 3)}
FILE = pack(TENSORS, {"said": ["x", 1]})


def test_tensors_and_what_is_said_about_them_come_back() -> None:
    tensors, about = unpack(FILE, "file")
    assert about["said"] == ["x", 1]
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        torch.testing.assert_close(tensors[name], tensor, rtol=0, atol=0)


def test_any_safetensors_reader_opens_the_file() -> None:
    assert torch.equal(load(FILE)["a"], TENSORS["a"])


def test_views_of_one_memory_and_tensors_with_gradients_are_written_out() -> None:
    x = torch.arange(6.0).reshape(2, 3).requires_grad_()
    tensors, _ = unpack(pack({"x": x, "transposed": x.T, "row": x[0]}, {}), "file")
    assert torch.equal(tensors["transposed"], x.T) and torch.equal(tensors["row"], x[0])


def test_a_file_written_by_others_opens() -> None:
    tensors, about = unpack(save({"a": TENSORS["a"]}), "file")
    assert torch.equal(tensors["a"], TENSORS["a"]) and about == {}


@given(st.integers(0, len(FILE) - 1))
def test_a_file_cut_short_anywhere_is_refused(length: int) -> None:
    with pytest.raises(CheckpointError, match=r"file.* cut short"):
        unpack(FILE[:length], "file")


def test_every_flipped_bit_is_noticed_wherever_it_lies() -> None:
    """Header length, names, shapes, what is said, the hash itself, padding and tensors."""
    for bit in range(8 * len(FILE)):
        flipped = bytearray(FILE)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CheckpointError):
            unpack(bytes(flipped), "file", sealed=True)


def test_a_file_of_an_earlier_version_vouches_for_its_tensors() -> None:
    told = {"workbench": json.dumps({"step": 3, "tensors_sha256": sha256(payload(save({"a": TENSORS["a"]})))})}
    old = save({"a": TENSORS["a"]}, told)
    assert unpack(old, "file", sealed=True)[1] == {"step": 3}
    with pytest.raises(CheckpointError, match="altered"):
        unpack(old[:-1] + b"\1", "file")


def test_a_file_that_nothing_vouches_for_is_refused_where_that_is_needed() -> None:
    with pytest.raises(CheckpointError, match="altered"):
        unpack(save({"a": TENSORS["a"]}), "file", sealed=True)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_one_clear_error(content: bytes) -> None:
    with pytest.raises(CheckpointError):
        unpack(content, "file")


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was opened",))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_never_opened(protocol: int) -> None:
    with pytest.raises(CheckpointError, match=r"is a pickle.*not opened.*save_file"):
        unpack(pickle.dumps(Trap(), protocol), "file")


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_saves_is_never_opened(zipped: bool) -> None:
    buffer = io.BytesIO()
    torch.save({"a": Trap()}, buffer, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"is a pickle.*not opened.*save_file"):
        unpack(buffer.getvalue(), "file")
