"""The face of OpenCV: the only rooms that know ``cv2.KeyPoint``."""
