"""Airtest's search for a picture on a screen: --features ORB,AKAZE,BRISK,SIFT."""

import sys

import cv2
from airtest.aircv import keypoint_matching, keypoint_matching_contrib

feature = sys.argv[1]
module = keypoint_matching_contrib if feature == "SIFT" else keypoint_matching
finder = getattr(module, f"{feature}Matching")
found = finder(cv2.imread("box.png"), cv2.imread("box_in_scene.png"), threshold=0.1)
result = found.find_best_result()
print(f"{len(found.good)} good matches; {result and result['rectangle']}")
