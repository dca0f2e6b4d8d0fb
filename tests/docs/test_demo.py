"""The page that runs the network in a browser, in a real one: Chromium without a window."""

from __future__ import annotations

import functools
import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from cv2_superpoint import SuperPoint_create

pytest.importorskip("onnx")
pytest.importorskip("selenium")

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from docs import build_demo

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
DRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Chromium and its driver"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm"),
]

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-webgpu",  # computed by the CPU
    "--enable-features=Vulkan",
    "--use-webgpu-adapter=swiftshader",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)

COFFEE = data.coffee()
MOTORCYCLE = cv2.resize(data.stereo_motorcycle()[0], (637, 430), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[str]:
    """Build the page in a copy, and serve it; yield its address."""
    folder = tmp_path_factory.mktemp("site")
    page = folder / "demo"
    shutil.copytree(build_demo.PAGE, page, ignore=shutil.ignore_patterns("assets"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("npm_config_fetch_retries", "0")
        try:
            build_demo.build(page)
        except subprocess.CalledProcessError:
            pytest.skip("npm cannot install ONNX Runtime: is there a network?")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/demo/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[webdriver.Chrome]:
    folder = tmp_path_factory.mktemp("browser")
    film = folder / "camera.y4m"
    write_film(film, cv2.resize(COFFEE, (640, 480)))
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={folder / 'profile'}")
    options.add_argument(f"--use-file-for-fake-video-capture={film}")
    options.add_argument("--window-size=1280,1000")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(120)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(site, browser) -> webdriver.Chrome:
    """The page, with its first example matched."""
    browser.get(site)
    wait(browser)
    return browser


def write_film(path: Path, rgb: np.ndarray) -> None:
    """Write a video of one frame, of which Chromium makes a camera."""
    height, width = rgb.shape[:2]
    header = f"YUV4MPEG2 W{width} H{height} F20:1 Ip A1:1 C420jpeg\nFRAME\n"
    path.write_bytes(header.encode() + cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420).tobytes())


def wait(page: webdriver.Chrome) -> None:
    # One script, since the page may reload between two.
    busy = "document.querySelector('main')?.getAttribute('aria-busy')"
    WebDriverWait(page, 120, 0.1).until(lambda p: ask(p, busy) == "false")


def figure(page: webdriver.Chrome, name: str) -> str:
    return page.find_element(By.ID, name).text


def ask(page: webdriver.Chrome, expression: str) -> Any:
    return page.execute_script(f"return {expression}")


def choose(page: webdriver.Chrome, side: int, picture: Path) -> None:
    page.find_element(By.CSS_SELECTOR, f"input[data-side='{side}']").send_keys(str(picture))
    wait(page)


def features(page: webdriver.Chrome, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the page found: positions, scores and descriptors."""
    names = ("xy", "score", "descriptors")
    xy, score, rows = (
        np.array(ask(page, f"Array.from(superpoint.features[{side}].{name})"), np.float32)
        for name in names
    )
    return xy.reshape(-1, 2), score, rows.reshape(len(score), -1)


def times(page: webdriver.Chrome, what: str) -> str:
    parts = ("backend", "network", "decoding", "matching")
    backend, *measured = (figure(page, part) for part in parts)
    return f"{what}: network {{}}, points and descriptors {{}}, matching {{}}; {backend}".format(
        *measured
    )


def corners(homography: np.ndarray) -> np.ndarray:
    """Return where a homography puts the corners of the picture of coffee."""
    height, width = COFFEE.shape[:2]
    rectangle = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    return cv2.perspectiveTransform(rectangle[None], np.asarray(homography, np.float64))[0]


def test_example_is_matched_and_drawn(page):
    matches, inliers = int(figure(page, "matches")), int(figure(page, "inliers"))
    assert matches > 200
    pairs = np.array([(m["a"], m["b"]) for m in ask(page, "superpoint.matches")])
    here, there = (features(page, side)[0][pairs[:, side]] for side in (0, 1))
    moved = cv2.perspectiveTransform(here[None], np.asarray(build_demo.VIEW, np.float64))[0]
    right = (np.linalg.norm(moved - there, axis=1) <= 3).sum()
    assert len(pairs) == matches
    assert right > 0.8 * matches
    assert inliers >= 0.98 * right
    found = np.reshape(ask(page, "superpoint.homography"), (3, 3))
    np.testing.assert_allclose(corners(found), corners(build_demo.VIEW), atol=1.5)
    for name in ("network", "decoding", "matching"):
        assert re.fullmatch(r"[\d.]+ ms", figure(page, name)), name
    green = ask(
        page,
        """(() => {
            const canvas = document.querySelector("canvas");
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
            let count = 0;
            for (let i = 0; i < data.length; i += 4)
                count += data[i] < 100 && data[i + 1] > 180 && Math.abs(data[i + 2] - 160) < 40;
            return count;
        })()""",
    )
    assert green > 10 * inliers  # a dot of several pixels at both ends of each


def test_points_are_those_of_python(page, tmp_path):
    set_slider(page, "nlevels", 5)
    detector = SuperPoint_create(1000, nlevels=5, precision="float32", device="cpu")
    for side, picture in enumerate((COFFEE, MOTORCYCLE)):
        file = tmp_path / f"{side}.png"
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(file), bgr)
        choose(page, side, file)
        xy, score, descriptors = features(page, side)
        wanted = detector.extract(bgr)
        assert len(xy) == len(wanted) == 1000
        # Levels of the pyramid may find one place twice; the scores tell these apart.
        apart = np.abs(wanted.xy[:, None] - xy).max(2)
        nearest = (apart + 100 * np.abs(wanted.score[:, None] - score)).argmin(1)
        found = apart[np.arange(1000), nearest] < 0.5
        print(f"{found.mean():.1%} of the points of picture {side}")
        assert found.mean() >= 0.98
        likeness = (wanted.descriptors * descriptors[nearest]).sum(1)[found]
        assert np.quantile(likeness, 0.02) > 0.999

    print(times(page, "5 levels, 600x400 and 637x430"))


def test_matches_are_those_of_opencv(page):
    first, second = features(page, 0)[2], features(page, 1)[2]
    kept = {(m["a"], m["b"]) for m in ask(page, "superpoint.matches")}
    wanted = set()
    backward = cv2.BFMatcher(cv2.NORM_L2).match(second, first)
    for best, other in cv2.BFMatcher(cv2.NORM_L2).knnMatch(first, second, k=2):
        mutual = backward[best.trainIdx].trainIdx == best.queryIdx
        if mutual and best.distance <= 0.9 * other.distance:
            wanted.add((best.queryIdx, best.trainIdx))
    assert len(kept & wanted) >= 0.98 * len(kept | wanted)
    assert kept


def test_camera_is_matched_with_a_frame_of_its_own(page):
    page.find_element(By.ID, "camera").click()
    WebDriverWait(page, 60).until(lambda p: figure(p, "rate").endswith(tuple("0123456789")))
    page.find_element(By.ID, "keep").click()
    # The camera sees one picture, so a frame of it lies where it lay.
    WebDriverWait(page, 60).until(
        lambda p: figure(p, "inliers").isdigit() and int(figure(p, "inliers")) > 100
    )
    print(times(page, "camera, 320x240"), figure(page, "rate"), "frames per second")
    found = np.reshape(ask(page, "superpoint.homography"), (3, 3))
    np.testing.assert_allclose(found / found[2, 2], np.diag([0.5, 0.5, 1]), atol=2)
    page.find_element(By.ID, "camera").click()
    wait(page)
    assert "matches between" in figure(page, "status")


def test_webgpu_finds_the_same(page):
    """On a small picture: without a GPU, Chromium emulates one."""
    grey = cv2.cvtColor(COFFEE[200:264, 260:356], cv2.COLOR_RGB2GRAY)
    found = page.execute_async_script(
        """const [pixels, width, height, done] = arguments;
        const run = async () => {
            if (!("Suspending" in WebAssembly)) return null;
            if (!(await navigator.gpu?.requestAdapter())) return null;
            const { loadNetwork } = await import("./network.js");
            const { extract } = await import("./features.js");
            const data = new Uint8ClampedArray(pixels.flatMap((grey) => [grey, grey, grey, 255]));
            const network = await loadNetwork("webgpu");
            const settings = { nfeatures: 100, nlevels: 1 };
            const found = await extract(network, { width, height, data }, settings);
            const products = await network.multiply(found, found);
            return [network.name, Array.from(found.xy), Array.from(products)];
        };
        run().then(done, (error) => done(error.message));""",
        grey.ravel().tolist(),
        *grey.shape[::-1],
    )
    if found is None:
        pytest.skip("this browser has no WebGPU")
    name, xy, products = found
    assert name == "WebGPU"
    wanted = SuperPoint_create(100, nlevels=1, precision="float32", device="cpu").extract(grey)
    apart = np.abs(wanted.xy[:, None] - np.reshape(xy, (-1, 2))).max(2)
    assert len(xy) == 2 * len(wanted) > 20
    assert (apart.min(1) < 0.5).mean() >= 0.98
    np.testing.assert_allclose(
        np.reshape(products, apart.shape)[apart.argmin(1)][:, apart.argmin(1)],
        wanted.descriptors @ wanted.descriptors.T,
        atol=0.01,
    )


def test_file_that_is_no_picture_is_named(page, tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("not a picture")
    choose(page, 0, file)
    WebDriverWait(page, 10).until(lambda p: "notes.txt is not a picture" in figure(p, "status"))


def test_nothing_leaves_the_machine_and_nothing_fails(page, site):
    """After all of the above."""
    errors = [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    assert not errors
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert f"{site}assets/coffee-a.jpg" in asked
    assert not [url for url in asked if url.startswith(("http", "ws")) and site not in url]


def set_slider(page: webdriver.Chrome, name: str, value: int) -> None:
    page.execute_script(
        """const slider = document.getElementById(arguments[0]);
        slider.value = arguments[1];
        slider.dispatchEvent(new Event("change", { bubbles: true }));""",
        name,
        value,
    )
    wait(page)
