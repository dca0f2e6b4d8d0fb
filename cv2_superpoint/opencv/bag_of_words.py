"""``cv2.BOWImgDescriptorExtractor`` for any feature: images as histograms of visual words."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .arguments import as_array, opencv_call, with_methods
from .errors import bad_argument
from .factory import as_function


class BOWImgDescriptorExtractor:
    """Describes an image by how often each word of a visual vocabulary occurs in it.

    As ``cv2.BOWImgDescriptorExtractor`` (``cv2.xfeatures2d.BOWImgDescriptorExtractor`` in
    OpenCV 5), which accepts features written in C++ only.

    Parameters
    ----------
    dextractor
        Feature whose ``compute`` describes keypoints: SuperPoint, or one of OpenCV's.
    dmatcher
        Matcher that finds the word nearest to a descriptor: ``BFMatcher``, or one of OpenCV's. The
        vocabulary replaces what was added to it.

    Raises
    ------
    cv2.error
        If one of them lacks a method that is needed.

    Examples
    --------
    >>> from skimage import data
    >>> import cv2_superpoint
    >>> detector = cv2_superpoint.SuperPoint_create(200)
    >>> keypoints, descriptors = detector.detectAndCompute(data.camera(), None)
    >>> words = descriptors[:20]  # in earnest: the centres of cv2.kmeans over many images
    >>> matcher = cv2_superpoint.BFMatcher(detector.defaultNorm())
    >>> extractor = cv2_superpoint.bow_image_descriptor_extractor(detector, matcher)
    >>> extractor.setVocabulary(words)
    >>> histogram = extractor.compute(data.brick(), detector.detect(data.brick()))
    >>> histogram.shape, round(float(histogram.sum()), 3)
    ((1, 20), 1.0)
    """

    def __init__(self, dextractor: Any, dmatcher: Any) -> None:
        name = "bow_image_descriptor_extractor"
        self._feature = with_methods(dextractor, ("compute",), "dextractor", name)
        self._matcher = with_methods(dmatcher, ("clear", "add", "match"), "dmatcher", name)
        self._vocabulary: npt.NDArray[Any] | None = None

    @opencv_call
    def setVocabulary(self, vocabulary: Any) -> None:
        """Set the words.

        Parameters
        ----------
        vocabulary
            ``(K, D)``, one word per row, of the type of the descriptors: the centres that
            ``cv2.kmeans`` or ``BOWKMeansTrainer`` returns. None or empty: no vocabulary.

        Raises
        ------
        cv2.error
            If it is not such an array.
        """
        words = as_array(vocabulary, "vocabulary", "setVocabulary")
        if words is not None and words.size == 0:
            words = None
        if words is not None and (words.ndim != 2 or words.dtype not in (np.float32, np.uint8)):
            raise bad_argument(
                "setVocabulary",
                "vocabulary must be float32 or uint8 of shape (K, D), "
                f"not {words.dtype} of shape {words.shape}",
            )
        self._matcher.clear()
        if words is not None:
            self._matcher.add([words])
        self._vocabulary = words

    def getVocabulary(self) -> npt.NDArray[Any] | None:
        """Return the words, ``(K, D)``; None if there are none yet."""
        return self._vocabulary

    @opencv_call
    def compute(
        self, image: Any, keypoints: Any, imgDescriptor: Any = None
    ) -> npt.NDArray[np.float32] | None:
        """Describe an image.

        Parameters
        ----------
        image
            As for the feature's ``compute``.
        keypoints
            Sequence of ``cv2.KeyPoint`` in the image.
        imgDescriptor
            Ignored; OpenCV's argument.

        Returns
        -------
        ndarray or None
            ``(1, K)`` float32: the share of descriptors nearest to each word; None if there is no
            descriptor.

        Raises
        ------
        cv2.error
            For an image or keypoints of a wrong type, without a vocabulary, or if its words are not
            of the size and type of the descriptors.
        """
        if self._vocabulary is None:
            raise bad_argument("compute", "there is no vocabulary: call setVocabulary() first")
        _, descriptors = self._feature.compute(image, keypoints)
        if descriptors is None:
            return None
        words = [match.trainIdx for match in self._matcher.match(descriptors)]
        if not words:  # as of SIFT in OpenCV 5.1, whose descriptors are then (0, 128), not None
            return None
        counts = np.bincount(words, minlength=len(self._vocabulary))
        return np.float32(counts / len(words))[None]

    def descriptorSize(self) -> int:
        """Return the number of words; 0 without a vocabulary."""
        return 0 if self._vocabulary is None else len(self._vocabulary)

    def descriptorType(self) -> int:
        """Return ``cv2.CV_32F``, the type of the histograms."""
        return int(cv2.CV_32F)


bow_image_descriptor_extractor = as_function(
    BOWImgDescriptorExtractor, "bow_image_descriptor_extractor"
)
