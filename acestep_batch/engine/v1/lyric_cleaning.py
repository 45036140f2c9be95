"""One lyric line, as written, to the text the lyric vocabulary was made for; one way per language.

The steps and their order are those of the reference implementation (ace-step/ACE-Step at d612523), which took them from
the XTTS speech models. The libraries decide the spelling, so their versions are locked; each is imported on first use.
"""

from __future__ import annotations

import re
from functools import cache, partial
from typing import Any

from .lyric_chinese import spell_chinese
from .lyric_words import ABBREVIATIONS, CENTS_JOINT, ORDINAL_ENDINGS, SYMBOLS

_CURRENCIES = {"£": "GBP", "$": "USD", "€": "EUR"}
_GROUPED_BY_COMMA = re.compile(r"\b\d{1,3}(?:,\d{3})*(?:\.\d+)?\b")
_GROUPED_BY_DOT = re.compile(r"\b\d{1,3}(?:.\d{3})*(?:,\d+)?\b")
_DECIMAL = re.compile(r"[0-9]+[.,][0-9]+")
_WHOLE = re.compile(r"[0-9]+")

_NO_WORDS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""How num2words says, depending on the language, that it cannot spell a number or lacks a currency."""


def clean_line(line: str, language: str) -> str:
    """The line as the vocabulary's tokens spell it: lower case, numbers and symbols in words, one script.

    Chinese becomes pinyin with tone digits, Japanese and Korean are romanised, other scripts stay. ``language`` is one
    of ``limits.LYRIC_LANGUAGES``, and ``line`` has no blanks at its ends.
    """
    if language == "ja":
        return str(_japanese_romaniser().romaji(line)).lower()
    if language == "hi":
        return _single_spaced(line.lower())
    if language == "tr":
        line = line.replace("İ", "i")  # lower() would make two characters of it
    text = _spell_numbers(line.replace('"', "").lower(), language)
    text = _spell_symbols(_spell_abbreviations(text, language), language)
    text = _single_spaced(text.strip())
    if language == "zh":
        return _pinyin(text)
    if language == "ko":
        return str(_korean_romaniser().translit(text))
    return text


def _spell_numbers(text: str, language: str) -> str:
    if language == "zh":
        return spell_chinese(text)
    if language == "cs":
        # the reference asks for Czech under the code "cz", which num2words 0.5.14 has not: digits stay
        return text
    try:
        if language in {"en", "ru"}:
            plain = _GROUPED_BY_COMMA.sub(lambda number: number[0].replace(",", ""), text)
        else:
            plain = _GROUPED_BY_DOT.sub(lambda number: number[0].replace(".", ""), text)
        return _spell_counts(_spell_sums(plain, language), language)
    except _NO_WORDS:
        # the model learned such lines with all their digits as they are
        return text


def _spell_sums(text: str, language: str) -> str:
    for sign, currency in _CURRENCIES.items():
        sums = re.compile(r"SIGN[0-9.,]*[0-9]|[0-9.,]*[0-9]SIGN".replace("SIGN", re.escape(sign)))
        in_words = partial(_sum_in_words, currency=currency, language=language)
        try:
            text = sums.sub(in_words, text)
        except _NO_WORDS:
            # the model learned these signs and digits spelled apart, those of the later currencies too
            break
    return text


def _sum_in_words(written: re.Match[str], currency: str, language: str) -> str:
    amount = float(re.sub(r"[^\d.]", "", written[0].replace(",", ".")))
    words = _in_words(amount, language, to="currency", currency=currency)
    if amount.is_integer():
        words = words.rpartition(CENTS_JOINT.get(language, ", "))[0] or words
    return words


def _spell_counts(text: str, language: str) -> str:
    if language != "tr":
        text = _DECIMAL.sub(lambda number: _in_words(float(number[0].replace(",", ".")), language), text)
    ordinal = re.compile(f"([0-9]+)(?:{ORDINAL_ENDINGS[language]})")
    text = ordinal.sub(lambda number: _in_words(int(number[1]), language, ordinal=True), text)
    return _WHOLE.sub(lambda number: _in_words(int(number[0]), language), text)


def _in_words(number: float, language: str, **form: Any) -> str:
    from num2words import num2words

    return str(num2words(number, lang=language, **form))


def _spell_abbreviations(text: str, language: str) -> str:
    stop = r"\b" if language == "ru" else r"\."
    for abbreviation, word in ABBREVIATIONS.get(language, {}).items():
        text = re.sub(rf"\b{abbreviation}{stop}", word, text, flags=re.IGNORECASE)
    return text


def _spell_symbols(text: str, language: str) -> str:
    return text.translate({ord(symbol): f" {word} " for symbol, word in SYMBOLS[language].items()})


def _single_spaced(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _pinyin(text: str) -> str:
    from pypinyin import Style, lazy_pinyin

    return "".join(lazy_pinyin(text, style=Style.TONE3, neutral_tone_with_five=True))


@cache
def _japanese_romaniser() -> Any:
    from cutlet import Cutlet

    return Cutlet()


@cache
def _korean_romaniser() -> Any:
    from hangul_romanize import Transliter
    from hangul_romanize.rule import academic

    return Transliter(academic)
