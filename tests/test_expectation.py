"""The tier that is expected: nothing lowers it without being named, and what cannot be compared is refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acestep_batch.compare import Tier
from acestep_batch.engine.base import ENGINE_VERSION
from acestep_batch.engine.embedded_identity import TRAINED_LABEL
from acestep_batch.expectation import Expected, Making, expected_of_file, expected_tier, obstacles
from acestep_batch.outputs.formats import audio_format
from acestep_batch.problems import Refused
from acestep_batch.recorded import recorded_song
from acestep_batch.schema import SONG

MADE_ON = {"torch": "2.13.0+cpu", "cpu": "A (family 6, model 1), AVX2 kernels", "gpu": None, "threads": 4}
WEIGHTS = {"engine_version": ENGINE_VERSION, "files": [{"path": "w", "sha256": "a" * 64}], "lyric_libraries": {}}
ENGINE = {"device": "cpu", "dtype": "float32", "compiled": False, "strict": False, "made_on": MADE_ON, **WEIGHTS}
HERE = Making(ENGINE, 1, frozenset())
BF16 = Making({**ENGINE, "dtype": "bfloat16"}, 1, frozenset())
GPU = Making({**ENGINE, "device": "cuda:0", "strict": True, "made_on": MADE_ON | {"gpu": "H100"}}, 1, frozenset())


def on(making: Making, **changes) -> Making:
    return replace(making, engine={**making.engine, "made_on": {**making.engine["made_on"], **changes}})


def test_where_nothing_differs_every_bit_is_expected():
    for making in (HERE, BF16, GPU):
        assert expected_tier(making, making) == Expected(Tier.BIT_IDENTICAL)
    other_gpu = replace(GPU, engine={**GPU.engine, "device": "cuda:3"})
    assert expected_tier(GPU, other_gpu) == Expected(Tier.BIT_IDENTICAL)
    assert expected_tier(GPU, on(GPU, threads=16)) == Expected(Tier.BIT_IDENTICAL)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda made: on(made, torch="2.14.0+cpu"), "torch 2.13.0+cpu and 2.14.0+cpu"),
        (lambda made: on(made, cpu="B, AVX512 kernels"), "cpu "),
        (lambda made: on(made, threads=2), "threads 4 and 2"),
        (lambda made: replace(made, songs=4), "1 and 4 songs in the micro-batch"),
        (lambda made: replace(made, rungs=frozenset({"small vocoder windows"})), "small vocoder windows"),
        (lambda made: replace(made, engine={**made.engine, "compiled": True}), "compiled False and True"),
    ],
)
def test_whatever_differs_lowers_the_tier_as_far_as_the_type_asks_and_is_named(change, name):
    for making, tier in ((HERE, Tier.NUMERICAL), (BF16, Tier.PERCEPTUAL)):
        expected = expected_tier(making, change(making))
        assert expected.tier is tier
        assert len(expected.reasons) == 1
        assert name in expected.reasons[0]
        strict = expected_tier(making, change(making), is_strict=True)
        assert strict == Expected(Tier.BIT_IDENTICAL, expected.reasons)


def test_a_vocoder_that_searches_phases_makes_of_every_difference_one_that_is_heard_at_most():
    demo = Making({**ENGINE, "files": [{"path": f"{TRAINED_LABEL}/w", "sha256": "a" * 64}]}, 1, frozenset())
    assert expected_tier(demo, demo) == Expected(Tier.BIT_IDENTICAL)
    expected = expected_tier(demo, on(demo, threads=2))
    assert expected.tier is Tier.PERCEPTUAL
    assert expected.reasons[0] == "threads 4 and 2"
    assert "vocoder of the embedded demo model" in expected.reasons[1]


def test_rungs_that_show_elsewhere_lower_nothing():
    assert (
        expected_tier(HERE, replace(HERE, rungs=frozenset({"smaller micro-batch", "overlapped decode"}))).reasons == ()
    )


def test_another_kind_of_device_another_gpu_and_a_gpu_without_strict_are_perceptual():
    plain = replace(GPU, engine={**GPU.engine, "strict": False})
    for one, other in ((HERE, GPU), (GPU, on(GPU, gpu="A100")), (plain, plain), (GPU, on(GPU, torch="3"))):
        expected = expected_tier(one, other)
        assert expected.tier is Tier.PERCEPTUAL
        assert expected.reasons


def test_lossy_files_are_bit_identical_or_perceptual():
    wav, ogg = audio_format("wav", "pcm16"), audio_format("ogg", "pcm16")
    same, numerical = Expected(Tier.BIT_IDENTICAL), Expected(Tier.NUMERICAL, ("threads 1 and 2",))
    assert expected_of_file(same, ogg, ("x", "x")) == same
    assert expected_of_file(numerical, wav, ("x", "y")) == numerical
    assert expected_of_file(same, ogg, ("x", "y")) == Expected(Tier.PERCEPTUAL, ("ogg by x and y",))
    lowered = expected_of_file(numerical, ogg, ("x", "x"))
    assert lowered.tier is Tier.PERCEPTUAL
    assert lowered.reasons[0] == "threads 1 and 2"
    assert (
        expected_of_file(Expected(Tier.BIT_IDENTICAL, ("a",)), ogg, ("x", "y"), is_strict=True).tier
        is Tier.BIT_IDENTICAL
    )


def sidecar(**changes):
    row = {name: list(each.default) if isinstance(each.default, tuple) else each.default for name, each in SONG.items()}
    file = {"format": "wav", "subtype": "PCM_16", "encoder": "e", "pcm_sha256": "f" * 64}
    record = {"identity": "0", "engine": ENGINE, "file": file, "sample_rate": 48000, "micro_batch": 1, "rungs": []}
    record |= {"duration_s": 60.0}
    return {"id": "a", **row, "actual_seeds": [7], "record": record | changes.pop("record", {}), **changes}


def test_a_record_is_read_back_typed():
    recorded = recorded_song(sidecar(oss_steps=[1, 3]), "x")
    assert recorded.song.seed == 7
    assert recorded.song.generation.oss_steps == (1, 3)
    assert recorded.encoding == audio_format("wav", "pcm16")
    assert recorded.model_files == {"w": "a" * 64}


def test_every_parameter_that_is_wrong_in_a_record_is_named_at_once():
    with pytest.raises(Refused) as refused:
        recorded_song(sidecar(guidance_scale=-1, infer_step="many", actual_seeds=[1, 2]), "x.wav.json")
    assert [problem.where for problem in refused.value.problems] == [
        "x.wav.json, infer_step", "x.wav.json, guidance_scale", "x.wav.json, actual_seeds",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "record", [{"engine": {}}, {"file": {"format": "wav", "subtype": "EVIL"}}, {"sample_rate": -1}, {"rungs": None}]
)
def test_what_is_no_record_is_refused(record):
    with pytest.raises(Refused, match="is no record of a song"):
        recorded_song(sidecar(record=record), "x.wav.json")


def test_everything_that_forbids_a_comparison_is_named_at_once():
    libraries = {"pypinyin": "0.53.0", "cutlet": "0.5.2"}
    engine = {**ENGINE, "engine_version": ENGINE_VERSION + 1, "lyric_libraries": libraries}
    recorded = recorded_song(sidecar(record={"engine": engine}), "x")
    assert obstacles(recorded_song(sidecar(), "x"), {"w": "a" * 64}, {}) == []
    found = obstacles(recorded, {"w": "b" * 64, "v": "c" * 64}, {"pypinyin": "0.54.0", "cutlet": "0.5.2"})
    assert [problem.where for problem in found] == ["v", "w", "engine_version", "pypinyin"]
    assert "0.54.0 here" in str(found[3])
    assert str(found[1]).startswith("w: is sha256 bbbbbbbbbbbb... here, and the songs were made with aaaaaaaaaaaa...")
