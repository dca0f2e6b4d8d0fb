"""What `doctor` finds, and advises."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import PathDistribution

import cv2
import pytest
import torch
from skimage import data

from cv2_superpoint.apps import doctor, wheels
from cv2_superpoint.apps.cli import main
from cv2_superpoint.apps.doctor import Facts, advice, broken, draw_frame, report
from cv2_superpoint.model import weights
from cv2_superpoint.model.weights import shipped_models
from cv2_superpoint.opencv import source
from cv2_superpoint.runners import choose

HEALTHY = Facts(
    cpu="Example 9000; PyTorch's kernels AVX2",
    opencv="4.10.0",
    wheels=["opencv-python 4.10.0.84"],
    cores=8,
    idle=8,
    quota=float("inf"),
    limit=8,
    threads=8,
    settings={},
    gpu_build=False,
    gpu=None,
    driver=False,
    auto="int8",
    reason="this CPU can",
    precision="int8",
    models=["superpoint-lite"],
    times={"SuperPoint": 30.0, "ORB": 3.0, "SIFT": 60.0},
)


def test_a_healthy_installation_needs_nothing():
    assert report(HEALTHY).endswith("\nNothing to change.")
    line = next(line for line in report(HEALTHY).splitlines() if line.startswith("SuperPoint "))
    assert line.split() == ["SuperPoint", "30.0", "10.00", "0.50"]
    assert "CPU        Example 9000; PyTorch's kernels AVX2; 8 cores" in report(HEALTHY)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"gpu_build": True}, "CUDA build but sees no GPU"),
        ({"driver": True}, "install one with CUDA"),
        ({"precision": "float32"}, "no kernels for int8, so float32"),
        ({"precision": "float32", "auto": "float32"}, "this CPU can: float32 is used"),
        ({"quota": 1.5}, r"1\.5 cores, but PyTorch would start 8 .* threads=1$"),
        ({"cores": 4}, "OMP_NUM_THREADS=4$"),
        ({"limit": 1, "threads": 1, "settings": {"OMP_NUM_THREADS": "1"}}, "NUM_THREADS=1 is set"),
        ({"idle": 2, "threads": 2}, "other processes use 6 of 8 cores"),
    ],
)
def test_each_advice_is_given_where_it_helps(change, wanted, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    facts = replace(HEALTHY, **change)
    (given,) = advice(facts)
    assert re.search(wanted, given)
    assert f"Advice: {given}" in report(facts)
    assert not broken(facts)


def test_where_the_system_does_not_tell_idle_cores_threads_are_named(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    (given,) = advice(replace(HEALTHY, idle=1, threads=1))
    assert given == "darwin does not tell which cores are idle: pass threads=8"


def test_with_a_gpu_the_cpu_needs_no_advice():
    busy = replace(HEALTHY, gpu_build=True, driver=True, idle=0, threads=1, quota=1)
    assert len(advice(busy)) > 2
    assert not advice(replace(busy, gpu="RTX", auto="float16", precision="float16"))


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"opencv": "4.7.0"}, "OpenCV 4.7.0 is too old: install 4.8 or newer"),
        (
            {"wheels": ["opencv-python 4.10", "opencv-python-headless 4.9"]},
            "`pip uninstall opencv-python opencv-python-headless`, then install one",
        ),
        ({"errors": ["SuperPoint fails: why"]}, "SuperPoint fails: why"),
    ],
)
def test_each_fault_is_told(change, wanted):
    facts = replace(HEALTHY, **change)
    (fault,) = broken(facts)
    assert fault.endswith(wanted)
    assert f"BROKEN: {fault}" in report(facts)


def test_this_installation_is_examined(capsys):
    main(["doctor"])
    text = capsys.readouterr().out
    for wanted in (cv2.__version__, torch.__version__, *shipped_models()):
        assert wanted in text
    for feature in ("SuperPoint", "SuperPoint, nlevels=1", "ORB", "SIFT"):
        assert f"\n{feature} " in text


@pytest.fixture
def quick(monkeypatch):
    """Examine without timing."""
    monkeypatch.setattr(doctor, "time_frame", lambda feature: {})


def test_damaged_weights_are_a_fault(quick, monkeypatch, tmp_path, capsys):
    (tmp_path / "superpoint-lite.safetensors").write_bytes(b"damaged")
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 1
    text = capsys.readouterr().out
    assert "install cv2-superpoint again" in text
    assert "BROKEN: SuperPoint fails" in text


def test_a_pytorch_without_int8_is_told(quick, monkeypatch):
    def missing(*_: object) -> None:
        raise AttributeError("no kernels")

    monkeypatch.setattr(choose, "can_multiply_int8", lambda: True)
    monkeypatch.setattr(choose, "Int8Runner", missing)
    facts = doctor.examine()
    assert (facts.auto, facts.precision) == ("int8", "float32")


@pytest.mark.parametrize("int8", [False, True])
def test_the_reason_is_of_what_runs(quick, monkeypatch, int8):
    monkeypatch.setattr(choose, "can_multiply_int8", lambda: int8)
    monkeypatch.setattr(choose, "can_multiply_bfloat16", lambda device: False)
    facts = doctor.examine()
    assert facts.precision == facts.auto == ("int8" if int8 else "float32")
    assert ("faster than floats" if int8 else "needs an x86 CPU") in facts.reason


def test_a_device_that_fails_is_a_fault(quick, monkeypatch):
    def fail(*_: object) -> None:
        raise ValueError("cannot use device 'cuda'")

    monkeypatch.setattr(source, "pick_device", fail)
    assert "cannot use device 'cuda'" in broken(doctor.examine())[0]


def _install(folder, wheel, version="4.10.0.84"):
    """Write what an installer leaves of a wheel of OpenCV."""
    information = folder / f"{wheel.replace('-', '_')}-{version}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Name: {wheel}\nVersion: {version}\n")
    (information / "RECORD").write_text("cv2/__init__.py,,\n")
    return PathDistribution(information)


def test_only_wheels_in_the_cv2_that_is_imported_clash(tmp_path, monkeypatch):
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    installed = [
        _install(here, "opencv-python"),
        _install(here, "opencv-contrib-python", "4.9.0.80"),
        _install(elsewhere, "opencv-python-headless"),
    ]
    (here / "cv2").mkdir()
    (here / "cv2" / "__init__.py").touch()
    monkeypatch.setattr(wheels, "distributions", lambda: installed)
    monkeypatch.setattr(sys, "path", [str(here)])
    monkeypatch.delitem(sys.modules, "cv2")
    found = wheels.opencv_wheels()
    assert found == ["opencv-contrib-python 4.9.0.80", "opencv-python 4.10.0.84"]
    assert wheels.advise_wheels(found)
    assert not wheels.advise_wheels(found[:1])


@pytest.mark.parametrize(
    ("fault", "installed", "wanted"),
    [
        ("libGL.so.1: cannot open shared object file", 1, "headless"),
        ("libGL.so.1: cannot open shared object file", 2, "pip uninstall"),
        ("numpy.core.multiarray failed to import", 1, "numpy<2"),
        ("libtorch_cpu.so: undefined symbol", 1, "reinstall"),
    ],
)
def test_an_opencv_that_does_not_load_is_told(fault, installed, wanted):
    names = ["opencv-python 4.10", "opencv-python-headless 4.10"][:installed]
    assert wanted in wheels.advise_import(ImportError(fault), names)


def test_an_opencv_that_does_not_load_ends_with_one_line(tmp_path):
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").write_text("raise ImportError('libGL.so.1: no such file')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[1:] = ['doctor']; "
    code += "from cv2_superpoint.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("cv2-superpoint: libGL.so.1: no such file; this OpenCV needs")
    assert len(done.stderr.splitlines()) == 1


def test_the_frame_has_as_many_points_as_photographs(detector):
    frame = draw_frame()
    assert frame.shape == (480, 640)
    for feature in (cv2.ORB_create(1000), cv2.SIFT_create(1000)):
        drawn, taken = (len(feature.detect(i)) for i in (frame, data.camera()[:480]))
        assert drawn > 0.8 * taken
