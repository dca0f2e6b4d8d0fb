"""Files of parameters: whole or not at all, and no harm from those of others."""

import contextlib
import gzip
import os
from pathlib import Path

import cv2
import pytest
from damage import damaged, damages
from hypothesis import given
from hypothesis import strategies as st

from cv2_superpoint import SuperPoint, SuperPoint_create

METHODS = ["write", "save"]
SUFFIXES = [
    kind + gz for kind in (".yml", ".yaml", ".xml", ".json", ".JSON", "") for gz in ("", ".gz")
]


def create() -> SuperPoint:
    return SuperPoint_create(7, 1.5, 3, edgeThreshold=9, scoreThreshold=1 / 3, nmsRadius=2)


def settings_of(feature: SuperPoint) -> tuple[float, ...]:
    return (
        feature.getMaxFeatures(),
        feature.getScaleFactor(),
        feature.getNLevels(),
        feature.getEdgeThreshold(),
        feature.getScoreThreshold(),
        feature.getNMSRadius(),
    )


@pytest.fixture(scope="module")
def feature() -> SuperPoint:
    """Not to be changed by a test, nor by what is refused."""
    return create()


def assert_refused(feature: SuperPoint, source: object, match: str | None = None) -> None:
    before = settings_of(feature)
    with pytest.raises(cv2.error, match=match):
        feature.read(source)
    assert settings_of(feature) == before


# What is written is read ------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("method", METHODS)
def test_all_parameters_are_stored(method, suffix, feature, tmp_path):
    path = tmp_path / f"parameters{suffix}"
    getattr(feature, method)(str(path))
    other = SuperPoint_create()
    other.read(path)
    assert settings_of(other) == settings_of(feature)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_are_those_that_opencv_writes(suffix, feature, tmp_path):
    ours, opencvs = (str(tmp_path / f"{who}{suffix}") for who in ("ours", "opencvs"))
    storage = cv2.FileStorage(opencvs, cv2.FILE_STORAGE_WRITE)
    feature.write(storage)
    storage.release()
    feature.write(ours)
    contents = [Path(path).read_bytes() for path in (ours, opencvs)]
    if suffix.endswith(".gz"):
        contents = [gzip.decompress(content) for content in contents]
    assert contents[0] == contents[1]
    other = SuperPoint_create()
    other.read(opencvs)
    assert settings_of(other) == settings_of(feature)


# What cannot be written -------------------------------------------------------------------------


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("method", METHODS)
def test_a_full_disk_is_an_error(method, feature):
    with pytest.raises(cv2.error, match=f"'/dev/full': No space left.*'{method}'"):
        getattr(feature, method)("/dev/full")


@pytest.mark.parametrize("method", METHODS)
def test_what_was_there_stays_if_writing_fails(method, feature, tmp_path, monkeypatch):
    path = tmp_path / "parameters.yml"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "disk is full")))
    with pytest.raises(cv2.error, match=r"parameters\.yml': disk is full"):
        getattr(feature, method)(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["parameters.yml"]


@pytest.mark.parametrize("target", [None, 5, ["a.yml"], ""], ids=repr)
@pytest.mark.parametrize("method", [*METHODS, "read"])
def test_what_is_no_name_of_a_file(method, target, feature, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(cv2.error, match=method):
        getattr(feature, method)(target)
    assert os.listdir() == []


@pytest.mark.parametrize("node", ["a\0b", "caf\udce9", "a.b c", 5], ids=ascii)
def test_what_cannot_name_a_node(node, feature):
    flags = cv2.FILE_STORAGE_MEMORY | cv2.FILE_STORAGE_FORMAT_YAML
    storage = cv2.FileStorage("", cv2.FILE_STORAGE_WRITE | flags)
    with pytest.raises(cv2.error):
        feature.write(storage, node)


# Names -------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="names are not bytes here")
@pytest.mark.parametrize("method", METHODS)
def test_names_that_are_not_utf8(method, feature, tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.yml")
    assert_refused(feature, path, "caf")
    getattr(feature, method)(path)
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9.yml"]
    other = SuperPoint_create()
    other.read(path)
    assert settings_of(other) == settings_of(feature)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b", "x" * 300], ids=ascii)
def test_names_that_no_file_has(name, feature, tmp_path):
    (tmp_path / "a").write_text("nfeatures: 5\n")
    path = f"{tmp_path}/{name}"
    assert_refused(feature, path, "cannot read")
    for method in METHODS:
        with pytest.raises(cv2.error, match="cannot write"):
            getattr(feature, method)(path)
    assert os.listdir(tmp_path) == ["a"]


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".yml", ".json", ".xml"])
@pytest.mark.parametrize("value", ["true", "false", "-1", "many"])
def test_values_that_the_setter_refuses(suffix, value, feature, tmp_path):
    path = tmp_path / f"parameters{suffix}"
    feature.write(path)
    text = path.read_text().replace("3<", f"{value}<").replace(": 3", f": {value}")
    assert f"{value}" in text
    path.write_text(text)
    assert_refused(feature, path, "nlevels" if value != "many" or suffix == ".xml" else None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\n\n",
        b"%YAML:1.0\n---\nother: 1\n",
        b'%YAML:1.0\n---\nnfeatures: "many"\n',
        b"%YAML:1.0\n---\nscoreThreshold: [1, 2]\n",
        b"%YAML:1.0\n---\nscoreThreshold: .Nan\n",
        b"%YAML:1.0\n---\n{nfeatures:  true}\n",
        b"%YAML:1.0\n---\nnfeatures: 5\n\0nlevels: 2\n",
        b"%YAML:1.0\n---\nnfeatures: 99999999999999999999\n",
        b"<?xml version='1.0'?><opencv_storage><nlevels>99999999999</nlevels></opencv_storage>",
        b'{"nlevels": 5, "nfeatures": 4294967297}',
        b"%YAML:1.0\n---\nname: Feature2D.ORB\nnfeatures: 5\n",
        b"%YAML:1.0\n---\n- nfeatures: 5\n",
        b'{"nfeatures": ',
        b'{"nfeatures":true}',
        b'["nfeatures", 5]',
        b"\0\1 garbage",
        b"\xff\xfe garbage",
        b"\x1f\x8b",
        b"\x1f\x8b garbage that is not compressed",
        gzip.compress(b"nfeatures: 5\n", mtime=0)[:-9],
        gzip.compress(b"nfeatures: -99999999999\n", mtime=0),
    ],
    ids=lambda content: ascii(content)[:40],
)
def test_reading_what_is_something_else_changes_nothing(content, feature, tmp_path):
    path = tmp_path / "parameters.yml"
    path.write_bytes(content)
    assert_refused(feature, path)


@pytest.mark.parametrize("unit", ["[", "{", '{"a":', "a: ", "<a>", "- "])
@pytest.mark.parametrize("start", ["%YAML:1.0\n---\na: ", '{"a":', "<opencv_storage>\n"])
def test_deep_nesting_does_not_crash(start, unit, feature, tmp_path):
    path = tmp_path / "parameters.yml"
    path.write_text(start + 100_000 * unit)
    assert_refused(feature, path)


@pytest.mark.parametrize("bomb", [False, True])
def test_what_is_too_large_is_not_read_into_memory(bomb, feature, tmp_path):
    path = tmp_path / "parameters.yml"
    with (gzip.open if bomb else open)(path, "wb") as stream:
        stream.write(b"nfeatures: 5\n")
        for _ in range(4):
            stream.write(bytes(1 << 20))
    assert_refused(feature, path, "more in it than a record")


def test_strings_that_are_not_utf8(feature, tmp_path):
    text = '%YAML:1.0\n---\nname: "\\\N{REPLACEMENT CHARACTER}"\nnlevels: 2\n'
    path = tmp_path / "parameters.yml"
    path.write_text(text, encoding="utf-8")
    assert_refused(feature, path, "name")
    storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    assert_refused(feature, storage.root(), "name")


@pytest.mark.parametrize(
    "text",
    [
        "%YAML 1.2\n---\nm: !!binary |\n   ?{}\nnlevels: 2\n",
        '{{"m": "$base64$?{}", "nlevels": 2}}',
        '<?xml version="1.0"?>\n<opencv_storage><m type_id="binary">?{}</m></opencv_storage>\n',
    ],
)
def test_data_in_base64_does_not_hang(text, feature, tmp_path):
    # OpenCV's parser never returns from these.
    path = tmp_path / "parameters"
    path.write_text(text.format("A" * 60))
    assert_refused(feature, path, "data in base64")


TOKENS = rb"""[ ] { } : - " ' < > <a> </a> /> <!-- --> ... --- # \x \ | ~ , & ! ? !!map
    !!opencv-matrix %YAML true .Nan .Inf 1e999 0x name nfeatures type_id="map" &#x41;""".split()
TOKENS += [b"\n", b"\t", b"  ", b"\0", b"\xff", b"\xc3", b"\x1f\x8b"]


@given(
    suffix=st.sampled_from([".yml", ".xml", ".json", ".yml.gz"]),
    damage=damages(TOKENS, removed=8, inserted=2),
)
def test_damaged_files_raise_nothing_else(feature, tmp_path_factory, suffix, damage):
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    feature.write(path)
    path.write_bytes(damaged(path.read_bytes(), damage))
    with contextlib.suppress(cv2.error):
        create().read(path)
