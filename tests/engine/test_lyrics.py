"""Lyrics: language, cleaning and token ids equal the reference's on 37 texts; errors name the line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_v1 import letter_vocabulary
from tokenizers import Tokenizer, models

from acestep_batch.engine.v1.limits import LYRIC_LANGUAGES
from acestep_batch.engine.v1.lyric_chinese import cardinal, spell_chinese
from acestep_batch.engine.v1.lyric_cleaning import clean_line
from acestep_batch.engine.v1.lyric_language import detect_language
from acestep_batch.engine.v1.lyrics import LyricTokenizer, lyric_problems, prepare_line
from acestep_batch.problems import Refused

GOLDEN: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "v1" / "lyrics.json").read_text(encoding="utf-8")
)
"""Text name -> its lines; a line without ``language`` is blank. Recorded from the reference implementation."""

SUNG = [line for lines in GOLDEN.values() for line in lines if "language" in line]


def test_every_line_gets_the_language_and_spelling_of_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    prepared = {line["line"]: prepare_line(line["line"]) for line in SUNG}
    wrong = [line for line in SUNG if prepared[line["line"]] != (line["language"], line["preprocessed"])]
    assert wrong == []
    counts = Counter(line["language"] for line in SUNG)
    with capsys.disabled():
        print(f"\nlyric lines equal to the reference, of {len(GOLDEN)} texts:", dict(counts.most_common()), len(SUNG))
    assert set(counts) == set(LYRIC_LANGUAGES)


def test_detection_equals_the_reference_before_the_supported_languages_are_chosen() -> None:
    assert [line for line in SUNG if detect_language(line["line"].strip()) != line["detected"]] == []


@pytest.mark.parametrize("name", GOLDEN)
def test_token_ids_equal_the_reference(name: str, lyric_vocab: Path) -> None:
    tokenizer = LyricTokenizer(lyric_vocab)
    expected = [id_ for line in GOLDEN[name] for id_ in line.get("ids", [2])]
    assert tokenizer("\n".join(line["line"] for line in GOLDEN[name])) == [261, *expected]


@pytest.mark.parametrize(
    ("language", "line", "cleaned"),
    [
        ("en", "Rev. Lee paid $1,250.50", "reverend lee paid one thousand, two hundred and fifty dollars, fifty cents"),
        ("en", "the 3rd C# @ 9", "the third c hash at nine"),
        ("de", "Am 1. Mai kostet es 1.000,5 €", "am erste mai kostet es eintausend Komma fünf €"),
        ("de", "20€ & 5%", "zwanzig Euro und fünf prozent"),
        ("es", "La Sra. Ruiz debe 3,50€", "la señora ruiz debe tres euros con cincuenta céntimos"),
        ("fr", "Mme. Durand, 21e étage", "madame durand, vingt et unième étage"),
        ("tr", "İstanbul'da 3,5 saat, 2. gün", "istanbul'da üç,beş saat, ikinci gün"),
        ("ru", "Г-н Иванов, 2-й дом", "господин иванов, второй дом"),
        ("cs", "Dr. Novák @ 17 let", "doktor novák na 17 let"),
        ("nl", "Dhr. Jansen @ het 2e feest", "de heer jansen bij het tweede feest"),
        ("ko", "3번째 밤 & 너", "se beon-jjae bam geuligo neo"),
        ("hi", "50  साल", "50 साल"),
        ("ja", "『カタカナ』", '"katakana"'),
        ("zh", "5%的人，1/2杯", "bai3fen1zhi1wu3de5ren2,er4fen1zhi1yi1bei1"),
        ("zh", "2008年8月12日", "er4ling2ling2ba1nian2ba1yue4shi2er4ri4"),
        ("pl", "1.2.3$ za p. Nowak", "jeden przecinek dwa.trzy dolar za pani nowak"),
    ],
)
def test_numbers_symbols_and_abbreviations_become_words(language: str, line: str, cleaned: str) -> None:
    assert clean_line(line, language) == cleaned


@pytest.mark.parametrize(
    ("number", "spelled"),
    [
        ("0", "零"),
        ("2", "二"),
        ("007", "零七"),
        ("10", "十"),
        ("110", "一百一十"),
        ("200", "两百"),
        ("1002", "一千零二"),
        ("22000", "两万两千"),
        ("10204", "一万零二百零四"),
        ("200000000", "两亿"),
        ("0.25", "零点二五"),
        ("00.5", "零点五"),
    ],
)
def test_chinese_quantities(number: str, spelled: str) -> None:
    assert cardinal(number) == spelled


@given(st.text(alphabet="0123456789年月日元个%/+.,-，。！我愛a '", max_size=20))
def test_chinese_text_keeps_no_digit_and_no_punctuation_but_commas(text: str) -> None:
    assert not set(spell_chinese(text)) & set("0123456789%/+.-，。！'")


@pytest.mark.parametrize(
    ("line", "language"),
    [
        ("", "zh"),
        ("— 12 —", "zh"),
        ("Love and любовь", "ru"),
        ("私、あなた", "ja"),
        ("<ko>OK</ko>", "ko"),
        ("<b>OK</b>", "zh"),
    ],
)
def test_language_of_odd_lines(line: str, language: str) -> None:
    assert detect_language(line) == language


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=30), st.sampled_from(LYRIC_LANGUAGES))
def test_any_text_has_a_language_and_can_be_cleaned_in_all(text: str, language: str) -> None:
    assert len(detect_language(text.strip())) <= 2
    cleaned = clean_line(text.strip(), language)
    assert language in {"hi", "ja"} or ('"' not in cleaned and "  " not in cleaned)


@pytest.mark.parametrize("module", ["acestep_batch.engine.v1.lyrics", "acestep_batch.schema"])
def test_importing_loads_neither_torch_nor_the_cleaning_libraries(module: str) -> None:
    heavy = {"torch", "tokenizers", "py3langid", "num2words", "pypinyin", "cutlet", "hangul_romanize"}
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def letters(tmp_path: Path) -> LyricTokenizer:
    return LyricTokenizer(letter_vocabulary(tmp_path / "vocab.json"))


def test_every_line_ends_with_the_space_token_and_blank_lines_are_nothing_else(letters: LyricTokenizer) -> None:
    words, blank = letters.line("la di da").ids, [2]
    assert letters("la di da\n\n \t\nla di da\r\n") == [3, *words, 2, *blank, *blank, *words, 2, *blank]


def test_lyrics_language_overrides_detection_but_not_structure_tags(letters: LyricTokenizer) -> None:
    assert letters.line("je suis fatigué").language == "fr"
    assert letters.line("je suis fatigué", "nl").language == "nl"
    assert letters.line("[verse] je suis", "nl").language == "en"


def test_every_line_that_cannot_be_tokenized_is_named(letters: LyricTokenizer) -> None:
    with pytest.raises(Refused) as refused:
        letters("la la\nhalf \ud83d a character\nla\n\udc00", "en")
    first, second = map(str, refused.value.problems)
    assert first.startswith("lyrics: line 2: 'half \\ud83d a character' cannot be tokenized (")
    assert second.startswith("lyrics: line 4: ")


UNREADABLE = "゛っゝ"
"""A line that cutlet 0.5.2 fails on."""


def test_lines_that_a_cleaning_library_fails_on_are_named_without_a_vocabulary(letters: LyricTokenizer) -> None:
    lyrics = f"[verse]\nかわいい\n\n{UNREADABLE}\n  {UNREADABLE * 40}\n"
    problems = lyric_problems(lyrics)
    assert [problem.where for problem in problems] == ["lyrics", "lyrics"]
    assert problems[0].message.startswith(f"line 4: '{UNREADABLE}' cannot be tokenized (KeyError: ")
    assert problems[1].message.startswith(f"line 5: '{UNREADABLE * 20}...' cannot be tokenized (KeyError: ")
    assert "lyrics_language" in problems[0].remedy
    with pytest.raises(Refused) as refused:
        letters(lyrics)
    assert list(refused.value.problems) == problems


def test_another_language_can_read_what_the_detected_one_cannot(letters: LyricTokenizer) -> None:
    assert lyric_problems(UNREADABLE, "ja") == lyric_problems(UNREADABLE)
    assert lyric_problems(UNREADABLE, "zh") == []
    assert letters.line(UNREADABLE, "zh").language == "zh"


def test_an_unknown_language_is_refused_with_the_known_ones(letters: LyricTokenizer) -> None:
    with pytest.raises(Refused, match="'sv' is not a language of the lyric encoder -> use ar, cs, de"):
        letters("hej", "sv")


def test_a_missing_or_foreign_vocabulary_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.json"
    Tokenizer(models.BPE({"a": 0}, [])).save(str(foreign))
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    for path, message in ((tmp_path / "none.json", "no lyric vocabulary"), (foreign, "lacks"), (broken, "is not a")):
        with pytest.raises(Refused, match=message):
            LyricTokenizer(path)
