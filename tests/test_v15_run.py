"""Runs of 1.5 with the embedded model: from the command line, planned or not, resumed, verified, refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support import BARE, CONF, CPU_BUILD
from tiny_v15 import write_official, write_planner

from acestep_batch.cells import typed_run
from acestep_batch.cli import data_folder, main
from acestep_batch.compose import Run
from acestep_batch.engine.v15.weights import PlannerSource, find_planner, planner_facts
from acestep_batch.hydra_config import Composer, composer
from acestep_batch.identity import identity_of, sound_facts
from acestep_batch.models import Family
from acestep_batch.outputs.audio_files import file_sha256
from acestep_batch.preflight import Preflight, preflight
from acestep_batch.run_plan import read_plan
from acestep_batch.schema import SONG, names_used
from acestep_batch.schema_v15 import FROM_RECORD

MODEL = "model=embedded_v15"
EXAMPLE = Path(__file__).resolve().parents[1] / "docs" / "example_run"
WORDS = {"caption": "slow dance, accordion", "lyrics": "[verse]\nla la la"}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def opened() -> Iterator[Composer]:
    with composer(CONF, None, "config") as composing:
        yield composing


@pytest.fixture
def run_of(opened: Composer) -> Callable[..., Run]:
    return lambda *words: typed_run(opened.cells(words, False, "cpu")[0])


@pytest.fixture
def checked(run_of: Callable[..., Run]) -> Callable[..., Preflight]:
    def check(*words: str) -> Preflight:
        return preflight(run_of(*words), BARE, CPU_BUILD, data_folder("manifests"), lambda rows, _: rows, True)

    return check


def render(*words: str, name: str = "x", **row: Any) -> Path:
    """One row rendered; its run's folder."""
    rows = row.pop("rows", [{"id": "a", "seed": 7, "audio_duration": 2, **WORDS, **row}])
    Path(f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")
    assert main([MODEL, f"manifest.path={name}.json", *words]) == 0
    return sorted(Path("outputs", name).glob("v*"))[-1]


def records(folder: Path) -> dict[str, dict[str, Any]]:
    lines = (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
    return {record["id"]: record for record in map(json.loads, lines)}


def sidecar(folder: Path) -> dict[str, Any]:
    (file,) = (folder / "audio").glob("*.json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def problems_of(state: Preflight) -> str:
    return "\n".join(str(problem) for problem in (*state.problems, *state.row_problems))


def test_identities_of_v1_are_what_they_were() -> None:
    for planned in read_plan(EXAMPLE):
        files = {name.removeprefix("model file "): value for name, value in planned.facts.items() if "file " in name}
        facts = sound_facts(planned.song, int(planned.facts["sample_rate"]), files)
        assert facts == planned.facts
        assert identity_of(facts) == planned.identity


def test_the_latin_trap_song_is_planned_rendered_resumed_and_verified(capsys: pytest.CaptureFixture[str]) -> None:
    words = [MODEL, "manifest=latin_trap", "+preset=v15_mac", "audio_duration=-1"]
    assert main(words) == 0
    folder = Path("outputs/latin_trap/v0001")
    (record,) = records(folder).values()
    plan = sidecar(folder)["record"]["plan"]
    assert record["planned_codes"] == len(plan["audio_codes"]) == 5 * plan["duration_s"]
    assert record["duration_s"] == plan["duration_s"]
    assert record["planned_bpm"] == plan["bpm"] in range(30, 301)
    assert [note.split()[0] for note in record["notes"]] == ["guidance_scale"]
    capsys.readouterr()
    assert main(["resume", str(folder)]) == 0
    assert "0 songs made, 0 failed, 1 done before" in capsys.readouterr().out
    for _ in range(2):
        assert main(["verify", str(folder)]) == 0
        assert "1 song: 1 ok; 1 bit-identical" in capsys.readouterr().out


def test_a_record_renders_again_from_its_plan_without_a_planner() -> None:
    first = render(audio_duration=-1)
    again = [MODEL, "lm=none", f"planner={FROM_RECORD}", f"manifest.path={first / 'audio'}", "output.name=again"]
    assert main(again) == 0
    second = Path("outputs/again/v0001")
    assert records(first)["a"]["pcm_sha256"] == records(second)["a"]["pcm_sha256"]
    assert sidecar(second)["record"]["planner"] is None
    assert sidecar(first)["record"]["plan"] == sidecar(second)["record"]["plan"]
    assert main(["verify", str(second)]) == 0
    third = Path("outputs/third/v0001")  # its row has the plan itself
    assert main([MODEL, "lm=none", f"manifest.path={second / 'manifest.jsonl'}", "output.name=third"]) == 0
    assert records(third)["a"]["identity"] == records(second)["a"]["identity"]


def test_a_plan_that_the_planner_does_not_write_again_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = render()
    monkeypatch.setattr("acestep_batch.engine.v15.planner.token_stream", _other_stream)
    assert main(["verify", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "audio_codes" in out
    assert "bit-identical" in out  # the audio follows from the recorded plan


def _other_stream(seed: int) -> Any:
    import torch

    return torch.Generator().manual_seed(seed + 1)


def test_a_song_does_not_depend_on_its_batch() -> None:
    rows = [{"id": str(n), "seed": n, "audio_duration": 2, **WORDS, "bpm": 60 + n} for n in range(3)]
    together = records(render("hw.batch_size=3", rows=rows, name="together"))
    alone = records(render("hw.batch_size=1", rows=rows, name="alone"))
    assert {record["micro_batch"] for record in together.values()} == {3}
    assert {record["micro_batch"] for record in alone.values()} == {1}
    assert {id_: each["pcm_sha256"] for id_, each in together.items()} == {
        id_: each["pcm_sha256"] for id_, each in alone.items()
    }


def test_what_the_planner_reads_is_heard_only_where_it_works() -> None:
    rows = [{"id": str(t), "seed": 1, "audio_duration": 2, **WORDS, "lm_temperature": t} for t in (0.5, 1.5)]
    planned = records(render(rows=rows, name="planned"))
    bare = records(render("lm=none", rows=rows, name="bare"))
    assert len({record["identity"] for record in planned.values()}) == 2
    assert len({record["identity"] for record in bare.values()}) == 1
    assert {record["planner"] for record in bare.values()} == {"none"}
    assert all("planned_codes" not in record for record in bare.values())


def test_v1_rows_keep_to_v1s_parameters_and_those_of_1_5_to_theirs() -> None:
    own = {name for name in names_used("text2music", False, Family.V15) if SONG[name].only == "v15"}
    others = {name for name in names_used("text2music", has_lora=False) if SONG[name].only == "v1"}
    record = records(render("lm=none"))["a"]
    assert own < record.keys()
    assert not others & record.keys()
    assert main(["model=embedded", "manifest.path=x.json", "output.name=v1", "infer_step=2"]) == 0
    record = records(Path("outputs/v1/v0001"))["a"]
    assert others < record.keys()
    assert not own & record.keys()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("omega_scale=11",), "omega_scale: 11.0 would have no effect: ACE-Step 1.5 has no omega_scale"),
        (("lyrics_language=es",), "write vocal_language"),
        (("+preset=balanced",), "preset balanced: is not for ACE-Step 1.5"),
        (("model.lyric_vocab=v.json",), "model.lyric_vocab=v.json: would have no effect"),
        (("lm=0.6b",), "has a planner of its own"),
        (("keyscale=H minor",), "keyscale: 'H minor' is not one of A to G"),
        (("keyscale=H minor", "lm=none"), "keyscale: 'H minor' is not one of A to G"),
        (("audio_duration=700",), "audio_duration"),
        (("bpm=20",), "30 to 300"),
        (("timesteps=[0.5,1]",), "timesteps does not fall"),
        (("cfg_interval_start=0.9", "cfg_interval_end=0.1"), "is not an interval"),
        (("planner=from_record",), "the row has no plan"),
        (("planner=from_record", "plan=nonsense"), "plan: is no plan of a record"),
        (("model=v15_base",), "there is no ACE-Step 1.5 base checkpoint"),
        (("model=v15",), "there is no planner 1.7b"),
        (("model=embedded", "shift=2"), "shift: 2.0 would have no effect: ACE-Step v1 has no shift"),
        (("model=embedded", "lm=none"), "lm=none: would have no effect: the model is embedded"),
        (("model=embedded", "+preset=v15_mac"), "preset v15_mac: is not for ACE-Step v1"),
        (("model=embedded", "hw.offload_to_cpu=true"), "hw.offload_to_cpu=True: would have no effect"),
    ],
)
def test_what_would_silently_change_the_result_is_refused(
    words: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    quoted = [
        f'{key}="{value}"' if " " in value else f"{key}={value}" for key, _, value in (w.partition("=") for w in words)
    ]
    assert main([MODEL, "prompt=x", "dry_run=true", *quoted]) == 2
    assert said in capsys.readouterr().err


def test_what_the_checkpoint_ignores_is_a_note(checked: Callable[..., Preflight]) -> None:
    state = checked(MODEL, "prompt=x", "guidance_scale=7", "infer_step=30", "shift=2.6")
    assert not problems_of(state)
    assert sorted(each.split(":")[1].strip() for each in state.advice) == ["guidance_scale", "infer_step", "shift"]
    assert all(each.startswith("note: ") for each in state.advice)


@pytest.mark.parametrize("hw", ["mac", "rtx4090", "h100", "cpu"])
def test_recipes_of_v1_are_silent_with_1_5(hw: str, run_of: Callable[..., Run]) -> None:
    for model, steps, scale in (("v15", 8, 1.0), ("v15_base", 50, 7.0), ("v15_sft", 50, 7.0)):
        run = run_of(f"model={model}", f"hw={hw}")
        values = run.layers.base
        assert (values["infer_step"], values["guidance_scale"], values["audio_duration"]) == (steps, scale, -1.0)
        assert run.hw.max_duration_s == 600.0


def test_the_preset_of_the_success_guide_composes_with_one_note(checked: Callable[..., Preflight]) -> None:
    state = checked(MODEL, "+preset=v15_mac", "hw=mac", "manifest=latin_trap")
    assert not problems_of(state)
    assert len(state.advice) == 1
    assert "guidance" in next(iter(state.advice))


def test_published_weights_are_found_recorded_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bundle, planner = write_official(tmp_path / "bundle"), write_planner(tmp_path / "planner")
    words = ["model=v15", f"model.path={bundle}", "hw=cpu", "lm=0.6b", f"lm.path={planner}", "output.name=own"]
    row = {"id": "a", "seed": 7, **WORDS, "audio_duration": 2, "use_cot_metas": False}  # its captions are longer
    Path("x.json").write_text(json.dumps([row]), encoding="utf-8")
    assert main([*words, "manifest.path=x.json"]) == 0
    folder = Path("outputs/own/v0001")
    record = sidecar(folder)["record"]
    assert [each["path"].split("/")[0] for each in record["engine"]["files"]].count("acestep-v15-turbo") == 3
    assert {each["path"] for each in record["planner"]["files"]} == {
        "config.json", "tokenizer.json", "model.safetensors",
    }  # fmt: skip
    facts = read_plan(folder)[0].facts
    assert {"model file planner/model.safetensors", "model file vae/config.json"} < facts.keys()
    embedded = records(render(name="embedded", use_cot_metas=False))["a"]  # the same weights by another name
    assert records(folder)["a"]["pcm_sha256"] == embedded["pcm_sha256"]
    assert main(["verify", str(folder)]) == 0
    assert "1 bit-identical" in capsys.readouterr().out
    planner.rename(tmp_path / "gone")  # the recorded plan is enough
    assert main(["verify", str(folder)]) == 0
    assert main([*words, f"planner={FROM_RECORD}", f"manifest.path={folder / 'audio'}", "output.name=again"]) == 0
    capsys.readouterr()
    assert main([*words, "manifest.path=x.json", "output.name=third"]) == 2
    assert f"{planner / 'config.json'}: is missing" in capsys.readouterr().err


def test_a_checkpoint_of_another_variant_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = write_official(tmp_path / "bundle")
    (bundle / "acestep-v15-turbo").rename(bundle / "acestep-v15-sft")
    assert main(["model=v15_sft", f"model.path={bundle}", "hw=cpu", "lm=none", "prompt=x", "dry_run=true"]) == 2
    assert "is a turbo checkpoint, and the model is sft -> model=v15_turbo" in capsys.readouterr().err


@pytest.mark.slow
def test_what_was_asked_or_planned_and_what_is_heard_stand_side_by_side() -> None:
    rows = [{"id": "own", "seed": 1, **WORDS, "audio_duration": 12, "bpm": 100, "keyscale": "F# minor"}]
    rows.append({"id": "open", "seed": 1, **WORDS, "audio_duration": -1})
    folder = render(rows=rows)
    table = pd.read_parquet(folder / "summary.parquet").set_index("id")
    made = records(folder)
    assert table.loc["own", ["asked_bpm", "asked_key"]].tolist() == [100, "F# minor"]
    assert table.loc["open", ["asked_bpm", "asked_key"]].tolist() == [
        made["open"]["planned_bpm"], made["open"]["planned_keyscale"],
    ]  # fmt: skip
    assert table["tempo_bpm"].notna().all()
    assert table["tempo_error_percent"].notna().all()
    assert set(table["key_match"]) <= {"same", "fifth", "relative", "parallel", "other"}
    assert table["duration_error_s"].abs().max() < 0.1  # of the open one, against its plan
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("asked_bpm", "tempo_bpm", "asked_key", "key_match"))
    assert main([MODEL.replace("_v15", ""), "manifest.path=x.json", "output.name=v1", "dry_run=true"]) == 2
    plain = [{"id": "a", "prompt": "x", "audio_duration": 1, "infer_step": 1}]
    Path("v1.json").write_text(json.dumps(plain), encoding="utf-8")
    assert main(["model=embedded", "manifest.path=v1.json"]) == 0
    assert "asked_bpm" not in pd.read_parquet("outputs/v1/v0001/summary.parquet").columns


def in_cache(hub: Path, repository: str, revision: str, commit: str) -> Path:
    """The folder of a snapshot in a Hugging Face cache, to be filled."""
    place = hub / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True, exist_ok=True)
    (place / "refs" / revision).write_text(commit, encoding="utf-8")
    return place / "snapshots" / commit


def test_without_a_planner_none_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bundle = write_official(tmp_path / "bundle")
    assert not [each for each in bundle.iterdir() if "5Hz-lm" in each.name]
    words = ["model=v15", f"model.path={bundle}", "hw=cpu", "lm=none", "manifest.path=x.json"]
    rows = [{"id": "bare", "seed": 7, **WORDS, "audio_duration": 2, "thinking": True}]
    rows.append({"id": "drawn", "seed": 8, **WORDS, "audio_duration": -1, "lm_max_duration": 12})
    Path("x.json").write_text(json.dumps(rows), encoding="utf-8")
    assert main([*words, "output.name=bare"]) == 0
    made = records(Path("outputs/bare/v0001"))
    assert {each["planner"] for each in made.values()} == {"none"}
    assert made["bare"]["duration_s"] == 2
    assert 10 <= made["drawn"]["duration_s"] <= 12
    assert main(["verify", "outputs/bare/v0001"]) == 0
    assert main([*words[:3], words[4], "dry_run=true"]) == 2  # planned by default, and there is none


def test_revisions_are_recorded_with_their_commits_and_the_hashes_of_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    theirs, planners = "a" * 40, "b" * 40
    write_official(in_cache(hub, "ACE-Step/Ace-Step1.5", "v2", theirs))
    write_planner(in_cache(hub, "ACE-Step/acestep-5Hz-lm-0.6B", "tried", planners))
    words = ["model=v15", "hw=cpu", "lm=0.6b", "manifest.path=x.json", "output.name=own"]
    row = {"id": "a", "seed": 7, **WORDS, "audio_duration": 2, "use_cot_metas": False}
    Path("x.json").write_text(json.dumps([row]), encoding="utf-8")
    assert main([*words, "dry_run=true"]) == 2  # there is no main here
    assert main([*words, "model.revision=v2", "lm.revision=tried"]) == 0
    folder = Path("outputs/own/v0001")
    record = sidecar(folder)["record"]
    assert (record["engine"]["revision"], record["engine"]["commit"]) == ("v2", theirs)
    assert (record["planner"]["revision"], record["planner"]["commit"]) == ("tried", planners)
    for found, commit in ((record["engine"], theirs), (record["planner"], planners)):
        (snapshot,) = hub.glob(f"*/snapshots/{commit}")
        assert {each["path"]: each["sha256"] for each in found["files"]} == {
            each["path"]: file_sha256(snapshot / each["path"]) for each in found["files"]
        }
        assert found["files"]
    assert main(["verify", str(folder)]) == 0
    (bundle,) = hub.glob(f"*/snapshots/{theirs}")
    inside = write_planner(bundle / "acestep-5Hz-lm-1.7B")
    assert find_planner(None, "1.7b", "v2") == inside
    assert planner_facts(PlannerSource("1.7b", inside, "v2"))["commit"] == theirs
    moved = in_cache(hub, "ACE-Step/Ace-Step1.5", "v2", "c" * 40)
    write_official(moved)
    assert main(["verify", str(folder)]) == 0  # by the commit, not by where the branch is now


def test_a_planner_that_is_missing_is_told_once_and_not_of_every_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    Path("songs.json").write_text(json.dumps([{"prompt": "a"}, {"prompt": "b"}]), encoding="utf-8")
    words = ["model=v15", "hw=cpu", "lm=1.7b", "manifest.path=songs.json", "dry_run=true", "lint=off"]
    assert main(words) == 2
    assert capsys.readouterr().err.count("there is no planner 1.7b") == 1
