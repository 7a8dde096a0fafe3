"""ResNet-20 with pre-activation on CIFAR-10."""

from __future__ import annotations

from functools import partial

from workbench.data.images.augmentation import crop_and_flip
from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.image_classifier import ImageClassification
from workbench.training.fit import FitConfig
from workbench.zoo.resnet import ResNetConfig

EPOCH = 390
EPOCHS, WHOLE = 150, 20
"""Passes over the training images, and the number of final passes on 32x32 instead of 28x28 windows.

The smaller windows take three quarters of the time; the last passes fit the size of the test images (Touvron et al.
2019).
"""

RECIPE = register(
    Recipe(
        name="cifar10_resnet20",
        title="ResNet-20 on CIFAR-10 (JPEG q75)",
        architecture="resnet",
        config=ResNetConfig(),
        training=FitConfig(
            steps=EPOCHS * EPOCH, optimizer="momentum", nesterov=True, lr=0.2, weight_decay=5e-4, schedule="one_cycle",
            precision="bf16", evaluate_every=15 * EPOCH, log_every=78, keep_steps=(EPOCH, 30 * EPOCH),
        ),
        train=ImageClassification(
            "cifar10",
            batch_size=128,
            augment=partial(crop_and_flip, flip=0.0, margin=2),
            finish=partial(crop_and_flip, flip=0.0),
            finish_steps=WHOLE * EPOCH,
            alternate=True,
        ),
        targets={"test_accuracy": 0.89},
        published="91.25 % on lossless images (He et al. 2016)",
        note="Trained and tested on a JPEG copy of CIFAR-10 (quality 75, 4:2:0). Its accuracy is not comparable with "
        "published figures for lossless images (ResNet-20: 91.25 to 91.73 %).",
    )
)  # fmt: skip
