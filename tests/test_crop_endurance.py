"""Hour-long clips are cropped and encoded with flat memory, in linear time, and after a kill."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest

pytestmark = [
    pytest.mark.endurance,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc"),
]

HOUR, MINUTES = 3600, 300
SHOT = 18.5
"""Mean seconds of a shot."""
MORE_MEMORY = 24_000
"""Kilobytes that an hour may take in addition to some minutes."""
OPTIONS = {"crop": ("--save", "crop,csv,json"), "encode": ("--no-vmaf",)}
FPS = {"crop": 3, "encode": 1}
RESULT = {"crop": "9x16.mp4", "encode": "libx264.mp4"}


def clip(path: Path, seconds: int, fps: int) -> Path:
    """A moving test picture with cuts and sound."""
    source = f"testsrc2=s=128x72:r={fps}:d={seconds},negate=enable='lt(mod(t\\,37)\\,17)'"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", source]
    command += ["-f", "lavfi", "-i", f"sine=d={seconds}:r=8000", "-preset", "ultrafast"]
    subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True)
    return path


@dataclass
class Pass:
    """One pass over the frames: how many, and what was used when so many were done."""

    name: str
    frames: int
    done: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def quarter(self, number: int) -> float:
        """Seconds of processor time of a quarter of the frames."""
        bounds = [(number - 1) * self.frames / 4, number * self.frames / 4]
        first, last = np.interp(bounds, self.done, self.seconds)
        return float(last - first)


class Watched:
    """A command that runs, and what it uses."""

    def __init__(self, *arguments: str | Path) -> None:
        self.passes: list[Pass] = []
        self.memory: list[int] = []
        command = [sys.executable, "-m", "salcli", *map(str, arguments), "--progress", "json"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
        )

    def until(self, wanted: str = "", share: float = 0.0) -> None:
        """Wait for its end, or kill it when it has done a share of a pass of this name."""
        assert self.process.stderr is not None
        with self.process:
            for line in self.process.stderr:
                event: dict[str, Any] = json.loads(line)
                if event["event"] == "start":
                    self.passes.append(Pass(event["input"], event["frames"]))
                elif event["event"] == "step":
                    now = self._note(event["done"])
                    if wanted and wanted in now.name and now.done[-1] > share * now.frames:
                        self.process.kill()
        assert (self.process.returncode == 0) == (not wanted), self.passes

    def _note(self, done: int) -> Pass:
        now = self.passes[-1]
        now.done.append(done)
        now.seconds.append(sum(map(seconds, self._processes())))
        self.memory.append(memory(self.process.pid))
        return now

    def _processes(self) -> Iterator[int]:
        yield self.process.pid
        with suppress(OSError):
            for path in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
                yield from map(int, path.read_text().split())


def memory(process: int) -> int:
    """Kilobytes of memory that no file holds; 0 of a process that is gone."""
    with suppress(OSError):
        found = re.search(r"RssAnon:\s*(\d+)", Path(f"/proc/{process}/status").read_text())
        return int(found[1]) if found else 0
    return 0


def seconds(process: int) -> float:
    """Processor time of a process and of those that it has waited for."""
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


@pytest.mark.parametrize("command", ["crop", "encode"])
def test_an_hour_takes_flat_memory_and_linear_time(tmp_path: Path, command: str) -> None:
    arguments = (command, "-m", "centre", *OPTIONS[command], "-o")
    runs = {}
    for name, length in (("minutes", MINUTES), ("hour", HOUR)):
        source = clip(tmp_path / f"{name}.mp4", length, FPS[command])
        runs[name] = Watched(*arguments, tmp_path / "whole", source)
        runs[name].until()
    hour, frames = runs["hour"], HOUR * FPS[command]
    whole = [each for each in hour.passes if each.frames == frames]
    quarters = {each.name: (each.quarter(1), each.quarter(4)) for each in whole}
    print(command, {name: max(run.memory) for name, run in runs.items()}, quarters)
    assert max(hour.memory) < max(runs["minutes"].memory) + MORE_MEMORY
    assert len(whole) >= 2
    assert all(last < 1.5 * first + 1 for first, last in quarters.values()), quarters

    # killed in its first and in a later pass, it goes on, to the same bytes
    source, later = tmp_path / "hour.mp4", {"crop": ": crops", "encode": ": quality"}[command]
    parted = [Watched(*arguments, tmp_path / "parted", source)]
    for wanted in ("hour", later):
        parted[-1].until(wanted, 0.5)
        assert not (tmp_path / "parted" / "hour" / RESULT[command]).exists()
        parted.append(Watched(*arguments, tmp_path / "parted", source))
    parted[-1].until()
    assert [run.passes[0].frames for run in parted[::2]] == [frames, 0]  # of attention
    assert parted[1].passes[0].frames < 0.6 * frames
    again = {each.name: each.frames for each in parted[-1].passes}
    assert "hour.mp4: plain" not in again  # the plain encode was there
    assert again.get("hour: crops", 0) < 0.6 * frames
    for file in (tmp_path / "whole" / "hour").iterdir():
        assert (tmp_path / "parted" / "hour" / file.name).read_bytes() == file.read_bytes()
    document = json.loads((tmp_path / "whole" / "hour" / f"{command}.json").read_text("utf-8"))
    assert document["frames"] == frames
    if command == "crop":
        assert len(document["crops"][0]["shots"]) == pytest.approx(HOUR / SHOT, abs=3)
