"""Clips go on where they were stopped, to the same bytes, and keep what a damaged file holds."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from salcli.media.video import Video
from salcli.models.loading import Loaded, create
from salcli.output import segments, writers
from salcli.output.segments import Segments, count_pictures
from salcli.prediction import parts, produce
from salcli.prediction.finished import FinishedFrame, FinishedFrames
from salcli.prediction.job import Job, Outcome
from salcli.prediction.manifest import OutputPaths
from salcli.prediction.parts import cut
from salcli.terminal.progress import Silence
from salcli.types import Frame, Stimulus

Run = Callable[..., subprocess.CompletedProcess[str]]
Commands = Callable[..., Any]
FORMATS = ("png", "npy", "overlay", "csv")
SAVE = [part for name in FORMATS for part in ("--save", name)]
FRAMES = 37


def ffmpeg(*arguments: str | Path) -> None:
    program = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([program, "-v", "error", "-y", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """37 frames at a variable rate, with sound."""
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc=size=32x24:rate=10:duration={FRAMES / 10}"),
        *("-f", "lavfi", "-i", "sine=duration=4", "-vf", "setpts=PTS+if(gt(N\\,20)\\,0.7/TB)"),
        *("-fps_mode", "passthrough", "-pix_fmt", "yuv420p", path),
    )
    return path


class StoppedAt(Silence):
    """Counts maps, and is interrupted at one of them."""

    def __init__(self, count: int | None = None) -> None:
        self.count, self.made, self.lines = count, 0, list[str]()

    def step(self) -> None:
        self.made += 1
        if self.made == self.count:
            raise KeyboardInterrupt

    def note(self, line: str) -> None:
        self.lines.append(line)


def job(model: str, *, formats: tuple[Any, ...] = FORMATS, batch_size: int = 4) -> Job:
    made = create(model, defaults={})
    made.batch_size = batch_size
    return Job(Loaded(made, None, None, None), formats, extras=True)


def run(job: Job, source: Path, output: Path, stop: int | None = None) -> tuple[Any, StoppedAt]:
    watcher = StoppedAt(stop)
    outcome: Outcome | None = None
    try:
        outcome = job.run(source, OutputPaths(output, source.stem), watcher=watcher)
    except KeyboardInterrupt:
        assert stop is not None
    return outcome, watcher


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "LENGTH", 5)
    monkeypatch.setattr(writers, "LENGTH", 5)


@pytest.mark.usefixtures("fakes", "short_segments")
@pytest.mark.parametrize(
    ("model", "formats"),
    [
        *((model, FORMATS) for model in ("brightness", "trail", "hungry")),
        *(("trail", formats) for formats in (("png", "csv"), ("npy",))),
    ],
)
def test_a_stopped_clip_goes_on_to_the_same_bytes(
    clip: Path, tmp_path: Path, model: str, formats: tuple[str, ...]
) -> None:
    predict = job(model, formats=formats, batch_size=2)
    run(predict, clip, tmp_path / "calm")
    calm, shown = everything(tmp_path / "calm"), []
    assert (
        len(list(Video(tmp_path / "calm/clip/overlay.mp4"))) == FRAMES
        if ("overlay" in formats)
        else True
    )

    for stop in (3, 14, 17, 1):
        _, watcher = run(predict, clip, tmp_path / "out", stop)
        (line,) = watcher.lines
        shown.append(int(line.partition("the first ")[2].split()[0]))
    outcome, watcher = run(predict, clip, tmp_path / "out")

    assert everything(tmp_path / "out") == calm
    assert outcome.frames == FRAMES
    assert watcher.made == FRAMES - shown[-1]  # nothing is written twice
    assert shown == sorted(shown)
    assert shown[-1] >= (15 if "overlay" in formats else 18)


class Counted:
    """Frames that count how many were taken."""

    def __init__(self, frames: Any) -> None:
        self.frames, self.taken = frames, 0

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.frames:
            self.taken += 1
            yield frame


@pytest.mark.usefixtures("fakes")
@pytest.mark.parametrize(("model", "context"), [("brightness", 0), ("trail", 2), ("hungry", None)])
def test_a_model_sees_only_the_past_that_it_needs(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, context: int | None
) -> None:
    predict = job(model, formats=("png",), batch_size=2)
    _, stopped = run(predict, clip, tmp_path / "out", 20)
    done = int(stopped.lines[0].partition("the first ")[2].split()[0])
    kind, shown = type(predict.loaded.model), list[Counted]()

    def predicting(self: Any, stimulus: Stimulus) -> Iterator[Any]:
        shown.append(Counted(stimulus.frames))
        return kind.predict(self, replace(stimulus, frames=shown[0]))  # type: ignore[no-any-return]

    watching = type("Watching", (kind,), {"predict": predicting})
    monkeypatch.setattr(predict.loaded.model, "__class__", watching)
    run(predict, clip, tmp_path / "out")

    assert done > 10
    needed = FRAMES if context is None else FRAMES - done + context
    assert needed <= shown[0].taken < needed + 2


def test_killed_clips_go_on_to_the_same_bytes(
    processes: Commands, fake_site: Path, tmp_path: Path
) -> None:
    long = tmp_path / "long.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=16x16:rate=30:duration=5", long)
    chance = random.Random(7)
    save = ["--save", "png", "--save", "overlay", "--save", "csv"]
    command = ["predict", long, "-m", "trail", *save]
    assert processes([*command, "-o", "calm"], folder=tmp_path).codes == [0]
    for at in (chance.randrange(1, 99), 120, *(chance.randrange(1, 40) for _ in range(3))):
        ended = processes([*command, "-o", "killed"], folder=tmp_path, kill_at=at)
        assert ended.codes == [-signal.SIGKILL], ended.errors
    assert count_pictures(tmp_path / "killed/long/.salcli-parts", Path("overlay.mp4")) == 100
    ended = processes([*command, "-o", "killed"], folder=tmp_path)
    assert ended.codes == [0], ended.errors
    assert everything(tmp_path / "killed") == everything(tmp_path / "calm")


def test_a_damaged_tail_gives_everything_before_it(salcli: Run, tmp_path: Path) -> None:
    source = tmp_path / "cut.avi"
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=32x24:rate=10:duration=4", "-c:v", "mjpeg", source)
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 6 // 10])

    done = salcli("predict", source, "-m", "trail", *SAVE, "-o", "out")

    assert done.returncode == 1
    folder = tmp_path / "out/cut"
    record = json.loads((folder / "salcli.json").read_text())
    count = record["frames"]
    assert 15 < count < 35
    (problem,) = record["problems"]
    assert f"everything before second {(count - 1) / 10:.2f} is done" in problem
    assert problem in done.stderr
    assert len(list(folder.glob("*.png"))) == count
    assert len((folder / "saliency.csv").read_text().splitlines()) == count + 1
    assert len(list(Video(folder / "overlay.mp4"))) == count
    assert not list(folder.glob(".salcli-*"))
    again = salcli("predict", source, "-m", "trail", *SAVE, "-o", "out")
    assert again.returncode == 1
    assert "already done" in again.stderr


def test_stills_with_a_table_and_extras_go_on(fakes: None, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(11):
        size = (20, 12) if number != 6 else (12, 20)
        Image.new("RGB", size, (20 * number,) * 3).save(tmp_path / f"in/p{number}.png")
    predict = job("brightness", formats=("png", "csv", "heatmap"))
    run(predict, tmp_path / "in", tmp_path / "calm")

    run(predict, tmp_path / "in", tmp_path / "out", 10)
    _, watcher = run(predict, tmp_path / "in", tmp_path / "out")

    assert everything(tmp_path / "out") == everything(tmp_path / "calm")
    assert watcher.made <= 7  # behind the first whole batch, at least


def test_stills_go_on_behind_whole_batches_only(tmp_path: Path) -> None:
    done = FinishedFrames(tmp_path, settings={}, formats=("png",), batch_size=3)
    done.resume(0)
    counts = []
    for number in range(8):
        (tmp_path / f"p{number}.png").touch()
        done.add(FinishedFrame(f"p{number}", (4, 6, 3) if number < 4 else (6, 4, 3)))
        counts.append(len(done.whole_batches(None)))
    assert counts == [0, 0, 3, 3, 4, 4, 7, 7]
    (tmp_path / "p5.png").unlink()
    assert len(done.whole_batches(None)) == 4


@pytest.mark.usefixtures("fakes")
def test_other_settings_begin_anew(clip: Path, tmp_path: Path) -> None:
    run(job("brightness"), clip, tmp_path / "out", 30)
    folder = tmp_path / "out/clip"
    assert list(folder.glob(".salcli-parts/*"))

    run(job("brightness", formats=("npy",)), clip, tmp_path / "out")

    assert {path.suffix for path in folder.iterdir()} == {".npy", ".json"}


@pytest.mark.usefixtures("fakes", "short_segments")
@pytest.mark.parametrize("harm", ["table", "map", "segment", "journal"])
def test_what_was_harmed_is_made_again(clip: Path, tmp_path: Path, harm: str) -> None:
    predict = job("trail")
    run(predict, clip, tmp_path / "calm")
    run(predict, clip, tmp_path / "out", 30)
    folder = tmp_path / "out/clip"
    file = {
        "table": folder / ".salcli-parts/saliency.csv",
        "map": folder / "0007.png",
        "segment": folder / ".salcli-parts/overlay-000000010.mp4",
        "journal": folder / "salcli.part.json",
    }[harm]
    if harm in ("map", "segment"):
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-400])

    run(predict, clip, tmp_path / "out")

    assert everything(tmp_path / "out") == everything(tmp_path / "calm")


def test_joined_segments_keep_the_times_of_their_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from salcli.media.encoder import Encoder, exact

    monkeypatch.setattr(segments, "LENGTH", 10)
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.09, FRAMES))
    times -= times[0]

    def encoder(path: Path) -> Encoder:
        return Encoder(path, shown=path, size=(24, 32), rate=exact(29.97))

    def write(folder: Path, *, stop: int = FRAMES) -> bytes:
        done = count_pictures(folder, Path("a.mp4"))
        movie = Segments(folder, folder / "it's.mp4", shown=Path("a.mp4"), done=done)
        for index, time in enumerate(times[:stop].tolist()):
            if index < done:
                movie.skip(time)
            else:
                movie.write(np.full((24, 32, 3), 6 * index, np.uint8).data, time, encoder)
        if stop < FRAMES:
            movie.kill()
            return b""
        movie.end()
        return (folder / "it's.mp4").read_bytes()

    write(tmp_path / "stopped", stop=25)
    assert write(tmp_path / "stopped") == write(tmp_path / "calm")
    video = Video(tmp_path / "calm/it's.mp4")
    levels = [float(frame.mean()) for frame in video]
    assert np.abs(np.array(levels) - 6 * np.arange(FRAMES)).max() < 3
    assert np.abs(np.array(video.times) - times).max() < 2e-5


@pytest.mark.usefixtures("fakes", "short_segments")
@pytest.mark.parametrize(
    ("model", "formats"),
    [("brightness", FORMATS), ("trail", FORMATS), ("trail", ("png", "csv")), ("trail", ("npy",))],
)
def test_parts_of_a_clip_become_what_one_run_makes(
    clip: Path, tmp_path: Path, model: str, formats: tuple[str, ...]
) -> None:
    predict, place = (
        job(model, formats=formats, batch_size=2),
        OutputPaths(tmp_path / "out", "clip"),
    )
    run(predict, clip, tmp_path / "calm")
    pieces = cut(predict.clip_length(clip), 3, predict.formats, batch_size=2)
    assert len(pieces) == 3

    with pytest.raises(KeyboardInterrupt):  # of the second part
        predict.run_part(clip, place, pieces[1], watcher=StoppedAt(3))
    watchers = [StoppedAt() for _ in pieces]
    outcomes = [
        predict.run_part(clip, place, pieces[number], watcher=watchers[number])
        for number in (2, 0, 0, 1)
    ]

    assert [each.status for each in outcomes] == ["part", "part", "part", "done"]
    assert outcomes[-1].frames == FRAMES
    assert sum(each.made for each in watchers) <= FRAMES + (5 if "overlay" in formats else 0)
    assert everything(tmp_path / "out") == everything(tmp_path / "calm")


@pytest.mark.usefixtures("fakes", "short_segments")
def test_parts_that_were_moved_in_half_are_moved_again(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict, place = job("trail", batch_size=2), OutputPaths(tmp_path / "out", "clip")
    run(predict, clip, tmp_path / "calm")
    pieces = cut(predict.clip_length(clip), 3, predict.formats, batch_size=2)
    for piece in pieces[:2]:
        predict.run_part(clip, place, piece, watcher=StoppedAt())

    def moved_only(*arguments: Any, **keywords: Any) -> None:
        parts.move(*arguments, **keywords)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(produce, "parts", SimpleNamespace(starts_in=parts.starts_in, move=moved_only))
        with pytest.raises(KeyboardInterrupt):
            predict.run_part(clip, place, pieces[2], watcher=StoppedAt())
    assert predict.run_part(clip, place, pieces[2], watcher=StoppedAt()).status == "done"

    assert everything(tmp_path / "out") == everything(tmp_path / "calm")


def test_workers_and_shards_take_parts_of_one_clip(salcli: Run, clip: Path, tmp_path: Path) -> None:
    command = ("predict", clip, "-m", "trail", "--save", "png,csv", "--batch-size", "2")
    assert salcli(*command, "-o", "calm").returncode == 0

    several = salcli(*command, "-o", "out", "--parts", "4", "--workers", "2", "--json")
    shards = [salcli(*command, "-o", "shards", "--parts", "3", "--shard", f"{n}/2") for n in (2, 1)]

    assert several.returncode == 0, several.stderr
    assert several.stderr.count(f"indexing {clip} ...") == 1
    (one,) = json.loads(several.stdout)["inputs"]
    assert (one["status"], one["frames"]) == ("done", FRAMES)
    assert [run.returncode for run in shards] == [0, 0]
    assert "1 left to other processes" in shards[0].stderr
    for name in ("out", "shards"):
        assert everything(tmp_path / name) == everything(tmp_path / "calm")
    refused = salcli("predict", clip, "-m", "hungry", "--parts", "2")
    assert refused.returncode == 2
    assert "depends on all frames before it, so clips cannot be cut into parts" in refused.stderr


REAL = {
    "tased": {"input_size": "32,32"},
    "unisal": {},
    "salema": {"input_size": "32,48"},
    "stsnet": {"net": "stsmaxnet", "input_size": "32,48"},
    "tempsal": {"input_size": "32"},
}


@pytest.mark.endurance
@pytest.mark.parametrize("model", REAL)
def test_killed_real_networks_go_on_to_the_same_bytes(
    processes: Commands, tmp_path: Path, model: str
) -> None:
    """Ten kills of each at random frames, with random weights."""
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=30:duration=5", tmp_path / "clip.mp4")
    options = [part for pair in REAL[model].items() for part in ("-O", "=".join(pair))]
    command = ["predict", "clip.mp4", "-m", model, "--untrained", *options]
    command += ["--save", "npy", "--save", "overlay", "--save", "csv", "--batch-size", "6"]
    ended = processes([*command, "-o", "calm"], folder=tmp_path)
    assert ended.codes == [0], ended.errors
    calm, chance = everything(tmp_path / "calm"), random.Random(3)
    for _ in range(10):
        at = chance.randrange(1, 80)
        ended = processes([*command, "-o", "killed"], folder=tmp_path, kill_at=at)
        if ended.codes == [0]:
            assert everything(tmp_path / "killed") == calm
            shutil.rmtree(tmp_path / "killed")
    assert processes([*command, "-o", "killed"], folder=tmp_path).codes == [0]
    assert everything(tmp_path / "killed") == calm
