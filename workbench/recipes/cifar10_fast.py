"""An airbench network on CIFAR-10: whitening, two convolutions a block, Muon, about a dozen epochs (Jordan 2024)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.hooked import HookedModel
from workbench.core.registry import DATASETS
from workbench.data.augmentation import crop_and_flip
from workbench.recipes.image_classifier import ImageClassification
from workbench.recipes.recipe import Metrics, Recipe, Session, Trained, register
from workbench.training.fit import FitConfig
from workbench.training.supervised import classification_metrics
from workbench.training.whitening import whitening_kernels
from workbench.zoo.airbench import AirbenchConfig

EPOCH = 100
WHITENED = 5000
"""Training images whose patches the first layer is fitted to."""


class BothSides(nn.Module):
    """Logits averaged over each image and its mirror image; costs two forward passes."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch class"]:
        return (self.model(images) + self.model(images.flip(-1))) / 2


LEARNING = ImageClassification(
    "cifar10", batch_size=500, augment=partial(crop_and_flip, padding=2, flip=0.0), label_smoothing=0.2, alternate=True
)


def train(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    """The whitening layer is fitted and frozen, the rest trained."""
    data = DATASETS["cifar10"]()
    whiten(model, data.inputs_from(data.train_pixels[:WHITENED]))
    return replace(LEARNING(recipe, model, session), metrics=measure(recipe, model))


def measure(recipe: Recipe, model: HookedModel) -> Metrics:
    """Accuracy where each test image is seen once, and where its mirror image is seen too."""
    data = DATASETS["cifar10"]()
    once, both = (classification_metrics(m, data.test_inputs, data.test_targets) for m in (model, BothSides(model)))
    return once | {"both_sides_accuracy": both["test_accuracy"]}


@torch.no_grad()
def whiten(model: HookedModel, images: Float[Tensor, "batch channel height width"]) -> None:
    """Gives the first layer its kernels, and a bias of zero to start from."""
    conv: nn.Conv2d = model.get_submodule("whiten.conv")  # type: ignore[assignment]
    conv.weight.copy_(whitening_kernels(images, model.cfg.patch))
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]


RECIPE = register(
    Recipe(
        name="cifar10_fast",
        title="Fast CNN (airbench) on CIFAR-10 (JPEG q75)",
        architecture="airbench",
        config=AirbenchConfig(),
        training=FitConfig(
            steps=12 * EPOCH, optimizer="muon", lr=0.02, weight_decay=0.1, schedule="linear", warmup=EPOCH // 2,
            precision="bf16", evaluate_every=2 * EPOCH, log_every=20, checkpoint_every=EPOCH,
        ),
        train=train,
        measure=measure,
        targets={"test_accuracy": 0.88, "both_sides_accuracy": 0.89},
        published="94.0 % on lossless images (Jordan 2024)",
        dtype="bfloat16",
        note="Trained and tested on a JPEG copy of CIFAR-10 (quality 75, 4:2:0). Its accuracy is not comparable with "
        "published figures for lossless images (airbench94: 94.0 %, averaged over moved and mirrored copies of each "
        "test image). test_accuracy sees each image once; both_sides_accuracy averages it with its mirror image.",
    )
)  # fmt: skip
