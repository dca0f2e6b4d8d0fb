"""The package stitching joins a panorama: --features ORB,SIFT."""

import sys

from stitching import Stitcher

stitcher = Stitcher(detector=sys.argv[1].lower(), crop=False)
panorama = stitcher.stitch(["view1.png", "view2.png", "view3.png"])
print(f"{panorama.shape[1]}x{panorama.shape[0]} pixels")
