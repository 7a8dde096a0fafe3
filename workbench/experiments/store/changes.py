"""Differences between the facts behind two answers: the reasons why a stored answer is not current."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.experiments.inputs.language import Inputs

Facts = Mapping[str, Any]

UNRECORDED = "it was stored before the facts behind an answer were recorded"
NAMED = 3
"""Modules named before the others are only counted."""


def differences(old: Facts, new: Facts) -> tuple[str, ...]:
    """List every fact that changed from one answer to another in a few words each."""
    if not old:
        return (UNRECORDED,)
    compare = (question, functions, models, data, environment, code, values, versions)
    found = [text for part in compare for text in part(old, new)]
    return tuple(found) or tuple(list_changes({"format": old.get("format")}, {"format": new.get("format")}))


def training_differences(old: Facts, new: Facts) -> tuple[str, ...]:
    """List every fact behind a training that changed in a few words each."""
    if not old:
        return ()  # it was trained before these facts were recorded
    settings = list_changes(old["settings"], new["settings"])
    return (*settings, *(text for part in (data, code, values, versions) for text in part(old, new)))


def question(old: Facts, new: Facts) -> Iterator[str]:
    """Yield parameters that only one question has, other values, and files of other contents."""
    before, after = old["question"], new["question"]
    parameters = before["parameters"], after["parameters"]
    for name in changed_names(*parameters):
        only = "" if all(name in of for of in parameters) else " is new" if name in parameters[1] else " is gone"
        yield f"parameter {name}{only or f' {parameters[0][name]!r} -> {parameters[1][name]!r}'}"
    for name in changed_names(before, after):
        if name in ("inputs", "corrupted") and (parsed := Inputs.try_parse(before[name])) and parsed.selection.files:
            yield f"files of {name} changed"
        elif name != "parameters":
            yield f"{name} {before[name]} -> {after[name]}"


def functions(old: Facts, new: Facts) -> Iterator[str]:
    """Yield other functions under the same names."""
    for name in changed_names(old["functions"], new["functions"]):
        yield f"another function is the {name} ({old['functions'][name]} -> {new['functions'][name]})"


def models(old: Facts, new: Facts) -> Iterator[str]:
    """Yield changed settings and files of the networks."""
    for name in changed_names(old["models"], new["models"]):
        if name not in old["models"] or name not in new["models"]:
            yield f"model {name} {'is new' if name in new['models'] else 'is gone'}"
            continue
        yield from model(name, old["models"][name], new["models"][name])


def model(name: str, old: Facts, new: Facts) -> Iterator[str]:
    """Yield changed settings and files of one network."""
    for part in changed_names(old, new):
        if part == "config":
            yield from (f"config of {name}: {text}" for text in list_changes(old[part], new[part]))
        elif part in ("architecture", "data"):
            yield f"{part} of {name}: {old.get(part)} -> {new.get(part)}"
        else:
            yield f"{part} of {name} changed"


def data(old: Facts, new: Facts) -> Iterator[str]:
    """Yield data sets of other contents."""
    yield from (f"data {name} changed" for name in changed_names(old["data"], new["data"]))


def environment(old: Facts, new: Facts) -> Iterator[str]:
    """Yield changed settings of the environment."""
    yield from (f"environment: {text}" for text in list_changes(old["environment"], new["environment"]))


def code(old: Facts, new: Facts) -> Iterator[str]:
    """Yield modules with another source; modules also change when one of these starts or stops importing them."""
    every = changed_names(old["code"], new["code"])
    names = [name for name in every if name in old["code"] and name in new["code"]] or every
    if names:
        more = f" and {len(names) - NAMED} more modules" if len(names) > NAMED else ""
        yield f"code of {', '.join(names[:NAMED])}{more} changed"


def values(old: Facts, new: Facts) -> Iterator[str]:
    """Values that the user's own functions read."""
    for name in changed_names(old.get("values", {}), new.get("values", {})):
        yield f"value of {name} changed"


def versions(old: Facts, new: Facts) -> Iterator[str]:
    """Yield packages of another version."""
    yield from list_changes(old["versions"], new["versions"])


def list_changes(old: Facts, new: Facts) -> Iterator[str]:
    """Return each changed value as `name old -> new`."""
    for name in changed_names(old, new):
        yield f"{name} {old.get(name, 'none')} -> {new.get(name, 'none')}"


def changed_names(old: Facts, new: Facts) -> list[str]:
    """Return the names with different values, sorted."""
    return [
        name for name in sorted(old.keys() | new.keys()) if name not in old or name not in new or old[name] != new[name]
    ]
