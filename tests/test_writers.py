import csv
import errno
import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
import zipfile
from dataclasses import replace

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from salcli.errors import OutputError, UnknownName
from salcli.files.atomic import temporary
from salcli.gaze.pairing import FileNames
from salcli.output.writers import FORMATS, files_of, open_writer, shared_files
from salcli.processes import Process
from salcli.types import Result, Stimulus

HEIGHT, WIDTH = 45, 63
CLIP = Stimulus("clip", (), fps=25.0, size=(HEIGHT, WIDTH))
STILLS = Stimulus("set", (), labels=[], size=(HEIGHT, WIDTH))
STILL = Stimulus("photo", (), labels=["photo"], size=(HEIGHT, WIDTH))


def result(index=0, *, label=None, clip=True):
    rng = np.random.default_rng(index)
    return Result(
        index,
        label or f"{index + 1:04d}",
        index / 25 if clip else None,
        rng.random((HEIGHT, WIDTH), np.float32),
        frame=rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8),
    )


def write(folder, results, *, formats=FORMATS, stimulus=CLIP, single=False, rounding="nearest"):
    with open_writer(
        formats, folder, stimulus=stimulus, rounding=rounding, single=single
    ) as writer:
        for each in results:
            writer.write(each)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def frames_of(path):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
    raw = subprocess.run(
        [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True
    ).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, HEIGHT, WIDTH, 3)


def test_files_of_a_clip(tmp_path):
    folder = tmp_path / "out" / "clip"
    write(folder, map(result, range(3)))
    assert names(folder) == sorted(
        [f"000{n}.{format_}" for n in (1, 2, 3) for format_ in ("png", "png16.png", "npy", "npz")]
        + ["grey.mp4", "heatmap.mp4", "overlay.mp4", "saliency.csv"]
    )
    assert len(frames_of(folder / "heatmap.mp4")) == 3
    assert len(frames_of(folder / "overlay.mp4")) == 3
    promised = [
        p for n in (1, 2, 3) for p in files_of(f"000{n}", FORMATS, folder, single=False, clip=True)
    ]
    promised += shared_files(FORMATS, folder, single=False, clip=True)
    assert sorted(p.name for p in promised) == names(folder)


def test_files_of_several_stills(tmp_path):
    results = [result(0, label="a", clip=False), result(1, label="b.jpg", clip=False)]
    write(tmp_path, results, stimulus=STILLS)
    promised = [
        p for r in results for p in files_of(r.label, FORMATS, tmp_path, single=False, clip=False)
    ]
    assert len(promised) == 14
    promised += shared_files(FORMATS, tmp_path, single=False, clip=False)
    assert sorted(p.name for p in promised) == names(tmp_path)
    assert "b.jpg.overlay.png" in names(tmp_path)


def test_files_of_a_single_still(tmp_path):
    write(tmp_path, [result(label="photo", clip=False)], stimulus=STILL, single=True)
    promised = files_of("photo", FORMATS, tmp_path, single=True, clip=False)
    assert sorted(p.name for p in promised) == names(tmp_path)
    assert "photo.csv" in names(tmp_path)
    assert shared_files(FORMATS, tmp_path, single=True, clip=False) == []


@pytest.mark.parametrize("rounding", ["floor", "nearest"])
def test_values_of_the_maps(tmp_path, rounding):
    one = replace(result(), extras={"slice1": np.full((4, 5), 0.7, np.float32)})
    write(tmp_path, [one], formats=["png", "png16", "npy", "npz"], rounding=rounding)
    saved = np.load(tmp_path / "0001.npy")
    assert saved.dtype == np.float32
    assert (saved == one.saliency).all()
    with np.load(tmp_path / "0001.npz") as archive:
        assert (archive["saliency"] == one.saliency).all()
    half = 0 if rounding == "floor" else np.float32(0.5)
    wanted = np.floor(one.saliency * np.float32(255) + half)
    with Image.open(tmp_path / "0001.png") as image:
        assert image.mode == "L"
        assert (np.asarray(image) == wanted).all()
    with Image.open(tmp_path / "0001.png16.png") as image:
        assert image.mode == "I;16"
        assert np.abs(np.asarray(image) / 65535 - one.saliency).max() < 0.51 / 65535
    assert FileNames({"0001.png16": 1, "0002.png16": 2}).find("0002") == 2
    assert (np.load(tmp_path / "0001.slice1.npy") == np.float32(0.7)).all()
    with Image.open(tmp_path / "0001.slice1.png") as image:
        assert image.size == (5, 4)
    assert "0001.slice1.npz" in names(tmp_path)


def test_rows_are_in_the_order_of_the_frames(tmp_path):
    write(tmp_path, map(result, range(60)), formats=["csv"])
    text = (tmp_path / "saliency.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [int(row["frame"]) for row in rows] == list(range(1, 61))
    assert rows[5]["label"] == "0006"
    assert float(rows[5]["time_s"]) == pytest.approx(0.2)


def test_movies_have_the_size_of_the_source_whatever_size_the_maps_have(tmp_path):
    small = (replace(result(i), saliency=np.ones((9, 16), np.float32)) for i in range(3))
    write(tmp_path, small, formats=["heatmap", "overlay"])
    assert frames_of(tmp_path / "heatmap.mp4").shape == (3, HEIGHT, WIDTH, 3)
    assert frames_of(tmp_path / "overlay.mp4").shape == (3, HEIGHT, WIDTH, 3)


def test_a_grey_movie_keeps_every_level(tmp_path):
    results = [result(index) for index in range(3)]
    write(tmp_path, results, formats=["grey"])
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", tmp_path / "grey.mp4"]
    command += ["-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(command, capture_output=True, check=True)
    levels = np.frombuffer(raw.stdout, np.uint8).reshape(3, HEIGHT, WIDTH)
    assert (levels == [np.floor(each.saliency * 255 + np.float32(0.5)) for each in results]).all()


def test_two_runs_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, map(result, range(30)))
        time.sleep(1.1 if name == "a" else 0)  # zip archives count two seconds, movies one
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_an_exception_leaves_finished_frames_and_nothing_half_written(tmp_path):
    def interrupted():
        yield from map(result, range(20))
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, interrupted())
    assert all(name.endswith((".png", ".npy", ".npz")) for name in names(tmp_path))
    assert not [name for name in names(tmp_path) if name.startswith(".")]
    for path in tmp_path.glob("*.npz"):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
    assert threading.active_count() == before


def test_a_killed_run_is_repeated_with_the_same_bytes(tmp_path):
    script = textwrap.dedent("""
        import importlib.util, sys, time
        from pathlib import Path
        spec = importlib.util.spec_from_file_location("tests_of_writers", sys.argv[1])
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        def slow():
            for index in range(1000):
                yield module.result(index)
                if index == 40:
                    time.sleep(1)
                    print("now", flush=True)
                    time.sleep(100)
        module.write(Path(sys.argv[2]), slow())
    """)
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    with subprocess.Popen(
        [sys.executable, "-c", script, __file__, str(killed)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"now\n"
        process.send_signal(signal.SIGKILL)
    assert any(name.startswith(".salcli-") for name in names(killed))
    assert not {"heatmap.mp4", "overlay.mp4", "saliency.csv"} & set(names(killed))
    for folder in (killed, undisturbed):
        write(folder, map(result, range(60)))
    assert content(killed) == content(undisturbed)


def test_a_single_still_spares_the_temporaries_of_others(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    killed = f".salcli-{Process.current().tag}-{process.pid}-photo.png"
    (tmp_path / killed).write_bytes(b"killed")
    other = temporary(tmp_path / "other.png")
    other.write_bytes(b"another salcli writes here right now")
    write(tmp_path, [], stimulus=STILL, single=True)
    assert names(tmp_path) == [other.name]


def test_no_results_leave_no_files(tmp_path):
    write(tmp_path, [])
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/out': Not a directory; a part of the path"):
        write(tmp_path / "file" / "out", [result()])
    with pytest.raises(OutputError, match="File exists"):
        write(tmp_path / "file", [result()])


@pytest.mark.parametrize("format_", FORMATS)
def test_a_name_that_is_taken_by_a_folder(tmp_path, format_):
    results = list(map(result, range(3)))
    (target,) = [
        *files_of("0002", [format_], tmp_path, single=False, clip=True),
        *shared_files([format_], tmp_path, single=False, clip=True),
    ]
    target.mkdir()
    with pytest.raises(OutputError, match=f"cannot write '{target}': Is a directory"):
        write(tmp_path, results, formats=[format_])
    assert not list(tmp_path.glob(".*"))


def test_an_error_in_the_background_reaches_the_next_write(tmp_path):
    (tmp_path / "0001.png").mkdir()
    taken = []

    def slow():
        for index in range(100):
            taken.append(index)
            yield result(index)
            time.sleep(0.05)

    with pytest.raises(OutputError, match="Is a directory"):
        write(tmp_path, slow(), formats=["png"])
    assert len(taken) < 50


def test_a_full_disk(tmp_path):
    script = textwrap.dedent("""
        import importlib.util, resource, sys
        from pathlib import Path
        from salcli.errors import OutputError
        spec = importlib.util.spec_from_file_location("tests_of_writers", sys.argv[1])
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        for name in module.FORMATS:
            try:
                module.write(
                    Path(sys.argv[2]) / name, map(module.result, range(300)), formats=[name]
                )
            except OutputError as error:
                print(error)
    """)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, __file__, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == ""
    for format_, line in zip(FORMATS, done.stdout.splitlines(), strict=True):
        assert line.startswith(f"cannot write '{tmp_path / format_}")
        assert os.strerror(errno.EFBIG) in line  # what a size limit gives
        assert names(tmp_path / format_) == []


@pytest.mark.parametrize("format_", FORMATS)
def test_memory_is_bounded_by_the_queues(tmp_path, format_):
    alive, most = set(), [0]

    def results():
        for index in range(80):
            one = result(index)
            alive.add(index)
            weakref.finalize(one, alive.discard, index)
            most[0] = max(most[0], len(alive))
            yield one

    write(tmp_path, results(), formats=[format_])
    assert most[0] <= 10


def test_an_unknown_format(tmp_path):
    with pytest.raises(UnknownName, match="did you mean png"):
        write(tmp_path / "out", [], formats=["pngs"])
    assert not (tmp_path / "out").exists()
