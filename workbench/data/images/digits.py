"""Handwritten digits, 8x8, bundled with scikit-learn."""

import torch

from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.images.image_data import ImageData, content_hash

TEST_SHARE = 0.2


@DATASETS.register("digits")
def digits() -> ImageData:
    """1797 digits as 64 features in 0..1; a fixed random fifth of each class is the test set."""
    from sklearn.datasets import load_digits

    features, labels = load_digits(return_X_y=True)
    pixels, targets = torch.from_numpy(features).byte(), torch.from_numpy(labels).long()
    train, test = stratified_split(targets)
    return ImageData(
        name="digits",
        train_pixels=pixels[train],
        train_targets=targets[train],
        test_pixels=pixels[test],
        test_targets=targets[test],
        class_names=tuple("0123456789"),
        mean=(0.0,),
        std=(1.0,),
        licence="CC BY 4.0 (E. Alpaydin and C. Kaynak 1998, UCI Machine Learning Repository)",
        source="scikit-learn, sklearn.datasets.load_digits",
        sha256=content_hash([pixels.numpy(), targets.numpy()]),
        note="Features are left in 0..1: not centred.",
        peak=16,
    )


def stratified_split(targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Split rows into training and test, with the same share of every class, the same on every machine."""
    order = torch.randperm(len(targets), generator=generator(0, "digits split"))
    train, test = [], []
    for label in targets.unique():
        rows = order[targets[order] == label]
        cut = round(TEST_SHARE * len(rows))
        test.append(rows[:cut])
        train.append(rows[cut:])
    return torch.cat(train), torch.cat(test)
