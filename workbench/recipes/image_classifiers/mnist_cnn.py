"""Convolutional network on MNIST."""

from workbench.data.images.augmentation import affine
from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.image_classifier import ImageClassification
from workbench.training.fit import FitConfig
from workbench.zoo.cnn import CNNConfig

RECIPE = register(
    Recipe(
        name="mnist_cnn",
        title="CNN on MNIST",
        architecture="cnn",
        config=CNNConfig(in_channels=1, size=28, channels=(32, 64, 64), n_classes=10),
        training=FitConfig(
            steps=16 * 469, optimizer="adamw", lr=4e-3, weight_decay=0.02, schedule="one_cycle", precision="bf16",
            evaluate_every=2 * 469, log_every=67,
        ),
        train=ImageClassification(
            dataset="mnist", batch_size=128, augment=affine(degrees=12.0, stretch=0.15), label_smoothing=0.05
        ),
        weights="he_normal",
        targets={"test_accuracy": 0.995},
        published="99.05 % (LeNet-5, LeCun et al. 1998)",
    )
)  # fmt: skip
