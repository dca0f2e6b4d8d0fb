"""SuperPoint as a ``cv2.Feature2D``: one line from ORB to a learned local feature.

>>> import cv2_superpoint
>>> detector = cv2_superpoint.SuperPoint_create(1000)  # where cv2.ORB_create(1000) stood
"""

from .features import Features
from .opencv.bfmatcher import BFMatcher, BFMatcher_create
from .opencv.feature2d import SuperPoint, SuperPoint_create

__all__ = ["BFMatcher", "BFMatcher_create", "Features", "SuperPoint", "SuperPoint_create"]
__version__ = "0.1.0"
