"""ResNet-20 with pre-activation on CIFAR-10."""

from functools import partial

from workbench.data.augmentation import crop_and_flip
from workbench.recipes.image_classifier import train_on_images
from workbench.recipes.recipe import Recipe, register
from workbench.training.fit import FitConfig
from workbench.zoo.resnet import ResNetConfig

RECIPE = register(
    Recipe(
        name="cifar10_resnet20",
        title="ResNet-20 on CIFAR-10 (JPEG q75)",
        architecture="resnet",
        config=ResNetConfig(),
        training=FitConfig(
            steps=15_600, optimizer="momentum", nesterov=True, lr=0.2, weight_decay=5e-4, schedule="one_cycle",
            precision="bf16", evaluate_every=1560, log_every=78, keep_steps=(390, 3900),
        ),
        train=partial(
            train_on_images, dataset="cifar10", batch_size=128, augment=crop_and_flip
        ),
        targets={"test_accuracy": 0.88},
        note="Trained and tested on a JPEG copy of CIFAR-10 (quality 75, 4:2:0). Its accuracy is not comparable with "
        "published figures for lossless images (ResNet-20: 91.25 to 91.73 %).",
    )
)  # fmt: skip
