"""The guide's advice: each rule fires on a minimal example and is silent on its counterpart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.lint import Advice, advise_settings
from acestep_batch.lint_text import STRUCTURE_TAGS, advise_lyrics, advise_prompt, genres_of
from acestep_batch.schema import SONG
from acestep_batch.syllables import ENGLISH, count_syllables, guess_language, syllables_of_word

DEFAULTS = {name: parameter.default for name, parameter in SONG.items()}
ERG_OFF = {"use_erg_tag": False, "use_erg_lyric": False, "use_erg_diffusion": False}
PRECISE: dict[str, Any] = {"infer_step": 80, "guidance_scale": 18.0, "min_guidance_scale": 5.0, **ERG_OFF}
DECENT = "jazz, smooth, saxophone, piano, walking bass, late night"
RAP = """\
[intro]
Yeah, this one's for Meena...
Let's go.

[verse 1]
Late nights, city lights, I remember that glow,
Every dream got your name in the flow,
Heartbeat drum when I think of your face,
Tryna move on but you can't be replaced.

[chorus]
Meena, I miss you, no disguise,
Every bar I spit got your vibe inside,
We were fire, lightning, rhythm, rhyme,
Still chasing that spark, one more time.

[outro]
Yeah, this one's for Meena,
Forever in the beat, forever in the dream-a,
"""


def on_settings(
    prompt: str = DECENT, exempt: Iterable[str] = (), model: str = "v1", **settings: Any
) -> tuple[Advice, ...]:
    song = DEFAULTS | settings
    return advise_settings(song, genres_of(prompt), frozenset(exempt), (50, 60), (12, 16), "a5000", model)


def rules(found: tuple[Advice, ...]) -> set[str]:
    return {advice.rule for advice in found}


SETTINGS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("few-steps", {"infer_step": 50, "audio_duration": 180.0}, {"infer_step": 80, "audio_duration": 180.0}),
    ("few-steps", {"infer_step": 49}, {"infer_step": 50}),
    ("few-steps", {"infer_step": 26, "audio_duration": 30.0}, {"infer_step": 27, "audio_duration": 30.0}),
    ("few-steps", {"infer_step": 27}, {"infer_step": 27, "audio_duration": -1.0}),
    ("few-steps", {"infer_step": 27}, {"infer_step": 27, "oss_steps": (1, 9, 27)}),
    ("too-long", {"audio_duration": 240.5}, {"audio_duration": 240.0}),
    ("rigid", {"guidance_scale": 23.0}, {"guidance_scale": 22.0}),
    ("robotic", {"guidance_scale": 18.0, **ERG_OFF}, {"guidance_scale": 18.0}),
    ("robotic", {"guidance_scale": 18.0, **ERG_OFF, "use_erg_tag": True}, {"guidance_scale": 17.0, **ERG_OFF}),
    ("loose", {"guidance_scale": 9.0}, {"guidance_scale": 9.0, **ERG_OFF}),
    ("loose", {"guidance_scale": 5.0}, {"guidance_scale": 1.0}),
    ("no-interval", {"guidance_interval": 0.0}, {"guidance_interval": 0.3}),
    ("minimum-without-decay", {"min_guidance_scale": 2.0}, {"min_guidance_scale": 2.0, "guidance_interval_decay": 0.5}),
    ("one-double-condition", {"guidance_scale_text": 8.0}, {"guidance_scale_text": 8.0, "guidance_scale_lyric": 12.0}),
    ("one-double-condition", {"guidance_scale_lyric": 12.0, "guidance_scale_text": 1.0}, {"guidance_scale_lyric": 1.0}),
    ("oss-experimental", {"oss_steps": (1, 5)}, {"oss_steps": ()}),
    ("erg-tag-alone", {"use_erg_lyric": False}, {"use_erg_lyric": False, "use_erg_tag": False}),
    ("language-unread", {"lyrics_language": "fr", "model": "embedded"}, {"lyrics_language": "fr", "model": "v1"}),
    ("language-unread", {"lyrics_language": "fr", "model": "embedded"}, {"model": "embedded"}),
    ("omega-genre", {"omega_scale": 8.0, "prompt": "rock"}, {"omega_scale": 11.0, "prompt": "rock"}),
    ("omega-genre", {"omega_scale": 9.0, "prompt": "Hip-Hop"}, {"omega_scale": 9.0, "prompt": "lo-fi hip hop"}),
    ("omega-genre", {"omega_scale": 11.0, "prompt": "lo-fi"}, {"omega_scale": 10.0, "prompt": "lo-fi"}),
    ("omega-genre", {"omega_scale": 8.0, "prompt": "rap"}, {"omega_scale": 8.0, "prompt": "pop"}),
    ("omega-genre", {"omega_scale": 8.0, "prompt": "rap"},
     {"omega_scale": 8.0, "prompt": "rap", "scheduler_type": "pingpong"}),
    ("profile-range", {"infer_step": 61}, {"infer_step": 50}),
    ("profile-range", {"guidance_scale": 17.0}, {"guidance_scale": 12.0}),
    ("guide-range", {"infer_step": 121}, {"infer_step": 120}),
    ("guide-range", {"guidance_scale": 26.0}, {"guidance_scale": 25.0}),
    ("guide-range", {"omega_scale": 12.5}, {"omega_scale": 12.0}),
    ("guide-range", {"min_guidance_scale": 11.0}, {"min_guidance_scale": 10.0}),
]  # fmt: skip

LONG_PROMPT = "jazz, piano, calm, " + "x" * 300
PROMPTS = [
    ("sentences", "I want a pop rock electronic song that is upbeat and energetic", "pop, rock, electronic, upbeat"),
    ("sentences", "Slow jazz song. Piano.", "slow jazz, piano"),
    ("sentences", "我想要一首快乐的歌。", "流行, 钢琴"),
    ("descriptor-count", "jazz, calm, piano, slow", "jazz, calm, piano, slow, warm"),
    ("descriptor-count", "", "流行，钢琴，快乐，女声，慢板"),
    ("descriptor-count", "a,b,c,d,e,f,g,h,i,j,k", "a,b,c,d,e,f,g,h,i,j"),
    ("missing-dimension", "jazz, calm", "jazz, calm, piano"),
    ("missing-dimension", "drum and bass, synths", "drum & bass, dark, synths"),
    ("missing-dimension", "jazz", "unknown, words"),
    ("missing-dimension", "pop, dark", "pop, guitarra clásica"),
]

EVEN = "Every dream got your name in the flow\n" * 4
LYRICS = [
    ("unknown-tags", "[Verse 1]", "[Verse]"),
    ("unknown-tags", "[instrumental]", "[inst]"),
    ("unknown-tags", "[drop]", "".join(f"[{tag.upper()}]\n" for tag in STRUCTURE_TAGS)),
    ("line-syllables", "[verse]\nLet's go", "[intro]\nLet's go"),
    ("line-syllables", "Every dream got your name in the flow of the night and the day", EVEN),
    ("line-syllables", "冷风吹乱", "我走过深夜的街道"),
    ("line-syllables", "らら", "私はあなたが好き"),
    ("line-syllables", "사랑해", "나는 너를 정말 사랑해"),
    ("line-syllables", "Let's go", "Ночь"),
    ("uneven-lines", EVEN + "Let's go", EVEN + "\nLet's go"),
    ("uneven-lines", EVEN + "Let's go", EVEN + "(Let's go)"),
]


@pytest.mark.parametrize(("rule", "fires", "silent"), SETTINGS)
def test_settings_rule(rule: str, fires: dict[str, Any], silent: dict[str, Any]) -> None:
    assert rule in rules(on_settings(**fires))
    assert rule not in rules(on_settings(**silent))


@pytest.mark.parametrize(("rule", "fires", "silent"), PROMPTS)
def test_prompt_rule(rule: str, fires: str, silent: str) -> None:
    assert rule in rules(advise_prompt(fires, None))
    assert rule not in rules(advise_prompt(silent, None))


@pytest.mark.parametrize(("rule", "fires", "silent"), LYRICS)
def test_lyrics_rule(rule: str, fires: str, silent: str) -> None:
    assert rule in rules(advise_lyrics(fires))
    assert rule not in rules(advise_lyrics(silent))


def test_only_long_prompts_are_tokenized() -> None:
    counted = []

    def count(text: str) -> int:
        counted.append(text)
        return len(text)

    assert "prompt-tokens" in rules(advise_prompt(LONG_PROMPT, count))
    assert counted == [LONG_PROMPT]
    assert "prompt-tokens" not in rules(advise_prompt(LONG_PROMPT, lambda text: 256))
    advise_prompt("x" * 255, count)
    assert counted == [LONG_PROMPT]
    advise_prompt("é" * 128, count)
    assert len(counted) == 2


def test_defaults_are_silent() -> None:
    for prompt in (DECENT, "rock, electric guitar, drums, energetic, stadium", "pop, piano, upbeat, 120 bpm, catchy"):
        assert advise_prompt(prompt, len) == ()
        assert advise_settings(DEFAULTS, genres_of(prompt), frozenset(), (), (), "cpu", "embedded") == ()


def test_values_of_presets_are_exempt() -> None:
    assert {"robotic", "minimum-without-decay", "profile-range"} <= rules(on_settings(**PRECISE))
    assert on_settings(**PRECISE, exempt=[*PRECISE, "guidance_interval_decay"]) == ()


def test_a_rule_is_silent_only_if_all_its_parameters_are_exempt() -> None:
    fast_but_long: dict[str, Any] = {"infer_step": 27, "audio_duration": 180.0}
    assert "few-steps" in rules(on_settings(**fast_but_long, exempt=["infer_step"]))
    assert "few-steps" not in rules(on_settings(**fast_but_long, exempt=fast_but_long))


def test_only_what_has_no_effect_is_a_note() -> None:
    found = [advice for _, fires, _ in SETTINGS for advice in on_settings(**fires)]
    assert {advice.rule for advice in found if advice.note} == {"erg-tag-alone", "language-unread"}
    assert not any(advice.rule == "erg-tag-alone" and not advice.note for advice in found)


def test_messages_say_where_and_what() -> None:
    (profile,) = on_settings(infer_step=70)
    assert profile.key == "infer_step"
    assert "a5000" in profile.message
    assert "50 to 60" in profile.message
    (tags,) = advise_lyrics("[verse 1]\n[drop]")
    assert "[verse 1] (write [verse])" in tags.message
    assert all(f"[{tag}]" in tags.message for tag in STRUCTURE_TAGS)
    lines = advise_lyrics("[verse]\n" + EVEN + "\nNo\n\nWay\n")[0]
    assert "2 of 6 lines" in lines.message
    assert "line 7: 1, line 9: 1" in lines.message


@pytest.mark.parametrize(
    ("prompt", "missing"),
    [
        ("pop, rock, electronic, upbeat, energetic", {"missing-dimension"}),  # no instrument
        ("rap, hip hop, trap-pop, fast-paced, emotional", {"missing-dimension"}),  # no instrument
        ("jazz, smooth, relaxing, instrumental, piano", set()),
        ("lofi, chill beat, rainy night, warm piano, deep bass, ambient", set()),
        ("epic orchestral, cinematic tension, strings and brass, dramatic, powerful", set()),
        ("k-pop, upbeat, dance, electronic synth, catchy, vibrant", set()),
        ("jazz, smooth, relaxing, saxophone, piano, walking bass, late night", set()),
        ("rock, electric guitar, drums, energetic, powerful, stadium", set()),
    ],
)
def test_the_guides_own_prompts(prompt: str, missing: set[str]) -> None:
    assert rules(advise_prompt(prompt, len)) == missing


def test_the_guides_own_lyrics_break_only_the_tag_rule() -> None:
    assert rules(advise_lyrics(RAP)) == {"unknown-tags"}
    assert advise_lyrics(RAP.replace("[verse 1]", "[verse]")) == ()
    assert advise_lyrics("[inst]") == advise_lyrics("") == ()


@pytest.mark.parametrize(
    ("line", "syllables"),
    [
        ("Late nights, city lights, I remember that glow,", 11),
        ("We were fire, lightning, rhythm, rhyme,", 8),
        ("Every line that I drop, yeah it's real and true.", 12),
        ("idea away being stayed eyes playing creating", 14),
        ("我走过深夜的街道", 8),
        ("让我们一起飙high", 7),
        ("きょうもラララ", 6),
        ("私はあなたが好き", 10),
        ("사랑해", 3),
        ("24 7", 3),
        ("...", 0),
        ("Ночь, улица, фонарь", None),
        ("love ночь", None),
    ],
)
def test_syllables_of_lines(line: str, syllables: int | None) -> None:
    assert count_syllables(line) == syllables


@pytest.mark.parametrize(
    ("line", "language", "syllables"),
    [
        ("ich liebe dich noch immer heute Nacht", "de_DE", 10),
        ("vorrei che il mare fosse più vicino", "it", 12),
        ("la luna brilla y el mar es mi cielo", "es", 12),
        ("a saudade mora no meu coração", "pt_BR", 11),
        ("de regen valt op het oude huis", "nl_NL", 9),
        ("miluji tě celým svým srdcem", "cs_CZ", 9),
        ("seni seviyorum ve bu hayat çok güzel", "", 13),
        ("la la la", ENGLISH, 3),
    ],
)
def test_language_decides_the_syllables(line: str, language: str, syllables: int) -> None:
    assert guess_language(line) == language
    assert count_syllables(line, language) == syllables


@given(st.text())
def test_any_text_is_advised_on(text: str) -> None:
    advise_prompt(text, len)
    advise_lyrics(text)
    genres_of(text)
    count = count_syllables(text, guess_language(text))
    assert count is None or count >= 0


@given(st.text("aeiouybdlrst'é", min_size=1))
def test_a_word_has_a_syllable(word: str) -> None:
    assert syllables_of_word(word) >= 1


@given(
    st.fixed_dictionaries(
        {
            "infer_step": st.integers(1, 1000),
            "guidance_scale": st.floats(0, 100),
            "omega_scale": st.floats(allow_nan=False, allow_infinity=False),
            "audio_duration": st.just(-1.0) | st.floats(0, exclude_min=True, allow_infinity=False),
            "min_guidance_scale": st.floats(0, 100),
            "oss_steps": st.lists(st.integers(1, 99), max_size=3).map(tuple),
        }
    )
)
def test_any_settings_are_advised_on_and_exempt_ones_are_not(settings: dict[str, Any]) -> None:
    assert all(advice.message and advice.key in SONG for advice in on_settings(**settings))
    assert on_settings(prompt="pop", exempt=SONG, **settings) == ()
