"""A script for ORB, which knows nothing of SuperPoint: python orb_script.py OUTPUT.

With SuperPoint in its place: python -m cv2_superpoint.replace orb_script.py OUTPUT
"""

import sys

import cv2
import numpy as np
from skimage import data

if len(sys.argv) < 2:
    sys.exit(__doc__)
first = cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2BGR)
true = np.float32([[0.5, 0.25, 80], [-0.25, 0.5, 180], [1e-4, 0, 1]])
second = cv2.GaussianBlur(cv2.warpPerspective(first, true, (480, 360)), (0, 0), 1)

orb = cv2.ORB_create(nfeatures=1000)
keypoints1, descriptors1 = orb.detectAndCompute(first, None)
keypoints2, descriptors2 = orb.detectAndCompute(second, None)

matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)
matches = sorted(matcher.match(descriptors1, descriptors2), key=lambda match: match.distance)
good = [match for match in matches if match.distance < 50]

source = np.float32([keypoints1[match.queryIdx].pt for match in good])
target = np.float32([keypoints2[match.trainIdx].pt for match in good])
errors = np.linalg.norm(cv2.perspectiveTransform(source[:, None], true)[:, 0] - target, axis=1)
print(f"{len(good)} good matches, {np.sum(errors < 3)} correct")
picture = cv2.drawMatches(first, keypoints1, second, keypoints2, good[:60], None)
cv2.imwrite(sys.argv[1], picture)
