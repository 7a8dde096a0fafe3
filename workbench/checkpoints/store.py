"""Saving and loading of trained networks as safetensors and JSON, verified by hashes."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from workbench.checkpoints.card import SLUG, Card, card_of, model_folder, split_step, steps, steps_folder
from workbench.checkpoints.deserialization import restore
from workbench.checkpoints.inheritance import add_inherited, base_header, base_of, select_own
from workbench.checkpoints.packaged import local_copy, weights_in
from workbench.checkpoints.present import FOREIGN
from workbench.checkpoints.ties import TIED, tie, ties_of
from workbench.checkpoints.writing import drop_steps, require_free, writing
from workbench.core import atomic
from workbench.core.arguments import check_arguments
from workbench.core.errors import CheckpointError, ConfigError, InputError, UnknownNameError, suggestion
from workbench.core.hooked import HookedModel
from workbench.core.registry import MODELS, config_type
from workbench.core.tensor_file import WAY_OUT, pack, sha256, unpack
from workbench.training.curve import Curve

WEIGHTS, CARD, CURVE, TOKENIZER = "weights.safetensors", "card.json", "curve.json", "tokenizer.json"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")


@runtime_checkable
class Tokenizer(Protocol):
    """Tokenizer that can be serialised."""

    def to_json(self) -> str: ...


def save(
    folder: Path,
    model: HookedModel,
    card: Card,
    curve: Curve,
    tokenizer: Tokenizer | None = None,
    overwrite: bool = False,
) -> Card:
    """Save a network, its card and its curve atomically: if the process is killed, all old or all new files are whole.

    Args:
        folder: Folder of the checkpoint, created if it does not exist.
        model: The network.
        card: Its origin. Config, size and sha256 are filled in.
        curve: Measurements during training.
        tokenizer: Tokenizer of a language model.
        overwrite: Replace another finished model, with its steps.

    Returns:
        The card as written.

    Raises:
        CheckpointError: If the folder holds another finished model, or another process writes there.
    """
    texts = {CURVE: curve.to_json() + "\n"}
    if tokenizer is not None:
        texts[TOKENIZER] = tokenizer.to_json()
    about = {f"{name}_sha256": sha256(text.encode()) for name, text in texts.items()}
    card = replace(card, config=stored_config(model, card.architecture))
    tied = check_ties(model, card)
    content = pack(stored_weights(model, card.dtype), about | base_header(model) | tied)
    parameters = sum(p.numel() for p in model.parameters())
    card = replace(card, parameters=parameters, weights_sha256=sha256(content))
    files = {WEIGHTS: content} | {n: t.encode() for n, t in texts.items()} | {CARD: card.to_json()}
    with writing(folder, len(content)):
        replaced = (folder / CARD).exists()
        if not overwrite:
            require_free(folder, card.run)
        with atomic.lock_folder(folder):
            atomic.replace_together(folder, files)
        drop_steps(folder, set() if replaced and not card.run else {card.run})
    return card


def save_step(folder: Path, model: HookedModel, step: int, run: str, dtype: str = "float32") -> Path:
    """Save the network at one training step of a run, beside the final checkpoint.

    The step can be loaded only with a card whose `run` is the same.
    """
    if not SLUG.fullmatch(run):
        raise InputError(f"{run!r} cannot name a run. Take letters and digits, and the same name as `run` of the card.")
    path = steps_folder(folder, run) / f"{step}.safetensors"
    about = {"step": step, "run": run} | ({TIED: ties} if (ties := ties_of(model)) else {})
    atomic.write_atomically(path, pack(stored_weights(model, dtype), about))
    return path


@check_arguments
def load(name: str, step: int | None = None) -> HookedModel:
    """Load a trained network.

    Args:
        name: Name of the network, as in `workbench.names()`, or `NAME@STEP`.
        step: Step of the training. By default the one in the name, or the finished network.

    Returns:
        The network in evaluation mode. `model.card` is its card, `model.tokenizer` its tokenizer or None.

    Raises:
        UnknownNameError: If there is no such network.
        CheckpointError: If a file is missing or damaged.
        InputError: If the training kept no such step, or two are given.

    Example:
        >>> model = workbench.load("digits_mlp")
        >>> model(model.example(3)).shape
        torch.Size([3, 10])
    """
    base, at = split_step(name)
    if at is not None and step is not None:
        raise InputError(f"{name} names a step already. Leave step={step} out, or write {base}.")
    return load_folder(model_folder(base), step if at is None else at)


def load_folder(folder: Path, step: int | None = None) -> HookedModel:
    """Load the trained network in a checkpoint's folder; see `load`."""
    if (folder / atomic.NEXT).exists():  # a save was killed after it was decided
        with atomic.lock_folder(folder):
            atomic.finish_replacing(folder, CARD)
    with atomic.lock_folder(folder, shared=True):
        card = card_of(folder)
        if card.architecture == FOREIGN:
            return load_foreign_step(card, folder, step)
        content = weights_file(folder).read_bytes()
        texts = {n: (folder / n).read_bytes() for n in (TOKENIZER,) if (folder / n).is_file()}
    tensors, about = verify(content, card, folder)
    tied = about.get(TIED)
    if step is not None:
        tensors, tied = step_weights(folder, step, card.run)
    model = build(card, f"{folder.name}/{CARD}: config")
    if tied is not None:
        tie(model, tied, f"The file of weights of {folder.name}")
    if base := base_of(model):
        tensors = add_inherited(model, tensors, about, weights_of(model_folder(base)), folder.name)
    fill(model, tensors, f"{folder.name}")
    model.card, model.tokenizer = card, tokenizer_of(texts, about, folder)  # type: ignore[assignment]
    return model.eval()


def load_foreign_step(card: Card, folder: Path, step: int | None) -> HookedModel:
    """Open the network of a foreign card, which has no steps."""
    from workbench.checkpoints.foreign import load_foreign

    if step is not None:
        raise CheckpointError(f"{folder.name} was added and not trained here, so it has no step {step}. Leave it out.")
    return load_foreign(card, folder)


def check_parameters(card: Card) -> None:
    """Raise a `ConfigError` if the number of parameters on a card is not that of its architecture and config."""
    if card.architecture == FOREIGN:
        from workbench.checkpoints.foreign import require_entries

        require_entries(card)
        return
    found = sum(parameter.numel() for parameter in build(card, "config").parameters())
    if card.parameters != found:
        raise ConfigError(
            f"It says {card.parameters:,} parameters, and {card.architecture} as configured has {found:,}."
        )


def weights_of(folder: Path) -> dict[str, Tensor]:
    """Read the verified tensors in a checkpoint's folder."""
    with atomic.lock_folder(folder, shared=True):
        return verify(weights_file(folder).read_bytes(), card_of(folder), folder)[0]


def weights_file(folder: Path) -> Path:
    """The weights in a checkpoint's folder, fetched if they are the installed package's and not here yet."""
    path = local_copy(folder / WEIGHTS)
    if path.is_file():
        return path
    if pickles := sorted(p.name for p in folder.iterdir() if p.suffix in PICKLES):
        raise CheckpointError(f"{folder} holds {pickles[0]}, a pickle, which is never opened here. {WAY_OUT}")
    raise CheckpointError(f"{folder} has no {WEIGHTS}. Restore the file, or train the model again.")


def verify(content: bytes, card: Card, folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors of a file of weights after verifying the hash on the card."""
    tensors, about = unpack(content, str(folder / WEIGHTS))
    if (found := sha256(content)) != card.weights_sha256:
        raise CheckpointError(
            f"{folder / WEIGHTS} is not the file its card names: its sha256 is {found[:12]}..., the card says "
            f"{card.weights_sha256[:12]}.... One of the two was altered. Restore both, or train the model again."
        )
    return tensors, about


def step_weights(folder: Path, step: int, run: str) -> tuple[dict[str, Tensor], dict[str, str] | None]:
    """Read the verified tensors of one training step of a run, and the names that share them."""
    path = local_copy(steps_folder(folder, run) / f"{step}.safetensors")
    if not path.is_file():
        kept = sorted((Path(file).stem for file in weights_in(path.parent)), key=len)
        raise UnknownNameError("training step", step, kept, where=f" kept in {path.parent}")
    tensors, about = unpack(path.read_bytes(), str(path), sealed=True)
    if about.get("step") != step or about.get("run", "") != run:
        raise CheckpointError(
            f"{path} says that it was kept at step {about.get('step')} of run {about.get('run', '')!r}, not at step "
            f"{step} of run {run!r}, which the card names. Train the model again."
        )
    return tensors, about.get(TIED)


def check_ties(model: HookedModel, card: Card) -> dict[str, dict[str, str]]:
    """Return the metadata of shared weights; raises unless the card's config gives a model with the same weights."""
    ties, fresh = ties_of(model), build(card, "config")
    own_ties = ties_of(fresh)
    tie(fresh, ties, "The model")
    mine, theirs = distinct_weights(model), distinct_weights(fresh)
    for name in (*mine, *theirs):
        if name not in mine or name not in theirs or mine[name].shape != theirs[name].shape:
            shapes = [tuple(of[name].shape) if name in of else "absent" for of in (mine, theirs)]
            raise CheckpointError(
                f"{name!r} of this {type(model).__name__} is {shapes[0]}, and {shapes[1]} in one made from its config, "
                "so it could not be loaded again. Change the config along with the weights, or save its state_dict()."
            )
    return {TIED: ties} if ties or own_ties else {}


def build(card: Card, where: str) -> HookedModel:
    """Build the card's architecture with fresh weights, without changing the state of random generators."""
    model_class = MODELS[card.architecture]
    cfg = restore(config_type(model_class), card.config, where)
    with torch.random.fork_rng(devices=[]):
        return model_class(cfg)


def fill(model: HookedModel, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copy tensors into a model; raises unless names, shapes and types match and all values are finite."""
    wanted = distinct_weights(model)
    for name in tensors:
        if name not in wanted:
            raise CheckpointError(
                f"The weights of {where} hold {name!r}, which this architecture lacks. {suggestion(name, wanted)}"
            )
    for name, slot in wanted.items():
        if name not in tensors:
            raise CheckpointError(f"The weights of {where} lack {name!r}. {suggestion(name, tensors)}")
        require_fit(tensors[name], slot, f"{name!r} in the weights of {where}")
    model.load_state_dict(dict(tensors), strict=False)  # tied names follow the one they share memory with


def require_fit(tensor: Tensor, slot: Tensor, where: str) -> None:
    """Raise unless `tensor` can replace `slot`."""
    if tensor.shape != slot.shape:
        raise CheckpointError(
            f"{where} has shape {tuple(tensor.shape)}; the card's config asks for {tuple(slot.shape)}. "
            "The card and the weights are of different models."
        )
    if tensor.is_floating_point() != slot.is_floating_point():
        raise CheckpointError(f"{where} holds {tensor.dtype}; the architecture asks for {slot.dtype}.")
    require_finite(tensor, where)


def require_finite(tensor: Tensor, where: str) -> None:
    """Raise if a weight is infinite or NaN."""
    if bad := tensor.numel() - int(tensor.isfinite().sum()):
        raise CheckpointError(
            f"{where} has {bad} of {tensor.numel()} values that are infinite or not a number: training diverged, or "
            "they do not fit the file's dtype. Lower the learning rate, or save as float32."
        )


def stored_weights(model: HookedModel, dtype: str) -> dict[str, Tensor]:
    """Return the model's own weights with floating-point ones cast to `dtype`."""
    if dtype not in DTYPES:
        raise ConfigError(f"Weights cannot be saved as {dtype!r}. {suggestion(dtype, DTYPES)}")
    weights = select_own(model, distinct_weights(model))
    stored = {n: t.to(DTYPES[dtype]) if t.is_floating_point() else t for n, t in weights.items()}
    for name, tensor in stored.items():
        require_finite(tensor, f"{name!r} as {dtype}")
    return stored


def distinct_weights(model: HookedModel) -> dict[str, Tensor]:
    """Return parameters and buffers by name; of names that share one tensor, the first."""
    aliases = ties_of(model)
    return {name: tensor for name, tensor in model.state_dict().items() if name not in aliases}


def stored_config(model: HookedModel, architecture: str) -> dict[str, Any]:
    """Convert the model's config to JSON values; raises unless it is restored unchanged."""
    if MODELS[architecture] is not type(model):
        raise CheckpointError(
            f"The card says architecture {architecture!r}, which is {MODELS[architecture].__name__}, "
            f"and the model is a {type(model).__name__}. Name the model's own architecture in its card."
        )
    cfg: Any = model.cfg
    try:
        config = json.loads(json.dumps(asdict(cfg)))
    except TypeError as error:
        raise ConfigError(f"{type(cfg).__name__} cannot be written as JSON: {error}.") from error
    if restore(type(cfg), config) != cfg:
        raise ConfigError(f"{type(cfg).__name__} does not come back from JSON as it was: {config}.")
    return config


def tokenizer_of(texts: Mapping[str, bytes], about: Mapping[str, Any], folder: Path) -> Any:
    """Read the tokenizer and verify its hash; None if the model has none."""
    expected = about.get(f"{TOKENIZER}_sha256")
    if expected is None:
        return None
    if sha256(texts.get(TOKENIZER, b"")) != expected:
        raise CheckpointError(
            f"{folder / TOKENIZER} is missing or altered: it is not the one the weights were trained with. "
            "Restore the file, or train the model again."
        )
    from workbench.data.text.tokenizers import from_json

    return from_json(texts[TOKENIZER].decode())


__all__ = ["Card", "load", "load_folder", "save", "save_step", "steps"]
