"""Tests of feature maps drawn side by side in a mosaic."""

from __future__ import annotations

import pytest
import torch

from workbench.figures.activations import NUMBERED, draw_feature_maps


@pytest.mark.parametrize("n", [1, 2, 9, NUMBERED, NUMBERED + 1, 256])
def test_every_map_is_whole_in_the_mosaic_and_found_by_its_number(n: int) -> None:
    maps = torch.arange(n * 6.0).view(n, 2, 3)
    picture = draw_feature_maps(maps, "maps", "channel")
    (heat,) = picture.data
    mosaic = torch.tensor(heat.z)
    assert mosaic[~mosaic.isnan()].sort().values.tolist() == maps.flatten().tolist()
    texts = {
        text: value
        for row, values in zip(heat.text, heat.z, strict=True)
        for text, value in zip(row, values, strict=True)
    }
    assert texts[f"channel {n - 1}, row 1, column 2"] == maps[-1, 1, 2]
    if n <= NUMBERED:
        places = [(round(note.y + 0.4), round(note.x + 0.4)) for note in picture.layout.annotations]
    else:
        assert not picture.layout.annotations
        ticks = zip(picture.layout.yaxis.ticktext, picture.layout.yaxis.tickvals, strict=True)
        for number, middle in ticks:
            assert mosaic[int(middle) - 1 : int(middle) + 1, 0].tolist() == maps[int(number), :, 0].tolist()
        return
    assert [mosaic[place].item() for place in places] == maps[:, 0, 0].tolist()
