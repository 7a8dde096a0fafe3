"""ResNet-20 with pre-activation on CIFAR-10."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from workbench.core.hooked import HookedModel
from workbench.data.augmentation import crop_and_flip
from workbench.recipes.image_classifier import ImageClassification
from workbench.recipes.recipe import Recipe, Session, Trained, register
from workbench.training.curve import Curve
from workbench.training.fit import FitConfig
from workbench.zoo.resnet import ResNetConfig

EPOCH = 390
FINISH = FitConfig(
    steps=5 * EPOCH, optimizer="momentum", nesterov=True, lr=0.02, weight_decay=5e-4, schedule="cosine",
    precision="bf16", evaluate_every=5 * EPOCH, log_every=78,
)  # fmt: skip
"""The last epochs: a low rate, and pictures mirrored but no longer moved, as the test pictures are not."""


def train(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    """40 epochs with crops and mirror images, then `finish`."""
    first = ImageClassification("cifar10", 128, crop_and_flip)(recipe, model, session)
    return finish(recipe, model, session, first.curve)


def finish(recipe: Recipe, model: HookedModel, session: Session, curve: Curve) -> Trained:
    """Five epochs more on mirror images alone; the curve goes on from the one given."""
    last = replace(session, state=session.state.with_name(f"finish_{session.state.name}"))
    later = replace(recipe, training=FINISH, seed=recipe.seed + 1)
    trained = ImageClassification("cifar10", 128, partial(crop_and_flip, padding=0))(later, model, last)
    last.state.unlink(missing_ok=True)
    return replace(trained, curve=curve.followed_by(trained.curve))


RECIPE = register(
    Recipe(
        name="cifar10_resnet20",
        title="ResNet-20 on CIFAR-10 (JPEG q75)",
        architecture="resnet",
        config=ResNetConfig(),
        training=FitConfig(
            steps=40 * EPOCH, optimizer="momentum", nesterov=True, lr=0.2, weight_decay=5e-4, schedule="one_cycle",
            precision="bf16", evaluate_every=4 * EPOCH, log_every=78, keep_steps=(EPOCH, 10 * EPOCH),
        ),
        train=train,
        targets={"test_accuracy": 0.88},
        published="91.25 % on lossless images (He et al. 2016)",
        note="Trained and tested on a JPEG copy of CIFAR-10 (quality 75, 4:2:0). Its accuracy is not comparable with "
        "published figures for lossless images (ResNet-20: 91.25 to 91.73 %).",
    )
)  # fmt: skip
