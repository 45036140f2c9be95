"""Every parameter: what lies in its hard range is taken, what lies outside is refused, however it is written."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.parameter import RANDOM, Parameter, Range, did_you_mean, plain_number, shown
from acestep_batch.schema import PARAMETERS, SONG
from acestep_batch.schema_song import SEED_LIMIT

EVERY = [(section, name) for section, parameters in PARAMETERS.items() for name in parameters]
NUMBERS = [(section, name) for section, name in EVERY if PARAMETERS[section][name].kind in ("float", "int")]
LISTS = [(section, name) for section, name in EVERY if PARAMETERS[section][name].kind in ("ints", "seeds")]

# The lowest and highest accepted, and the nearest refused on each side; None where there is no bound.
HARD = {
    "audio_duration": ((1e-9, 1e6), (0.0, -0.5, -2.0)),
    "infer_step": ((1, 1000), (0, -1, 1001)),
    "guidance_scale": ((0.0, 1.0, 100.0), (-1e-9, math.nextafter(100.0, 101.0))),
    "omega_scale": ((-1e308, 0.0, 1e308), ()),
    "takes": ((1, 10_000), (0, 10_001)),
    "guidance_interval": ((0.0, 1.0), (-1e-9, math.nextafter(1.0, 2.0))),
    "guidance_interval_decay": ((0.0, 1.0), (-1e-9, math.nextafter(1.0, 2.0))),
    "min_guidance_scale": ((0.0, 100.0), (-1e-9, 100.1)),
    "guidance_scale_text": ((0.0, 100.0), (-1e-9, 100.1)),
    "guidance_scale_lyric": ((0.0, 100.0), (-1e-9, 100.1)),
    "device_id": ((0, 1023), (-1, 1024)),
    "retake_variance": ((0.0, 1.0), (-1e-9, math.nextafter(1.0, 2.0))),
    "repaint_start": ((-1e308, 0.0, 1e308), ()),
    "repaint_end": ((0.0, 1e308), (-1e-9,)),
    "edit_n_min": ((0.0, 1.0), (-1e-9, math.nextafter(1.0, 2.0))),
    "edit_n_max": ((0.0, 1.0), (-1e-9, math.nextafter(1.0, 2.0))),
    "edit_n_avg": ((1, 100), (0, 101)),
    "ref_audio_strength": ((0.0, 1.0), (-1e-9, math.nextafter(1.0, 2.0))),
    "audio_cover_strength": ((0.0, 1.0), (-1e-9, math.nextafter(1.0, 2.0))),
    "bpm": ((30, 300), (29, 301)),
    "shift": ((1e-9, 1000.0), (0.0, -1.0)),
    "cfg_interval_start": ((0.0, 1.0), (-1e-9, math.nextafter(1.0, 2.0))),
    "cfg_interval_end": ((0.0, 1.0), (-1e-9, math.nextafter(1.0, 2.0))),
    "lm_temperature": ((0.0, 100.0), (-1e-9, 100.1)),
    "lm_cfg_scale": ((0.0, 100.0), (-1e-9, 100.1)),
    "lm_top_k": ((0, 1_000_000), (-1, 1_000_001)),
    "lm_top_p": ((1e-9, 1.0), (0.0, math.nextafter(1.0, 2.0))),
    "lm_repetition_penalty": ((1e-9, 100.0), (0.0, 100.1)),
    "lm_max_duration": ((10, 600), (9, 601)),
}


def parameter(section: str, name: str) -> Parameter:
    return PARAMETERS[section][name]


@pytest.mark.parametrize(("section", "name"), EVERY)
def test_a_default_is_allowed_and_stays_what_it_is(section, name):
    each = parameter(section, name)
    assert each.parse(each.default) == each.default


@pytest.mark.parametrize("name", HARD)
def test_the_hard_ranges_are_the_ones_that_were_agreed(name):
    inside, outside = HARD[name]
    for value in inside:
        assert SONG[name].parse(value) == value
    for value in outside:
        with pytest.raises(ValueError, match="outside the allowed range; allowed: a "):
            SONG[name].parse(value)


def test_every_numeric_parameter_of_a_song_has_its_hard_range_stated_here():
    assert {name for name, each in SONG.items() if each.kind in ("float", "int")} == HARD.keys()
    assert SONG["audio_duration"].parse(-1) == -1.0


@pytest.mark.parametrize(("section", "name"), NUMBERS)
@given(data=st.data())
def test_a_number_is_accepted_exactly_inside_its_hard_range_as_number_and_as_text(section, name, data):
    each = parameter(section, name)
    assert each.hard is not None
    low, high = each.hard.low, each.hard.high
    edges = [edge for bound in (low, high) if math.isfinite(bound) for edge in (bound, bound - 1, bound + 1)]
    numbers = st.integers(-(10**6), 10**6) if each.kind == "int" else st.floats(allow_nan=False, allow_infinity=False)
    number = data.draw(numbers | st.sampled_from(edges) if edges else numbers)
    if each.kind == "int":
        number = int(number)
    inside = ((low < number if each.hard.above else low <= number) and number <= high) or number in each.hard.also
    for raw in (number, repr(number), f" {number!r}\t"):
        if inside:
            assert each.parse(raw) == number
            assert isinstance(each.parse(raw), float if each.kind == "float" else int)
        else:
            with pytest.raises(ValueError, match="outside the allowed range"):
                each.parse(raw)


@pytest.mark.parametrize(("section", "name"), NUMBERS + LISTS)
@pytest.mark.parametrize(
    "raw", [math.nan, math.inf, -math.inf, "nan", "NaN", "inf", "-Infinity", "1e999", 10**400, "9" * 5000, "1_0", True]
)
def test_no_number_is_nan_infinite_a_truth_value_or_written_with_underscores(section, name, raw):
    each = parameter(section, name)
    assert each.hard is not None
    with pytest.raises(ValueError, match="; allowed: "):
        each.parse(raw)


@pytest.mark.parametrize(("section", "name"), EVERY)
@given(
    raw=st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.recursive(st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3), max_leaves=6)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)
def test_anything_is_either_a_value_that_parses_to_itself_or_a_value_error_that_says_what_is_allowed(
    section, name, raw
):
    each = parameter(section, name)
    value, complaint = parsed(each, raw)
    assert complaint or each.parse(value) == value
    assert not complaint or each.allowed in complaint
    assert "\n" not in complaint


def parsed(each, raw):
    """The value and no complaint, or the complaint."""
    try:
        return each.parse(raw), ""
    except ValueError as error:
        return None, str(error)


@given(
    st.lists(st.integers(1, SEED_LIMIT), max_size=6, unique=True), st.sampled_from([" ", ";", ",", "; ", "  ", "\t"])
)
def test_a_list_of_numbers_is_the_same_in_every_way_of_writing_it(numbers, between):
    texts = [between.join(map(str, numbers)), json.dumps(numbers), f" {json.dumps([float(each) for each in numbers])} "]
    for each in (SONG["oss_steps"], SONG["actual_seeds"]):
        for raw in (numbers, tuple(numbers), *texts):
            assert each.parse(raw) == tuple(numbers)


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("oss_steps", [0], "holds 0, which is outside the allowed range"),
        ("oss_steps", "1 2 x", "is not a number"),
        ("oss_steps", "1.5", "is not a whole number"),
        ("oss_steps", "[1, 2", "is not a list"),
        ("oss_steps", "[" * 5000, "is not a list"),
        ("oss_steps", f"[{'9' * 5000}]", "is not a list"),
        ("oss_steps", [[1]], "is not a number"),
        ("oss_steps", [True], "is not a number"),
        ("actual_seeds", -1, "holds -1"),
        ("actual_seeds", SEED_LIMIT + 1, "0 to 4294967295"),
        ("actual_seeds", "5 6 5", "names a seed twice"),
        ("actual_seeds", "randm", "is not a number"),
        ("actual_seeds", ["random"], "is not a number"),
    ],
)
def test_a_list_with_anything_wrong_in_it_is_refused(name, raw, says):
    with pytest.raises(ValueError, match=says):
        SONG[name].parse(raw)


def test_seeds_reach_from_0_to_2_to_the_32_minus_1_and_random_is_a_seed():
    assert SONG["actual_seeds"].parse(0) == (0,)
    assert SONG["actual_seeds"].parse("4294967295") == (4294967295,)
    assert SONG["actual_seeds"].parse(None) is None
    assert SONG["actual_seeds"].parse(" Random ") == RANDOM


def test_oss_steps_may_lie_above_infer_step():
    assert SONG["oss_steps"].parse([10, 2000]) == (10, 2000)


@pytest.mark.parametrize(
    ("raw", "value"),
    [("TRUE", True), ("True", True), (" yes ", True), ("on", True), ("1", True), (1, True), (True, True),
     ("FALSE", False), ("False", False), ("no", False), ("off", False), ("0", False), (0, False), (False, False)],
)  # fmt: skip
def test_truth_in_every_spelling_of_spreadsheets_and_yaml(raw, value):
    assert SONG["bf16"].parse(raw) is value


@pytest.mark.parametrize("raw", ["", "maybe", "2", 2, 0.5, None, [True], "TRUEE"])
def test_what_is_neither_true_nor_false_is_refused(raw):
    with pytest.raises(ValueError, match="is neither true nor false; allowed: true or false"):
        SONG["bf16"].parse(raw)


def test_whole_numbers_may_come_as_integral_floats_and_with_leading_zeros():
    assert SONG["infer_step"].parse("012") == 12
    assert SONG["infer_step"].parse(60.0) == 60
    assert SONG["infer_step"].parse("6e1") == 60
    assert SONG["infer_step"].parse("60.0") == 60
    for raw in (60.5, "60.5", "3:30", "0x10", "", [60], None):
        with pytest.raises(ValueError, match="allowed: a whole number, 1 to 1000"):
            SONG["infer_step"].parse(raw)


def test_a_decimal_comma_is_named_as_the_mistake():
    with pytest.raises(ValueError, match="write a point for the comma"):
        SONG["guidance_scale"].parse("16,5")


def test_a_wrong_choice_names_the_choices_and_the_nearest_of_them():
    with pytest.raises(ValueError, match=r"allowed: euler, heun, pingpong \(did you mean pingpong\?\)"):
        SONG["scheduler_type"].parse("ping-pong")
    assert SONG["scheduler_type"].parse(" Euler ") == "euler"
    assert PARAMETERS[""]["lint"].parse(False) == "off"  # what YAML reads for a plain off
    assert PARAMETERS["output"]["formats"].parse("wav, FLAC wav") == ("wav", "flac")
    with pytest.raises(ValueError, match="names nothing"):
        PARAMETERS["output"]["formats"].parse([])


def test_a_language_is_one_of_the_lyric_encoders_or_null():
    assert SONG["lyrics_language"].parse(" FR ") == "fr"
    assert SONG["lyrics_language"].parse(None) is None
    for raw in ("", "null", "french", "zh-cn", "sv", "detect", False, 3):
        with pytest.raises(ValueError, match=r"is not one of the choices; allowed: ar, cs, de, .*, tr, zh, or null"):
            SONG["lyrics_language"].parse(raw)


def test_texts_have_plain_line_ends_and_no_characters_that_no_file_can_hold():
    assert SONG["lyrics"].parse("[verse]\r\nla\rla\n") == "[verse]\nla\nla\n"
    assert SONG["prompt"].parse("") == ""
    assert SONG["prompt"].parse(80) == "80"
    with pytest.raises(ValueError, match="NUL"):
        SONG["prompt"].parse("pop\0rock")
    with pytest.raises(ValueError, match="half a character"):
        SONG["lyrics"].parse("\ud83d")
    with pytest.raises(ValueError, match="is not text"):
        SONG["lyrics"].parse(["inst"])


def test_only_nullable_parameters_take_null():
    for name, each in SONG.items():
        if each.nullable:
            assert each.parse(None) is None
        elif each.kind == "names":
            assert each.parse(None) == ()
        else:
            with pytest.raises(ValueError, match="allowed"):
                SONG[name].parse(None)


def test_ranges_say_what_they_allow():
    assert str(Range(1, 1000)) == "1 to 1000"
    assert str(Range(0.0, above=True, also=(-1.0,))) == "-1 or above 0"
    assert str(Range(1)) == "1 or more"
    assert str(Range()) == "any finite number"
    assert math.nan not in Range()
    assert math.inf not in Range()
    assert plain_number(1e15) == "1000000000000000"
    assert plain_number(16.5) == "16.5"


def test_a_value_is_quoted_short_and_a_near_word_is_found():
    assert shown("a\nb") == "'a\\nb'"
    assert len(shown("x" * 1000)) == 60
    assert did_you_mean("infer_stp", SONG) == " (did you mean infer_step?)"
    assert did_you_mean("4090", ["rtx4090"]) == " (did you mean rtx4090?)"
    assert did_you_mean("zzz", SONG) == ""
