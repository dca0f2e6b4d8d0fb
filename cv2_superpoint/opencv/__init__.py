"""The interface of OpenCV. Only this package and ``apps`` know ``cv2.KeyPoint``."""
