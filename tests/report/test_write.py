"""Reports on the disk: what is written beside a run, what is drawn again, and what is never replaced."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from acestep_batch.checks import check_folder
from acestep_batch.problems import Refused
from acestep_batch.report.source import read_source, read_sources
from acestep_batch.report.write import write_joint_report, write_report

ROWS = [{"id": "a", "seed": 1}, {"id": "b", "seed": 2}, {"id": "like a", "seed": 1}, {"id": "bad", "infer_step": 0}]


@pytest.fixture
def run(render_rows) -> Path:
    return render_rows(ROWS, "on_invalid=skip")[0].folder


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and ".locks" not in path.parts}  # fmt: skip


def test_a_report_adds_its_files_and_changes_none_of_the_run(run):
    before = tree(run)
    written = write_report(run)
    after = tree(run)
    added = after.keys() - before.keys()
    assert {name: after[name] for name in before} == before
    assert {"report.html", "playlist.m3u8", "audio/metadata.csv"} < added
    assert all(
        name.startswith("report_files/") for name in added - {"report.html", "playlist.m3u8", "audio/metadata.csv"}
    )
    assert [song.error != "" for song in written.page.songs] == [False, False, False, True]
    assert len(list((run / "report_files").iterdir())) == 2  # what sounds the same is drawn once


def test_a_report_made_again_is_the_same_and_reads_no_audio(run):
    write_report(run)
    before = tree(run)
    for path in (run / "audio").glob("*.wav"):
        path.write_bytes(b"")
    write_report(run)
    after = tree(run)
    assert after["report.html"] == before["report.html"]
    assert not any(path.name.startswith(".tmp-") for path in run.rglob("*"))


def test_every_file_that_the_page_names_is_there(run):
    write_report(run)
    text = (run / "report.html").read_text(encoding="utf-8")
    data = text.partition('id="page">')[2].partition("</script>")[0]
    names = re.findall(r'"((?:audio|report_files)/[^"]+)"', data)
    assert len(names) == 6
    assert all((run / name.replace("%20", " ")).is_file() for name in names)


def test_verify_has_nothing_against_a_report(run):
    before = check_folder(run)[0].findings
    write_report(run)
    assert check_folder(run)[0].findings == before


def test_a_song_that_cannot_be_read_has_no_picture_and_stops_nothing(run):
    next((run / "audio").glob("*_b_*.wav")).write_bytes(b"no audio")
    written = write_report(run)
    assert len(written.pictures) == 2
    assert len(written.undrawn) == 1


def test_a_moved_run_has_the_same_report(run, tmp_path):
    write_report(run)
    text = (run / "report.html").read_text(encoding="utf-8")
    moved = tmp_path / "elsewhere" / run.parent.name / run.name
    moved.parent.mkdir(parents=True)
    run.rename(moved)
    write_report(moved)
    assert (moved / "report.html").read_text(encoding="utf-8") == text


def test_several_runs_make_one_page_with_pictures_of_its_own(run, render_rows, tmp_path):
    other = render_rows([{"id": "c", "seed": 9}])[0].folder
    folder = tmp_path / "page"
    folder.mkdir()
    written = write_joint_report(read_sources([run, other, run]), folder)
    assert [song.id for song in written.page.songs] == ["a", "b", "like a", "bad", "c"]
    assert {path.parent for path, _ in written.pictures.values()} == {folder / "report_files"}
    assert not (run / "report.html").exists()


def test_pictures_of_songs_that_are_gone_go_with_them_and_no_other_file(run, render_rows, tmp_path):
    other = render_rows([{"id": "c", "seed": 9}])[0].folder
    pictures = tmp_path / "page" / "report_files"
    both = write_joint_report(read_sources([run, other]), tmp_path / "page")
    (mine,) = [path for path in pictures.iterdir() if path not in {path for path, _ in _of(both, "a", "b", "like a")}]
    users = {"f" * 24 + ".png": b"a picture of the user's", "notes.txt": b"mine", "cover.png": mine.read_bytes()}
    for name, content in users.items():
        (pictures / name).write_bytes(content)
    write_joint_report(read_sources([run]), tmp_path / "page")
    assert not mine.exists()
    assert {name: (pictures / name).read_bytes() for name in users} == users
    assert len(list(pictures.iterdir())) == 2 + len(users)


def _of(written, *ids):
    keys = [song.key for song in written.page.songs if song.id in ids]
    return [written.pictures[key] for key in keys]


def test_only_a_report_is_ever_replaced(run):
    (run / "report.html").write_text("<p>mine</p>", encoding="utf-8")
    with pytest.raises(Refused, match="is no report"):
        write_report(run)
    assert (run / "report.html").read_text(encoding="utf-8") == "<p>mine</p>"


def test_folders_that_are_no_runs_are_refused_all_at_once(tmp_path):
    with pytest.raises(Refused) as refused:
        read_sources([tmp_path, tmp_path / "nothing"])
    assert len(refused.value.problems) == 2


def test_a_damaged_plan_is_a_refusal(run):
    (run / "plan.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(Refused, match=r"plan\.jsonl"):
        read_source(run)
