"""examples/data/shapeset.py: endless, seeded, fast, and each class what its name says."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import pytest

SOURCE = Path(__file__).parents[2] / "examples" / "data" / "shapeset.py"


@pytest.fixture(scope="module")
def shapeset():
    spec = importlib.util.spec_from_file_location("shapeset", SOURCE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["shapeset"] = module  # a dataclass looks its module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["shapeset"]


@pytest.fixture(scope="module")
def images(shapeset):
    return shapeset.draw(3000, np.random.default_rng(4))


def greys(image):
    return [level for level in np.unique(image) if level > 0]


def test_images_are_small_grey_pictures_of_nine_classes_alike_in_number(shapeset, images):
    x, y = images
    assert x.shape == (3000, 32, 32)
    assert (x.dtype, y.dtype) == (np.float32, np.int32)
    assert x.min() == 0.0
    assert x.max() <= 1.0
    counts = np.bincount(y, minlength=9)
    assert len(shapeset.CLASSES) == len(counts) == 9
    assert counts.min() > 250, "333 expected; 250 would be five standard deviations below"


def test_one_shape_has_one_grey_and_two_have_two_that_can_be_told_apart(images):
    x, y = images
    for image, label in zip(x, y, strict=True):
        levels = greys(image)
        assert len(levels) == (1 if label < 3 else 2)
        assert np.diff([0.0, *levels]).min() > 0.19


def test_what_lies_behind_is_seen(images):
    x, y = images
    seen = [min(np.count_nonzero(image == level) for level in greys(image)) for image in x[y >= 3]]
    assert min(seen) >= 5
    assert np.mean(np.array(seen) >= 20) > 0.98


def test_shapes_fill_what_their_kind_fills_of_its_box(images):
    x, y = images
    fills = []
    for label in range(3):
        shares = []
        for image in x[y == label]:
            rows, columns = np.nonzero(image)
            if rows.min() > 0 and columns.min() > 0 and rows.max() < 31 and columns.max() < 31:
                points = np.stack([rows, columns])
                # det of the covariance over area²: 1/(16 π²) for an ellipse, 1/144 a parallelogram, 1/108 a triangle,
                # whatever affine map it went through.
                shares.append(np.linalg.det(np.cov(points)) / points.shape[1] ** 2)
        assert len(shares) > 50
        fills.append(float(np.median(shares)))
    assert fills == pytest.approx([1 / 108, 1 / 144, 1 / (16 * np.pi**2)], rel=0.06)


def test_the_same_seed_gives_the_same_images_for_ever(shapeset):
    first, again, other = (list(itertools.islice(shapeset.Shapeset(seed=seed, batch=10), 40)) for seed in (1, 1, 2))
    assert all(np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0][0], other[0][0])
    assert len({x.tobytes() for x, _ in first}) == 40
    assert first[0][0].shape == (10, 32, 32)


def test_five_thousand_images_a_second_on_one_core(shapeset):
    random = np.random.default_rng(0)
    shapeset.draw(256, random)
    started = time.process_time()
    for _ in range(20):
        shapeset.draw(256, random)
    assert 20 * 256 / (time.process_time() - started) > 5000
