"""The network, the decoding of its outputs, and its weights. Independent of OpenCV."""
