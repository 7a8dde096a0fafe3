"""Networks made elsewhere, put beside the trained ones by name, and taken away again.

1. Find the source. Code of the user's own is run only if that was agreed to.
2. Open the network on an example of its inputs, as a tape or by hooks.
3. Write a card with the source, the hash of every file of it, and what the network computes.

After that its name is one of `workbench.names()`. Its source stays where it is, and a changed one is refused.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import torch
from torch import nn

from workbench.checkpoints.card import SLUG, Card, DataSource, card_of, model_folder, models_folder, names, read_card
from workbench.checkpoints.foreign import (
    FUNCTION,
    call_function,
    form_of,
    load_transformers,
    open_as,
    read_config,
    require_network,
    weights_sha256,
)
from workbench.checkpoints.present import FOREIGN
from workbench.checkpoints.provenance import commit, file_sha256
from workbench.checkpoints.source_code import OURS, code_of, is_shipped, locate
from workbench.checkpoints.store import CARD, fill, save
from workbench.checkpoints.writing import require_free, writing
from workbench.core import atomic
from workbench.core.errors import CheckpointError, ConfigError, InputError, UnknownNameError, short
from workbench.core.ranges import check_value
from workbench.core.reading import read_file
from workbench.core.registry import MODELS, config_type
from workbench.core.tensor_file import pack, unpack
from workbench.core.wrap import WrappedModel
from workbench.experiments.added_data import AddedData, describe_example, read_data
from workbench.experiments.inputs.given_tensors import TENSORS
from workbench.experiments.network_sources import WEIGHTS, Source, find_source
from workbench.experiments.questions.budget import current, require
from workbench.experiments.questions.spelling import from_text
from workbench.experiments.store.model_identity import label_of, network_facts
from workbench.training.curve import Curve

ADDED = "added"
"""In place of a recipe on the card of a network that was not trained here."""


def add(
    name: str,
    source: str,
    data: str = "",
    architecture: str = "",
    settings: Mapping[str, Any] | None = None,
    opened: str = "",
    run_code: bool = False,
    overwrite: bool = False,
) -> Card:
    """Put a network made elsewhere beside the trained ones, under a name for every command and page.

    Args:
        name: Its name from now on.
        source: `module:function` or `path.py:function` that returns the network, or the network and an example; a
            Hugging Face folder, or the name of one in the cache; or a safetensors file with an `architecture` of ours.
        data: Example inputs: a file of arrays, a folder of images by class, a data set of images, or an environment.
        architecture: Architecture of a safetensors file.
        settings: Settings of this architecture that differ from its defaults.
        opened: "record" as a tape with a computation graph, or "wrap" by hooks. By default the first that is possible.
        run_code: Agree that the code of `source` is run, now and whenever the network is opened.
        overwrite: Replace a network that was added under this name.

    Returns:
        The card that was written.

    Raises:
        InputError: If there is no such source, it would run code that was not agreed to, or it cannot be opened.
        CheckpointError: If the name is that of another network.

    Example:
        >>> workbench.add("mine", "policy.pth")
        Traceback (most recent call last):
        ...
        workbench.core.errors.InputError: 'policy.pth' is a pickle, which can run any code when it is opened. ...
    """
    folder = folder_for(name, overwrite)
    found = find_source(source)
    if found.code and not run_code:
        raise InputError(
            f"{source} runs the code in {found.code}. If you trust it, agree: --yes on the command line, run_code=True "
            "in Python."
        )
    if found.kind == WEIGHTS:
        return add_weights(folder, found, data, architecture, settings or {}, overwrite)
    if architecture or settings:
        raise InputError("An architecture and its settings are for a safetensors file. Leave them out.")
    module, own = make(found)
    inputs = choose_example(found, data, own, source)
    card, files = describe_network(found, source, module, inputs, opened)
    write(folder, files, card)
    return card


def remove(name: str) -> None:
    """Take away a network that was added; its source and stored results stay.

    Args:
        name: Name of the network.

    Raises:
        UnknownNameError: If there is no such network.
        CheckpointError: If it was trained and not added, or another process writes there.

    Example:
        >>> workbench.remove("digits_mlp")
        Traceback (most recent call last):
        ...
        workbench.core.errors.CheckpointError: digits_mlp was trained and not added, so it is not removed by this. ...
    """
    folder = model_folder(name)
    require_added(name)
    with writing(folder):
        gone = folder.with_name(f".{name}.removed")
        shutil.rmtree(gone, ignore_errors=True)
        folder.replace(gone)
    shutil.rmtree(gone, ignore_errors=True)


def require_added(name: str) -> None:
    """Raise CheckpointError unless a network was added."""
    if read_card(name).recipe != ADDED:
        raise CheckpointError(
            f"{name} was trained and not added, so it is not removed by this. Delete its folder {model_folder(name)} "
            "if you are sure."
        )


def folder_for(name: str, overwrite: bool) -> Path:
    """Return the folder of a new network; raises unless its name is free, or that of one that may be replaced."""
    if not isinstance(name, str) or not SLUG.fullmatch(name):
        raise InputError(
            f"{short(name)} cannot be the name of a model: names are letters, digits, '_', '-' and '.', at most 100, "
            "and start with a letter or a digit."
        )
    if name in names():
        require_added(name)
        if not overwrite:
            raise CheckpointError(
                f"There is a network {name}, added from {source_of(read_card(name))}. Choose another name, or replace "
                f"it: --overwrite, or workbench remove {name} first."
            )
    return models_folder() / name


def source_of(card: Card) -> str:
    """Return the source of a network that was added."""
    return str(card.config["source"] if card.architecture == FOREIGN else card.settings["source"])


def make(source: Source) -> tuple[nn.Module, Any]:
    """Return the network of a source and the example that comes with it; a function is called twice.

    Raises:
        InputError: If it returns other weights each time.
    """
    if source.kind != FUNCTION:
        return load_transformers(Path(source.place["folder"])), None
    (module, example), (again, _) = (split(call_function(source.place), source) for _ in range(2))
    require("bytes", sum(x.numel() * x.element_size() for x in module.parameters()), "the weights of the network")
    if weights_sha256(module) != weights_sha256(again):
        raise InputError(
            f"{source.place['function']} returns other weights each time, so its network cannot be found again. Set "
            "the seed in it (torch.manual_seed), or load the weights from a file."
        )
    return module, example


def split(found: Any, source: Source) -> tuple[nn.Module, Any]:
    """Return network and example of what a function returned, a network alone or both."""
    module, example = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    return require_network(module, f"{source.place['module']}:{source.place['function']}"), example


def choose_example(source: Source, data: str, own: Any, text: str) -> AddedData:
    """Return the data that a network is opened with: those that are named, or the example of its source."""
    if data:
        return read_data(data)
    if own is not None:
        return describe_example(own)
    if source.kind != FUNCTION and (size := read_config(Path(source.place["folder"])).get("vocab_size")):
        tokens = (torch.arange(16) * 7919 % int(size)).reshape(2, 8)
        return describe_example({"input_ids": tokens})
    raise InputError(
        f"{text} gives no example of the network's inputs. Give one with --data (a .npz file, a folder of images, a "
        "data set, an environment), or let the function return a pair: the network and an example."
    )


def describe_network(
    source: Source, text: str, module: nn.Module, data: AddedData, opened: str
) -> tuple[Card, dict[str, bytes]]:
    """Open a network and return its card, and the file of its example."""
    content = pack(data.arrays, {})
    example = f"{hashlib.sha256(content).hexdigest()[:16]}.safetensors"
    model = open_as(opened, module, data.example)
    try:
        facts = network_facts(model)
        config = facts.config | {
            "label": label_of(model), "tokenizer": "", "family": data.family, "input_axes": data.input_axes,
            "source": text, "kind": source.kind, "place": source.place, "files": files_of(source),
            "example": f"{TENSORS.name}:{example}", "form": form_of(data.example),
        }  # fmt: skip
    finally:
        if isinstance(model, WrappedModel):
            model.close()
    card = Card(
        FOREIGN, ADDED, DataSource(data.name, ""), 0, title=f"{facts.network} from {text}", commit=commit(), licence="",
        note="foreign: opened from its source, not trained here", config=config,
        parameters=sum(p.numel() for p in module.parameters()), weights_sha256=facts.weights,
    )  # fmt: skip
    return card, {example: content}


def files_of(source: Source) -> dict[str, str]:
    """Return the hash of every file of a source: configuration and weights, or the modules of the user's own."""
    if source.kind != FUNCTION:
        folder = Path(source.place["folder"])
        files = sorted(path for ending in ("json", "safetensors") for path in folder.glob(f"*.{ending}"))
    elif is_shipped(module := source.place["module"]):
        files = []
    else:
        own = (name for name in code_of([module]).modules if name.partition(".")[0] != OURS and not is_shipped(name))
        files = [path for name in own if (path := locate(name)) is not None]
    return {str(path): file_sha256(path) for path in files}


def write(folder: Path, files: Mapping[str, bytes], card: Card) -> None:
    """Write a card and the files beside it, all or none."""
    with writing(folder, sum(map(len, files.values()))), atomic.lock_folder(folder):
        require_replaceable(folder)
        atomic.replace_together(folder, {**files, CARD: card.to_json()})
        for old in folder.glob("*.safetensors"):
            if old.name not in files:
                old.unlink()


def require_replaceable(folder: Path) -> None:
    """Raise CheckpointError if a folder holds a network that was not added."""
    if (folder / CARD).exists() and card_of(folder).recipe != ADDED:
        require_free(folder)


# Weights of an architecture of ours


def add_weights(
    folder: Path, source: Source, data: str, architecture: str, settings: Mapping[str, Any], overwrite: bool
) -> Card:
    """Save the weights of a safetensors file as a network of ours, after a check of every name and shape."""
    if not architecture:
        raise InputError(
            f"A file of weights does not say what computes with them. Name an architecture ({', '.join(MODELS)}): "
            "--architecture NAME --set FIELD=VALUE."
        )
    path = Path(source.place["file"])
    content = read_file(path, int(min(current().bytes, 2**62)), "file of weights")
    tensors, _ = unpack(content, short(str(path)))
    model = build(architecture, settings)
    fill(model, tensors, short(str(path)))
    about = {"source": str(path), "source_sha256": hashlib.sha256(content).hexdigest()}
    card = Card(
        architecture, ADDED, DataSource(data, ""), 0, title=f"{architecture} from {path.name}", commit=commit(),
        licence="", note="foreign: weights from a file, not trained here", settings=about,
    )  # fmt: skip
    return save(folder, model.eval(), card, Curve(), overwrite=overwrite)


def build(architecture: str, settings: Mapping[str, Any]) -> Any:
    """Build an architecture of ours with some settings, given as values or as texts."""
    network, kinds = MODELS[architecture], get_type_hints(config_type(MODELS[architecture]), include_extras=True)
    values = {}
    for name, value in settings.items():
        if name not in kinds:
            raise UnknownNameError("setting", name, kinds, where=f" of {architecture}")
        given = from_text(kinds[name], value) if isinstance(value, str) else value
        values[name] = check_value(kinds[name], given, f"{name!r} of {architecture}")
    try:
        return network(config_type(network)(**values))
    except TypeError as error:
        raise ConfigError(f"{architecture} needs more settings: {error}. Give them as --set FIELD=VALUE.") from None
