"""Stale answers: change each thing that an answer depends on and check that it is computed again.

1. Questions are asked and stored; asked again by another process, they are answered from the store.
2. A file is changed (a card, weights, a tokenizer, rows of data, source, the version of a package), and a new process
   asks what depends on it; then the file is put back. Which modules an answer depends on is found by watching which of
   them run, not by their imports.
3. One process lives through changes of its models and data. Each of its answers is compared with that of a new process
   with an empty store.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.bench.harness import Figure
from tests.campaigns.stale_world import Question, World, ask, build, retrain

SIZE = 50
"""Modules whose source is changed; every other kind of change is tried each time."""


def question(model: str, analysis: str, inputs: str = "", metric: str = "logit", **parameters: Any) -> Question:
    """A question with its parameters side by side."""
    return Question(model, analysis, {"inputs": inputs, "metric": metric, "parameters": parameters})


HIDDEN = "actor.blocks.0.hook_post"
DIGITS = question("digits_mlp", "ablation", "test:0:4", hook="blocks.0.hook_post")
ROWS = question("rows_mlp", "ablation", "test:0:4", hook="blocks.0.hook_post")
PLUGGED = question("rows_mlp", "scaled_output", "test:0:4")
POLICY = question("cartpole_ppo", "saliency", "rollout:0:4")
ALIKE = question("cartpole_a2c", "alike", "rollout:0:8", others=["cartpole_ppo@10", "cartpole_dqn"])
SHAKESPEARE = question("shakespeare_gpt", "activations", "test:0:1", hook="blocks.0.hook_resid_post")
PAIRS = question("dates_encoder_decoder", "nodes", "test:0:4", method="atp")
QUESTIONS = (
    DIGITS, ROWS, PLUGGED, POLICY, SHAKESPEARE, PAIRS, ALIKE,
    question("digits_mlp", "circuit", "test:0:4"),
    question("digits_mlp", "anatomy"),
    question("digits_mlp", "statistics", "train:0:4"),
    question("digits_mlp", "patching", "test:0:4", hook="blocks.0.hook_post"),
    question("digits_mlp", "maximization", "test:0:2", hook="blocks.0.hook_post", units=[0], steps=4),
    question("digits_mlp", "verify", "test:0:4", cuts=4, controls=2, resamples=2, sampled=4),
    question("cartpole_ppo", "unit_returns", "rollout:0:4", hook=HIDDEN, episodes=1, limit=4),
    question("cartpole_ppo", "circuit_returns", "rollout:0:4", episodes=1, limit=4, points=2, draws=1),
    question("cartpole_ppo", "probes", hook=HIDDEN, episodes=5, states=40),
    question("cartpole_ppo", "counterfactuals", "rollout:0:2", steps=2),
    question("cartpole_ppo", "reachable", "rollout:0:4", hook=HIDDEN, units=[0], steps=4, generations=1),
    question("maze_ppo", "vector_field", "rollout:0:4"),
    question("cartpole_dqn", "q_accuracy", states=2, limit=10),
    question("frozenlake_q", "activations", "explored:0:4", hook="hook_q"),
    question("induction_gpt", "head_patterns", "test:0:4"),
    question("induction_gpt", "composition"),
    question("induction_gpt", "path", "test:0:4"),
    question("shapes_gan", "traversal", "sample:0:2", hook="hook_input", units=[0], steps=2),
)  # fmt: skip


@dataclass
class Record:
    """What came of every trial: answers given, and those that were old, wrong or refused."""

    given: int = 0
    old: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    refused: int = 0

    def add(self, change: str, asked: Sequence[Question], answers: Sequence[dict[str, Any]]) -> None:
        """Count answers to questions that have changed."""
        for one, answer in zip(asked, answers, strict=True):
            self.given += 1
            self.refused += bool(answer["refused"])
            if not answer["computed"]:
                self.old.append(f"{change}: {one.name}")


@contextmanager
def changed(world: World, place: str, content: bytes | Callable[[bytes], bytes]) -> Iterator[None]:
    """Another content of a file, inside the block."""
    path = world.path(place)
    before = path.read_bytes() if path.is_file() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content(before or b"") if callable(content) else content)
    try:
        yield
    finally:
        path.unlink() if before is None else path.write_bytes(before)


@contextmanager
def retrained(world: World, name: str, step: int | None = None) -> Iterator[None]:
    """Other weights of a network, or of one of its steps, inside the block."""
    folder = world.path(f"models/{name}")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    world.call(retrain, name, step)
    try:
        yield
    finally:
        for path, content in before.items():
            path.write_bytes(content)


def card(**config: Any) -> Callable[[bytes], bytes]:
    """A card with other values in its config, as somebody writes it who confirms the change."""

    def change(content: bytes) -> bytes:
        stored = json.loads(content)
        stored.pop("file_sha256", None)
        return json.dumps(stored | {"config": stored["config"] | config}).encode()

    return change


def swapped(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """A file with one text in place of another, which it has."""

    def change(content: bytes) -> bytes:
        assert old in content, f"nothing to replace: {old!r}"
        return content.replace(old, new, 1)

    return change


def other_rows(content: bytes) -> bytes:
    """The rows of the plug-in's data set with the first ones exchanged."""
    import io

    import numpy as np

    with np.load(io.BytesIO(content)) as stored:
        rows = {name: np.roll(stored[name], 1, axis=0) for name in stored.files}
    file = io.BytesIO()
    np.savez(file, **rows)
    return file.getvalue()


FILES: tuple[tuple[str, Callable[[bytes], bytes], tuple[Question, ...]], ...] = (
    ("models/digits_mlp/card.json", card(activation="tanh"), tuple(q for q in QUESTIONS if q.model == "digits_mlp")),
    (
        "models/cartpole_ppo/card.json",
        card(activation="relu"),
        tuple(q for q in QUESTIONS if q.model == "cartpole_ppo"),
    ),
    ("models/cartpole_dqn/card.json", card(activation="tanh"), (ALIKE,)),
    ("models/induction_gpt/card.json", card(normalization="rms"), (QUESTIONS[21], QUESTIONS[22], QUESTIONS[23])),
    ("models/dates_encoder_decoder/card.json", card(activation="relu"), (PAIRS,)),
    ("models/shakespeare_gpt/tokenizer.json", lambda text: text + b" ", (SHAKESPEARE,)),
    ("models/dates_encoder_decoder/tokenizer.json", lambda text: text + b" ", (PAIRS,)),
    ("models/digits_mlp/weights.safetensors", lambda content: content[:-1] + b"x", (DIGITS,)),
    ("data/rows.npz", other_rows, (ROWS, PLUGGED)),
    ("data/tinyshakespeare.txt", lambda text: text.replace(b"First", b"Third", 1), (SHAKESPEARE,)),
    ("plug/stale_plugin/probe.py", swapped(b"SCALE *", b"2 * SCALE *"), (PLUGGED,)),
    ("plug/stale_plugin/scale.py", swapped(b"2.0", b"3.0"), (PLUGGED,)),
    ("plug/stale_local.py", swapped(b"1.0", b"-1.0"), (PLUGGED,)),
    ("plug/stale_plugin/rows.py", swapped(b"peak=16", b"peak=17"), (ROWS, PLUGGED)),
    ("plug/stale_plugin-1.0.dist-info/METADATA", swapped(b"Version: 1.0", b"Version: 1.1"), (PLUGGED,)),
    ("workbench/analysis/ablation.py", swapped(b"values[1:] - values[0]", b"values[1:] + values[0]"), (DIGITS, ROWS)),
    ("workbench/core/metrics.py", lambda text: text + b"\nMETRICS['logit'] = METRICS['loss']\n", (DIGITS, PAIRS)),
    ("workbench/data/environments/cartpole.py", lambda text: text + b"\n", (POLICY, QUESTIONS[13], QUESTIONS[15])),
    ("workbench/data/pairs/dates.py", lambda text: text + b"\n", (PAIRS,)),
)
"""A file, its change, and the questions whose answer depends on it."""


def figures(size: int) -> Iterator[Figure]:
    """Old answers, answers that are wrong, unchanged questions, and what a key costs."""
    with tempfile.TemporaryDirectory() as folder:
        world, record = build(Path(folder)), Record()
        asked = list(QUESTIONS if world.path("data/tinyshakespeare.txt").is_file() else without(SHAKESPEARE))
        first = world.call(ask, asked, True)
        left_out = [answer["refused"] for answer in first if answer["refused"]]
        asked = [one for one, answer in zip(asked, first, strict=True) if not answer["refused"]]
        first = [answer for answer in first if not answer["refused"]]
        again = world.call(ask, asked)
        change_files(world, asked, record)
        change_sources(world, asked, first, size, record)
        change_versions(world, asked, first, record)
        change_questions(world, asked, record)
        live_through_changes(world, record)
        restored = world.call(ask, asked)
    values = [answer["value"] for answer in first]
    kept = [not one["computed"] and one["value"] == value for all_of in (again, restored)
            for one, value in zip(all_of, values, strict=True)]  # fmt: skip
    notes = "; ".join([*record.old, *record.wrong])
    yield Figure("stale.questions_left_out", len(left_out), f"refused {left_out}", target="== 0")
    yield Figure(
        "stale.old_answers_given", len(record.old), f"of {record.given} answers {notes}".strip(), target="== 0"
    )
    yield Figure("stale.wrong_values", len(record.wrong), "answers of a process that lived on", target="== 0")
    yield Figure("stale.unchanged_answered", sum(kept) / len(kept), f"share of {len(kept)} stored", target="== 1")
    yield Figure("stale.refused", record.refused, "changes that were refused in a sentence")
    yield Figure("stale.key_first_ms", 1e3 * first[0]["seconds"], "ms, first question of a process, data read")
    yield Figure(
        "stale.key_ms", 1e3 * statistics.median(one["seconds"] for one in again[1:]), "ms, median of later ones"
    )


def without(left_out: Question) -> tuple[Question, ...]:
    """The questions whose data are here."""
    return tuple(one for one in QUESTIONS if one is not left_out)


def change_files(world: World, asked: Sequence[Question], record: Record) -> None:
    """Change each file, and each network's weights, and ask new processes what depends on it."""
    for place, change, affected in FILES:
        with changed(world, place, change):
            some = [one for one in affected if one in asked]
            record.add(place, some, world.call(ask, some))
    for name, step, some in (
        ("digits_mlp", None, [DIGITS]), ("cartpole_ppo", 10, [ALIKE]), ("cartpole_dqn", None, [ALIKE]),
        ("cartpole_ppo", None, [POLICY]), ("dates_encoder_decoder", None, [PAIRS]),
    ):  # fmt: skip
        with retrained(world, name, step):
            record.add(f"weights of {name}", some, world.call(ask, some))


def change_sources(
    world: World, asked: Sequence[Question], first: Sequence[dict[str, Any]], size: int, record: Record
) -> None:
    """Change the source of modules that were seen to run, and ask a question that ran each of them."""
    ran = [(module, one) for one, answer in zip(asked, first, strict=True) for module in answer["ran"]]
    random.Random(0).shuffle(ran)
    by_module = dict(ran)  # one question for each module
    for module, one in list(by_module.items())[:size]:
        place = module.replace(".", "/")
        place += "/__init__.py" if world.path(place).is_dir() else ".py"
        with changed(world, place, lambda text: text + b"\nCHANGED = True\n"):
            record.add(module, [one], world.call(ask, [one]))


def change_versions(world: World, asked: Sequence[Question], first: Sequence[dict[str, Any]], record: Record) -> None:
    """Let each package that an answer depends on have another version."""
    used = {package: one for one, answer in zip(asked, first, strict=True) for package in answer["versions"]}
    for package, one in used.items():
        if package in ("python", "stale-plugin", "stale_plugin"):  # the plug-in's own is changed where it stands
            continue
        information = f"Metadata-Version: 2.1\nName: {package}\nVersion: 99.0\n"
        with changed(world, f"versions/{package.replace('-', '_')}-99.0.dist-info/METADATA", information.encode()):
            record.add(f"version of {package}", [one], world.call(ask, [one]))
        (world.path("versions") / f"{package.replace('-', '_')}-99.0.dist-info").rmdir()


def change_questions(world: World, asked: Sequence[Question], record: Record) -> None:
    """Ask what nobody asked before: other metrics, seeds and inputs."""
    other = [
        *(replace(one, rest={**one.rest, "metric": "loss"}) for one in (DIGITS, ROWS, PAIRS)),
        *(replace(one, rest={**one.rest, "seed": 1}) for one in (DIGITS, ALIKE)),
        *(replace(one, rest={**one.rest, "inputs": "test:4:8"}) for one in (DIGITS, ROWS, PLUGGED, PAIRS)),
        replace(POLICY, rest={**POLICY.rest, "inputs": "rollout:1:4"}),
        question("digits_mlp", "ablation", "test:0:4", hook="blocks.0.hook_post", method="mean"),
    ]
    record.add("another question", other, world.call(ask, other))


def live_through_changes(world: World, record: Record) -> None:
    """Change models and data under a process, and compare it with a new one that has nothing stored."""
    changes: tuple[tuple[str, Callable[[bytes], bytes], Question], ...] = tuple(
        (place, change, affected[0]) for place, change, affected in FILES if place.startswith(("models/", "data/"))
        and affected[0] is not SHAKESPEARE
    )  # fmt: skip
    some = [one for _, _, one in changes]
    with world.process("living") as living:
        living(ask, some)
        for number, (place, change, one) in enumerate(changes):
            with changed(world, place, change):
                compare_with_new(world, living, place, one, number, record)
        for number, name in enumerate(("digits_mlp", "cartpole_dqn")):
            one = DIGITS if name == "digits_mlp" else ALIKE
            with retrained(world, name):
                compare_with_new(world, living, f"weights of {name}", one, 100 + number, record)
        after = living(ask, some)
    record.old += [f"put back: {one.name}" for one, answer in zip(some, after, strict=True) if answer["computed"]]


def compare_with_new(
    world: World, living: Callable[..., Any], change: str, one: Question, number: int, record: Record
) -> None:
    """Ask a process that lived through a change, and one that has seen nothing else."""
    found, expected = living(ask, [one]), world.call(ask, [one], runs=f"new{number}")
    record.add(f"{change} under a process", [one], found)
    if (found[0]["value"], bool(found[0]["refused"])) != (expected[0]["value"], bool(expected[0]["refused"])):
        record.wrong.append(f"{change}: {one.name}")
