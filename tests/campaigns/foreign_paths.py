"""Random networks whose axes are known, since each operation is drawn with its effect on the axes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from math import prod

import torch
from torch import Tensor, nn

from workbench.core.wrap import wrap

UNITS = {"unit", "channel", "d_model"}
"""Names for entries that are parts of a network; any of them is right for features."""
Axes = list[tuple[str, int]]
Step = Callable[[Tensor], Tensor]


class Path(nn.Module):
    """A network of some random operations; `truth` has the names of the axes of each part's output."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.draw, self.truth = random.Random(seed), dict[str, list[str]]()
        self.parts, self.steps = nn.ModuleDict(), list[Step]()
        self.axes, self.example = self.begin()
        for _ in range(self.draw.randint(2, 8)):
            self.draw.choice([self.layer, self.layer, self.reorder, self.shrink, self.branch, self.cut, self.slide])()

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = step(x)
        return x

    def begin(self) -> tuple[Axes, Tensor]:
        """Tokens, an image or a signal, and the layer that gives them their meaning."""
        kind = self.draw.choice(["tokens", "image", "signal"])
        if kind == "tokens":
            first, x, axes = nn.Embedding(9, 6), torch.randint(9, (2, 5)), [("batch", 2), ("pos", 5), ("unit", 6)]
        elif kind == "image":
            first, x = nn.Conv2d(3, 4, 2), torch.randn(2, 3, 7, 6)
            axes = [("batch", 2), ("channel", 4), ("height", 6), ("width", 5)]
        else:
            first, x, axes = nn.Conv1d(3, 4, 2), torch.randn(2, 3, 8), [("batch", 2), ("channel", 4), ("pos", 7)]
        self.add(first, axes)
        return axes, x

    def add(self, part: nn.Module, axes: Axes, run: Callable[[nn.Module, Tensor], Tensor] | None = None) -> None:
        """Add a part whose output has these axes; `run` says how it is used if not simply called."""
        name = f"p{len(self.parts)}"
        self.parts[name] = part
        self.truth[f"parts.{name}"] = [axis for axis, _ in axes]
        self.steps.append(part if run is None else lambda x: run(part, x))

    def become(self, axes: Axes, step: Step) -> None:
        """Apply an operation that is no part, and look at what it gives."""
        self.axes = axes
        self.steps.append(step)
        self.add(nn.Identity(), axes)

    def layer(self) -> None:
        """A layer along the last axis, along the channels, or of single entries."""
        *before, (_, width) = self.axes
        kind = self.draw.choice(["linear", "norm", "batch norm", "activation", "softmax"])
        if kind == "linear" and before:
            self.axes = [*before, ("unit", size := self.draw.choice([3, 4, 5, width]))]
            self.add(nn.Linear(width, size, bias=self.draw.random() < 0.5), self.axes)
        elif kind == "norm" and before:
            self.add(nn.LayerNorm(width), self.axes)
        elif kind == "batch norm" and len(self.axes) in (2, 3, 4) and self.axes[1][0] in UNITS:
            norm = nn.BatchNorm2d if len(self.axes) == 4 else nn.BatchNorm1d
            self.add(norm(self.axes[1][1]), self.axes)
        elif kind == "softmax":
            self.add(nn.Softmax(-1), self.axes)
        else:
            self.add(self.draw.choice([nn.ReLU(), nn.GELU(), nn.Tanh(), nn.Dropout()]), self.axes)

    def reorder(self) -> None:
        """Any order of the axes behind the batch."""
        order = [0, *self.draw.sample(range(1, len(self.axes)), len(self.axes) - 1)]
        self.become([self.axes[i] for i in order], lambda x: x.permute(order))

    def shrink(self) -> None:
        """A mean over an axis, all axes as one, or height and width as one."""
        names = [axis for axis, _ in self.axes]
        kind = self.draw.choice(["mean", "flatten", "positions"])
        if len(names) < 3:
            return
        if kind == "mean":
            gone = self.draw.randrange(1, len(names))
            self.become([*self.axes[:gone], *self.axes[gone + 1 :]], lambda x: x.mean(gone))
        elif kind == "flatten":
            name = "pos" if set(names[1:]) <= {"pos", "height", "width"} else "unit"
            self.become([self.axes[0], (name, prod(n for _, n in self.axes[1:]))], lambda x: x.flatten(1))
        elif "height" in names and names[names.index("height") + 1 :][:1] == ["width"]:
            at = names.index("height")
            size = self.axes[at][1] * self.axes[at + 1][1]
            self.become([*self.axes[:at], ("pos", size), *self.axes[at + 2 :]], lambda x: x.flatten(at, at + 1))

    def branch(self) -> None:
        """A layer's output added to its input, or gating it; features added to places have no name."""
        *before, (last, width) = self.axes
        part, gate = nn.Linear(width, width), self.draw.random() < 0.5
        self.add(part, [*before, ("unit", width)], lambda f, x: x * f(x).sigmoid() if gate else x + f(x))
        fits = last in UNITS or len(before) < 2  # a row of places that layers read is one of features
        self.axes = [*before, ("unit" if fits else "", width)]
        self.add(nn.Identity(), self.axes)

    def cut(self) -> None:
        """Two halves of an axis in the other order, or the last axis split and joined."""
        at = self.draw.randrange(1, len(self.axes)) if len(self.axes) > 1 else 0
        if self.draw.random() < 0.5 and self.axes[-1][1] % 2 == 0:
            self.become(self.axes, lambda x: x.unflatten(-1, (2, -1)).flatten(-2))
        elif self.axes[at][1] > 1 and at:
            self.become(self.axes, lambda x: torch.cat(x.chunk(2, at)[::-1], at))

    def slide(self) -> None:
        """A convolution along the last axis, whatever it is."""
        if len(self.axes) == 3 and self.axes[2][1] > 2:
            last, length = self.axes[2]
            size = self.draw.choice([2, 3])
            channels, self.axes = self.axes[1][1], [self.axes[0], ("channel", size), (last, length - 1)]
            self.add(nn.Conv1d(channels, size, 2), self.axes)


def wrong_names(seeds: range) -> Iterator[str]:
    """Names that are not those of the path: not unknown (`axis1`), and not another name for a part of a network."""
    for seed in seeds:
        path = Path(seed)
        hooks = wrap(path, path.example).hook_dict
        for hook, truth in path.truth.items():
            for place, (name, right) in enumerate(zip(hooks[hook].axes, truth, strict=True)):
                if name not in (right, f"axis{place}") and not {name, right} <= UNITS:
                    yield f"path {seed}: axis {place} of {hook} is called {name!r} and is {right!r}"
