"""Files that have their final name and whole content, or neither."""

from pathlib import Path

import pytest

from salcli.errors import OutputError
from salcli.files import atomic


def test_bytes_and_texts_are_written_into_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    atomic.write(path, "ä\n")
    assert path.read_bytes() == b"\xc3\xa4\n"
    atomic.write(path, memoryview(b"new"))
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic.write(path, "old")
    with pytest.raises(ValueError, match="half"), atomic.replacing(path) as part:  # noqa: PT012
        part.write_text("half")
        raise ValueError("half")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_what_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write '.*': .*; .* output folder$"):
        atomic.write(tmp_path / "file" / "below", b"")
