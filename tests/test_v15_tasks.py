"""Tasks of 1.5 as rows of a manifest: made, chained, refused, verified, resumed; with the embedded models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from task_rows import records

from acestep_batch.cli import main
from acestep_batch.levels import steps
from acestep_batch.models import Family
from acestep_batch.plan import Song
from acestep_batch.schema_v15 import Generation
from acestep_batch.sources import SongSource

RATE = 48_000
PLAIN = ("hw=cpu", "measure=false", "report=false", "lint=off", "infer_step=2")
BASE, TURBO, V1 = "embedded_v15_base", "embedded_v15", "embedded"
SONG = {"id": "song", "seed": 3, "prompt": "slow dance, accordion", "lyrics": "[verse]\nla la", "audio_duration": 2}
ROW = {"seed": 5, "prompt": "slow dance, accordion", "lyrics": "[verse]\nla la"}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def start(*rows: dict[str, Any], model: str = BASE, words: tuple[str, ...] = (), name: str = "x") -> int:
    Path(f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")
    return main([*PLAIN, f"model={model}", f"manifest.path={name}.json", *words])


def made(*rows: dict[str, Any], **settings: Any) -> dict[str, dict[str, Any]]:
    """The rows' records, by id."""
    assert start(*rows, **settings) == 0
    return records(folder(settings.get("name", "x")))


def folder(name: str = "x") -> Path:
    return max(Path("outputs", name).glob("v*"))


def said(capsys: pytest.CaptureFixture[str], *rows: dict[str, Any], **settings: Any) -> list[str]:
    """What is wrong with the rows, each problem in a line."""
    capsys.readouterr()
    assert start(*rows, **settings, words=("dry_run=true",)) == 2
    lines = capsys.readouterr().err.splitlines()
    return [line.removeprefix("error: x.json ") for line in lines if line.startswith("error: ")]


def write_tone(name: str, seconds: float, rate: int = RATE, channels: int = 1, hz: float = 220.0) -> NDArray[Any]:
    t = np.arange(round(seconds * rate)) / rate
    samples = np.stack([0.4 * np.sin(2 * np.pi * hz * t)] * channels, axis=1).astype(np.float32)
    soundfile.write(name, samples, rate, subtype="FLOAT")
    return samples


CHAIN: tuple[dict[str, Any], ...] = (
    SONG,
    {**ROW, "id": "jazz", "task": "cover", "src_audio_path": "@song", "audio_cover_strength": 0.5},
    {**ROW, "id": "mended", "task": "repaint", "src_audio": "@jazz", "repainting_start": 0.5, "repainting_end": 1},
    {**ROW, "id": "drums", "task_type": "extract", "src_audio_path": "@mended", "track_name": "drums"},
    {**ROW, "id": "more", "task": "lego", "src_audio_path": "@song", "track_name": "strings", "repaint_start": 1},
    {**ROW, "id": "band", "task": "complete", "src_audio_path": "@drums", "complete_track_classes": ["bass", "fx"]},
    {**ROW, "id": "sister", "audio_duration": 1},
    {**ROW, "id": "both", "task": "cover", "src_audio_path": "@drums", "reference_audio": "@sister"},
)


@pytest.mark.slow
def test_a_chain_of_all_tasks_runs_from_one_manifest_is_verified_and_resumed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = made(*reversed(CHAIN))
    order = list(found)
    assert {name: record["frames"] for name, record in found.items()} == {
        **{row["id"]: 50 for row in CHAIN}, "sister": 25,
    }  # fmt: skip
    assert order.index("song") < order.index("jazz") < order.index("mended") < order.index("drums")
    assert order.index("both") > max(order.index("drums"), order.index("sister"))
    started, timbre = found["both"]["started_from"], found["both"]["reference_from"]
    assert (started["song_id"], started["sha256"]) == ("drums", found["drums"]["pcm_sha256"])
    assert (timbre["song_id"], timbre["sha256"]) == ("sister", found["sister"]["pcm_sha256"])
    assert len({record["pcm_sha256"] for record in found.values()}) == len(CHAIN)
    assert {name for name, record in found.items() if "planned_caption" in record} == {
        "song", "sister", "drums", "more", "band",
    }  # fmt: skip
    assert [found[name]["planned_codes"] for name in ("song", "drums", "more", "band")] == [10, 0, 0, 0]
    assert any("no audio codes" in note for note in found["drums"]["notes"])
    capsys.readouterr()
    assert main(["verify", "outputs/x/v0001"]) == 0
    assert "8 songs: 8 ok; 8 bit-identical" in capsys.readouterr().out
    assert main(["resume", "outputs/x/v0001", "--explain"]) == 0
    assert "8 songs are done, 0 to make" in capsys.readouterr().out
    assert main(["inspect", f"outputs/x/v0001/{found['drums']['files'][0]}", "--rerun"]) == 0
    again = ("planner=from_record", "lm=none", "output.name=again")
    assert main([*PLAIN, f"model={BASE}", "manifest.path=outputs/x/v0001/audio", *again]) == 0
    assert {name: record["pcm_sha256"] for name, record in records(folder("again")).items()} == {
        name: record["pcm_sha256"] for name, record in found.items()
    }


def test_an_edited_source_has_made_again_what_starts_from_it(capsys: pytest.CaptureFixture[str]) -> None:
    write_tone("a.wav", 1)
    write_tone("b.wav", 1, hz=330)
    rows = (
        {**ROW, "id": "one", "task": "cover", "src_audio_path": "a.wav"},
        {**ROW, "id": "two", "task": "repaint", "src_audio_path": "@one", "repaint_end": 0.5},
        {**ROW, "id": "three", "task": "cover", "reference_audio": "b.wav", "audio_duration": 1},
    )
    before = made(*rows, model=TURBO)
    write_tone("a.wav", 1, hz=440)
    write_tone("b.wav", 1, hz=550)
    capsys.readouterr()
    assert main(["verify", "outputs/x/v0001"]) == 2  # what they were made from is gone
    assert "is not what it was" in capsys.readouterr().out
    assert main(["resume", "outputs/x/v0001", "--explain"]) == 0
    out = capsys.readouterr().out
    assert [line.split(maxsplit=1)[1].strip() for line in out.splitlines() if "changed" in line] == [
        "changed: source", "changed: source", "changed: reference",
    ]  # fmt: skip
    assert main(["resume", "outputs/x/v0001"]) == 0
    after = records(folder())
    assert not {before[name]["pcm_sha256"] for name in before} & {after[name]["pcm_sha256"] for name in after}


def test_sources_of_any_rate_in_mono_and_stereo_give_songs_of_their_length() -> None:
    for name, seconds, rate, channels in (
        ("mono", 1.0, RATE, 1), ("stereo", 1.0, RATE, 2), ("cd", 1.5, 44_100, 2), ("low", 1.03, 8_000, 1),
    ):  # fmt: skip
        write_tone(f"{name}.wav", seconds, rate, channels)
    names = ("mono", "stereo", "cd", "low")
    found = made(*({**ROW, "id": name, "task": "cover", "src_audio_path": f"{name}.wav"} for name in names))
    assert [found[name]["frames"] for name in names] == [25, 25, 37, 25]
    assert found["mono"]["pcm_sha256"] == found["stereo"]["pcm_sha256"]
    assert found["cd"]["duration_s"] == found["cd"]["audio_duration"] == 1.48
    own = found["cd"]["started_from"]
    assert (own["form"], own["frames"], own["path"]) == ("audio", 37, str(Path("cd.wav").absolute()))
    assert own["song_id"] is None


@pytest.mark.slow
def test_kept_latents_are_taken_by_the_same_family_and_audio_by_the_other() -> None:
    keep = ("output.save_latents=true", "audio_duration=2")
    first = made(
        SONG, {**ROW, "id": "own", "task": "repaint", "src_audio_path": "@song", "repaint_end": 1},
        words=keep, name="first",
    )  # fmt: skip
    assert first["own"]["started_from"]["form"] == "latents"
    assert main(["verify", "outputs/first/v0001"]) == 0
    assert start({**SONG, "audio_duration": 2}, model=V1, words=("output.save_latents=true",), name="v1") == 0
    rows = [
        {**ROW, "id": f"of_{run}", "task": "cover", "src_audio_path": f"@outputs/{run}/v0001/song"}
        for run in ("first", "v1")
    ]
    found = made(*rows, model=TURBO)
    assert [found[row["id"]]["started_from"]["form"] for row in rows] == ["latents", "audio"]
    assert [found[row["id"]]["frames"] for row in rows] == [50, 48]  # v1's frames are longer
    back = {**ROW, "id": "back", "task": "audio2audio", "ref_audio_input": "@outputs/first/v0001/song"}
    assert made(back, model=V1, name="back")["back"]["started_from"]["form"] == "audio"


def test_a_source_whose_planner_decides_on_its_length_is_awaited(capsys: pytest.CaptureFixture[str]) -> None:
    rows = (
        {**SONG, "audio_duration": -1},
        {**ROW, "id": "next", "task": "repaint", "src_audio_path": "@song", "repaint_start": 1},
        {**ROW, "id": "late", "task": "repaint", "src_audio_path": "@song", "repaint_start": 15, "repaint_end": 16},
    )
    assert start(*rows, model=TURBO, words=("lm_max_duration=10",)) == 1
    found = records(folder())
    assert found["next"]["frames"] == found["song"]["frames"] == found["next"]["started_from"]["frames"] == 250
    assert "is outside the source of 10 s" in found["late"]["error"]
    assert main(["verify", "outputs/x/v0001"]) == 0
    assert "2 bit-identical" in capsys.readouterr().out


def test_audio_codes_stand_in_for_the_planner_and_decide_the_length() -> None:
    text = "<|audio_code_5|><|audio_code_63999|><|audio_code_17|>"
    found = made(
        {**ROW, "id": "listed", "audio_codes": [5, 63999, 17]},
        {**ROW, "id": "written", "audio_codes": text, "task": "cover"},
        {**ROW, "id": "free", "audio_codes": text, "audio_cover_strength": 0},
        words=("lm=none",),
    )  # fmt: skip
    assert {record["frames"] for record in found.values()} == {15}
    assert {record["audio_duration"] for record in found.values()} == {0.6}
    assert found["written"]["audio_codes"] == [5, 63999, 17]
    assert found["listed"]["pcm_sha256"] == found["written"]["pcm_sha256"] != found["free"]["pcm_sha256"]
    assert main(["verify", "outputs/x/v0001"]) == 0


def test_what_a_task_lacks_or_cannot_take_is_told_before_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    write_tone("long.wav", 2)
    write_tone("short.wav", 0.03)
    Path("empty.wav").touch()
    soundfile.write("none.wav", np.zeros((0, 2), np.float32), RATE)
    soundfile.write("nan.wav", np.full((RATE, 1), np.nan, np.float32), RATE, subtype="FLOAT")
    soundfile.write("many.wav", np.zeros((RATE, 3), np.float32), RATE)
    source = {"src_audio_path": "long.wav"}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"task": "repaint"}, "src_audio_path: is missing: repaint starts from a song"),
        ({"task": "lego", "track_name": "drums"}, "src_audio_path: is missing: lego starts from a song"),
        ({"task": "cover"}, "is missing: cover starts from a song, from a reference_audio or from audio_codes"),
        ({"task": "cover", **source, "audio_codes": [1]}, "audio_codes: and src_audio_path are given"),
        ({"task": "extract", **source, "track_name": "kazoo"}, "column track_name: 'kazoo' is not one of the choices"),
        ({"task": "complete", **source, "complete_track_classes": "bass;kazoo"}, "column complete_track_classes: "),
        ({"audio_codes": [64_000]}, "column audio_codes: [64000] holds 64000"),
        ({"task": "repaint", **source, "repaint_start": 2}, "repaint_start: repainting_start 2.0 s is outside"),
        ({"task": "repaint", **source, "repaint_end": 2.5}, "repaint_end: repainting_end 2.5 s is beyond the source"),
        ({"task": "lego", **source, "repaint_start": 1, "repaint_end": 1.01}, "holds no latent frame"),
        ({"task": "cover", "src_audio_path": "gone.wav"}, "src_audio_path: 'gone.wav' does not exist"),
        ({"task": "cover", "reference_audio": "gone.wav"}, "reference_audio: 'gone.wav' does not exist"),
        ({"task": "cover", "src_audio_path": "short.wav"}, "'short.wav' is shorter than one latent frame (0.04 s)"),
        ({"task": "cover", "src_audio_path": "empty.wav"}, "'empty.wav' is no audio that can be read"),
        ({"task": "cover", "src_audio_path": "none.wav"}, "'none.wav' has no audio in it"),
        ({"task": "cover", "src_audio_path": "nan.wav"}, "'nan.wav' has samples that are no numbers"),
        ({"task": "cover", "src_audio_path": "many.wav"}, "'many.wav' has 3 channels"),
        ({"task": "cover", "src_audio_path": "@r19"}, "src_audio_path: starts from itself: r19 -> r20 -> r19"),
        ({"task": "cover", "reference_audio": "@r18"}, "reference_audio: starts from itself: r19 -> r20 -> r19"),
        ({"task": "cover", "reference_audio": "@nobody"}, "there is no row 'nobody' in this manifest"),
        ({"task": "cover", "src_audio_path": "@r1"}, "its source r1 is a row with errors"),
        ({"task": "retake"}, "task: retake is not among its model's tasks: ACE-Step 1.5 knows text2music, cover"),
        ({"task": "extend", **source}, "extract, lego, complete -> model=v1"),
        ({"task": "edit", **source}, "-> task=cover or task=repaint"),
        ({"audio2audio_enable": True}, "audio2audio_enable: True would have no effect"),
        ({"retake_variance": 0.3}, "retake_variance: 0.3 would have no effect: ACE-Step 1.5 has no retake_variance"),
    ]  # fmt: skip
    rows = [{**ROW, "id": f"r{number}", **case} for number, (case, _) in enumerate(cases, 1)]
    rows[17]["src_audio_path"], rows[18]["reference_audio"] = "@r19", "@r18"
    found = said(capsys, *rows)
    for number, (_, message) in enumerate(cases, 1):
        own = [line for line in found if line.startswith(f"row {number},")]
        assert len(own) == 1, (number, own)
        assert message.replace("r19 -> r20 -> r19", "r18 -> r19 -> r18") in own[0]


def test_a_song_longer_than_the_profile_allows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    write_tone("long.wav", 3)
    rows = (
        {**ROW, "id": "a", "task": "cover", "src_audio_path": "long.wav"},
        {**ROW, "id": "b", "audio_codes": [1] * 15},
    )
    Path("x.json").write_text(json.dumps(rows), encoding="utf-8")
    assert main([*PLAIN, f"model={BASE}", "manifest.path=x.json", "hw.max_duration_s=2", "audio_duration=1"]) == 2
    err = capsys.readouterr().err
    assert "src_audio_path: 3 s is longer than hw=cpu allows (2 s)" in err
    assert "audio_codes: 3 s is longer than hw=cpu allows (2 s)" in err


def test_each_model_names_those_that_know_a_task(capsys: pytest.CaptureFixture[str]) -> None:
    write_tone("a.wav", 1)
    tasks = ("extract", "lego", "complete")
    rows = [{**ROW, "id": task, "task": task, "src_audio_path": "a.wav"} for task in tasks]
    for line, task in zip(said(capsys, *rows, model=TURBO), tasks, strict=True):
        knows = f"task: {task} needs a base model: {TURBO} knows text2music, cover, repaint"
        assert f"{knows} -> choose model=v15_base or model=embedded_v15_base" in line
    other = said(capsys, *rows, {**ROW, "id": "cover", "task": "cover", "src_audio_path": "a.wav"}, model=V1)
    assert [line.rsplit(" -> ", 1)[1] for line in other] == [
        *["model=v15_base"] * 3, "task=audio2audio with ref_audio_input, or model=v15",
    ]  # fmt: skip
    (line,) = said(capsys, {**ROW, "id": "a", "reference_audio": "a.wav"}, model=V1)
    assert "ACE-Step v1 has no reference_audio -> write task=audio2audio and ref_audio_input" in line
    (line,) = said(
        capsys, {**ROW, "id": "a", "task": "repaint", "src_audio_path": "a.wav", "repaint_end": -1}, model=V1
    )
    assert "-1 is the source's end with ACE-Step 1.5 alone" in line


def test_what_a_task_has_no_use_for_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    write_tone("a.wav", 1)
    source = {"src_audio_path": "a.wav"}
    rows = (
        {**ROW, "id": "a", "task": "cover", **source, "track_name": "drums", "repaint_end": 0.5, "audio_duration": 7},
        {**ROW, "id": "b", "task": "extract", **source, "audio_cover_strength": 0.5, "repaint_start": 0.1},
        {**ROW, "id": "c", "track_name": "drums", **source},
    )
    assert start(*rows, words=("dry_run=true", "lint=warn")) == 0
    err = capsys.readouterr().err
    for name, task in (
        ("track_name", "cover"), ("repaint_end", "cover"), ("audio_duration", "cover"),
        ("audio_cover_strength", "extract"), ("repaint_start", "extract"),
    ):  # fmt: skip
        assert f"{name}: is not used by task {task}" in err
    assert "ignored in 1 row: src_audio_path, track_name (text2music does not use them)" in err


def test_what_a_song_does_not_hear_leaves_its_identity() -> None:
    write_tone("a.wav", 1)
    write_tone("c.wav", 1)
    row = {**ROW, "task": "cover", "src_audio_path": "a.wav"}
    found = made(
        {**row, "id": "a"},
        {**row, "id": "place", "src_audio_path": "c.wav"},
        {**row, "id": "planner", "lm_top_k": 9},
        {**row, "id": "track", "track_name": "drums"},
        {**row, "id": "strength", "audio_cover_strength": 0.5},
    )
    same = [name for name, record in found.items() if record["identity"] == found["a"]["identity"]]
    assert same == ["a", "place", "planner", "track"]
    assert found["strength"]["pcm_sha256"] != found["a"]["pcm_sha256"]


def test_a_song_of_1_5_is_picked_as_it_is_and_not_as_a_retake(capsys: pytest.CaptureFixture[str]) -> None:
    rows = ({**SONG, "audio_duration": 1}, {**ROW, "id": "t", "audio_duration": 1, "reference_audio": "@song"})
    found = made(*rows, model=TURBO, words=("output.save_latents=true",))
    assert found["t"]["reference_from"]["form"] == "wav pcm16"  # its windows are cut from audio
    run = folder().as_posix()
    assert main(["pick", run, "id=t", "to=picked.yaml"]) == 0
    assert f"reference_audio: '@{run}/song'" in Path("picked.yaml").read_text(encoding="utf-8")
    assert main(["pick", run, "id=t", "variance=0.2", "to=other.yaml"]) == 2
    assert "is a song of ACE-Step 1.5, which has no retakes" in capsys.readouterr().err


def test_a_song_made_from_two_joins_their_chains() -> None:
    def song(song_id: str, *sources: str) -> Song:
        own = [SongSource(1, "wav pcm16", song_id=each, identity="0" * 64) for each in sources]
        source, reference = (*own, None, None)[:2]
        beside: dict[str, Any] = {"source": source, "reference": reference, "family": Family.V15}
        return Song(1, song_id, song_id, "", 1, 1, 1, None, Generation(), {}, **beside)

    songs = [song("e", "d"), song("d", "c", "b"), song("c", "a"), song("b"), song("a"), song("z", "y"), song("y")]
    found = steps(songs)
    assert {name: step.level for name, step in found.items()} == {
        "a": 0, "b": 0, "c": 1, "d": 2, "e": 3, "y": 0, "z": 1,
    }  # fmt: skip
    assert {step.first for name, step in found.items() if name in "abcde"} == {"a"}
    assert {step.first for name, step in found.items() if name in "yz"} == {"y"}
