"""Join photographs taken from one spot, by OpenCV's stitching pipeline.

python panorama.py OUTPUT [IMAGE...]; without images, rendered views of a photograph.
"""

import sys

import cv2
import numpy as np
from skimage import data

import cv2_superpoint


def rendered_views() -> list[np.ndarray]:
    """Return what a camera of focal length 500 pixels sees, turned by -13, 0 and 13 degrees."""
    photograph = cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2BGR)
    rays = np.linalg.inv([[500, 0, 300], [0, 500, 200], [0, 0, 1]])
    camera = np.array([[500, 0, 160], [0, 500, 180], [0, 0, 1]], float)
    turns = [cv2.Rodrigues(np.radians([0, degrees, 0]))[0] for degrees in (-13, 0, 13)]
    return [cv2.warpPerspective(photograph, camera @ turn @ rays, (320, 360)) for turn in turns]


def main(output_path: str, *paths: str) -> None:
    """Features, matcher, estimator, bundle adjustment, warp, blend."""
    images = [cv2.imread(path) for path in paths] or rendered_views()
    if any(image is None for image in images):
        sys.exit("cannot read the images")
    detector = cv2_superpoint.SuperPoint_create(1000)
    features = cv2_superpoint.compute_image_features(detector, images)
    pairs = cv2.detail.BestOf2NearestMatcher(False, 0.2).apply2(features)
    if len(cv2.detail.leaveBiggestComponent(features, pairs, 1)) < len(images):
        sys.exit("the images do not overlap")
    _, cameras = cv2.detail.HomographyBasedEstimator().apply(features, pairs, None)
    for camera in cameras:
        camera.R = camera.R.astype(np.float32)
    _, cameras = cv2.detail.BundleAdjusterRay().apply(features, pairs, cameras)

    focal = float(np.median([camera.focal for camera in cameras]))
    warper = cv2.PyRotationWarper("spherical", focal)
    pieces = []
    for image, camera in zip(images, cameras, strict=True):
        where = camera.K().astype(np.float32), camera.R.astype(np.float32)
        corner, warped = warper.warp(image, *where, cv2.INTER_LINEAR, cv2.BORDER_REFLECT)
        inside = np.full(image.shape[:2], 255, np.uint8)
        _, mask = warper.warp(inside, *where, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT)
        pieces.append((warped.astype(np.int16), mask, corner))
    corners, sizes = [piece[2] for piece in pieces], [piece[1].shape[::-1] for piece in pieces]
    blender = cv2.detail.MultiBandBlender()
    blender.prepare(cv2.detail.resultRoi(corners, sizes))
    for piece in pieces:
        blender.feed(*piece)
    panorama, _ = blender.blend(None, None)
    cv2.imwrite(output_path, panorama.clip(0, 255).astype(np.uint8))
    print(f"{panorama.shape[1]}x{panorama.shape[0]} pixels, focal length {focal:.0f}")


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) > 1 else sys.exit(__doc__)
