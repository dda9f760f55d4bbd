"""Damaged videos and animations give their frames, each with its time, or a clear error."""

from __future__ import annotations

import random
import subprocess
from contextlib import suppress
from pathlib import Path

import imageio_ffmpeg
import pytest

from salcli.errors import InputError
from salcli.media.open import open_stimulus

SOURCE = ("-f", "lavfi", "-i", "testsrc2=size=48x32:rate=10", "-frames:v", "12")
KINDS = {".mp4": ("-c:v", "libx264"), ".mkv": ("-c:v", "libx264"), ".gif": ()}
LONGEST = 200
"""Frames: damage may repeat some, but must not make a tiny file endless."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A whole clip of each kind, by suffix."""
    folder = tmp_path_factory.mktemp("whole")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", *SOURCE]
    for suffix, options in KINDS.items():
        subprocess.run([*command, *options, folder / f"clip{suffix}"], check=True)
    return {suffix: (folder / f"clip{suffix}").read_bytes() for suffix in KINDS}


def read(path: Path) -> None:
    with suppress(InputError):
        stimulus = open_stimulus(path)
        count = sum(1 for _ in stimulus.frames)
        assert count <= LONGEST
        assert not stimulus.is_clip or len(stimulus.times) == count


def damage(content: bytes, generator: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(generator.choice((1, 3, 20))):
        changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
    cut = generator.choice((len(changed), generator.randrange(len(changed))))
    return bytes(changed[:cut])


@pytest.mark.parametrize(
    "count", [10, pytest.param(200, marks=pytest.mark.endurance)], ids=["few", "many"]
)
def test_flipped_bits_and_cuts(clips: dict[str, bytes], tmp_path: Path, count: int) -> None:
    for seed in range(count):
        generator = random.Random(seed)
        suffix = list(KINDS)[seed % len(KINDS)]
        path = tmp_path / f"{seed}{suffix}"
        path.write_bytes(damage(clips[suffix], generator))
        read(path)
