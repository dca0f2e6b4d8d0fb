"""A room and a camera that flies through it, rendered for visual_odometry.py."""

import cv2
import numpy as np
from skimage import data

CAMERA = np.array([[300, 0, 200], [0, 300, 150], [0, 0, 1]], float)
ROOM = np.array([6, 1.5, 6])  # half of its size in metres; y points down
WALLS = [data.brick(), data.gravel(), data.camera()]  # perpendicular to x, y and z


def pose_at(angle: float) -> np.ndarray:
    """Return the pose (4, 4) at an angle in radians: the camera's frame to the room's."""
    place = 2.5 * np.cos(angle), 0.3 * np.sin(3 * angle), 2.5 * np.sin(angle)
    return np.vstack([np.c_[cv2.Rodrigues(np.array([0, -angle, 0]))[0], place], (0, 0, 0, 1)])


def render(pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return image (uint8) and depth (metres), (300, 400): where rays meet the walls."""
    pixels = np.stack([*np.meshgrid(np.arange(400), np.arange(300)), np.ones((300, 400))], -1)
    rays = pixels @ np.linalg.inv(CAMERA).T @ pose[:3, :3].T
    distances = (np.copysign(ROOM, rays) - pose[:3, 3]) / np.where(rays == 0, 1e-9, rays)
    depth, image = distances.min(-1), np.zeros((300, 400), np.uint8)
    points = pose[:3, 3] + depth[..., None] * rays
    for axis, texture in enumerate(WALLS):
        x, y = np.float32(np.moveaxis(np.delete(points, axis, -1), -1, 0) * 80 + 256)
        seen = cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        image = np.where(distances.argmin(-1) == axis, seen, image)
    return image, depth
