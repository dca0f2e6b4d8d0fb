"""The network, what its outputs mean, and its weights. Knows no OpenCV."""
