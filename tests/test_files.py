"""Files appear whole or not at all, and nothing is left beside them."""

import os
from pathlib import Path

import pytest

from verigrad.errors import ConfigError
from verigrad.files import new_file, try_writing, write_whole
from verigrad.jsonl import require_writable, write_rows


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole_through_a_link(tmp_path):
    (tmp_path / "old.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "old.txt")
    write_whole(tmp_path / "link.txt", "new")
    assert (tmp_path / "old.txt").read_text() == "new" and (tmp_path / "link.txt").is_symlink()
    write_whole(tmp_path / "sub" / "fresh.txt", "made")
    assert (tmp_path / "sub" / "fresh.txt").read_text() == "made"
    assert names(tmp_path) == ["link.txt", "old.txt", "sub"] and names(tmp_path / "sub") == ["fresh.txt"]


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(OSError, match="full"), new_file(tmp_path / "a") as building:
        building.write_text("half")
        raise OSError("the disk is full")
    assert (tmp_path / "a").read_text() == "old" and names(tmp_path) == ["a"]


def test_what_is_no_ordinary_file_is_written_to_and_stays_what_it_is(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, "through")
    assert os.read(reader, 100) == b"through" and pipe.is_fifo() and names(tmp_path) == ["pipe"]
    os.close(reader)


@pytest.mark.parametrize("name", ["folder", "file/below.jsonl"])
def test_a_place_that_cannot_be_written_is_refused_before_there_are_rows(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot write .*; free space, or name another file"):
        require_writable(tmp_path / name)
    try_writing(tmp_path / "new" / "out.jsonl")
    assert names(tmp_path / "new") == []


def test_a_full_disk_is_one_readable_error():
    with pytest.raises(ConfigError, match=r"cannot write /dev/full: .*No space left"):
        write_rows(Path("/dev/full"), [{"a": 1}])
