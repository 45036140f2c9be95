"""A final name holds a whole file or nothing, whatever happens to the writer."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from acestep_batch.outputs.atomic import TEMPORARY_PREFIX, atomic_path, make_folder, write_bytes, write_text


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_the_temporary_file_lies_beside_the_final_one_with_its_suffix(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "song.flac") as temporary:
        temporary.write_bytes(b"audio")
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".flac"
        assert names(tmp_path) == [temporary.name]
        assert temporary.name.startswith(TEMPORARY_PREFIX)
    assert names(tmp_path) == ["song.flac"]
    assert (tmp_path / "song.flac").read_bytes() == b"audio"


def test_a_failing_writer_leaves_nothing(tmp_path: Path) -> None:
    def write_half() -> None:
        with atomic_path(tmp_path / "song.flac") as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError("encoder failed")

    with pytest.raises(RuntimeError, match="encoder failed"):
        write_half()
    assert names(tmp_path) == []


def test_a_writer_that_wrote_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "song.flac"):
        pass
    assert names(tmp_path) == []


def test_a_process_that_dies_while_writing_leaves_no_final_name(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from acestep_batch.outputs.atomic import atomic_path
with atomic_path(Path(sys.argv[1]) / "song.flac") as temporary:
    temporary.write_bytes(b"half")
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)]).returncode == 9
    assert len(names(tmp_path)) == 1
    assert names(tmp_path)[0].startswith(TEMPORARY_PREFIX)


def test_an_existing_file_is_overwritten_only_when_asked(tmp_path: Path) -> None:
    final = tmp_path / "record.json"
    write_text(final, "first ♪\r\n")
    with pytest.raises(FileExistsError):
        write_text(final, "second")
    assert final.read_bytes() == "first ♪\r\n".encode()
    write_text(final, "second", replace=True)
    assert final.read_bytes() == b"second"
    assert names(tmp_path) == ["record.json"]


def test_of_writers_racing_for_one_name_exactly_one_wins(tmp_path: Path) -> None:
    def write(number: int) -> int | None:
        try:
            write_bytes(tmp_path / "song.flac", b"%d" % number)
        except FileExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(write, range(40)) if number is not None]
    assert len(winners) == 1
    assert (tmp_path / "song.flac").read_bytes() == b"%d" % winners[0]
    assert names(tmp_path) == ["song.flac"]


@pytest.mark.skipif(os.name == "nt", reason="Windows renames without links")
def test_without_hard_links_a_name_is_still_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: object, target: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    write_bytes(tmp_path / "a.json", b"1")
    with pytest.raises(FileExistsError):
        write_bytes(tmp_path / "a.json", b"2")
    assert (tmp_path / "a.json").read_bytes() == b"1"
    assert names(tmp_path) == ["a.json"]


@pytest.mark.skipif(os.name == "nt", reason="folders are not synced on Windows")
def test_file_and_folder_are_synced_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    real_fsync = os.fsync

    def fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append(("folder" if is_folder else "file", (tmp_path / "a.json").exists()))
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(sys, "platform", "linux")
    write_bytes(tmp_path / "a.json", b"1")
    assert synced == [("file", False), ("folder", True)]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_files_get_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_bytes(tmp_path / "atomic", b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_make_folder_makes_all_levels_and_minds_files_in_the_way(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b" / "c")
    make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        make_folder(tmp_path / "file" / "below")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")
