"""Accuracy of local features on HPatches-format sequences.

The rooms, in the order the data flows::

    datasets   sequences on disk -> images of one size and their homographies
    detectors  a name -> anything with detectAndCompute and defaultNorm
    metrics    keypoints, matches and a homography -> numbers; pure functions
    accuracy   methods x sequences -> one record per pair and image -> a table

Run from a checkout: ``python -m benchmarks hpatches --data DIR``.

Coordinates are (x, y) in pixels with integer coordinates at pixel centres, as in OpenCV; sizes are
(height, width). A homography maps column vectors (x, y, 1) of image 1 to image 2.
"""
