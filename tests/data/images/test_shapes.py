"""Tests of drawn shapes: factors, splits, areas, colours and textures."""

import torch

from workbench.core.registry import DATASETS
from workbench.data.images.shapes import COLOURS, FACTORS, PLACES, RADII, SIDE, draw, nearest_colour, shapes


def picture(**chosen: str | int) -> torch.Tensor:
    """One picture as floats; what is not chosen is the first value, places the middle."""
    row = []
    for factor in FACTORS:
        value = chosen.get(factor.name, 3 if factor.name in "xy" else 0)
        row.append(value if isinstance(value, int) else factor.values.index(value))
    return draw(torch.tensor([row]))[0].float() / 255


def test_every_combination_is_there_once_and_in_one_split() -> None:
    data = DATASETS["shapes"]()
    rows = torch.cat([data.train_factors, data.test_factors])
    assert len(rows) == 4 * 3 * 3 * 8 * 8 * 6 == len(rows.unique(dim=0))
    assert abs(len(data.test_targets) / len(rows) - 0.2) < 1e-3
    assert torch.equal(data.test_targets, data.test_factors[:, 0])
    assert len(data.train_pixels.flatten(1).unique(dim=0)) == len(data.train_pixels)
    assert data.sha256 == shapes().sha256


def test_a_plain_circle_has_the_area_centre_and_colour_that_its_factors_say() -> None:
    image = picture(shape="circle", size="large", colour="yellow", x=1, y=6)
    colour = torch.tensor(COLOURS["yellow"])
    torch.testing.assert_close(image.amax(dim=(1, 2)), colour, atol=3e-3, rtol=0)
    brightness = image[0] / colour[0]
    assert abs(float(brightness.sum()) / (torch.pi * RADII["large"] ** 2) - 1) < 0.02
    places = torch.arange(SIDE) + 0.5
    centre = [float((brightness.sum(dim=axis) * places).sum() / brightness.sum()) for axis in (0, 1)]
    assert abs(centre[0] - PLACES[1]) < 0.05 and abs(centre[1] - PLACES[6]) < 0.05


def test_shapes_differ_as_they_should() -> None:
    width = 2 * RADII["large"] / SIDE
    areas = {name: float((picture(shape=name, size="large")[0]).mean()) / width**2 for name in FACTORS[0].values}
    expected = {"circle": torch.pi / 4, "square": 0.88**2, "triangle": 1.8 / 4, "cross": 1 - (1 - 0.33) ** 2}
    for name, area in expected.items():
        assert abs(areas[name] - area) < 0.03, name


def test_a_texture_darkens_a_part_and_leaves_the_outline() -> None:
    plain, *textured = (picture(size="large", texture=name)[0] for name in FACTORS[1].values)
    for image in textured:
        assert 0.5 < float(image.sum() / plain.sum()) < 0.85
        assert torch.equal(image > 0, plain > 0)
    striped, dotted = textured
    middle = [x[9:14, 9:14] for x in (striped, dotted)]
    assert float(middle[0].diff(dim=0).abs().max()) < 0.02 < float(middle[0].diff(dim=1).abs().max())
    assert float(middle[1].diff(dim=0).abs().max()) > 0.1


def test_the_nearest_colour_of_a_drawing_is_its_own_however_dark() -> None:
    data = shapes()
    images = data.unit_range(data.test_pixels)
    for brightness in (1.0, 0.2):
        assert torch.equal(nearest_colour(brightness * images), data.test_factors[:, -1])
