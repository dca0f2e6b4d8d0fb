"""``cv2.detail.computeImageFeatures`` for any feature: the first step of a stitching pipeline."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from .arguments import as_array, is_batch, mask_list, opencv_call, with_methods
from .errors import bad_argument

# OpenCV's, also where `replacing` has put ours in their place.
_ORB_create, _compute = cv2.ORB_create, cv2.detail.computeImageFeatures2


@opencv_call
def compute_image_features(featuresFinder: Any, image: Any, mask: Any = None) -> Any:
    """Detect and describe for ``cv2.detail``'s matchers, estimators and bundle adjusters.

    As ``cv2.detail.computeImageFeatures2`` for an image, and ``cv2.detail.computeImageFeatures``
    for a list of images, which accept features written in C++ only.

    Parameters
    ----------
    featuresFinder
        SuperPoint, or one of OpenCV's features.
    image
        As for its ``detectAndCompute``; or a list of images.
    mask
        As for its ``detectAndCompute``; or a list.

    Returns
    -------
    cv2.detail.ImageFeatures
        ``keypoints``, ``descriptors`` (a ``cv2.UMat``), ``img_size`` (width, height) and
        ``img_idx``, the place in the list; for a list a tuple of them.

    Raises
    ------
    cv2.error
        For an image or mask of a wrong type or size, or something that is not a feature.

    Examples
    --------
    >>> import cv2
    >>> from skimage import data
    >>> import cv2_superpoint
    >>> detector = cv2_superpoint.SuperPoint_create(500)
    >>> images = [data.camera()[:, :340], data.camera()[:, 170:]]
    >>> features = cv2_superpoint.compute_image_features(detector, images)
    >>> features[1].img_size, features[1].img_idx
    ((342, 512), 1)
    >>> pairs = cv2.detail.BestOf2NearestMatcher(False, 0.3).apply2(features)
    >>> pairs[1].num_inliers > 50
    True
    """
    name = "compute_image_features"
    finder = with_methods(featuresFinder, ("detectAndCompute",), "featuresFinder", name)
    if not is_batch(image):
        return _features(finder, image, mask, 0)
    pairs = zip(image, mask_list(mask, image, name), strict=True)
    return tuple(_features(finder, *pair, index) for index, pair in enumerate(pairs))


def _features(finder: Any, image: Any, mask: Any, index: int) -> Any:
    array = as_array(image, "image", "compute_image_features")
    if array is None or array.size == 0:
        raise bad_argument("compute_image_features", "the image is empty")
    keypoints, descriptors = finder.detectAndCompute(array, mask)
    features = _blank()
    features.img_idx, features.img_size = index, array.shape[1::-1]
    features.keypoints = keypoints
    if descriptors is not None:
        features.descriptors = cv2.UMat(descriptors)
    return features


def _blank() -> Any:
    """Return ImageFeatures to fill.

    Only those that a C++ function has made: the bindings allocate ``cv2.detail.ImageFeatures()``
    without constructing it, and reading a field of it crashes OpenCV 4.
    """
    return _compute(_ORB_create(1), np.zeros((8, 8), np.uint8))
