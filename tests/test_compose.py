"""Which layer decides a parameter: the order as a table, its rules for any subset of layers, and typed sections."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support import CONF, SCHEMA, opened_run, plain_run, raw, written

from acestep_batch.compose import ONE_SONG_ID, build_run, row_settings, settings_below
from acestep_batch.manifest import Row, RowReader
from acestep_batch.manifest_rows import Place
from acestep_batch.problems import Refused

LAYERS = ("config.yaml", "model", "hw", "preset", "defaults", "row's preset", "row", "command line")
"""What stands above the schema, lowest first."""
PARAMETERS = (
    "min_guidance_scale", "guidance_scale", "omega_scale", "guidance_scale_text", "guidance_scale_lyric", "infer_step",
    "takes", "device_id",
)  # fmt: skip
"""One for each layer: the n-th parameter is set by the first n layers, each to its own number."""

DECIDED = {  # Each line ends with "command line"; a row's preset takes the place of the run's.
    "all":                ("config.yaml", "model", "hw", "hw",     "defaults", "row's preset", "row"),
    "without its preset": ("config.yaml", "model", "hw", "preset", "defaults", "defaults",     "row"),
    "only its preset":    ("config.yaml", "model", "hw", "hw",     "defaults", "row's preset", "row's preset"),
    "nothing":            ("config.yaml", "model", "hw", "preset", "defaults", "defaults",     "defaults"),
}  # fmt: skip
"""Who decides each of the parameters, by what the song sets itself."""


def numbers(layer):
    """What a layer sets: all parameters that it or a higher layer is to win."""
    own = LAYERS.index(layer)
    return {name: own + 1 for number, name in enumerate(PARAMETERS) if number >= own}


@pytest.fixture(scope="module")
def own_conf(tmp_path_factory):
    """A person's own configuration folder with a file for each layer of the table."""
    folder = tmp_path_factory.mktemp("conf")
    for group in ("model", "hw", "preset"):
        (folder / group).mkdir()
    config = (CONF / "config.yaml").read_text(encoding="utf-8")
    written(folder, "own.yaml", f"{config}\n{yaml.safe_dump({'generation': numbers('config.yaml')})}")
    model = {"model": {"name": "embedded"}, "generation": numbers("model")}
    written(folder, "model/mine.yaml", f"# @package _global_\n{yaml.safe_dump(model)}")
    hw = {"hw": {"name": "cpu", "device": "cpu"}, "generation": numbers("hw")}
    written(folder, "hw/mine.yaml", f"# @package _global_\n{yaml.safe_dump(hw)}")
    written(
        folder, "preset/mine.yaml", f"# @package generation\n{yaml.safe_dump(numbers('preset') | {'cfg_type': 'cfg'})}"
    )
    written(folder, "preset/rows.yaml", f"# @package generation\n{yaml.safe_dump(numbers('''row's preset'''))}")
    return folder


def settings_of(run, manifest):
    """The settings of a manifest's rows, by id."""
    reader, opened = RowReader(manifest.parent), raw(manifest)
    defaults = None if opened.defaults is None else reader.read_defaults(opened.defaults)
    rows = [reader.read(row) for row in opened.rows]
    assert [row.problems for row in rows] == [()] * len(rows)
    return {
        row.id: row_settings(settings_below(run.layers, defaults, row.preset), row, run.layers.command_line)
        for row in rows
    }


def test_the_order_of_precedence_as_a_table(own_conf, tmp_path):
    songs = {
        "all": {"preset": "rows", **numbers("row")},
        "without its preset": numbers("row"),
        "only its preset": {"preset": "rows"},
        "nothing": {},
    }
    document = {"defaults": numbers("defaults"), "songs": songs}
    manifest = written(tmp_path, "m.yaml", yaml.safe_dump(document, sort_keys=False))
    words = [f"{name}={value}" for name, value in numbers("command line").items()]
    with opened_run("model=mine", "hw=mine", "+preset=mine", *words, config_dir=own_conf, config_name="own") as run:
        found = settings_of(run, manifest)
    decided = {
        song: tuple(LAYERS[int(settings.values[name]) - 1] for name in PARAMETERS) for song, settings in found.items()
    }
    assert decided == {song: (*layers, "command line") for song, layers in DECIDED.items()}
    assert all(settings.values["bf16"] is SCHEMA["bf16"] for settings in found.values())  # nobody set it: the schema


def test_a_rows_preset_takes_the_place_of_the_runs(own_conf, tmp_path):
    manifest = written(tmp_path, "m.csv", "id,preset\na,\nb,rows\n")
    with opened_run("model=mine", "hw=mine", "+preset=mine", config_dir=own_conf, config_name="own") as run:
        found = settings_of(run, manifest)
    assert (found["a"].values["cfg_type"], found["b"].values["cfg_type"]) == ("cfg", SCHEMA["cfg_type"])
    assert (found["a"].values["guidance_scale_text"], found["b"].values["guidance_scale_text"]) == (
        4.0,
        3.0,
    )  # back to hw's
    assert (found["a"].preset, found["b"].preset) == (None, "rows")


CHAIN = ("base", "run's preset", "preset file", "defaults' preset", "defaults", "row's preset", "row", "command line")
FREE = ("infer_step", "guidance_scale", "omega_scale", "takes", "min_guidance_scale", "audio_duration")


@given(
    sets=st.fixed_dictionaries({layer: st.sets(st.sampled_from(FREE)) for layer in CHAIN}),
    row_has_preset=st.booleans(),
    defaults_have_preset=st.booleans(),
    own_presets=st.booleans(),
)
def test_for_any_subset_of_layers_the_highest_that_sets_a_parameter_decides(
    tmp_path_factory, sets, row_has_preset, defaults_have_preset, own_presets
):
    value = {layer: number for number, layer in enumerate(CHAIN, 10)}
    layer = {each: dict.fromkeys(sorted(sets[each]), value[each]) for each in CHAIN}
    preset_file = written(tmp_path_factory.getbasetemp(), "p.json", json.dumps({"parameters": layer["preset file"]}))
    run = plain_run(
        layer["base"], layer["run's preset"], preset_file, layer["command line"],
        {"row": layer["row's preset"], "defaults": layer["defaults' preset"]}, own_presets=own_presets,
    )  # fmt: skip
    defaults = Row(Place("m", 0), "defaults", layer["defaults"], "defaults" if defaults_have_preset else None)
    row = Row(Place("m", 1), "a", layer["row"], "row" if row_has_preset else None)
    found = row_settings(settings_below(run.layers, defaults, row.preset), row, run.layers.command_line)
    if row_has_preset:
        order = ["base", "defaults", "row's preset", "row", "command line"]
    elif defaults_have_preset:
        order = ["base", "defaults' preset", "defaults", "row", "command line"]
    else:
        order = ["base", "run's preset", "preset file", "defaults", "row", "command line"]
    for name in FREE:
        winner = next((each for each in reversed(order) if name in layer[each]), None)
        assert found.values[name] == (SCHEMA[name] if winner is None else value[winner]), (name, winner)
        asked = {"preset file", "defaults", "row", "command line"}
        asked |= {"run's preset", "defaults' preset", "row's preset"} if own_presets else set()
        assert (name in found.asked) == (winner in asked), (name, winner)
    assert found.values.keys() == SCHEMA.keys()


def test_the_command_lines_seed_replaces_the_seeds_of_every_row(tmp_path):
    manifest = written(tmp_path, "m.csv", "id,seed\na,1\nb,2 3\nc,random\nd,\n")
    with opened_run("model=embedded", "hw=cpu", "seed=7") as run:
        assert {each.values["actual_seeds"] for each in settings_of(run, manifest).values()} == {(7,)}


def test_a_preset_file_in_the_guides_format_with_comments(tmp_path):
    text = '{\n  "name": "Mine", // a name\n  "description": "x",\n  "parameters": {"infer_step": 33, "seed": [4], }\n}'
    run = plain_run(preset={"infer_step": 27}, preset_file=written(tmp_path, "p.json", text))
    assert dict(run.layers.preset_file) == {"infer_step": 33, "actual_seeds": (4,)}


def problems_of(**layers):
    with pytest.raises(Refused) as caught:
        plain_run(**layers)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[]", 'has no "parameters"'),
        ('{"infer_step": 3}', 'has no "parameters"'),
        ('{"parameters": {}, "params": 1, "x": 2}', "unknown key params, x"),
        ('{"parameters": {"infer_steps": 3}}', "infer_steps: is no parameter of a song (did you mean infer_step?)"),
        ('{"parameters": {"infer_step": 0}}', "infer_step: 0 is outside the allowed range"),
        ('{"parameters": {"lyrics_file": "x.txt"}}', "lyrics_file: is no parameter of a song"),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_a_wrong_preset_file_is_refused_with_its_name(tmp_path, text, says):
    (line,) = problems_of(preset_file=written(tmp_path, "p.json", text))
    assert line.startswith(f"preset_file={tmp_path / 'p.json'}: ")
    assert says in line


def test_every_problem_of_a_configuration_is_reported_at_once(tmp_path):
    lines = problems_of(
        base={"infer_step": 0, "lyrics_file": "x.txt", "wrong": 1},
        preset={"guidance_scale": -1},
        preset_file=tmp_path / "none.json",
        command_line={"omega_scale": "much", "lyrics_file": str(tmp_path / "none.txt"), "takes": 0},
        hw={"device": "tpu", "recommended_steps": [50], "recommended_guidance": [16, 12], "speed": 1},
        model={"name": "v2"},
        output={"formats": ["aac"], "sample_rate": 1},
        lint="loud",
        limit=0,
        extra={},
    )
    starts = [
        "configuration: lyrics_file: belongs to the command line or to a row", "configuration: infer_step: 0",
        "configuration: wrong: is no parameter", "preset: guidance_scale: -1",
        f"preset_file={tmp_path / 'none.json'}: ",
        "omega_scale=much: 'much' is not a number", f"lyrics_file={tmp_path / 'none.txt'}: ", "takes=0: 0 is outside",
        "hw.device=tpu: ", "hw.speed: is no parameter", "model.name=v2: ", "output.formats=['aac']: ",
        "output.sample_rate=1: ", "hw.recommended_steps=[50]: is not a lowest and a highest value",
        "hw.recommended_guidance=[16, 12]: ", "lint=loud: ", "limit=0: ", "extra: is no part of the configuration",
    ]  # fmt: skip
    assert len(lines) == len(starts), lines
    for start in starts:
        assert any(line.startswith(start) for line in lines), (start, lines)


def test_a_section_that_is_no_mapping_is_refused():
    with pytest.raises(Refused, match="hw: 3 is no section"):
        build_run({"hw": 3, "generation": {}}, SCHEMA, {}, None, {}, dict)


def test_an_alias_in_the_configuration_means_its_parameter():
    assert plain_run(base={"seed": 5}).layers.base["actual_seeds"] == (5,)
    assert "sets actual_seeds, which is set already" in problems_of(command_line={"actual_seeds": 1, "seed": 2})[0]


def test_prompt_and_lyrics_may_come_from_files_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "tags.txt", "pop, rock, it's loud\r\n")
    with opened_run("model=embedded", "hw=cpu", "prompt_file=tags.txt", "lyrics='[inst]'") as run:
        assert dict(run.layers.command_line) == {"prompt": "pop, rock, it's loud", "lyrics": "[inst]"}
        assert run.manifest.path is None
    with pytest.raises(Refused, match="lyrics, which is set already"), opened_run("lyrics=x", "lyrics_file=tags.txt"):
        pass
    assert ONE_SONG_ID == "song"


def test_a_wrong_preset_is_refused_every_time_it_is_named():
    run = plain_run(presets={"bad": {"infer_step": 0}, "good": {"infer_step": 5}})
    for _ in range(3):
        with pytest.raises(Refused, match="preset bad: infer_step: 0 is outside"):
            run.layers.load_preset("bad")
    assert dict(run.layers.load_preset("good")) == {"infer_step": 5}


def test_a_preset_that_does_not_exist_names_the_nearest():
    with (
        opened_run("model=embedded", "hw=cpu") as run,
        pytest.raises(Refused, match=r"did you mean precise\?.*allowed: balanced"),
    ):
        run.layers.load_preset("precize")
