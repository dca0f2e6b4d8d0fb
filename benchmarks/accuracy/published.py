"""Numbers that the SuperPoint paper reports on HPatches, to be read beside ours.

DeTone, Malisiewicz, Rabinovich, CVPRW 2018, arXiv 1712.07629: repeatability from table 3 (NMS of
4 pixels), homographies from table 4.
"""

from .protocol import Protocol

PUBLISHED: dict[str, dict[str, dict[str, float]]] = {
    "all": {
        "SuperPoint (published)": {"H@1": 0.310, "H@3": 0.684, "H@5": 0.829},
        "SIFT (published)": {"H@1": 0.424, "H@3": 0.676, "H@5": 0.759},
        "ORB (published)": {"H@1": 0.150, "H@3": 0.395, "H@5": 0.538},
    },
    "illumination": {"SuperPoint (published)": {"repeatability": 0.652}},
    "viewpoint": {"SuperPoint (published)": {"repeatability": 0.503}},
}
"""By split, method and column of the table."""


def comparable(protocol: Protocol, full_release: bool) -> bool:
    """Tell whether the published numbers may stand beside ours: same protocol, all 116 sequences.

    The number of RANSAC orders averaged over does not matter; everything else must be the paper's.
    """
    ours = vars(protocol) | {"ransac_repeats": 1}
    return full_release and ours == vars(Protocol())
