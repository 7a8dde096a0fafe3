"""Editable copy of the workbench with models and a plug-in, and processes that run analyses in it.

Each process is a fork of one that has imported torch and no part of the workbench, so that it starts in a moment and
runs the copy as it is then.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "pandas", "gymnasium", "scipy.stats", "sklearn.datasets", "transformer_lens", "safetensors.torch",
         "tokenizers", "PIL.Image", "einops", "plotly.graph_objects", "networkx", "psutil")  # fmt: skip
BOOKKEEPING = {
    *(f"workbench.experiments.store.{name}" for name in (
        "catalog", "changes", "dependencies", "processes", "results", "run_log")),
    *(f"workbench.experiments.{name}" for name in ("questions.defaults", "questions.spec", "run")),
    "workbench.checkpoints.provenance", "workbench.checkpoints.source_code", "workbench.data.files.storage",
}  # fmt: skip
"""Modules that run besides: they ask the question, find the files and compare them."""
MODELS = ("digits_mlp", "cartpole_ppo", "cartpole_a2c", "cartpole_dqn", "frozenlake_q", "maze_ppo", "induction_gpt",
          "dates_encoder_decoder", "shapes_gan", "shakespeare_gpt")  # fmt: skip
PLUGIN = {
    "stale_plugin/__init__.py": "",
    "stale_plugin/scale.py": "SCALE = 2.0\n",
    "stale_plugin/rows.py": (
        "import os\nimport numpy as np\nimport torch\nfrom workbench.data.images.image_data import ImageData\n\n\n"
        "def stale_rows() -> ImageData:\n    '''Rows of a file.'''\n"
        "    with np.load(os.environ['STALE_ROWS']) as stored:\n"
        "        pixels, targets = (torch.from_numpy(stored[n]) for n in ('pixels', 'targets'))\n"
        "    return ImageData('stale_rows', pixels, targets, pixels, targets, tuple('0123456789'), (0.0,), (1.0,),\n"
        "                     'MIT', 'a file', 'unknown', peak=16)\n"
    ),
    "stale_plugin/probe.py": (
        "from dataclasses import dataclass\nimport torch\nfrom jaxtyping import Float\nfrom torch import Tensor\n"
        "import stale_local\nfrom stale_plugin.scale import SCALE\nfrom workbench.core.hooked import HookedModel\n\n\n"
        "@dataclass(frozen=True)\nclass Scaled:\n    '''The output.'''\n\n    value: Float[Tensor, 'batch out']\n\n\n"
        "@torch.no_grad()\ndef scaled_output(model: HookedModel, inputs: Float[Tensor, 'batch *input']) -> Scaled:\n"
        "    '''The output, scaled.'''\n    return Scaled(SCALE * stale_local.SIGN * model(inputs))\n"
    ),
    "stale_local.py": "SIGN = 1.0\n",
    "stale_plugin-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: stale-plugin\nVersion: 1.0\n",
    "stale_plugin-1.0.dist-info/entry_points.txt": (
        "[workbench.analysis]\nscaled_output = stale_plugin.probe:scaled_output\n\n"
        "[workbench.data]\nstale_rows = stale_plugin.rows:stale_rows\n"
    ),
}


@dataclass(frozen=True)
class Question:
    """What is asked of which model; `rest` are the other arguments of a specification."""

    model: str
    analysis: str
    rest: Mapping[str, Any]

    @property
    def name(self) -> str:
        """How reports call it."""
        return f"{self.analysis} of {self.model}"


@dataclass(frozen=True)
class World:
    """The folder with the copies."""

    folder: Path

    def path(self, place: str) -> Path:
        """A file in it: `workbench/...`, `models/...`, `plug/...`, `data/...`."""
        return self.folder / ("tree" if place.startswith("workbench/") else "") / place

    def enter(self, runs: str) -> None:
        """Make this process one of the copy's; it must not have imported the workbench."""
        assert "workbench" not in sys.modules
        sys.path[:0] = [str(self.folder / part) for part in ("versions", "plug", "tree")]
        sys.pycache_prefix = str(self.folder / "pycache")
        importlib.invalidate_caches()
        os.environ |= {
            "WORKBENCH_MODELS": str(self.folder / "models"), "WORKBENCH_DATA": str(self.folder / "data"),
            "WORKBENCH_RUNS": str(self.folder / runs), "STALE_ROWS": str(self.folder / "data" / "rows.npz"),
        }  # fmt: skip
        socket.socket.connect = refuse  # type: ignore[method-assign, assignment]
        workbench = importlib.import_module("workbench")
        assert str(workbench.__file__).startswith(str(self.folder))

    def call(self, work: Callable[..., Any], *arguments: Any, runs: str = "runs") -> Any:
        """What a function returns in a new process of the copy."""
        with self.process(runs) as ask:
            return ask(work, *arguments)

    @contextmanager
    def process(self, runs: str = "runs") -> Iterator[Callable[..., Any]]:
        """A process of the copy that stays, and a function that lets it call another one."""
        here, there = multiprocessing.get_context("fork").Pipe()
        child = multiprocessing.get_context("fork").Process(target=serve, args=(self, runs, there))
        child.start()
        there.close()

        def ask(work: Callable[..., Any], *arguments: Any) -> Any:
            here.send((work, arguments))
            found = here.recv()
            if isinstance(found, RuntimeError):
                raise found
            return found

        try:
            yield ask
        finally:
            here.send(None)
            child.join()


def refuse(self: socket.socket, address: object) -> None:
    """Leave the network alone."""
    raise OSError(f"no connection to {address!r} in this trial")


def serve(world: World, runs: str, pipe: Connection) -> None:
    """Call what is asked for, until nobody asks any more."""
    world.enter(runs)
    while (asked := pipe.recv()) is not None:
        work, arguments = asked
        try:
            pipe.send(work(*arguments))
        except Exception as error:
            pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))


def build(folder: Path) -> World:
    """The copies, as they are before anything is changed."""
    import numpy as np

    for name in HEAVY:
        importlib.import_module(name)
    shutil.copytree(ROOT / "workbench", folder / "tree" / "workbench", ignore=shutil.ignore_patterns("__pycache__"))
    for name in MODELS:
        shutil.copytree(ROOT / "models" / name, folder / "models" / name)
    for name, text in PLUGIN.items():
        (folder / "plug" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "plug" / name).write_text(text)
    (folder / "versions").mkdir()
    (folder / "data").mkdir()
    shakespeare = Path(os.environ.get("WORKBENCH_DATA", "")) / "tinyshakespeare.txt"
    if shakespeare.is_file():
        shutil.copy(shakespeare, folder / "data")
    generator = np.random.default_rng(0)
    rows = {"pixels": generator.integers(0, 17, (32, 64), np.uint8), "targets": generator.integers(0, 10, 32)}
    np.savez(folder / "data" / "rows.npz", **rows)
    shutil.copytree(folder / "models" / "digits_mlp", folder / "models" / "rows_mlp")
    card = json.loads((folder / "models" / "rows_mlp" / "card.json").read_text())
    card["data"]["name"] = "stale_rows"
    card.pop("file_sha256", None)
    (folder / "models" / "rows_mlp" / "card.json").write_text(json.dumps(card))
    return World(folder)


# What processes of the copy do


def ask(questions: Sequence[Question], watch: bool = False) -> list[dict[str, Any]]:
    """The answers to questions: key, computed or stored, a hash of the result, and what ran when `watch`."""
    return [answered(question, watch) for question in questions]


def answered(question: Question, watch: bool) -> dict[str, Any]:
    """One answer, or the sentence that refuses it."""
    from workbench.core.errors import WorkbenchError
    from workbench.core.registry import ANALYSES, DATASETS, MODELS
    from workbench.experiments import run
    from workbench.experiments.questions.spec import Spec
    from workbench.experiments.store.data_contents import content_sha256

    ran: set[str] = set()
    plain = run.compute

    def watched(*arguments: Any) -> Any:
        sys.setprofile(lambda frame, event, _: ran.add(frame.f_globals.get("__name__", "")))
        try:
            return plain(*arguments)
        finally:
            sys.setprofile(None)

    run.compute = watched if watch else plain
    for registry in (ANALYSES, DATASETS, MODELS):
        registry.names()  # imports are no part of what a key costs
    try:
        begin = time.perf_counter()
        spec = Spec(question.model, question.analysis, **question.rest)
        facts, seconds = spec.facts, time.perf_counter() - begin
        found = run.answer(spec)
    except WorkbenchError as error:
        return {"refused": str(error), "computed": True, "value": ""}
    finally:
        run.compute = plain
    ours = sorted(name for name in ran - BOOKKEEPING if name.startswith("workbench."))
    return {"key": found.key, "computed": found.computed, "because": found.because, "refused": "",
            "value": content_sha256(found.result), "ran": ours, "seconds": seconds,
            "versions": list(facts["versions"]), "code": len(facts["code"])}  # fmt: skip


def retrain(name: str, step: int | None = None) -> None:
    """Give a network other weights, or keep other ones as those of a step."""
    from dataclasses import replace

    import torch

    from workbench.checkpoints.card import model_folder, read_curve, steps_folder
    from workbench.checkpoints.store import load, save, stored_weights
    from workbench.core.tensor_file import pack

    model, folder = load(name, step), model_folder(name)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.01)
    if step is not None:
        path = steps_folder(folder, model.card.run) / f"{step}.safetensors"
        about = {"step": step} | ({"run": model.card.run} if model.card.run else {})
        path.write_bytes(pack(stored_weights(model, model.card.dtype), about))
        return
    card = replace(model.card, weights_sha256="")
    save(folder, model, card, read_curve(name), model.tokenizer, overwrite=True)
