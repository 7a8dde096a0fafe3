"""Files that users write, valid and with mistakes: pipelines, comparisons, specifications, circuits."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from tests.fuzz.questions import question
from tests.fuzz.words import mutate, number, pick, text
from workbench.core.registry import ANALYSES
from workbench.experiments.questions.parameters import signature_of
from workbench.experiments.questions.spelling import from_text


def pipeline(rng: Random, models: tuple[str, ...]) -> bytes:
    """A pipeline file, right or spoiled at some place."""
    lines = []
    if rng.random() < 0.3:
        lines += ["[defaults]", f"model = {toml(rng, pick(rng, *models))}"]
    for _ in range(rng.randrange(1, 3)):
        analysis, model, given = question(rng, models)
        lines += ["[[runs]]", f"analysis = {quoted(analysis)}", f"model = {quoted(model)}"]
        known = signature_of(analysis).parameters if analysis in ANALYSES else {}
        for name, value in given.items():
            right = from_text(known[name].annotation, value) if name in known else value
            lines.append(f"{key(name)} = {toml(rng, right)}")
        if rng.random() < 0.4:
            lines += [
                "[runs.grid]",
                f"seed = {pick(rng, '[0, 1]', '[0, 1]', '[5]', '[]', '3', '[[1]]', f'[{number(rng)}]')}",
            ]
    return spoiled_file(rng, "\n".join(lines))


def comparison(rng: Random) -> bytes:
    """A file of a comparison whose recipe is not there or whose settings are wrong."""
    lines = [f"recipe = {pick(rng, quoted(text(rng)), quoted('digits_mlp'), number(rng) or '0')}"]
    lines += [f"seeds = {pick(rng, '[0]', '[]', '3', '[-1]', '[1.5]', quoted('a'))}"] if rng.random() < 0.6 else []
    if rng.random() < 0.7:
        lines += ["[settings]", f"{key(pick(rng, 'lr', 'steps', 'nothing', text(rng)))} = {toml(rng, number(rng))}"]
    lines += pick(rng, [], ["variants = 3"], ["[variants]"], ["[variants.a]"], ["[variants.a]", "nothing = 1"])
    return spoiled_file(rng, "\n".join(lines))


def specification(rng: Random, models: tuple[str, ...]) -> str:
    """A specification in JSON, right or spoiled."""
    analysis, model, given = question(rng, models)
    fields = {"analysis": analysis, "model": model, **given}
    for name in list(fields):
        if rng.random() < 0.15:
            fields[name] = pick(rng, None, 3, 1.5, True, [], ["a", 1], {}, {"a": []}, text(rng))
    if rng.random() < 0.1:
        fields["parameters"] = pick(rng, {}, [], None, "a", {"seed": 1}, {"": 2})
    whole = json.dumps(fields)
    return mutate(rng, whole) if rng.random() < 0.3 else whole


def circuit(rng: Random, right: str) -> str:
    """The JSON of a circuit with some of it replaced."""
    stored = json.loads(right)
    for _ in range(rng.randrange(1, 3)):
        spoil_inside(rng, stored)
    whole = json.dumps(stored)
    return mutate(rng, whole) if rng.random() < 0.2 else whole


def spoil_inside(rng: Random, stored: Any) -> None:
    """Replace or drop one value somewhere in nested lists and objects."""
    while True:
        keys = list(stored) if isinstance(stored, dict) else list(range(len(stored)))
        if not keys:
            return
        at = pick(rng, *keys)
        if isinstance(stored[at], dict | list) and stored[at] and rng.random() < 0.8:
            stored = stored[at]
            continue
        if rng.random() < 0.3:
            del stored[at]
        else:
            stored[at] = pick(rng, None, -1, 10**30, 1e300, "", "a", [], {}, [[1]], {"a": 1}, True, text(rng))
        return


def spoiled_file(rng: Random, content: str) -> bytes:
    """The bytes of a file, sometimes mutated, marked, in another encoding or nested deep."""
    if rng.random() < 0.2:
        content = mutate(rng, content)
    if rng.random() < 0.05:
        content += f"\nx = {pick(rng, '[' * 5000, '{a=' * 5000, '9' * 5000, '[' * 3000 + ']' * 3000)}"
    raw = content.encode("utf-8", pick(rng, "surrogatepass", "replace"))
    if rng.random() < 0.03:
        return content.encode("utf-16", "surrogatepass")
    return pick(rng, raw, raw, raw, b"\xef\xbb\xbf" + raw, raw.replace(b"\n", b"\r\n"))


def key(name: str) -> str:
    """A key of TOML."""
    return name if name.isidentifier() and name.isascii() else quoted(name)


def quoted(value: str) -> str:
    """A text of TOML."""
    return json.dumps(value.encode("utf-8", "replace").decode(), ensure_ascii=False)


def toml(rng: Random, value: Any) -> str:
    """A value of TOML: the value itself, mostly, or something else."""
    right = quoted(value) if isinstance(value, str) else json.dumps(value, default=str)
    other = pick(rng, f"[{right}]", number(rng) or "0", "2020-01-01", "{a = 1}", "[[1, 2], [3]]", "true", quoted(right))
    return other if rng.random() < 0.1 or value is None else right
