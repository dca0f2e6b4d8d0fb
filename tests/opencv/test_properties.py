"""Properties that hold for all images: any size, any memory layout, any content."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from cv2_superpoint import Features, SuperPoint, SuperPoint_create

# A low threshold, so that even small and dull images have keypoints.
DETECTOR = SuperPoint_create(0, nlevels=1, scoreThreshold=1e-4, edgeThreshold=0, device="cpu")
PYRAMID = SuperPoint_create(60, 1.3, 4, scoreThreshold=1e-4, edgeThreshold=2, device="cpu")

shapes = st.tuples(st.integers(1, 90), st.integers(1, 90))
channels = st.sampled_from([None, 1, 3, 4])

LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda a: a,
    "Fortran order": np.asfortranarray,
    "upside down": lambda a: a[::-1],
    "mirrored": lambda a: a[:, ::-1],
    "every other pixel": lambda a: np.repeat(np.repeat(a, 2, 0), 2, 1)[::2, ::2],
    "every third row, backwards": lambda a: np.repeat(a, 3, 0)[::-3],
    "transposed": lambda a: a.swapaxes(0, 1),
    "part of a larger one": lambda a: np.pad(a, [(3, 5), (2, 1)] + [(0, 0)] * (a.ndim - 2))[
        3:-5, 2:-1
    ],
    "read-only": lambda a: np.broadcast_to(a, a.shape),
    "channels backwards": lambda a: a[..., ::-1] if a.ndim == 3 else a,
    "not aligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].reshape(a.shape),
    "an ndarray subclass": lambda a: a.view(np.ma.MaskedArray),
}


@st.composite
def images(draw: st.DrawFn, grains: tuple[int, ...] = (1, 4, 16, 128)) -> np.ndarray:
    """Noise, coarse noise or a plain colour."""
    height, width = draw(shapes)
    depth = draw(channels)
    grain = draw(st.sampled_from(grains))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = (-(-height // grain), -(-width // grain)) + (() if depth is None else (depth,))
    coarse = random.integers(0, 256, size, dtype=np.uint8)
    return coarse.repeat(grain, 0).repeat(grain, 1)[:height, :width].copy()


def check(features: Features, image: np.ndarray) -> None:
    """Assert what holds for all features of an image."""
    height, width = image.shape[:2]
    count = len(features)
    x, y = features.xy.T
    assert ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)).all()
    assert (features.score > 1e-4).all()
    assert (features.score <= 4).all()
    assert (np.diff(features.score) <= 0).all()  # the strongest first
    assert (features.size >= 8).all()
    assert (features.angle == -1).all()
    columns = (features.xy, features.score, features.size, features.angle)
    assert [column.dtype for column in columns] == [np.float32] * 4
    assert features.octave.dtype == np.int32
    assert [len(column) for column in (*columns, features.octave)] == [count] * 5
    rows = features.descriptors
    assert rows is not None
    assert rows.shape == (count, 64)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def assert_same(a: Features, b: Features) -> None:
    for name in ("xy", "score", "size", "angle", "octave", "descriptors"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("detector", [DETECTOR, PYRAMID], ids=["one level", "pyramid"])
@given(image=images())
def test_any_image(detector, image):
    features = detector.extract(image)
    check(features, image)
    keypoints, rows = detector.detectAndCompute(image, None)
    assert [p.pt for p in keypoints] == [tuple(xy) for xy in features.xy.tolist()]
    assert (rows is None) == (len(keypoints) == 0)
    if keypoints:
        kept, again = detector.compute(image, keypoints)
        assert len(kept) == len(keypoints)
        np.testing.assert_allclose(again, rows, atol=1e-5)


def test_images_of_the_strategy_have_keypoints():
    # Or else the properties above would speak of nothing.
    noise = np.random.default_rng(0).integers(0, 256, (50, 61), np.uint8).repeat(2, 0)
    assert len(DETECTOR.extract(noise)) > 10
    assert len(PYRAMID.extract(noise)) > 10


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=6)
@given(image=images())
def test_memory_layout_does_not_matter(layout, image):
    view = LAYOUTS[layout](image)
    before = np.array(view)
    got = DETECTOR.extract(view)
    assert_same(got, DETECTOR.extract(np.array(view, order="C", subok=False)))
    assert np.array_equal(view, before)


@given(image=images(), bits=st.integers(0, 2**32 - 1), as_bool=st.booleans())
def test_any_mask(image, bits, as_bool):
    mask = np.random.default_rng(bits).integers(0, 2, image.shape[:2], dtype=np.uint8)
    found = DETECTOR.extract(image, mask.astype(bool) if as_bool else mask * 7)
    check(found, image)
    x, y = (found.xy + 0.5).astype(int).T
    assert mask[y, x].all()
    # A mask only takes away.
    everything = {tuple(row) for row in DETECTOR.extract(image).xy.tolist()}
    assert {tuple(row) for row in found.xy.tolist()} <= everything


@given(image=images(), points=npst.arrays(np.float32, (7, 2), elements=st.floats(-9, 99, width=32)))
def test_compute_anywhere(image, points):
    height, width = image.shape[:2]
    keypoints = [cv2.KeyPoint(float(x), float(y), 8) for x, y in points]
    kept, rows = DETECTOR.compute(image, keypoints)
    inside = [p.pt for p in keypoints if 0 <= p.pt[0] < width and 0 <= p.pt[1] < height]
    assert [p.pt for p in kept] == inside
    if inside:
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    else:
        assert rows is None


# PyTorch's convolutions round otherwise for a batch (by 1e-9), which decides between points that
# are equally strong: in noise their order, on plain surfaces also which of two neighbours stays.
@settings(max_examples=10)
@given(several=st.lists(images(grains=(1, 4)), max_size=4))
def test_a_batch_is_the_same_as_one_by_one(several):
    several = [*several, *several[:1]]  # two of one size
    batch = DETECTOR.extract(several)
    assert len(batch) == len(several)
    for features, image in zip(batch, several, strict=True):
        alone = DETECTOR.extract(image)
        assert len(features) == len(alone)
        np.testing.assert_allclose(features.score, alone.score, atol=1e-5)
        for i, xy in enumerate(features.xy):
            (same,) = np.nonzero(np.linalg.norm(alone.xy - xy, axis=1) < 1e-3)[0]
            assert abs(alone.score[same] - features.score[i]) < 1e-5
            np.testing.assert_allclose(features.descriptors[i], alone.descriptors[same], atol=1e-4)


unsupported = st.one_of(
    npst.arrays(
        st.sampled_from([np.float32, np.float64, np.int8, np.uint16, np.int32, np.bool_]),
        npst.array_shapes(min_dims=2, max_dims=3, max_side=9),
        fill=st.just(0),
    ),
    npst.arrays(np.uint8, npst.array_shapes(min_dims=1, max_dims=1, max_side=9)),
    npst.arrays(np.uint8, npst.array_shapes(min_dims=4, max_dims=5, max_side=3)),
    npst.arrays(
        np.uint8, st.tuples(st.just(9), st.just(9), st.sampled_from([2, 5, 7])), fill=st.just(0)
    ),
    npst.arrays(np.dtype("U3"), (2, 2)),
    npst.arrays(np.complex64, (2, 2), fill=st.just(0)),
    npst.arrays(np.dtype("datetime64[s]"), (2, 2)),
)


@given(image=unsupported)
def test_unsupported_images_are_refused_by_what_they_are(image):
    for call in (
        lambda: DETECTOR.detect(image),
        lambda: DETECTOR.detectAndCompute(image, None),
        lambda: DETECTOR.compute(image, [cv2.KeyPoint(0, 0, 8)]),
        lambda: DETECTOR.extract(image),
    ):
        with pytest.raises(cv2.error) as caught:
            call()
        assert str(image.dtype) in str(caught.value)
        assert str(image.shape) in str(caught.value)


@given(
    shape=shapes,
    mask=st.one_of(
        npst.arrays(st.sampled_from([np.uint8, np.bool_]), shapes, fill=st.just(1)),
        npst.arrays(st.sampled_from([np.int8, np.float32, np.int32]), shapes, fill=st.just(1)),
        npst.arrays(np.uint8, st.tuples(st.just(9), st.just(9), st.just(3)), fill=st.just(1)),
    ),
)
def test_unsupported_masks_are_refused_by_what_they_are(shape, mask):
    image = np.zeros(shape, np.uint8)
    assume(mask.shape != shape or mask.dtype not in (np.uint8, np.bool_))
    with pytest.raises(cv2.error) as caught:
        DETECTOR.detect(image, mask)
    assert str(mask.dtype) in str(caught.value)
    assert str(mask.shape) in str(caught.value)
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize(
    "other",
    ["image.png", 3, 2.5, object(), {}, {1}, b"\0\0"],
    ids=lambda other: type(other).__name__,
)
def test_what_is_no_image_is_refused_by_its_type(other):
    with pytest.raises(cv2.error, match=type(other).__name__):
        DETECTOR.detect(other)
    with pytest.raises(cv2.error, match=type(other).__name__):
        DETECTOR.detect(np.zeros((9, 9), np.uint8), other)


# Where things are ------------------------------------------------------------------------------

FIELD = 64
"""Pixels that, on each side, can matter to one pixel of the output (half the receptive field)."""


def far_from_edges(features: Features, width: int, height: int) -> Features:
    x, y = features.xy.T
    far = (x > FIELD) & (x < width - FIELD) & (y > FIELD) & (y < height - FIELD)
    order = np.lexsort(features.xy[far].T.round(1))
    columns = (features.xy, features.score, features.size, features.angle, features.octave)
    rows = features.descriptors[far][order]
    return Features(*(column[far][order] for column in columns), rows)


def without_limit(radius: int = 4) -> SuperPoint:
    return SuperPoint_create(
        0, nlevels=1, scoreThreshold=0.02, nmsRadius=radius, device="cpu", precision="float32"
    )


@pytest.mark.parametrize("shift", [(8, 0), (0, 8), (16, 40), (48, 24)])
def test_content_moved_by_whole_cells_moves_its_keypoints(photographs, shift):
    image = photographs["camera"][100:356, 120:376]
    dx, dy = shift
    moved = np.full((256 + dy, 256 + dx), 127, np.uint8)
    moved[dy:, dx:] = image
    still = far_from_edges(without_limit().extract(image), 256, 256)
    found = without_limit().extract(moved)
    found = Features(
        found.xy - np.float32(shift),
        found.score,
        found.size,
        found.angle,
        found.octave,
        found.descriptors,
    )
    found = far_from_edges(found, 256, 256)
    assert len(still) == len(found) > 10
    np.testing.assert_allclose(found.xy, still.xy, atol=1e-3)
    np.testing.assert_allclose(found.score, still.score, atol=1e-5)
    np.testing.assert_allclose(found.descriptors, still.descriptors, atol=1e-4)


@pytest.mark.parametrize(("less_x", "less_y"), [(1, 0), (0, 3), (5, 7), (8, 16), (23, 30)])
def test_sizes_that_are_no_multiples_of_a_cell_move_nothing(photographs, less_x, less_y):
    # The image is padded, not squeezed: what is cut off on the right and below is of no
    # consequence far from there.
    image = photographs["coffee"][:240, :256]
    cut = image[: 240 - less_y, : 256 - less_x]
    whole = far_from_edges(without_limit().extract(image), 256 - less_x, 240 - less_y)
    found = far_from_edges(without_limit().extract(cut), 256 - less_x, 240 - less_y)
    assert len(whole) == len(found) > 10
    np.testing.assert_allclose(found.xy, whole.xy, atol=1e-3)
    np.testing.assert_allclose(found.score, whole.score, atol=1e-5)
    np.testing.assert_allclose(found.descriptors, whole.descriptors, atol=1e-4)


def test_a_corner_is_found_where_it_is():
    # Integer coordinates are the middles of pixels: the corner of a bright square that starts
    # at pixel 40 lies at 39.5.
    errors = []
    for start in range(40, 48):
        image = np.full((96, 96), 40, np.uint8)
        image[start:, start:] = 220
        found = SuperPoint_create(1, device="cpu").extract(cv2.GaussianBlur(image, (0, 0), 0.7))
        assert len(found) == 1
        errors.append(found.xy[0] - (start - 0.5))
    assert np.abs(errors).max() < 2
    assert np.abs(np.mean(errors, axis=0)).max() < 0.75


def test_a_pyramid_finds_the_same_place_at_all_levels():
    image = np.full((129, 131), 40, np.uint8)
    image[64:, 66:] = 220
    image = cv2.GaussianBlur(image, (0, 0), 1.5)
    found = SuperPoint_create(0, 1.4, 4, scoreThreshold=0.05, device="cpu").extract(image)
    near = np.abs(found.xy - [65.5, 63.5]).max(1) < 4
    assert set(found.octave[near].tolist()) >= {0, 1, 2}
    np.testing.assert_allclose(found.size, 8 * 1.4**found.octave, rtol=1e-5)
