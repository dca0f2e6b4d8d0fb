"""``python -m cv2_superpoint``: the same as the command ``cv2-superpoint``."""

from .apps.cli import main

main()
