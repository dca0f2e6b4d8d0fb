"""RootSIFT of imutils, which takes square roots of SIFT's descriptors: --features SIFT."""

import cv2
import numpy as np
from imutils.feature import RootSIFT

extractor = RootSIFT()
rows = []
for name in ("box.png", "box_in_scene.png"):
    image = cv2.imread(name, cv2.IMREAD_GRAYSCALE)
    keypoints = cv2.SIFT_create().detect(image)
    rows.append(extractor.compute(image, keypoints)[1])
finite = np.isfinite(rows[0]).all(axis=1).mean()
pairs = cv2.BFMatcher().knnMatch(*rows, k=2)
good = [a for a, b in pairs if a.distance < 0.75 * b.distance]
print(f"{finite:.0%} of descriptors are finite, {len(good)} good matches")
