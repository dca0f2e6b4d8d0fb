"""Put a cube on a picture that moves through a video: python augmented_reality.py OUTPUT."""

import sys

import cv2
import numpy as np
from skimage import data

import cv2_superpoint

CAMERA = np.array([[500, 0, 240], [0, 500, 180], [0, 0, 1]], float)
CUBE = 100 * np.array(
    [[x, y, -z] for z in (0, 1) for x, y in ((2, 1), (3, 1), (3, 2), (2, 2))], float
)


def rendered_video(poster: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return frames, each with rvec and tvec of the poster: its pixels to the camera's frame."""
    wall = cv2.resize(cv2.cvtColor(data.brick(), cv2.COLOR_GRAY2BGR), (480, 360))
    video = []
    for t in np.linspace(0, 2 * np.pi, 12, endpoint=False):
        rvec = np.array([0.5 * np.sin(t), 0.7 * np.cos(t), 0.4 * np.sin(2 * t)])
        rotation = cv2.Rodrigues(rvec)[0]
        tvec = np.array([60 * np.sin(t), 0, 800 + 250 * np.cos(t)]) - rotation @ (300, 200, 0)
        plane = CAMERA @ np.column_stack([rotation[:, :2], tvec])
        frame = wall.copy()
        cv2.warpPerspective(poster, plane, (480, 360), frame, borderMode=cv2.BORDER_TRANSPARENT)
        video.append((frame, rvec, tvec))
    return video


def main(output_path: str) -> None:
    """Find the poster in each frame, its pose from matches, and draw a cube that stands on it."""
    poster = cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2BGR)
    detector = cv2_superpoint.SuperPoint_create(1000)
    matcher = cv2_superpoint.BFMatcher(detector.defaultNorm(), crossCheck=True)
    keypoints, descriptors = detector.detectAndCompute(poster, None)
    object_points = np.array([(*keypoint.pt, 0) for keypoint in keypoints])
    errors, pictures = [], []
    for frame, true_rvec, true_tvec in rendered_video(poster):
        seen, rows = detector.detectAndCompute(frame, None)
        matches = matcher.match(descriptors, rows)
        source = object_points[[m.queryIdx for m in matches]]
        target = np.array([seen[m.trainIdx].pt for m in matches])
        _, rvec, tvec, _ = cv2.solvePnPRansac(source, target, CAMERA, None)
        corners = cv2.projectPoints(CUBE, rvec, tvec, CAMERA, None)[0][:, 0]
        true = cv2.projectPoints(CUBE, true_rvec, true_tvec, CAMERA, None)[0][:, 0]
        errors.append(np.linalg.norm(corners - true, axis=1).mean())
        bottom, top = np.int32(corners.round()).reshape(2, 4, 2)
        cv2.fillConvexPoly(frame, top, (60, 160, 80))
        cv2.polylines(frame, [bottom, top, *np.stack([bottom, top], 1)], True, (60, 250, 80), 4)
        pictures.append(frame)
    shown = [cv2.hconcat(pictures[i::4]) for i in (0, 2)]
    cv2.imwrite(output_path, cv2.vconcat(shown))
    print(f"corners of the cube: {np.mean(errors):.2f} pixels off, {max(errors):.2f} at worst")


if __name__ == "__main__":
    main(sys.argv[1]) if len(sys.argv) > 1 else sys.exit(__doc__)
