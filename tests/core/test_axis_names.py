"""Tests of axis names of any module: correct, or `axis1` and so on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.campaigns.foreign_cases import module, rand
from tests.campaigns.foreign_layers import channels_last, mixer, transformer
from workbench.core.axis_names import NAMELESS, Factor, agree, fresh, join, length, names_of, regroup
from workbench.core.interventions import zero
from workbench.core.wrap import wrap

MAPS = "batch channel height width"


def axes(net: nn.Module, x: Any) -> dict[str, str]:
    return {name: " ".join(point.axes) for name, point in wrap(net.double(), x).hook_dict.items()}


def test_positions_of_a_convolution_stay_positions_behind_a_relu() -> None:
    net = nn.Sequential(
        nn.ReLU(), nn.Conv1d(3, 4, 2), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(12, 2)
    ).double()
    x = rand(2, 3, 7)
    model = wrap(net, x)
    assert [" ".join(model.hook_dict[str(i)].axes) for i in range(6)] == ["batch channel pos"] * 4 + ["batch unit"] * 2
    with torch.no_grad(), model.edited([zero("2[pos=3]")]):
        inside = net[2](net[1](net[0](x)))
        inside[:, :, 3] = 0
        assert torch.equal(model(x), net[3:](inside))


def test_channels_last_and_transposed_convolutions() -> None:
    last = axes(channels_last(), rand(2, 3, 6, 7))
    assert last["conv"] == MAPS and last["norm"] == last["fc"] == last["act"] == "batch height width channel"
    transposed = nn.Sequential(nn.ConvTranspose1d(3, 4, 2), nn.Tanh(), nn.Upsample(scale_factor=2))
    assert set(axes(transposed, rand(2, 3, 5)).values()) == {"batch channel pos"}
    assert set(axes(nn.Sequential(nn.ConvTranspose2d(3, 4, 2), nn.ReLU()), rand(2, 3, 5, 4)).values()) == {MAPS}


def test_what_a_convolution_reads_is_named_by_it() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 2))
    assert set(axes(net, rand(2, 3, 5, 4)).values()) == {MAPS}


@pytest.mark.parametrize("transpose", [False, True])
def test_patches_of_an_image_are_positions(transpose: bool) -> None:
    def run(self: Any, x: Tensor) -> Tensor:
        y = self.conv(x).flatten(2).transpose(1, 2)
        y = self.norm(y)
        return self.fc(y.transpose(1, 2)) if transpose else self.fc(y)

    net = module(run, conv=nn.Conv2d(3, 6, 2, 2), norm=nn.LayerNorm(6), fc=nn.Linear(6, 5))
    found = axes(net, rand(2, 3, 4, 6))
    assert found["norm"] == "batch pos channel"
    assert found["fc"] == ("batch channel unit" if transpose else "batch pos unit")


def test_a_residual_stream_has_d_model_and_what_is_inside_a_layer_has_units() -> None:
    found = axes(transformer(), rand(2, 5, 8))
    assert found["layers.0.linear1"] == "batch pos unit"
    assert found["layers.0.linear2"] == found["layers.1.norm1"] == "batch pos d_model"


def test_an_axis_that_is_used_in_two_ways_is_called_neither() -> None:
    found = axes(mixer(), rand(2, 5, 3))
    assert found["along"].split()[:2] == ["batch", "axis1"] and "channel" not in " ".join(found.values())


def test_recurrent_layers_have_the_batch_where_it_is() -> None:
    first = axes(nn.Sequential(nn.LSTM(3, 4, 2, batch_first=True)), rand(2, 5, 3))
    assert list(first.values()) == ["batch pos unit", "axis0 batch unit", "axis0 batch unit"]
    net = module(lambda self, x: self.rnn(x.transpose(0, 1))[0].transpose(0, 1), rnn=nn.GRU(3, 4))
    assert axes(net, rand(5, 5, 3))["rnn:0"] == "pos batch unit"


def test_scores_of_attention_are_queries_and_keys() -> None:
    def run(self: Any, x: Tensor) -> Tensor:
        q, k = (part(x).unflatten(-1, (2, 4)).transpose(1, 2) for part in (self.q, self.k))
        return self.fc(self.pattern(q @ k.transpose(-1, -2)).mean(1) @ x)

    parts = {"q": nn.Linear(8, 8), "k": nn.Linear(8, 8), "pattern": nn.Softmax(-1), "fc": nn.Linear(8, 2)}
    found = axes(module(run, **parts), rand(2, 5, 8))
    assert found["pattern"] == "batch head query key" and found["fc"] == "batch pos unit"


def test_a_reshape_splits_and_joins_factors() -> None:
    batch, pos, width = Factor(2, "batch"), Factor(3, "pos"), Factor(8, "feature")
    flat = regroup(((batch,), (pos,), (width,)), (6, 8))
    assert flat == ((batch, pos), (width,))
    heads = regroup(flat, (2, 3, 4, 2))
    assert [axis[0] for axis in heads[:2]] == [batch, pos] and {axis[0].whole for axis in heads[2:]} == {width}
    assert regroup(heads, (2, 3, 8)) == ((batch,), (pos,), (width,))
    assert join((*heads[3], *heads[2])) == (*heads[3], *heads[2])  # in another order they are not the whole
    assert names_of(heads, 0) == "batch pos axis2 axis3"


def test_fused_attention_writes_what_its_values_hold_for_each_query() -> None:
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Identity()

        def forward(self, q: Tensor, kv: Tensor) -> Tensor:
            return self.out(nn.functional.scaled_dot_product_attention(q, kv, kv))

    assert axes(Fused(), (rand(2, 3, 4, 6), rand(2, 3, 5, 6))) == {"out": "batch head pos d_head"}


def test_two_operands_agree_on_the_kind_that_both_can_have() -> None:
    channel, feature, pos = (Factor(6, kind) for kind in ("channel", "feature", "pos"))
    for one, other in ((channel, feature), (feature, channel)):
        assert agree((one,), (other,)) == (feature,)
    for one, other in ((feature, pos), (pos, feature), (channel, pos)):
        (left,) = agree((one,), (other,))
        assert left.kind == NAMELESS
    assert agree((pos,), (Factor(6, "pos"),)) == (pos,)
    for unknown_first in (True, False):
        unknown = Factor(6)
        pair = ((unknown,), (pos,)) if unknown_first else ((pos,), (unknown,))
        assert agree(*pair) == (pos,) and unknown.kind == "pos"


def test_a_reshape_keeps_whole_factors_whole_and_splits_those_across_a_border() -> None:
    six, three, five, two = Factor(6, "pos"), Factor(3, "height"), Factor(5, "feature"), Factor(2, "channel")
    for axes, shape in ((((six,), (three,)), (3, 6)), (((six,), (five,)), (2, 15)), (((six,), (five,)), (3, 2, 5))):
        apart = regroup(axes, shape)
        assert [length(axis) for axis in apart] == list(shape)
        assert apart[0][0].whole is six and apart[1][0].whole is six
        assert regroup(apart, [length(axis) for axis in axes]) == axes
    assert regroup(((six,), (two,)), (6, 1, 2))[::2] == ((six,), (two,))
    assert regroup(((two,), (six,)), (12,)) == ((two, six),) == regroup(((two,), *fresh([1]), (six,)), (12,))
    assert [axis[0].kind for axis in regroup(((six,), (five,)), (5, 6))] == [None, None]


def test_two_axes_are_named_by_what_they_hold() -> None:
    batch, pos, height = Factor(2, "batch"), Factor(3, "pos"), Factor(4, "height")
    assert names_of(((batch,), (pos,)), 0) == "batch pos"
    assert names_of(((batch,), (Factor(3), pos)), 0) == "batch unit"
    assert names_of(((batch,), (Factor(3), pos), (height,)), 0) == "batch axis1 height"
    assert names_of(((batch,), (Factor(3), Factor(2, "batch"))), 0) == "batch axis1"
    assert names_of(((pos,), (Factor(3), Factor(4))), None) == "pos axis1"
