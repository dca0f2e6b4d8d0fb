"""Build what the page ``docs/demo`` needs: the network, ONNX Runtime and pictures.

``python docs/build_demo.py`` writes them to ``docs/demo/assets``. It needs npm, and the extras
``export`` and ``demo``.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import onnx
from skimage import data

from cv2_superpoint.apps.cli import main as cv2_superpoint

PAGE = Path(__file__).parent / "demo"

VIEW = np.float32([[0.66, 0.27, 50], [-0.25, 0.68, 125], [2e-4, 1e-4, 1]])
"""The homography from one picture of the coffee to the other."""

RUNTIME = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.jspi.min.mjs",  # the same, and WebGPU
    "ort-wasm-simd-threaded.jspi.mjs",
    "ort-wasm-simd-threaded.jspi.wasm",
)


def build(page: Path) -> None:
    """Fill ``page/assets``, from the page's ``package-lock.json`` and the package's weights.

    Raises
    ------
    FileNotFoundError
        If npm is missing.
    subprocess.CalledProcessError
        If npm fails.
    """
    assets = page / "assets"
    shutil.rmtree(assets, ignore_errors=True)
    (assets / "ort").mkdir(parents=True)
    _copy_runtime(page, assets / "ort")
    cv2_superpoint(["export", "-o", str(assets / "superpoint-lite.onnx"), "--for", "web"])
    onnx.save_model(_products(), assets / "products.onnx")
    for name, pair in _examples().items():
        for side, image in zip("ab", pair, strict=True):
            _, content = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
            (assets / f"{name}-{side}.jpg").write_bytes(content)


def _copy_runtime(page: Path, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("the page is built with npm, which comes with Node.js")
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(page / name, scratch)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        package = Path(scratch, "node_modules", "onnxruntime-web")
        for name in RUNTIME:
            shutil.copy(package / "dist" / name, folder)


def _products() -> onnx.ModelProto:
    """Return a model of all products of two sets of descriptors: ``a @ b.T``."""
    real = onnx.TensorProto.FLOAT
    inputs = [onnx.helper.make_tensor_value_info(name, real, (None, None)) for name in "ab"]
    output = onnx.helper.make_tensor_value_info("products", real, (None, None))
    node = onnx.helper.make_node("Gemm", ["a", "b"], ["products"], transB=1)
    graph = onnx.helper.make_graph([node], "products", inputs, [output])
    opset = onnx.helper.make_opsetid("", 17)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)


def _examples() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return pairs of RGB images: a plane from two sides, and a stereo pair."""
    coffee = data.coffee()
    moved = cv2.warpPerspective(coffee, VIEW, (600, 400), borderValue=(40, 44, 48))
    left, right, _ = data.stereo_motorcycle()
    return {"coffee": (coffee, moved), "motorcycle": (left, right)}


def main() -> None:
    """Build the page in place."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    try:
        build(PAGE)
    except FileNotFoundError as error:
        sys.exit(str(error))
    except subprocess.CalledProcessError as error:
        sys.exit(f"npm failed with status {error.returncode}")
    size = sum(file.stat().st_size for file in PAGE.rglob("*") if file.is_file())
    print(f"built {PAGE}, {size / 1e6:.1f} MB; to see it: python -m http.server -d {PAGE.parent},")
    print("then open http://localhost:8000/demo/")


if __name__ == "__main__":
    main()
