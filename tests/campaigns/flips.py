"""Flip single bits in files of the workbench and count how often reading them raises an error.

Files written here: weights, card, curve and tokenizer of a language model, a kept step, the state and the record of a
training, a stored result, the catalog of results. Committed files: weights, cards, curves and steps of small models.

A catalog is a database, in which a bit may lie in space that is not used: when everything that can be read from it is
as before, the flip is counted apart.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from tests.bench.harness import Figure
from tests.campaigns.kill import result_of
from workbench.checkpoints.card import Card, DataSource, card_of, models_folder, names, read_curve, steps, steps_folder
from workbench.checkpoints.store import load_folder, save, save_step, weights_of
from workbench.core.errors import WorkbenchError
from workbench.data.text.byte_pairs import train_bpe
from workbench.experiments.store.results import ResultStore
from workbench.experiments.store.upkeep import check
from workbench.recipes.run_record import RECORD, claim, read_record
from workbench.training.curve import Curve
from workbench.training.fit import fit
from workbench.training.fit_config import FitConfig
from workbench.training.language_modelling import next_token_loss
from workbench.training.resume import read_state
from workbench.zoo.gpt import GPT, GPTConfig

SIZE = 10_000
SMALL = 300_000
"""Bytes of a committed file, at most."""
RUN = "r1"


@dataclass(frozen=True)
class Target:
    """A file, and what reads it; `view` is everything that can be read, where bits may lie in unused space."""

    path: Path
    read: Callable[[], object]
    view: Callable[[], object] | None = None


@contextmanager
def flipped(path: Path, bit: int) -> Iterator[None]:
    """The file with one bit changed while the block runs."""
    content = path.read_bytes()
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    path.write_bytes(changed)
    try:
        yield
    finally:
        path.write_bytes(content)


def own_files(folder: Path) -> dict[str, list[Target]]:
    """Files of every kind, written now."""
    tokenizer = train_bpe("the king saw the queen. " * 20, 280)
    model = GPT(GPTConfig(d_vocab=tokenizer.vocab_size, n_ctx=8, n_layers=1, d_model=8, n_heads=2)).eval()
    card = Card("gpt", "none", DataSource("made", "ab" * 32), 0, title="A model", note="Ünicode – a note", run=RUN)
    place = folder / "models" / "made"
    save(place, model, card, Curve([1, 2], {"train_loss": [2.0, None]}), tokenizer)
    step = save_step(place, model, 10, RUN)
    tokens = torch.randint(9, (4, 8), generator=torch.Generator().manual_seed(0))
    state, record = folder / "state" / "training_state.safetensors", folder / "record"
    fit(model, lambda step: (tokens, tokens), next_token_loss, FitConfig(steps=3), checkpoint=state)
    claim(record, {"recipe": "made", "training.lr": 0.1})
    return {
        "weights": [Target(place / "weights.safetensors", partial(load_folder, place))],
        "card": [Target(place / "card.json", partial(card_of, place))],
        "curve": [Target(place / "curve.json", partial(read_curve, "made"))],
        "tokenizer": [Target(place / "tokenizer.json", partial(load_folder, place))],
        "step": [Target(step, partial(load_folder, place, 10))],
        "state": [Target(state, partial(read_state, state))],
        "record": [Target(record / RECORD, partial(require_record, record))],
    }


def require_record(folder: Path) -> None:
    """Read the record of a training as a training that wants to continue does."""
    claim(folder, {"recipe": "made", "training.lr": 0.1})
    assert read_record(folder) == {"recipe": "made", "training.lr": 0.1}


def store_files(folder: Path) -> dict[str, list[Target]]:
    """Results and the catalog that lists them, as a process leaves them."""
    store = ResultStore(folder / "runs")
    keys = [f"key{i}" for i in range(5)]
    for i, key in enumerate(keys):
        store.put(key, result_of(i), {"model": "made", "number": i}, {"time": "now"})
    with store.open_to_read() as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def view() -> list[Any]:
        listed = sorted(map(repr, store.entries()))
        return [*listed, *(store.get(key).effect.tolist() for key in keys)]

    def require_whole() -> None:
        view()
        if findings := [finding for finding in check(store) if finding.kind not in ("leftover",)]:
            raise WorkbenchError(str(findings))

    catalog = store.folder / "catalog.sqlite"
    results = [Target(store.path(key), partial(store.get, key)) for key in keys]
    return {"result": results, "catalog": [Target(catalog, require_whole, view)]}


def committed_files(folder: Path) -> dict[str, list[Target]]:
    """Copies of small files that are committed."""
    found: dict[str, list[Target]] = {"committed weights": [], "committed card": [], "committed curve": []}
    found["committed step"] = []
    for name in names():
        source, copy = models_folder() / name, folder / "models" / name
        if (source / "weights.safetensors").stat().st_size > SMALL:
            continue
        shutil.copytree(source, copy)
        found["committed weights"].append(Target(copy / "weights.safetensors", partial(weights_of, copy)))
        found["committed card"].append(Target(copy / "card.json", partial(card_of, copy)))
        found["committed curve"].append(Target(copy / "curve.json", partial(read_curve, name)))
        run = card_of(copy).run
        for step in steps(name):
            path = steps_folder(copy, run) / f"{step}.safetensors"
            found["committed step"].append(Target(path, partial(load_folder, copy, step)))
    return found


def outcome(target: Target, bit: int) -> str:
    """What becomes of one flip: noticed, silent, unused, or an error that is no sentence of ours."""
    with flipped(target.path, bit):
        try:
            target.read()
        except WorkbenchError:
            return "noticed"
        except Exception as error:
            return f"traceback: {type(error).__name__}"
        return "silent"


def figures(size: int) -> Iterator[Figure]:
    """Flip `size` bits, in turn in a file of each kind."""
    rng, found = random.Random(0), Counter[tuple[str, str]]()
    with TemporaryDirectory(prefix="flips-") as scratch:
        folder = Path(scratch)
        committed = committed_files(folder)
        os.environ["WORKBENCH_MODELS"] = str(folder / "models")
        files = own_files(folder) | store_files(folder) | committed
        views = {kind: targets[0].view() for kind, targets in files.items() if targets[0].view is not None}
        for number in range(size):
            kind = list(files)[number % len(files)]
            target = rng.choice(files[kind])
            bit = rng.randrange(8 * target.path.stat().st_size)
            became = outcome(target, bit)
            if became == "silent" and target.view is not None:
                with flipped(target.path, bit):
                    became = "unused" if target.view() == views[kind] else "silent"
            found[kind, became] += 1
    for kind in files:
        counted = {became: n for (of, became), n in found.items() if of == kind}
        used = sum(counted.values()) - counted.get("unused", 0)
        note = f", {counted['unused']} in unused space" if "unused" in counted else ""
        yield Figure(f"flips.{kind}", counted.get("noticed", 0) / max(1, used), f"of {used} flips{note}", target="== 1")
    tracebacks = sum(n for (_, became), n in found.items() if became.startswith("traceback"))
    yield Figure("flips.tracebacks", tracebacks, f"of {size} flips", target="== 0")
    used = size - sum(n for (_, became), n in found.items() if became == "unused")
    noticed = sum(n for (_, became), n in found.items() if became == "noticed")
    yield Figure("flips.noticed", noticed / used, f"of {used} flips", target="== 1")
