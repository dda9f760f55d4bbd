"""An hour-long clip is cropped with flat memory, in linear time, and after it was killed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

pytestmark = pytest.mark.endurance

FRAMES = 90_000


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour at 25 frames/s, with cuts and sound."""
    path = tmp_path_factory.mktemp("media") / "hour.mp4"
    source = "testsrc2=s=128x72:r=25:d=3600,negate=enable='lt(mod(t\\,37)\\,17)'"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", source]
    command += ["-f", "lavfi", "-i", "sine=d=3600", "-preset", "ultrafast"]
    subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True)
    return path


def memory(process: subprocess.Popen[bytes]) -> int:
    """Kilobytes of memory that no file holds."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"RssAnon:\s*(\d+)", status)
    return int(found[1]) if found else 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_an_hour_takes_flat_memory_and_linear_time(hour: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "salcli", "crop", str(hour), "-m", "centre", "-q"]
    command += ["--save", "crop,csv", "-o", str(tmp_path / "out")]
    records = tmp_path / "out" / "hour" / ".salcli-parts" / "attention.bin"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    began, seen, killed = time.monotonic(), [], False
    process = subprocess.Popen(command, env=environment)
    while process.poll() is None:
        time.sleep(5)
        size = records.stat().st_size if records.is_file() else 0
        seen.append((time.monotonic() - began, size, memory(process)))
        if size > 40_000_000 and not killed:
            process.kill()
            process.wait()
            killed, seen = True, []
            before = records.stat().st_size
            process = subprocess.Popen(command, env=environment)
    assert process.returncode == 0
    assert killed
    assert seen[0][1] >= before * 0.99  # it went on where it was
    used = [kilobytes for _, _, kilobytes in seen if kilobytes]
    half = len(used) // 2
    assert max(used[half:]) < max(used[:half]) + 60_000  # kilobytes
    growing = [(at, size) for at, size, _ in seen if before < size]
    steps = np.diff([size for _, size in growing if size < growing[-1][1]])
    assert len(steps) < 4 or steps[-len(steps) // 2 :].mean() > 0.4 * steps.mean()
    document = json.loads((tmp_path / "out" / "hour" / "crop.json").read_text("utf-8"))
    assert document["frames"] == FRAMES
    assert len(document["crops"][0]["shots"]) > 190
