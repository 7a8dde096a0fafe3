"""Modules made of torch's layers, with every usual shape of input, activation and output."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.bench.torchvision_resnet import ResNet18
from tests.campaigns.foreign_cases import Case, ids, module, rand

Pair = namedtuple("Pair", ["mean", "spread"])


@dataclass(frozen=True)
class Answer:
    """An output that is a dataclass and holds None."""

    scores: Tensor
    extra: Tensor | None = None


class Table(nn.Module):
    """Returns its own weight, or rows of it, whatever the input is."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(rand(*shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight


class Tuple(nn.Module):
    """Returns a nested container with None and a number in it."""

    def forward(self, x: Tensor) -> Any:
        return {"twice": (x * 2, None), "list": [x + 1, 3]}


def sequential(*parts: nn.Module) -> nn.Module:
    return nn.Sequential(*parts).double()


def cnn() -> nn.Module:
    return sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(16, 3),
    )  # fmt: skip


def channels_last() -> nn.Module:
    return module(
        lambda self, x: self.head(self.act(self.fc(self.norm(self.conv(x).permute(0, 2, 3, 1)))).mean((1, 2))),
        conv=nn.Conv2d(3, 4, 3), norm=nn.LayerNorm(4), fc=nn.Linear(4, 6), act=nn.GELU(), head=nn.Linear(6, 2),
    )  # fmt: skip


def inplace() -> nn.Module:
    def run(self: Any, x: Tensor) -> Tensor:
        y = self.relu(self.a(x))
        y += self.b(y)
        return self.relu(y)

    return module(run, a=nn.Linear(4, 4), b=nn.Linear(4, 4), relu=nn.ReLU(inplace=True))


def mixer() -> nn.Module:
    def run(self: Any, x: Tensor) -> Tensor:
        x = self.embed(x)
        x = x + self.along(x.transpose(1, 2)).transpose(1, 2)
        return self.head((x + self.across(x)).mean(1))

    parts = {"embed": nn.Linear(3, 6), "along": nn.Linear(5, 5), "across": nn.Linear(6, 6), "head": nn.Linear(6, 2)}
    return module(run, **parts)


def cells() -> nn.Module:
    def run(self: Any, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 5)
        for step in x.unbind(1):
            h = self.cell(step, h)
        return self.head(h)

    return module(run, cell=nn.GRUCell(3, 5), head=nn.Linear(5, 2))


def attention() -> nn.Module:
    parts = {"attn": nn.MultiheadAttention(8, 2, batch_first=True), "head": nn.Linear(8, 2)}
    return module(lambda self, x: self.head(self.attn(x, x, x)[0][:, -1]), **parts)


def masked() -> nn.Module:
    def run(self: Any, x: Tensor, mask: Tensor, temperature: Tensor) -> dict[str, Tensor]:
        scores = self.query(x) @ self.key(x).transpose(1, 2) / temperature + mask
        return {"out": self.out(scores.softmax(-1) @ x)[:, -1]}

    return module(run, query=nn.Linear(4, 4), key=nn.Linear(4, 4), out=nn.Linear(4, 2))


def awkward() -> nn.Module:
    net = nn.Sequential()
    for name in ("a:b", "c@2", "d[0]", "e f", "g,h", "i*"):
        net.add_module(name, nn.Linear(4, 4))
    return net.double()


def shared() -> nn.Module:
    part = nn.Linear(4, 4)
    return sequential(part, nn.Tanh(), part, nn.Sequential(nn.Sequential(part)))


def tables() -> nn.Module:
    parts = {"table": Table(3, 3, 4), "fc": nn.Linear(4, 2)}
    return module(lambda self, x: self.fc((x + self.table(x)).tanh()).sum(1), **parts)


def transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).double()


def dense() -> list[Case]:
    """Dense layers, in every precision and under every name."""
    spectral = sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 2))
    return [
        Case("mlp", lambda: (sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), rand(3, 4)), 3,
             axes={"0": "batch unit", "1": "batch unit"}),
        Case("mlp of one row", lambda: (sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1)), rand(1, 4)), 1),
        Case("no parameters", lambda: (sequential(nn.Tanh(), nn.Softmax(1), nn.Flatten()), rand(3, 4)), 3),
        Case("in place", lambda: (inplace(), rand(3, 4)), 3),
        Case("one part several times", lambda: (shared(), rand(3, 4)), 3),
        Case("weight norm", lambda: (spectral, rand(3, 4)), 3),
        Case("awkward names", lambda: (awkward(), rand(3, 4)), 3),
        Case("float32", lambda: (nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), rand(3, 4).float()), 3),
        Case("bfloat16", lambda: (sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).bfloat16(),
             rand(3, 4).bfloat16()), 3),
        Case("float16", lambda: (sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).half(), rand(3, 4).half()), 3),
    ]  # fmt: skip


def convolutions() -> list[Case]:
    """Convolutions of every kind, and what follows them."""
    conv1d = sequential(nn.ReLU(), nn.Conv1d(3, 4, 3), nn.ReLU(), nn.BatchNorm1d(4), nn.Flatten(), nn.Linear(24, 2))
    shuffle = sequential(nn.Conv2d(2, 8, 3, padding=1), nn.PixelShuffle(2), nn.Tanh(), nn.Flatten())
    maps = "batch channel height width"
    return [
        Case("cnn", lambda: (cnn(), rand(2, 3, 9, 8)), 2, axes={"0": maps, "2": maps, "4": maps, "5": "batch unit"}),
        Case("conv1d", lambda: (conv1d, rand(2, 3, 8)), 2, axes=dict.fromkeys("0123", "batch channel pos")),
        Case("conv transpose 1d", lambda: (sequential(nn.ConvTranspose1d(3, 4, 2), nn.Tanh()), rand(2, 3, 5)), 2,
             axes={"0": "batch channel pos", "1": "batch channel pos"}),
        Case("conv3d", lambda: (sequential(nn.Conv3d(2, 3, 2), nn.ReLU(), nn.Flatten()), rand(2, 2, 3, 4, 3)), 2,
             axes={"0": "batch channel axis2 axis3 axis4"}),
        Case("channels last", lambda: (channels_last(), rand(2, 3, 6, 7)), 2,
             axes={"conv": maps, **dict.fromkeys(("norm", "fc", "act"), "batch height width channel")}),
        Case("image to positions", lambda: (module(
            lambda self, x: self.fc(self.conv(x).flatten(2).transpose(1, 2)).mean(1), conv=nn.Conv2d(3, 4, 2, 2),
            fc=nn.Linear(4, 5)), rand(2, 3, 4, 6)), 2, axes={"fc": "batch pos unit"}),
        Case("pixel shuffle", lambda: (shuffle, rand(2, 2, 4, 4)), 2, axes={"0": maps, "1": maps}),
        Case("mixer", lambda: (mixer(), rand(2, 5, 3)), 2,
             axes={"embed": "batch pos unit", "along": "batch axis1 unit"}),
        Case("torchvision resnet", lambda: (ResNet18().double(), rand(2, 3, 16, 16)), 2, axes={"layer1.0.relu": maps}),
    ]  # fmt: skip


def sequences() -> list[Case]:
    """Recurrent layers, attention and embeddings."""
    flat = module(lambda self, x: self.fc(x.reshape(-1, 4)).tanh().view(len(x), -1), fc=nn.Linear(4, 2))
    both = nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True).double()
    return [
        Case("lstm, layers as many as rows", lambda: (nn.Sequential(nn.LSTM(3, 4, 2, batch_first=True)).double(),
             rand(2, 5, 3)), 2, axes={"0:0": "batch pos unit", "0:1": "axis0 batch unit"}),
        Case("lstm, both directions", lambda: (module(lambda self, x: self.rnn(x)[0][:, -1], rnn=both),
             rand(4, 5, 3)), 4),
        Case("gru, time first inside", lambda: (module(lambda self, x: self.rnn(x.transpose(0, 1))[0][-1],
             rnn=nn.GRU(3, 4)), rand(5, 5, 3)), 5, axes={"rnn:0": "pos batch unit"}),
        Case("cells in a loop", lambda: (cells(), rand(2, 4, 3)), 2),
        Case("attention", lambda: (attention(), rand(2, 5, 8)), 2, axes={"attn:0": "batch pos unit"}),
        Case("transformer encoder", lambda: (transformer(), rand(2, 5, 8)), 2,
             axes={"layers.0.linear1": "batch pos unit"}),
        Case("embedding bag", lambda: (module(lambda self, x: self.fc(self.bag(x)), bag=nn.EmbeddingBag(31, 5),
             fc=nn.Linear(5, 2)), ids(3, 4)), 3),
        Case("table of positions as long as the batch", lambda: (tables(), rand(3, 3, 4)), 3),
        Case("rows and positions as one", lambda: (flat, rand(3, 5, 4)), 3, axes={"fc": "axis0 unit"}),
    ]  # fmt: skip


def inputs_and_outputs() -> list[Case]:
    """Inputs that are shared by all rows, and outputs that are more than a tensor."""
    deep = module(lambda self, x: self.fc(self.parts_(x)["twice"][0]), parts_=Tuple(), fc=nn.Linear(4, 2))
    codes = module(lambda self, x: self.embed(self.fc(x).argmax(-1)), fc=nn.Linear(4, 6), embed=nn.Embedding(6, 3))
    wave = module(lambda self, x: self.fc(x).to(torch.complex128) * 1j, fc=nn.Linear(4, 3))
    return [
        Case("mask and temperature", lambda: (masked(), {"x": rand(4, 4, 4), "mask": rand(4, 4),
             "temperature": torch.tensor(0.5, dtype=torch.float64)}), 4),
        Case("scalar first", lambda: (module(lambda self, t, x: self.fc(x) * t, fc=nn.Linear(4, 3)),
             (torch.tensor(2.0, dtype=torch.float64), rand(3, 4))), 3),
        Case("table before rows", lambda: (module(lambda self, t, x: self.act(self.fc(x) @ t), fc=nn.Linear(4, 3),
             act=nn.Tanh()), (rand(3, 3), rand(5, 4))), 5),
        Case("dataclass", lambda: (module(lambda self, x: Answer(self.fc(x)), fc=nn.Linear(4, 3)), rand(3, 4)), 3),
        Case("named tuple", lambda: (module(lambda self, x: Pair(self.a(x), self.b(x)), a=nn.Linear(4, 3),
             b=nn.Linear(4, 3)), rand(3, 4)), 3),
        Case("nested containers", lambda: (deep, rand(3, 4)), 3),
        Case("distribution", lambda: (module(lambda self, x: torch.distributions.Categorical(logits=self.fc(x)),
             fc=nn.Linear(4, 3)), rand(3, 4)), 3),
        Case("codes", lambda: (codes, rand(3, 4)), 3),
        Case("complex", lambda: (wave, rand(3, 4)), 3),
        Case("mean of the batch", lambda: (module(lambda self, x: F.mse_loss(self.fc(x), x), fc=nn.Linear(4, 4)),
             rand(3, 4)), 3),
    ]  # fmt: skip


def cases() -> list[Case]:
    """Modules whose rows are independent."""
    return [*dense(), *convolutions(), *sequences(), *inputs_and_outputs()]
