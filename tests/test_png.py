import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from salcli.output import png


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.booleans(), st.integers(0, 2**32 - 1))
def test_any_picture_comes_back(height, width, colour, seed):
    shape = (height, width, 3) if colour else (height, width)
    picture = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    with Image.open(io.BytesIO(png.encode(picture))) as image:
        image.load()
        assert image.mode == ("RGB" if colour else "L")
        assert (np.asarray(image) == picture).all()


def test_a_part_of_a_picture_comes_back():
    whole = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    part = whole[3:11, 5:17]
    with Image.open(io.BytesIO(png.encode(part))) as image:
        assert (np.asarray(image) == part).all()
