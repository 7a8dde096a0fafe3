import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import pad

from workbench.data.augmentation import affine, crop_and_flip, reflected


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(seed=st.integers(0, 2**16), padding=st.integers(0, 4))
def test_a_crop_is_a_window_of_the_picture_padded_by_reflection(seed: int, padding: int) -> None:
    images = torch.rand(6, 3, 8, 9, generator=generator(seed))
    padded = pad(images, [padding] * 4, mode="reflect")
    windows = padded.unfold(2, 8, 1).unfold(3, 9, 1).flatten(2, 3)  # image channel place height width
    for changed, choices in zip(crop_and_flip(images, generator(seed), padding), windows, strict=True):
        fits = (changed[:, None] == choices).all(-1).all(-1).all(0).any()
        mirrored = (changed[:, None] == choices.flip(-1)).all(-1).all(-1).all(0).any()
        assert fits or mirrored


def test_half_are_mirrored_and_all_moves_are_equally_likely() -> None:
    column, row = torch.arange(32.0), torch.arange(32.0)
    picture = (column + 100 * row[:, None]).expand(4000, 1, 32, 32)
    middle = crop_and_flip(picture, generator(0))[:, 0, 15:17, 15:17]
    mirrored = middle[:, 0, 1] < middle[:, 0, 0]
    assert abs(mirrored.float().mean() - 0.5) < 0.03
    down = (middle[:, 0, 0] // 100 - 15).long()
    assert torch.bincount(down + 4, minlength=9).sub(4000 / 9).abs().max() < 100


def test_reflection_does_not_repeat_the_edge() -> None:
    assert reflected(torch.arange(-2, 6)[None], 4).tolist() == [[2, 1, 0, 1, 2, 3, 2, 1]]


def test_no_affine_change_gives_the_same_picture() -> None:
    images = torch.rand(3, 1, 10, 10, generator=generator(0))
    changed = affine(degrees=0.0, shift=0.0, stretch=0.0)(images, generator(0))
    torch.testing.assert_close(changed, images, atol=1e-5, rtol=1e-5)


def test_an_affine_change_moves_a_dot_by_at_most_its_shift() -> None:
    images = torch.zeros(200, 1, 28, 28)
    images[:, 0, 14, 14] = 1
    changed = affine(degrees=0.0, shift=2.0, stretch=0.0)(images, generator(0))[:, 0]
    torch.testing.assert_close(changed.sum((1, 2)), torch.ones(200))
    places = torch.arange(28.0)
    for axis in (1, 2):
        centre = (changed.sum(axis) * places).sum(-1) - 14
        assert centre.abs().max() <= 2.001
        assert centre.abs().max() > 1.5
