"""Tests of crops, flips, cutouts and affine changes."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import pad

from workbench.data.images.augmentation import affine, crop_and_flip, cutout, reflect


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(seed=st.integers(0, 2**16), padding=st.integers(0, 4), margin=st.integers(0, 3))
def test_a_crop_is_a_window_of_the_picture_padded_by_reflection(seed: int, padding: int, margin: int) -> None:
    images = torch.rand(6, 3, 8, 9, generator=generator(seed))
    padded = pad(images, [padding] * 4, mode="reflect")
    wide = 2 * padding + 1  # places either way
    frame = padded[..., margin : 8 + 2 * padding - margin, margin : 9 + 2 * padding - margin]
    windows = frame.unfold(2, 8 - 2 * margin, 1).unfold(3, 9 - 2 * margin, 1)
    assert windows.shape[2:4] == (wide, wide)
    windows = windows.flatten(2, 3)  # image channel place height width
    for changed, choices in zip(crop_and_flip(images, generator(seed), padding, margin=margin), windows, strict=True):
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
    assert reflect(torch.arange(-2, 6)[None], 4).tolist() == [[2, 1, 0, 1, 2, 3, 2, 1]]


@given(seed=st.integers(0, 2**16), side=st.integers(1, 8))
def test_a_cutout_is_one_whole_grey_square_and_leaves_the_rest_alone(seed: int, side: int) -> None:
    images = torch.full((5, 3, 8, 9), 2.0)
    covered = (cut := cutout(images, generator(seed), side)) != 2.0
    assert (cut[covered] == 0.5).all()
    for picture in covered:
        (rows, columns), first = picture[0].nonzero().unbind(1), picture[0]
        assert (picture == first).all()
        assert len(rows) == side**2
        assert rows.max() - rows.min() == columns.max() - columns.min() == side - 1


def test_every_place_of_a_cutout_is_equally_likely() -> None:
    cut = cutout(torch.zeros(6000, 1, 10, 8), generator(0), side=7)
    corners = cut[:, 0, [0, 3, 6, 9]][..., [0, 1, 6, 7]] > 0  # rows 0..3 and columns 0..1 can begin a square
    assert abs(corners[:, 0, 0].float().mean() - 1 / 8) < 0.02
    assert corners[:, 2, 2].all()


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
