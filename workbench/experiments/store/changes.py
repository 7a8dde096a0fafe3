"""Why a stored answer is not today's: the facts behind two answers, compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.experiments.inputs.language import Inputs

Facts = Mapping[str, Any]

UNRECORDED = "it was stored before the facts behind an answer were recorded"
NAMED = 3
"""Modules named before the others are only counted."""


def differences(old: Facts, new: Facts) -> tuple[str, ...]:
    """Every fact that changed from one answer to another, each in a few words; none when nothing did."""
    if not old:
        return (UNRECORDED,)
    compare = (question, functions, models, data, environment, code, versions)
    found = [text for part in compare for text in part(old, new)]
    return tuple(found) or tuple(listed({"format": old.get("format")}, {"format": new.get("format")}))


def training_differences(old: Facts, new: Facts) -> tuple[str, ...]:
    """Every fact behind a training that changed, each in a few words; none when nothing did."""
    if not old:
        return ()  # it was trained before these facts were recorded
    settings = listed(old["settings"], new["settings"])
    return (*settings, *(text for part in (data, code, versions) for text in part(old, new)))


def question(old: Facts, new: Facts) -> Iterator[str]:
    """Parameters that one of two questions has alone, other values, and files of other contents."""
    before, after = old["question"], new["question"]
    parameters = before["parameters"], after["parameters"]
    for name in changed(*parameters):
        only = "" if all(name in of for of in parameters) else " is new" if name in parameters[1] else " is gone"
        yield f"parameter {name}{only or f' {parameters[0][name]!r} -> {parameters[1][name]!r}'}"
    for name in changed(before, after):
        if name in ("inputs", "corrupted") and (parsed := Inputs.try_parse(before[name])) and parsed.selection.files:
            yield f"files of {name} changed"
        elif name != "parameters":
            yield f"{name} {before[name]} -> {after[name]}"


def functions(old: Facts, new: Facts) -> Iterator[str]:
    """Other functions under the same names."""
    for name in changed(old["functions"], new["functions"]):
        yield f"another function is the {name} ({old['functions'][name]} -> {new['functions'][name]})"


def models(old: Facts, new: Facts) -> Iterator[str]:
    """Settings and files of the networks."""
    for name in changed(old["models"], new["models"]):
        if name not in old["models"] or name not in new["models"]:
            yield f"model {name} {'is new' if name in new['models'] else 'is gone'}"
            continue
        yield from model(name, old["models"][name], new["models"][name])


def model(name: str, old: Facts, new: Facts) -> Iterator[str]:
    """Settings and files of one network."""
    for part in changed(old, new):
        if part == "config":
            yield from (f"config of {name}: {text}" for text in listed(old[part], new[part]))
        elif part in ("architecture", "data"):
            yield f"{part} of {name}: {old.get(part)} -> {new.get(part)}"
        else:
            yield f"{part} of {name} changed"


def data(old: Facts, new: Facts) -> Iterator[str]:
    """Data sets of other contents."""
    yield from (f"data {name} changed" for name in changed(old["data"], new["data"]))


def environment(old: Facts, new: Facts) -> Iterator[str]:
    """Settings of the environment."""
    yield from (f"environment: {text}" for text in listed(old["environment"], new["environment"]))


def code(old: Facts, new: Facts) -> Iterator[str]:
    """Modules whose source is another; modules come and go because one of these imports them or no longer does."""
    every = changed(old["code"], new["code"])
    names = [name for name in every if name in old["code"] and name in new["code"]] or every
    if names:
        more = f" and {len(names) - NAMED} more modules" if len(names) > NAMED else ""
        yield f"code of {', '.join(names[:NAMED])}{more} changed"


def versions(old: Facts, new: Facts) -> Iterator[str]:
    """Packages of another version."""
    yield from listed(old["versions"], new["versions"])


def listed(old: Facts, new: Facts) -> Iterator[str]:
    """Each value that changed, as `name old -> new`."""
    for name in changed(old, new):
        yield f"{name} {old.get(name, 'none')} -> {new.get(name, 'none')}"


def changed(old: Facts, new: Facts) -> list[str]:
    """The names whose value is not the same in both, sorted."""
    return [
        name for name in sorted(old.keys() | new.keys()) if name not in old or name not in new or old[name] != new[name]
    ]
