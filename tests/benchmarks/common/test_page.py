"""A report in a browser: nothing fails, tables sort, it fits a phone, it is dark in the dark.

The screenshots are left in the test's temporary folder, ``pytest --basetemp FOLDER``.
"""

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.common import page
from benchmarks.common.figures import Plot
from benchmarks.common.gallery import Exhibit, Picture, draw_matches
from benchmarks.common.tables import Table

METHODS = ("ORB", "SIFT", "SuperPoint[firstLevel=1,nlevels=6]", "<b>FAST</b>")
SCORES = ("0.9", "12.5", "0.10", "-")
VIEWS = {"desktop": (1280, "light"), "phone": (390, "light"), "dark": (1280, "dark")}


def small_report() -> page.Page:
    wide = [
        {"method": name, "score": score} | {f"MMA@{i}": f"0.{i}" for i in range(1, 11)}
        for name, score in zip(METHODS, SCORES, strict=True)
    ]
    grid = [{"zoom": f"{z}x", "0": "0.50", "90": f"{z / 4:.2f}"} for z in (1, 2, 4)]
    plot = Plot("p", "Lines.", [lambda axes: axes.plot([1, 2], label="ORB")] * 3)
    images = np.random.default_rng(0).integers(0, 256, (2, 48, 64), np.uint8)
    points = np.array([[8.0, 8.0], [40.0, 30.0]])
    drawn = draw_matches(*images, points, points, np.array([True, False]))
    pictures = [Picture("p.jpg", name, "1 of 2 matches is correct", drawn) for name in METHODS[:3]]
    return page.Page(
        "A report",
        "What was measured.",
        f"python -m benchmarks hpatches --methods {' '.join(METHODS)}",
        [
            page.Section("Results", "Text.", [Table("Wide", wide, best={"score": max})], [plot]),
            page.Section("Grid", tables=[Table("ORB", grid, shaded=True)]),
            page.Section("Pairs", exhibits=[Exhibit("best", pictures)]),
            page.Section("Changes", preformatted="a line that is long " * 20),
            page.settings([("protocol: a_name_that_is_long", (1, 2)), ("points", 1000)]),
        ],
        warning="Not to be quoted.",
        machine={"CPU": "one"},
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Show the report in Chromium."""
    webdriver = pytest.importorskip("selenium.webdriver")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    if found is None or driver is None:
        pytest.skip("needs Chromium and its driver")
    folder = tmp_path_factory.mktemp("page")
    page.write_html(folder / "report.html", small_report())
    options = webdriver.ChromeOptions()
    options.binary_location = found
    for flag in (
        *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
        *("disable-background-networking", "disable-component-update", "disable-sync"),
        f"user-data-dir={folder / 'profile'}",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as running:
        running.get((folder / "report.html").as_uri())
        yield running


def test_page_loads_whole_without_errors_or_requests(browser: Any) -> None:
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    own = {url for url in requests if not url.startswith(("data:", "chrome:"))}
    assert own == {browser.current_url}
    assert browser.get_log("browser") == []
    widths = "return [...document.images].map((image) => image.naturalWidth)"
    assert min(browser.execute_script(widths)) > 100


def test_tables_sort_by_keyboard(browser: Any) -> None:
    def column(i: int) -> list[str]:
        rows = "[...document.querySelector('tbody').rows]"
        return browser.execute_script(f"return {rows}.map((row) => row.cells[{i}].textContent)")

    def press(i: int) -> str:
        head = browser.find_elements("css selector", "thead th")[i]
        head.find_element("css selector", "button").send_keys("\ue007")  # Enter
        return head.get_attribute("aria-sort")

    assert column(0) == list(METHODS)
    assert press(1) == "descending"  # more is better
    assert column(1) == ["12.5", "0.9", "0.10", "-"]
    assert press(1) == "ascending"
    assert column(1) == ["0.10", "0.9", "12.5", "-"]  # numbers, and the missing one last
    assert press(0) == "ascending"
    assert column(0) == ["<b>FAST</b>", "ORB", "SIFT", METHODS[2]]
    assert browser.execute_script("return document.querySelectorAll('[aria-sort]').length") == 1


@pytest.mark.parametrize("view", VIEWS)
def test_views(browser: Any, view: str, tmp_path: Path) -> None:
    width, scheme = VIEWS[view]
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": view == "phone"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    preferred = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", preferred)
    inner = browser.execute_script("return document.documentElement.clientWidth")
    assert browser.execute_script("return document.documentElement.scrollWidth") == inner <= width
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    (tmp_path / f"{view}.png").write_bytes(base64.b64decode(shot["data"]))
    picture = cv2.imread(str(tmp_path / f"{view}.png"))
    assert picture.shape[1] in (inner, width)
    corner, text = picture[2, 2].mean(), picture[: picture.shape[0] // 4]
    assert corner < 60 if scheme == "dark" else corner > 240
    assert np.abs(text.astype(int) - corner).max() > 150  # legible
