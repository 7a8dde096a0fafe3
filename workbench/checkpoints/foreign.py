"""Networks that others made, by name: found again at their source, checked against their card, and opened.

A card holds the source and the hash of every file of it. No file of weights is copied and no pickle is opened. Code of
a source is run only while it is the code that was agreed to when the network was added.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from workbench.checkpoints.card import Card
from workbench.checkpoints.provenance import file_sha256
from workbench.core.errors import CheckpointError, ConfigError, InputError, UnknownNameError, WorkbenchError, short
from workbench.core.hooked import HookedModel
from workbench.core.tape_model import record_module
from workbench.core.tensor_file import unpack
from workbench.core.wrap import wrap
from workbench.core.wrappable import require_wrappable

FUNCTION, HUGGING_FACE = "function", "hugging_face"
"""Kinds of sources: a function of the user's own that returns the network; a folder of Hugging Face transformers."""
RECORDED, WRAPPED = "record", "wrap"
"""Ways to open a network: as a tape, or by hooks on its submodules."""
ENTRIES = (
    "kind", "place", "source", "files", "example", "form", "network", "structure", "opened", "opening", "label",
    "tokenizer", "family", "input_axes",
)  # fmt: skip
"""Entries of the config on the card of a foreign network."""
ALONE = "inputs"
"""Name of the tensor of a network that takes one."""


def load_foreign(card: Card, folder: Path) -> HookedModel:
    """Open the network of a card in the way that it was opened when it was added.

    Raises:
        CheckpointError: If the source or its weights have changed, or it cannot be opened any more.
    """
    require_unchanged_source(card, folder.name)
    module = make_network(card.config["kind"], card.config["place"])
    if weights_sha256(module) != card.weights_sha256:
        raise CheckpointError(
            f"{card.config['source']} returns other weights than when {folder.name} was added, though its files are "
            f"the same: it draws random numbers without a seed, or reads something else. {way_out(card, folder.name)}"
        )
    content = (folder / card.config["example"].partition(":")[2]).read_bytes()
    example = arrange(unpack(content, f"the example of {folder.name}")[0], card.config["form"])
    model = open_as(card.config["opened"], module, example)
    model.card = card
    return model


def require_unchanged_source(card: Card, name: str) -> None:
    """Raise CheckpointError unless every file of a network's source is the one that was added."""
    for path, sha256 in card.config["files"].items():
        found = file_sha256(Path(path))
        if found != sha256:
            what = "has changed" if found else "is gone"
            raise CheckpointError(f"{path}, from which {name} was added, {what}. {way_out(card, name)}")


def way_out(card: Card, name: str) -> str:
    """Return the sentence that says how to add a network anew."""
    return (
        f"Restore it, or add the network as it is now: workbench remove {name}, and then "
        f"workbench add {name} --from {card.config['source']}."
    )


def make_network(kind: str, place: Mapping[str, str]) -> nn.Module:
    """Return the network of a source; code of a function is run.

    Args:
        kind: Kind of source.
        place: Of a function its `root`, `module` and `function`; of transformers the `folder`.
    """
    if kind == FUNCTION:
        found = call_function(place)
        return require_network(found[0] if isinstance(found, tuple) and found else found, place["function"])
    return load_transformers(Path(place["folder"]))


def require_network(found: Any, where: str) -> nn.Module:
    """Return a network, which must be one that can be opened, in evaluation mode."""
    if not isinstance(found, nn.Module):
        raise InputError(
            f"{where} returned a {type(found).__name__}. It should return a module of torch, or a pair of a module and "
            "an example of its inputs."
        )
    require_wrappable(found)
    places = {str(x.device) for x in (*found.parameters(), *found.buffers())} - {"cpu"}
    if places:
        raise InputError(f"{where} returned a network on {' and '.join(sorted(places))}. Let it stay on the processor.")
    return found.eval()


def call_function(place: Mapping[str, str]) -> Any:
    """Import a module from its folder and call one of its functions."""
    root, module, name = Path(place["root"]), place["module"], place["function"]
    loaded = import_from(root, module)
    function = getattr(loaded, name, None)
    if not callable(function):
        raise UnknownNameError("function", name, [n for n, x in vars(loaded).items() if callable(x)], f" in {module}")
    try:
        return function()
    except WorkbenchError:
        raise
    except Exception as error:
        raise InputError(
            f"{module}:{name} failed with {type(error).__name__}: {short(str(error))}. Mend it."
        ) from error


def import_from(root: Path, module: str) -> Any:
    """Import a module that stands in a folder, which stays among the places that are searched last."""
    if str(root) not in sys.path:
        sys.path.append(str(root))
        importlib.invalidate_caches()
    try:
        loaded = importlib.import_module(module)
    except Exception as error:
        raise InputError(
            f"{module} cannot be imported from {root} ({type(error).__name__}: {short(str(error))}). Mend it."
        ) from error
    file = Path(getattr(loaded, "__file__", None) or "")
    if not file.resolve().is_relative_to(root.resolve()):
        raise InputError(f"The name {module!r} is that of another module, {file}. Rename the file in {root}.")
    return loaded


def load_transformers(folder: Path) -> nn.Module:
    """Load the network of a Hugging Face folder from its safetensors, with the class that its configuration names."""
    try:
        import transformers
    except ImportError:
        raise InputError("A Hugging Face folder needs transformers. Install it: pip install transformers.") from None
    config = read_config(folder)
    names = config.get("architectures") or [None]
    made = getattr(transformers, str(names[0]), None)
    if made is None or not hasattr(made, "from_pretrained"):
        raise InputError(
            f"config.json of {folder} names the class {short(names[0])}, which this transformers does not have. Code "
            "of the folder's own is never run; a function of yours that builds the network can be added instead."
        )
    try:
        return made.from_pretrained(folder, local_files_only=True, use_safetensors=True, trust_remote_code=False).eval()
    except Exception as error:
        raise InputError(f"{folder} cannot be opened by {names[0]}: {short(str(error))}.") from error


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json of a Hugging Face folder."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} has no readable config.json ({short(str(error))}). Give another folder.") from None
    return config if isinstance(config, dict) else {}


def open_as(how: str, module: nn.Module, example: Any) -> HookedModel:
    """Open a module as a tape or by hooks; without a choice as a tape where that is possible."""
    if how not in ("", RECORDED, WRAPPED):
        raise UnknownNameError("way to open a network", how, (RECORDED, WRAPPED))
    if how != WRAPPED:
        try:
            return record_module(module, example)
        except Exception as error:  # a module of others may fail in any way
            if how:
                raise explain_failure(module, error) from error
    try:
        return wrap(module, example)
    except Exception as error:
        raise explain_failure(module, error) from error


def explain_failure(module: nn.Module, error: Exception) -> WorkbenchError:
    """Return an error for a module that cannot be opened."""
    if isinstance(error, WorkbenchError):
        return error
    return InputError(
        f"{type(module).__name__} cannot be opened on this example ({type(error).__name__}: {short(str(error))}). Give "
        "inputs that it accepts, the batch first."
    )


def form_of(example: Any) -> str:
    """Name the form of some inputs: one tensor, a tuple or a mapping."""
    return "mapping" if isinstance(example, Mapping) else "tuple" if isinstance(example, tuple) else "tensor"


def arrange(tensors: Mapping[str, Tensor], form: str) -> Any:
    """Put named tensors in a form."""
    if form == "mapping":
        return dict(tensors)
    return tuple(tensors[str(i)] for i in range(len(tensors))) if form == "tuple" else tensors[ALONE]


def weights_sha256(module: nn.Module) -> str:
    """Compute the hash of all parameters and buffers; of names that share one tensor, the later hold the first."""
    digest, first = hashlib.sha256(), dict[int, str]()
    every = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    for name, tensor in every:
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            kind = "on the meta device" if tensor.is_meta else "quantized" if tensor.is_quantized else "sparse"
            raise InputError(
                f"{name!r} of this {type(module).__name__} is {kind}, so its values cannot be compared with those of "
                "another run. Pass a network with ordinary weights, such as the one that it was made from."
            )
        shared = first.setdefault(id(tensor), name)
        digest.update(f"{name}={shared}:{tensor.dtype}{tuple(tensor.shape)}".encode())
        if shared == name:
            plain = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(plain.numpy().data)
    return digest.hexdigest()


def require_entries(card: Card) -> None:
    """Raise ConfigError unless the card of a foreign network has all entries that its opening reads."""
    if missing := sorted(set(ENTRIES) - card.config.keys()):
        raise ConfigError(f"The config of a foreign network needs {missing[0]!r}, and has {sorted(card.config)}.")
