"""Features of many images, into one output: ``cv2-superpoint extract``.

In the order the data flows::

    sources       folders, globs, archives, videos -> items: a name, and where its pixels are
    decode        an item -> a grey image, or why there is none
    pipeline      items -> features: decoding ahead, batches of one size, progress
    ray_engine    the same on a cluster
    output        features -> an output that knows what it has: `hdf5`, `colmap` or `npz`
    geometry      pairs of images in a COLMAP database -> verified matches

`journal` lets an HDF5 file survive a killed process.
"""
