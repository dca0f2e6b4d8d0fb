"""Scripts written for OpenCV's features, run with SuperPoint in their place."""
