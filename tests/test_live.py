"""Cameras and streams: a server of RTSP on this machine, whose frames come at their own pace."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest

from salcli.media.live import arguments, public
from salcli.media.video import Video
from salcli.terminal import ending

Run = Callable[..., subprocess.CompletedProcess[str]]

FPS = 25
SLOW = ("-m", "brightness", "-O", "delay=0.12", "--save", "npy,csv,overlay", "-o", "out")
SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\n"
MPEG_TS = ["-c:v", "mpeg2video", "-g", "5", "-bf", "0", "-muxdelay", "0", "-f", "mpegts", "-"]
PACKET = 7 * 188


class Server:
    """Serves grey frames at a rate of `FPS`, each a level brighter, to one client after the other.

    Attributes:
        url: Its address, with a password.
        seconds: How long they last; then the connection is closed.
    """

    def __init__(self) -> None:
        self.seconds = 30.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://me:secret@127.0.0.1:{self._listener.getsockname()[1]}/door"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, suppress(OSError):  # it has hung up
                self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        with client.makefile("rb") as requests:
            while method := requests.readline().decode().partition(" ")[0]:
                number = "0"
                while line := requests.readline().decode().strip():
                    name, _, value = line.partition(":")
                    number = value.strip() if name.lower() == "cseq" else number
                more, body = "Session: 1\r\n", ""
                if method == "DESCRIBE":
                    more, body = "Content-Type: application/sdp\r\n", SDP
                elif method == "SETUP":
                    more += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
                head = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{more}Content-Length: {len(body)}"
                client.sendall(f"{head}\r\n\r\n{body}".encode())
                if method == "PLAY":
                    self._play(client)
                    return

    def _play(self, client: socket.socket) -> None:
        picture = f"color=black:size=64x48:rate={FPS}:duration={self.seconds}"
        picture += ",geq=lum=20+mod(N\\,200):cb=128:cr=128"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-re", "-f", "lavfi"]
        command += ["-i", picture, "-flush_packets", "1", *MPEG_TS]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as source:
            assert source.stdout is not None
            try:
                number = 0
                while data := source.stdout.read(PACKET):
                    stamp = int(time.monotonic() * 90000) % 2**32
                    rtp = struct.pack(">BBHII", 0x80, 33, number % 2**16, stamp, 7) + data
                    client.sendall(struct.pack(">cBH", b"$", 0, len(rtp)) + rtp)
                    number += 1
            finally:
                source.kill()


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


def results(folder: Path) -> tuple[Path, dict[str, Any], list[float]]:
    """The only result: its folder, its record, and the times in its table."""
    (found,) = (folder / "out").iterdir()
    record = json.loads((found / "salcli.json").read_text())
    with (found / "saliency.csv").open() as table:
        return found, record, [float(row["time_s"]) for row in csv.DictReader(table)]


def movie_times(movie: Path) -> list[float]:
    frames = Video(movie)
    for _ in frames:
        pass
    return frames.times


def counted(text: str) -> tuple[int, int]:
    found = re.search(r"(\d+) frames seen, (\d+) of them dropped to keep pace", text)
    assert found, text
    return int(found[1]), int(found[2])


def test_the_newest_frames_are_predicted_with_their_true_times_until_ctrl_c(
    salcli: Run, server: Server, tmp_path: Path
) -> None:
    def interrupt() -> None:
        deadline = time.monotonic() + 20
        while not list(tmp_path.glob("out/*/0006.npy")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    stopper = threading.Thread(target=interrupt)
    stopper.start()
    run = salcli("predict", server.url, *SLOW)
    stopper.join()

    assert run.returncode == 0, run.stderr
    folder, record, times = results(tmp_path)
    seen, dropped = counted(run.stderr)
    assert dropped == seen - len(times) > seen / 2
    assert 6 <= len(times) == record["frames"]
    assert times == sorted(set(times))
    # the level of a frame is its number, and a level is more than 1 in full range
    levels = np.array([np.load(folder / f"{n + 1:04d}.npy").mean() for n in range(len(times))])
    wrong = levels * 219 - 4 - np.array(times) * FPS
    assert np.abs((wrong - wrong[0] + 100) % 200 - 100).max() < 1.5
    assert np.allclose(movie_times(folder / "overlay.mp4"), np.array(times) - times[0], atol=0.01)
    assert run.stderr.splitlines()[-1] == f"to look at: {folder.relative_to(tmp_path)}/overlay.mp4"
    assert (record["source"], record["problems"]) == (public(server.url), [])
    assert not list(folder.glob(".salcli*"))
    everything = b"".join(file.read_bytes() for file in folder.iterdir())
    assert b"secret" not in everything + run.stderr.encode()


def test_the_duration_ends_it(salcli: Run, server: Server, tmp_path: Path) -> None:
    run = salcli("predict", server.url, *SLOW, "--duration", "1")

    assert run.returncode == 0, run.stderr
    folder, record, times = results(tmp_path)
    assert folder.name.startswith("127.0.0.1-")
    assert counted(run.stderr) == (FPS, FPS - len(times))
    assert times[-1] < 1
    assert record["problems"] == []


def test_a_server_that_hangs_up_leaves_complete_files(
    salcli: Run, server: Server, tmp_path: Path
) -> None:
    server.seconds = 1.1
    run = salcli("predict", server.url, *SLOW, "--duration", "9")

    assert run.returncode == 1
    folder, record, times = results(tmp_path)
    (problem,) = record["problems"]
    assert re.search(
        r"ended after \d+ frames: .*; check .*before second [01]\.\d+ is done", problem
    )
    assert problem in run.stderr
    assert times[-1] > 0.9
    assert len(movie_times(folder / "overlay.mp4")) == len(times) == record["frames"]
    counted(run.stderr)


def test_a_source_that_cannot_be_opened_is_told(salcli: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    stream = salcli("predict", f"rtsp://me:secret@127.0.0.1:{port}/a", *SLOW)
    camera = salcli("camera:97", *SLOW)

    assert (stream.returncode, camera.returncode) == (1, 1)
    last = stream.stderr.splitlines()[-1]
    assert f"'rtsp://127.0.0.1:{port}/a' cannot be read: Connection refused; check" in last
    assert "salcli: error: 'camera:97' cannot be read: " in camera.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--offline"], 1, "the network is switched off"),
        (["photo.png"], 2, "leave out the other inputs"),
        (["--workers", "2"], 2, "by one process"),
        (["--as", "stills"], 2, "by one process"),
    ],
)
def test_what_is_not_done_with_live_sources(
    salcli: Run, more: list[str], code: int, said: str
) -> None:
    run = salcli("predict", "rtsp://me:secret@127.0.0.1:1/a", *SLOW, *more)

    assert run.returncode == code
    assert run.stderr.startswith("salcli: error: 'rtsp://127.0.0.1:1/a' is ")
    assert said in run.stderr
    assert "loading" not in run.stderr


def test_cameras_have_names_of_their_platform() -> None:
    assert arguments("camera:1", "linux")[-4:] == ["-f", "v4l2", "-i", "/dev/video1"]
    assert arguments("camera:/dev/v4l/a", "linux")[-1] == "/dev/v4l/a"
    assert arguments("camera:0", "darwin")[-1] == "0:none"
    assert "avfoundation" in arguments("camera:0", "darwin")
    assert arguments("camera:Cam 2", "win32")[-4:] == ["-f", "dshow", "-i", "video=Cam 2"]


def test_only_the_first_signal_is_taken() -> None:
    acts: list[int] = []
    with ending.first_signal(lambda: acts.append(1)):
        signal.raise_signal(signal.SIGTERM)
        assert acts == [1]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert acts == [1]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
