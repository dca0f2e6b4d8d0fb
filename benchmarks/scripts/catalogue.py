"""The scripts: OpenCV's samples, tutorials and tests, found in its source, and popular packages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

PACKAGES = Path(__file__).parent / "packages"

_SAMPLES = {
    "find_obj.py": [("ORB", "--feature=orb"), ("ORB", "--feature=orb-flann"),
                    ("SIFT", "--feature=sift"), ("SIFT", "--feature=sift-flann"),
                    ("AKAZE", "--feature=akaze"), ("AKAZE", "--feature=akaze-flann"),
                    ("BRISK", "--feature=brisk"), ("BRISK", "--feature=brisk-flann")],
    "asift.py": [("ORB", "--feature=orb"), ("SIFT", "--feature=sift-flann")],
    "plane_tracker.py": [("ORB", "")],
    "plane_ar.py": [("ORB", "")],
    "feature_homography.py": [("ORB", "")],
    "stitching_detailed.py": [("ORB", "--features orb view1.png view2.png view3.png"),
                              ("SIFT", "--features sift view1.png view2.png view3.png"),
                              ("AKAZE", "--features akaze view1.png view2.png view3.png"),
                              ("BRISK", "--features brisk view1.png view2.png view3.png")],
    "essential_mat_reconstr.py": [("SIFT", "essential_mat_data.txt ./")],
    "tutorial_code/features*/akaze_matching/AKAZE_match.py": [("AKAZE", "")],
}  # fmt: skip
_TESTS = {
    "features*/misc/python/test/test_feature_homography.py": ("ORB,AKAZE", ""),
    "flann/misc/python/test/test_flann_based_matcher.py": ("ORB", ""),
    "python/test/test_umat.py": ("ORB", "UMat.test_umat_matching"),
    # The others of the file use no feature from Python.
    "stitching/misc/python/test/test_stitching.py": (
        "ORB",
        "stitching_detail_test stitching_matches_info_test stitching_range_matcher_test",
    ),
}
_TUTORIALS = ("ORB", "SIFT")  # what those in Python use
_STUBS = {"simple.jpg": "box.png", "myleft.jpg": "aloeL.jpg", "myright.jpg": "aloeR.jpg"}
"""Pictures that tutorials name and the source does not have, and what stands in for them."""


@dataclass(frozen=True)
class Case:
    """A script to run.

    Attributes
    ----------
    name : str
        To show, with the arguments.
    script : Path
        A file.
    features : str
        To replace, comma-separated.
    arguments : tuple of str
        Of the script.
    search : tuple of Path
        Folders from which it imports.
    """

    name: str
    script: Path
    features: str
    arguments: tuple[str, ...] = ()
    search: tuple[Path, ...] = ()


def find_cases(source: Path, data: Path) -> Iterator[Case]:
    """Yield what there is to run.

    Parameters
    ----------
    source : Path
        OpenCV's source: the folder that has ``samples/``, ``modules/`` and ``doc/``.
    data : Path
        The folder that scripts run in; see :func:`make_data`.
    """
    for pattern, uses in _SAMPLES.items():
        for script in sorted((source / "samples" / "python").glob(pattern)):
            for features, arguments in uses:
                name = f"{script.name} {arguments}".strip()
                yield Case(name, script, features, tuple(arguments.split()))
    for pattern, (features, tests) in _TESTS.items():
        common = source / "modules" / "python" / "test"
        scenes = source / "samples" / "python"
        for script in sorted((source / "modules").glob(pattern)):
            options = ("--repo", str(source), *tests.split())
            yield Case(script.name, script, features, options, (common, scenes))
    for page in sorted((source / "doc" / "py_tutorials").rglob("*.markdown")):
        yield from _tutorials(page, data)
    for script in sorted(PACKAGES.glob("*.py")):
        (several,) = re.findall(r"--features ([\w,]+)", script.read_text(encoding="utf-8"))
        for feature in several.split(","):
            yield Case(f"{script.stem} ({feature})", script, feature, (feature,))


def _tutorials(page: Path, data: Path) -> Iterator[Case]:
    """Write the scripts of a tutorial, each of which begins with an import, to files."""
    text = "".join(re.findall(r"@code\{\.py\}\n(.*?)@endcode", page.read_text("utf-8"), re.DOTALL))
    for number, code in enumerate(re.split(r"^(?=import numpy)", text, flags=re.MULTILINE)):
        used = [name for name in _TUTORIALS if f"{name}_create" in code]
        if used:
            script = data / f"{page.stem}-{number}.py"
            script.write_text(code, encoding="utf-8")
            yield Case(script.name, script, used[0])


def make_data(source: Path, folder: Path) -> None:
    """Fill a folder with the pictures that scripts expect in the current one."""
    for picture in sorted((source / "samples" / "data").iterdir()):
        if picture.is_file():
            (folder / picture.name).symlink_to(picture.resolve())
    for name, stub in _STUBS.items():
        (folder / name).symlink_to((source / "samples" / "data" / stub).resolve())
    (folder / "stitching").mkdir()
    for number, view in enumerate(_turned_views(), 1):
        cv2.imwrite(str(folder / f"view{number}.png"), view)
        cv2.imwrite(str(folder / "stitching" / f"a{number}.png"), view)
    _shaky_video(str(folder / "shaky.avi"))


def _turned_views() -> list[np.ndarray]:
    """Return what a camera sees that is turned by -10, 0 and 10 degrees before a photograph."""
    photograph = cv2.resize(_photograph(), (1200, 800), interpolation=cv2.INTER_CUBIC)
    rays = np.linalg.inv([[1000, 0, 600], [0, 1000, 400], [0, 0, 1]])
    camera = np.array([[1000, 0, 320], [0, 1000, 350], [0, 0, 1]], float)
    turns = [cv2.Rodrigues(np.radians([0.0, degrees, 0]))[0] for degrees in (-10, 0, 10)]
    return [cv2.warpPerspective(photograph, camera @ turn @ rays, (640, 700)) for turn in turns]


def _shaky_video(path: str) -> None:
    random, photograph = np.random.default_rng(0), _photograph()
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 25, (400, 300))
    for angle, *shift in random.normal((0, -100, -50), (1, 4, 4), (40, 3)):
        view = cv2.getRotationMatrix2D((300, 200), angle, 1)
        view[:, 2] += shift
        writer.write(cv2.warpAffine(photograph, view, (400, 300)))
    writer.release()


def _photograph() -> np.ndarray:
    from skimage import data

    return cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2BGR)
