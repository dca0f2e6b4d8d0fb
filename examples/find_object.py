"""Find an object in a scene and draw its outline: python find_object.py OBJECT SCENE OUTPUT."""

import sys

import cv2
import numpy as np

import cv2_superpoint


def main(object_path: str, scene_path: str, output_path: str) -> None:
    """Match by the ratio test, fit a homography, and draw where the object's corners fall."""
    thing, scene = cv2.imread(object_path), cv2.imread(scene_path)
    if thing is None or scene is None:
        sys.exit("cannot read the images")
    detector = cv2_superpoint.SuperPoint_create(1000)
    keypoints1, descriptors1 = detector.detectAndCompute(thing, None)
    keypoints2, descriptors2 = detector.detectAndCompute(scene, None)
    if descriptors1 is None or descriptors2 is None:
        sys.exit("nothing to match")

    matcher = cv2_superpoint.BFMatcher(detector.defaultNorm())
    candidates = matcher.knnMatch(descriptors1, descriptors2, k=2)
    good = [pair[0] for pair in candidates if pair[0].distance < 0.9 * pair[-1].distance]
    source = np.float32([keypoints1[m.queryIdx].pt for m in good])
    target = np.float32([keypoints2[m.trainIdx].pt for m in good])
    homography = None
    if len(good) >= 4:
        homography, inliers = cv2.findHomography(source, target, cv2.USAC_MAGSAC, 3.0)
    if homography is None:
        sys.exit(f"not found: {len(good)} matches do not agree")
    height, width = thing.shape[:2]
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    outline = cv2.perspectiveTransform(corners[:, None], homography)
    if inliers.sum() < 15 or cv2.contourArea(outline) < 0.01 * height * width:
        sys.exit(f"not found: only {inliers.sum()} matches agree, or they fall on one spot")

    cv2.polylines(scene, [np.int32(outline.round())], True, (80, 200, 60), 2, cv2.LINE_AA)
    cv2.imwrite(output_path, scene)
    print(f"found at {outline[:, 0].round().astype(int).tolist()}: {inliers.sum()} inliers")


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 4 else sys.exit(__doc__)
