"""Sources of networks made elsewhere, found by how they are written; nothing of them is run or loaded."""

from __future__ import annotations

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from workbench.checkpoints.foreign import FUNCTION, HUGGING_FACE
from workbench.checkpoints.store import PICKLES
from workbench.core.errors import InputError, short
from workbench.core.tensor_file import WAY_OUT
from workbench.experiments.questions.budget import require

WEIGHTS = "weights"
"""Kind of source: a safetensors file with an architecture of ours."""
REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")
FORMS = (
    "MODULE:FUNCTION or PATH.py:FUNCTION (a function that returns the network), a Hugging Face folder or the name of "
    "one in its cache, or PATH.safetensors with --architecture"
)


class Source(NamedTuple):
    """Source of a network.

    Attributes:
        kind: Kind of source.
        place: What `make_network` needs to find it.
        code: File of the user's own that is run to make it, else empty.
    """

    kind: str
    place: dict[str, str]
    code: str = ""


def find_source(text: str) -> Source:
    """Find a source; nothing of it is run or loaded.

    Raises:
        InputError: If there is none, or it is a pickle.
    """
    path = Path(text).expanduser()
    ending = path.suffix.lower()
    if ending == ".zip":
        raise InputError(
            f"{short(text)} is an archive of Stable-Baselines3, whose weights are a pickle, and no pickle is ever "
            "opened here. Write a function that loads it and returns its policy, and add that: PATH.py:FUNCTION "
            "--data ID."
        )
    if ending in PICKLES:
        raise InputError(f"{short(text)} is a pickle, which can run any code when it is opened. {WAY_OUT}")
    if text.startswith("transformer_lens:"):
        raise InputError(
            "A model of TransformerLens is built by its own code. Write a function that returns it, and add that: "
            "PATH.py:FUNCTION."
        )
    if ending == ".safetensors":
        return Source(WEIGHTS, {"file": str(path.resolve())})
    if (path / "config.json").is_file():
        return hugging_face(path)
    if ":" in text and not path.exists():
        return function(text)
    if path.exists():
        raise InputError(f"{short(text)} is no source of a network. Give {FORMS}.")
    return hugging_face(cached(text))


def hugging_face(folder: Path) -> Source:
    """Return a Hugging Face folder that holds safetensors of a size that is allowed."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InputError(
            f"{folder} holds no safetensors, and weights in other files are pickles, which are never opened here. Save "
            "the network again: model.save_pretrained(FOLDER, safe_serialization=True)."
        )
    require("bytes", sum(file.stat().st_size for file in files), f"the weights in {folder}")
    return Source(HUGGING_FACE, {"folder": str(folder.resolve())})


def cached(name: str) -> Path:
    """Return the newest snapshot of a repository in the cache of Hugging Face; nothing is downloaded."""
    if not REPOSITORY.fullmatch(name):
        raise InputError(f"There is no source {short(name)}. Give {FORMS}.")
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    repository = cache / f"models--{name.replace('/', '--')}"
    found = [path.parent for path in (repository / "snapshots").glob("*/config.json")]
    if not found:
        raise InputError(
            f"There is no file or folder {short(name)}, and no network of this name in the cache of Hugging Face "
            f"({cache}). Nothing is downloaded here. Give {FORMS}."
        )
    main = repository / "refs" / "main"
    chosen = repository / "snapshots" / main.read_text().strip() if main.is_file() else found[0]
    return chosen if chosen in found else max(found, key=lambda path: path.stat().st_mtime)


def function(text: str) -> Source:
    """Return the source `module:function` or `path.py:function`."""
    where, _, name = text.rpartition(":")
    if not name.isidentifier():
        raise InputError(f"{short(text)} names no function after its colon. Write MODULE:FUNCTION or PATH.py:FUNCTION.")
    if where.endswith(".py"):
        path = Path(where).expanduser().resolve()
        if not path.is_file() or not path.stem.isidentifier():
            raise InputError(f"There is no Python file {short(where)} that can be imported. Give another path.")
        root, module, file = path.parent, path.stem, path
    else:
        root, module, file = find_module(where)
    return Source(FUNCTION, {"root": str(root), "module": module, "function": name}, str(file))


def find_module(module: str) -> tuple[Path, str, Path]:
    """Return the folder that a module is imported from, its name, and its file; the current folder comes first."""
    parts = module.split(".")
    for place in (Path.cwd(), *map(Path, sys.path)):
        path = place.joinpath(*parts)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return place.resolve(), module, file.resolve()
    spec = find_spec(parts[0]) if all(part.isidentifier() for part in parts) else None
    if spec is None or not spec.origin:
        raise InputError(f"There is no module {short(module)} here or among the installed packages. Give {FORMS}.")
    origin = Path(spec.origin)
    root = origin.parents[1] if origin.stem == "__init__" else origin.parent
    return root, module, origin
