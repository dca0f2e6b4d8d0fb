"""Accuracy of local features on HPatches-format sequences.

The rooms, in the order the data flows::

    hpatches            the command: options in, tables and report out
    datasets            sequences on disk -> images of one size and their homographies
    simulated           a small set in the same layout, made from photographs
    protocol            every constant, and the presets that people quote
    detectors           a name -> anything with detectAndCompute and defaultNorm
    features            detector x image -> points and descriptors, cached on disk
    metrics             keypoints, matches and a homography -> numbers; pure functions
    descriptor_metrics  the same for descriptors and the whole pipeline
    scoring             a pair of images -> all its metrics
    accuracy            methods x sequences -> a record per pair and image, in worker processes
    summary             records -> means by split and method, as rows and text
    results, published  everything of a run as JSON and CSV; the paper's numbers
    plots, gallery      records -> pictures
    report              results and pictures -> report.md, report.html
    comparison          two report.json -> what changed

Run from a checkout: ``python -m benchmarks hpatches --data DIR``. A new method is a line in
`detectors.METHODS`.

Coordinates are (x, y) in pixels with integer coordinates at pixel centres, as in OpenCV; sizes are
(height, width). A homography maps column vectors (x, y, 1) of image 1 to image 2.
"""
