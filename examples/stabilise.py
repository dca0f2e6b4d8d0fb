"""Steady a shaky video by what stays in place: python stabilise.py OUTPUT.

The picture is the mean of all frames, before and after: the steadier, the sharper.
"""

import sys

import cv2
import numpy as np
from skimage import data

import cv2_superpoint

SIZE = (360, 270)
CORNERS = np.float32([[[0, 0], [360, 0], [360, 270], [0, 270]]])


def shaky_video(frames: int = 20) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return frames of a photograph, and the affine transform from the first to each."""
    photograph = cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2BGR)
    random, video, first = np.random.default_rng(0), [], None
    for angle, scale, *shift in random.normal((0, 1, -110, -70), (2, 0.03, 10, 10), (frames, 4)):
        view = np.vstack([cv2.getRotationMatrix2D((300, 200), angle, scale), (0, 0, 1)])
        view[:2, 2] += shift
        first = view if first is None else first
        frame = cv2.warpPerspective(photograph, view, SIZE)
        noisy = np.clip(frame + random.normal(0, 8, frame.shape), 0, 255).astype(np.uint8)
        video.append((noisy, (view @ np.linalg.inv(first))[:2]))
    return video


def main(output_path: str) -> None:
    """Estimate each frame's motion from the first, and undo it."""
    detector = cv2_superpoint.SuperPoint_create(500)
    matcher = cv2_superpoint.BFMatcher(detector.defaultNorm(), crossCheck=True)
    video = shaky_video()
    keypoints1, descriptors1 = detector.detectAndCompute(video[0][0], None)
    steady, shaken, errors = [], [], []
    for frame, true in video:
        keypoints2, descriptors2 = detector.detectAndCompute(frame, None)
        matches = matcher.match(descriptors1, descriptors2)
        source = np.float32([keypoints1[m.queryIdx].pt for m in matches])
        target = np.float32([keypoints2[m.trainIdx].pt for m in matches])
        motion, _ = cv2.estimateAffinePartial2D(source, target, ransacReprojThreshold=2)
        steady.append(
            cv2.warpAffine(frame, motion, SIZE, flags=cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR)
        )
        there = cv2.transform(CORNERS, true)
        shaken.append(np.linalg.norm(there - CORNERS, axis=-1).mean())
        errors.append(np.linalg.norm(cv2.transform(CORNERS, motion) - there, axis=-1).mean())
    means = [np.mean(frames, axis=0) for frames in ([frame for frame, _ in video], steady)]
    cv2.imwrite(output_path, cv2.hconcat(means).astype(np.uint8))
    print(f"corners move by {np.mean(shaken):.1f} pixels before, {np.mean(errors):.2f} after")


if __name__ == "__main__":
    main(sys.argv[1]) if len(sys.argv) > 1 else sys.exit(__doc__)
