"""Make these pictures by running the examples, and print what those print: python make.py.

Each example runs again with ORB in the place of SuperPoint, to print that beside it.
"""

import io
import runpy
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from unittest import mock

import cv2
from skimage import data

import cv2_superpoint

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
NAMES = (
    "find_object", "stitch_two", "panorama", "augmented_reality", "stabilise", "image_search",
    "steep_view", "visual_odometry", "orb_script",
)  # fmt: skip


def inputs(name: str, folder: Path) -> list[str]:
    """Write the images that an example wants; return their names."""
    coffee, images = cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2BGR), []
    if name == "find_object":
        scene = cv2.resize(cv2.cvtColor(data.gravel(), cv2.COLOR_GRAY2BGR), (480, 360))
        turn, thing = cv2.getRotationMatrix2D((240, 160), 35, 0.4), cv2.blur(coffee, (3, 3))
        cv2.warpAffine(thing, turn, (480, 360), scene, borderMode=cv2.BORDER_TRANSPARENT)
        images = [coffee, scene]
    elif name == "stitch_two":
        images = [coffee[:380, :370], coffee[20:, 230:]]
    paths = [str(folder / f"{index}.png") for index in range(len(images))]
    return [path for path, image in zip(paths, images, strict=True) if cv2.imwrite(path, image)]


def run(name: str, arguments: list[str]) -> str:
    """Run an example as from the command line; return what it prints, or why it failed."""
    printed = io.StringIO()
    with mock.patch.object(sys, "argv", [name, *arguments]), redirect_stdout(printed):
        try:
            runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        except (SystemExit, cv2.error) as error:
            return f"fails: {str(error).strip()}"
    return printed.getvalue().strip().replace("\n", "; ")


def main() -> None:
    """Run all, with ORB first, and write the pictures."""
    sys.path.insert(0, str(EXAMPLES))
    orb = mock.patch.object(cv2_superpoint, "SuperPoint_create", lambda n, **_: cv2.ORB_create(n))
    for name in NAMES:
        with tempfile.TemporaryDirectory() as folder:
            output = f"{folder}/out.png"
            arguments = [*inputs(name, Path(folder)), output]
            with orb:
                print(f"{name}\n  ORB: {run(name, arguments)}")
            pictures = [cv2.imread(output)] if name == "orb_script" else []
            with cv2_superpoint.replacing("ORB"):  # for orb_script
                print(f"  SuperPoint: {run(name, arguments)}")
            picture = cv2.vconcat([*pictures, cv2.imread(output)])
        height, width = picture.shape[:2]
        small = cv2.resize(picture, (640, height * 640 // width), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(HERE / f"{name}.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 75])


if __name__ == "__main__":
    main()
