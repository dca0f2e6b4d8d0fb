"""Stitch two overlapping photographs: python stitch_two.py FIRST SECOND OUTPUT."""

import sys

import cv2
import numpy as np

import cv2_superpoint


def main(first_path: str, second_path: str, output_path: str) -> None:
    """Draw the second image in the frame of the first, and the first over it."""
    first, second = cv2.imread(first_path), cv2.imread(second_path)
    if first is None or second is None:
        sys.exit("cannot read the images")
    detector = cv2_superpoint.SuperPoint_create(2000)
    keypoints1, descriptors1 = detector.detectAndCompute(first, None)
    keypoints2, descriptors2 = detector.detectAndCompute(second, None)
    if descriptors1 is None or descriptors2 is None:
        sys.exit("nothing to match")

    matches = cv2_superpoint.BFMatcher(crossCheck=True).match(descriptors2, descriptors1)
    source = np.float32([keypoints2[m.queryIdx].pt for m in matches])
    target = np.float32([keypoints1[m.trainIdx].pt for m in matches])
    homography = None
    if len(matches) >= 4:
        homography, inliers = cv2.findHomography(source, target, cv2.USAC_MAGSAC, 3.0)
    if homography is None or inliers.sum() < 20:
        sys.exit("the images do not overlap")

    # The canvas holds the corners of both images; its origin is at `low` in the first image.
    unit = np.float32([[0, 0], [1, 0], [1, 1], [0, 1]])
    corners2 = (unit * second.shape[1::-1]).astype(np.float32)
    moved = cv2.perspectiveTransform(corners2[:, None], homography)[:, 0]
    corners = np.vstack([unit * first.shape[1::-1], moved])
    low, high = np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int)
    shift = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]], float)
    canvas = cv2.warpPerspective(second, shift @ homography, (high - low).tolist())
    height, width = first.shape[:2]
    canvas[-low[1] : height - low[1], -low[0] : width - low[0]] = first
    cv2.imwrite(output_path, canvas)
    print(f"{canvas.shape[1]}x{canvas.shape[0]} pixels from {inliers.sum()} inliers")


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 4 else sys.exit(__doc__)
