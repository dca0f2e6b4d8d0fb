"""Follow a depth camera through a room by what it sees: python visual_odometry.py OUTPUT.

The picture is the last frame, and the way from above: true (grey) and estimated (black).
"""

import itertools
import sys

import cv2
import numpy as np
from room import CAMERA, pose_at, render

import cv2_superpoint

DETECTOR = cv2_superpoint.SuperPoint_create(500, nlevels=1)
MATCHER = cv2_superpoint.BFMatcher(DETECTOR.defaultNorm(), crossCheck=True)


def motion(before: tuple[np.ndarray, np.ndarray], image: np.ndarray) -> np.ndarray:
    """Return the pose (4, 4) of an image in the frame of the one before: that, and its depth."""
    (keypoints1, descriptors1), (keypoints2, descriptors2) = (
        DETECTOR.detectAndCompute(seen, None) for seen in (before[0], image)
    )
    matches = MATCHER.match(descriptors1, descriptors2)
    xy = np.array([keypoints1[match.queryIdx].pt for match in matches])
    x, y = xy.round().astype(int).T
    source = np.c_[xy, np.ones(len(xy))] @ np.linalg.inv(CAMERA).T * before[1][y, x, None]
    target = np.array([keypoints2[match.trainIdx].pt for match in matches])
    _, rvec, tvec, _ = cv2.solvePnPRansac(source, target, CAMERA, None, reprojectionError=2)
    return np.linalg.inv(np.vstack([np.c_[cv2.Rodrigues(rvec)[0], tvec], (0, 0, 0, 1)]))


def main(output_path: str) -> None:
    """Chain the motions between frames, and compare where that leads with the truth."""
    true = [pose_at(angle) for angle in np.linspace(0, 2 * np.pi, 40)]
    frames = [render(pose) for pose in true]
    found = [true[0]]
    for before, (image, _) in itertools.pairwise(frames):
        found.append(found[-1] @ motion(before, image))
    walked, estimated = np.array(true)[:, :3, 3], np.array(found)[:, :3, 3]
    length = np.linalg.norm(np.diff(walked, axis=0), axis=1).sum()
    error = np.linalg.norm(estimated - walked, axis=1)[-1]
    plan = np.full((300, 300), 255, np.uint8)
    for way, grey, width in ((walked, 190, 7), (estimated, 0, 1)):
        cv2.polylines(plan, [np.int32(way[:, ::2] * 40 + 150)], False, grey, width, cv2.LINE_AA)
    cv2.imwrite(output_path, cv2.hconcat([image, plan]))
    print(f"{error:.3f} m off after {length:.1f} m: {100 * error / length:.2f} %")


if __name__ == "__main__":
    main(sys.argv[1]) if len(sys.argv) > 1 else sys.exit(__doc__)
