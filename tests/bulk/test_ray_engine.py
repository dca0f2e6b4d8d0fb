"""The same features from a local cluster, whatever happens to its workers."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from feature_outputs import assert_same, read_all

from cv2_superpoint import SuperPoint
from cv2_superpoint.bulk.npz import NpzFolder
from cv2_superpoint.bulk.pipeline import run
from cv2_superpoint.bulk.sources import find_roots, list_items

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")


class Mortal(SuperPoint):
    """Kills the worker that it is in, once."""

    def extract(self, image, mask=None):
        try:
            self.grave.touch(exist_ok=False)
        except FileExistsError:
            return super().extract(image, mask)
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def cluster():
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


def test_a_killed_worker_loses_nothing(cluster, pictures, extract, tmp_path):
    from cv2_superpoint.bulk.ray_engine import ray_engine

    (pictures / "broken.png").write_bytes(b"no picture")
    mortal = Mortal(50, nlevels=1, device="cpu")
    mortal.grave = Path(tmp_path) / "grave"
    output = NpzFolder(tmp_path / "cluster", {})
    items = list_items(find_roots([str(pictures)]))
    done = run(items, 9, ray_engine(mortal, 2, 2), output)
    assert mortal.grave.exists()
    assert (done.written, done.broken) == (8, 1)
    with pytest.raises(SystemExit):
        extract(pictures, to="local")
    assert_same(read_all(tmp_path / "cluster"), read_all(tmp_path / "local"))


def test_the_command(cluster, pictures, extract, capsys):
    path = extract(pictures, to="features.h5", options="-n 50 --nlevels 1 --engine ray --batch 3")
    assert "8 images extracted" in capsys.readouterr().out
    assert_same(read_all(path), read_all(extract(pictures, to="local")))
