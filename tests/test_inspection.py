"""The verb `inspect`: one audio file says how it was made, whether it still is, and can be made again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from forgery import forge
from mutagen.flac import FLAC

from acestep_batch.cli import main
from acestep_batch.engine.embedded_identity import embedded_files, is_trained
from acestep_batch.outputs.audio_files import read_audio, write_audio
from acestep_batch.outputs.formats import audio_format
from acestep_batch.outputs.tags import Tags, read_record, write_tags

SHORT = (
    "model=embedded",
    "hw=cpu",
    "lint=off",
    "measure=false",
    "report=false",
    "infer_step=2",
    "audio_duration=0.2",
    "manifest.path=songs.yaml",
)
ROW = {"id": "a", "seed": 1, "prompt": "calm piano", "lyrics": "[verse]\nsun on the roof", "guidance_scale": 7}
RUN = Path("outputs/songs/v0001")


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Runs one command in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def made(cli, *words: str, rows=(ROW,)) -> Path:
    """The first audio file of a run of these rows."""
    Path("songs.yaml").write_text(yaml.safe_dump(list(rows)), encoding="utf-8")
    assert cli(*SHORT, *words)[0] == 0
    return sorted(path for path in (RUN / "audio").iterdir() if path.suffix != ".json")[0]


FORMATS = ("wav", "flac", "mp3", "ogg", "opus")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run's audio folder, with the song in every format."""
    folder = tmp_path_factory.mktemp("finished")
    manifest = folder / "songs.yaml"
    manifest.write_text(yaml.safe_dump([ROW]), encoding="utf-8")
    words = (f"manifest.path={manifest}", f"output.root={folder}", f"output.formats=[{','.join(FORMATS)}]")
    assert main((*SHORT[:-1], *words)) == 0
    return folder / "songs" / "v0001" / "audio"


@pytest.fixture
def copied(cli, finished):
    """The song as wav, in a copy of the run as ``RUN``."""
    shutil.copytree(finished.parent, RUN)
    return RUN / "audio" / "0001_a_1.wav"


@pytest.mark.parametrize("name", FORMATS)
def test_one_file_alone_says_how_it_was_made_and_is_made_again_to_the_bit(cli, finished, tmp_path, name):
    alone = tmp_path / f"somewhere.{name}"
    shutil.copy(finished / f"0001_a_1.{name}", alone)
    code, out, _ = cli("inspect", str(alone), "--rerun")
    assert code == 0
    assert "from                  the file's own tags" in out
    assert "samples               as recorded, sha256" in out
    assert "made again            bit-identical (every sample is the same)" in out


def test_the_output_has_what_matters_first_and_fits_its_width(cli):
    long = ROW | {"prompt": "very " * 60, "lyrics": "la " * 80 + "\n\nla"}
    code, out, _ = cli("inspect", str(made(cli, rows=[long])))
    assert code == 0
    lines = out.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[1] == "from                  the record beside it, 0001_a_1.wav.json"
    first = lines.index("parameters unlike the defaults")
    assert "  guidance_scale      7  (default 15)" in lines[first:]
    assert lines.index("the others") > first
    assert lines.index("prompt") > lines.index("the others")
    assert "song                  a, take 1 of 1, seed 1" in lines


def test_the_record_beside_a_file_counts_only_if_it_is_the_files(cli):
    other = ROW | {"id": "b", "seed": 2}
    made(cli, "output.formats=[flac]", rows=[ROW, other])
    first, second = sorted((RUN / "audio").glob("*.flac"))
    shutil.copy(f"{second}.json", f"{first}.json")
    code, out, _ = cli("inspect", str(first))
    assert code == 0
    assert "the file's own tags; the record beside it is another" in out
    assert "song                  a, take 1 of 1, seed 1" in out
    file = FLAC(second)
    file["TITLE"] = "renamed by a player"
    file.save()
    assert "the record beside it, 0002_b_2.flac.json" in cli("inspect", str(second))[1]
    file.delete()
    assert "the record beside it, 0002_b_2.flac.json" in cli("inspect", str(second))[1]


def test_samples_that_are_not_the_recorded_ones_are_told(cli, copied):
    path = copied
    audio, rate = read_audio(path)
    record = read_record(path)
    write_audio(path, audio * 0.9, rate, audio_format("wav", "pcm16"))
    write_tags(path, audio_format("wav", "pcm16"), Tags("a", "", record))
    code, out, _ = cli("inspect", str(path), "--rerun")
    assert code == 1
    assert "NOT AS RECORDED: sha256" in out
    assert "EXPECTED bit-identical" in out
    assert "the record makes its samples again; the file has others" in " ".join(out.split())
    path.with_name(f"{path.name}.json").unlink()
    assert cli("inspect", str(path))[0] == 1


def test_a_song_from_a_micro_batch_is_made_again_alone_and_expected_so(cli):
    rows = [ROW, ROW | {"id": "b", "seed": 2}]
    path = made(cli, "hw.batch_size=2", "output.formats=[flac]", rows=rows)
    code, out, _ = cli("inspect", str(path), "--rerun")
    assert code == 0
    assert "micro-batch           2 songs, rendered together" in out
    tier = "perceptual" if is_trained() else "numerical"
    assert f"{f'{tier} for':<20}2 and 1 song in the micro-batch" in out


def test_other_weights_cannot_be_told_and_another_parameter_differs(cli, copied):
    path = copied
    forge(RUN, "a", lambda sidecar: sidecar["record"]["engine"]["files"][0].update(sha256="0" * 64))
    code, out, err = cli("inspect", str(path), "--rerun")
    assert code == 2
    assert "samples               as recorded" in out
    weights = embedded_files()[0]
    assert f"error: {weights['path']}: is sha256 {weights['sha256'][:12]}... here" in err
    right = json.loads(json.dumps(read_record(path)))
    forge(RUN, "a", lambda sidecar: sidecar["record"].update(engine=right["record"]["engine"]))
    forge(RUN, "a", lambda sidecar: sidecar.update(guidance_scale=1.0))
    code, out, _ = cli("inspect", str(path), "--rerun")
    assert code == 1
    assert "EXPECTED bit-identical" in out


def test_json_holds_the_record_and_what_was_found(cli, copied):
    path = copied
    code, out, _ = cli("inspect", str(path), "--rerun", "--json")
    found = json.loads(out)
    assert (code, found["exit_code"], found["samples_as_recorded"]) == (0, 0, True)
    assert found["record"]["guidance_scale"] == 7
    assert found["rerun"]["reached"] == "bit-identical"


def test_text_that_would_steer_the_terminal_is_shown_as_it_is_written(cli, copied):
    path = copied
    record = read_record(path) | {"prompt": "\x1b[31mred\x07", "lyrics": "one\rtwo"}
    audio, rate = read_audio(path)
    alone = Path("alone.wav")
    write_audio(alone, audio, rate, audio_format("wav", "pcm16"))
    write_tags(alone, audio_format("wav", "pcm16"), Tags("a", "", record))
    code, out, _ = cli("inspect", str(alone))
    assert code == 0
    assert "\\x1b[31mred\\x07" in out
    assert "one\\rtwo" in out
    assert "\x1b" not in out


def test_a_file_that_says_nothing_or_nonsense_is_refused(cli, copied, tmp_path):
    bare = tmp_path / "bare.wav"
    write_audio(bare, read_audio(copied)[0], 48_000, audio_format("wav", "pcm16"))
    (tmp_path / "text.wav").write_text("no audio", encoding="utf-8")
    nonsense = tmp_path / "nonsense.wav"
    write_audio(nonsense, read_audio(bare)[0], 48_000, audio_format("wav", "pcm16"))
    write_tags(nonsense, audio_format("wav", "pcm16"), Tags("a", "", {"id": "a", "infer_step": "many"}))
    for name, message in (
        ("bare.wav", "says nothing about how it was made"),
        ("text.wav", "cannot be decoded"),
        ("nowhere.wav", "is no file"),
        ("nonsense.wav", "the file's own tags, infer_step: 'many'"),
    ):
        code, _, err = cli("inspect", str(tmp_path / name))
        assert code == 2, name
        assert message in err
        assert "Traceback" not in err
    assert cli("inspect", "--help")[1].startswith("python -m acestep_batch inspect FILE")
    assert cli("inspect")[0] == cli("inspect", "x", "--no")[0] == 2
