"""The guide's advice on prompt and lyrics: tags, no prose, mixed dimensions, known structure tags, even lines."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from acestep_batch.engine.embedded_text import STRUCTURE_TAGS as BRACKETED_TAGS
from acestep_batch.engine.v1.limits import PROMPT_TOKENS
from acestep_batch.lint import ENERGETIC, SMOOTH, Advice, word_set
from acestep_batch.syllables import count_syllables, guess_language

STRUCTURE_TAGS = tuple(tag[1:-1] for tag in BRACKETED_TAGS)
"""The structure tags that are tokens of the model, without their brackets."""

GENRES = word_set(
    """
    pop rock jazz electronic electronica electro hiphop rap trap drill boombap metal punk hardcore emo grunge shoegaze
    indie alternative industrial folk country bluegrass americana blues soul funk disco motown gospel rb rnb rocknroll
    rockabilly swing bebop fusion house techno trance edm dance dubstep drumbass dnb jungle garage grime breakbeat idm
    hardstyle psytrance eurodance ambient lofi chillout downtempo triphop newage classical neoclassical orchestral
    symphonic symphony sonata concerto opera baroque chamber medieval cinematic soundtrack score trailer musical
    broadway reggae reggaeton ska dancehall dub latin salsa bossa bossanova samba tango flamenco bachata cumbia merengue
    mariachi corridos celtic klezmer polka waltz march afrobeat afrobeats amapiano highlife bollywood bhangra qawwali
    enka kpop jpop cpop mandopop cantopop citypop anime acoustic ballad singersongwriter lullaby hymn chiptune 8bit
    synthpop synthwave retrowave vaporwave chillwave darkwave hyperpop phonk psychedelic progressive experimental
    minimal noise drone glitch world
    """
)
MOODS = word_set(
    """
    upbeat melancholic melancholy energetic relaxing relaxed calm chill chilled chilling happy sad dark bright warm cold
    emotional dramatic epic powerful aggressive intense romantic dreamy nostalgic nostalgia hopeful uplifting peaceful
    mellow smooth soulful groovy catchy vibrant playful mysterious mystical haunting eerie ominous tense tension
    suspense suspenseful angry gentle soft tender sensual sexy seductive passionate passion joyful joyous cheerful fun
    heartfelt intimate bittersweet somber sombre gloomy moody atmospheric ethereal serene soothing meditative hypnotic
    anthemic triumphant inspiring inspirational motivational heroic majestic cozy lonely longing yearning wistful
    sentimental whimsical quirky gritty raw edgy fierce rebellious spooky sinister lush euphoric festive party summery
    sunny rainy driving confident introspective reflective contemplative solemn sacred spiritual mournful desperate
    heavy lively exciting excited sweet lovely light airy feelgood carefree laidback bouncy hype grand mood moods
    """
)
_VOICES_AND_INSTRUMENTS = word_set(
    """
    piano guitar drum percussion string brass bass synth synthesizer synthesiser violin viola cello fiddle contrabass
    harp flute clarinet oboe bassoon saxophone sax trumpet trombone horn tuba organ hammond rhodes wurlitzer keyboard
    harpsichord clavinet accordion bandoneon harmonica banjo mandolin ukulele sitar tabla koto shamisen erhu guzheng
    pipa dizi oud kalimba marimba xylophone vibraphone glockenspiel celesta bell chime timpani snare kick hihat cymbal
    clap conga bongo djembe cajon tambourine shaker cowbell pad arp arpeggio pluck turntable scratch sampler vocoder
    autotune vocal vocalist voice choir singer singing rapper beatbox whistle woodwind orchestra ensemble quartet
    mellotron theremin bagpipe 303 808 909
    """
)
INSTRUMENTS = (
    _VOICES_AND_INSTRUMENTS
    | {f"{word}s" for word in _VOICES_AND_INSTRUMENTS}
    | word_set("keys cappella acapella male female")
)
"""Instruments and voices; all three sets hold lower-case words, and pairs of words joined: hiphop, lofi, newage."""

_DIMENSIONS: Mapping[str, tuple[frozenset[str], str]] = MappingProxyType(
    {
        "genre": (GENRES, "pop, rock, jazz"),
        "mood": (MOODS, "upbeat, melancholic, relaxing"),
        "instrument": (INSTRUMENTS, "piano, guitar, drums"),
    }
)
_TEMPERS = ENERGETIC | SMOOTH
_ASCII_WORD = re.compile("[a-z0-9]+")
_SEPARATOR = re.compile(r"[,;|\n\r，；、｜]")
_SENTENCE = re.compile(
    r"\b(?:i|i'm|we|he|she|it|they|please|that|which|who|is|are|was|were|should|must|will|would|want|need|make|create"
    r"|generate|write|compose)\b|[.!?](?:\s|$)",
    re.IGNORECASE,
)
_FULL_STOP = re.compile("[。！？]")
_SENTENCE_WORDS = 4
_LONG_TAG_WORDS = 8
_FEWEST_TAGS, _MOST_TAGS = 5, 10

_TAG = re.compile(r"\[([^\[\]\n\r]*)\]")
_ASIDE = re.compile(r"\([^()]*\)|（[^（）]*）")
_KNOWN_TAG_INSIDE = re.compile(rf"\b(?:{'|'.join(sorted(STRUCTURE_TAGS, key=len, reverse=True))})")
_FREE_SECTIONS = frozenset({"start", "intro", "outro", "end", "break"})
_SHORTEST_LINE, _LONGEST_LINE = 8, 12
_LARGEST_SPREAD = _LONGEST_LINE - _SHORTEST_LINE
_SHOWN = 5
_Line = tuple[int, int]
"""Number of a line in its text, and its syllables."""


def genres_of(prompt: str) -> frozenset[str]:
    """The words of a prompt that bear on omega_scale, for ``advise_settings``."""
    return _TEMPERS & _words(prompt)


def advise_prompt(prompt: str, count_tokens: Callable[[str], int] | None) -> tuple[Advice, ...]:
    """What the control guide advises on a prompt.

    ``count_tokens`` counts the tokens of a text with the model's own tokenizer, its end token included; it is called
    only for prompts that are long enough to be cut off (a token is at least a byte). None: not counted.
    """
    tags = [tag for tag in map(str.strip, _SEPARATOR.split(prompt)) if tag]
    prose = _prose(tags)
    found = (
        ("prompt-tokens", _cut_off(prompt, count_tokens)),
        ("sentences", prose),
        ("descriptor-count", "" if prose else _few_or_many(tags)),
        ("missing-dimension", _missing_dimension(prompt)),
    )
    return tuple(Advice(rule, "prompt", message) for rule, message in found if message)


def advise_lyrics(lyrics: str) -> tuple[Advice, ...]:
    """What the control guide advises on lyrics; line numbers count from 1 and include tags and empty lines."""
    sections = _sections(lyrics)
    found = (
        ("unknown-tags", _unknown_tags(lyrics)),
        ("line-syllables", _short_or_long_lines(sections)),
        ("uneven-lines", _uneven_lines(sections)),
    )
    return tuple(Advice(rule, "lyrics", message) for rule, message in found if message)


@lru_cache(maxsize=64)  # the rules ask for the same prompt one after another
def _words(prompt: str) -> frozenset[str]:
    words = _ASCII_WORD.findall(prompt.lower().replace(" and ", " "))
    return frozenset((*words, *map(operator.add, words, words[1:])))


def _cut_off(prompt: str, count_tokens: Callable[[str], int] | None) -> str:
    if count_tokens is None or len(prompt.encode(errors="replace")) + 1 <= PROMPT_TOKENS:
        return ""
    tokens = count_tokens(prompt)
    if tokens <= PROMPT_TOKENS:
        return ""
    return f"{tokens} tokens; the model reads {PROMPT_TOKENS} and the rest is cut off: shorten it"


def _prose(tags: Sequence[str]) -> str:
    sentence = next((tag for tag in tags if _is_sentence(tag)), None)
    if sentence is None:
        return ""
    start = sentence if len(sentence) <= 40 else sentence[:37] + "..."
    return f"'{start}' reads like a sentence; write comma-separated tags: pop, rock, electronic, upbeat, energetic"


def _is_sentence(tag: str) -> bool:
    words = tag.count(" ") + 1
    if words < _SENTENCE_WORDS:
        return not tag.isascii() and _FULL_STOP.search(tag) is not None
    return words >= _LONG_TAG_WORDS or _SENTENCE.search(tag) is not None


def _few_or_many(tags: Sequence[str]) -> str:
    if _FEWEST_TAGS <= len(tags) <= _MOST_TAGS:
        return ""
    remedy = "add more, separated by commas" if len(tags) < _FEWEST_TAGS else "keep the most important, in this order"
    count = f"{len(tags)} descriptor{'' if len(tags) == 1 else 's'}"
    return f"{count}; the guide advises {_FEWEST_TAGS} to {_MOST_TAGS}: {remedy}"


def _missing_dimension(prompt: str) -> str:
    if not prompt.isascii():  # the words of other languages are not in the lists
        return ""
    words = _words(prompt)
    missing = [name for name, (known, _) in _DIMENSIONS.items() if known.isdisjoint(words)]
    if not missing or len(missing) == len(_DIMENSIONS):
        return ""
    examples = "; ".join(f"{name}: {_DIMENSIONS[name][1]}" for name in missing)
    return f"no {' and no '.join(missing)} recognised; the guide mixes genre, mood and instruments ({examples})"


def _unknown_tags(lyrics: str) -> str:
    unknown = [tag for tag in dict.fromkeys(_TAG.findall(lyrics.lower())) if tag not in STRUCTURE_TAGS]
    if not unknown:
        return ""
    tags = ", ".join(map(_renamed, unknown[:_SHOWN])) + (", ..." if len(unknown) > _SHOWN else "")
    return f"{tags}: not among the model's twelve structure tags {' '.join(f'[{tag}]' for tag in STRUCTURE_TAGS)}"


def _renamed(tag: str) -> str:
    """An unknown tag, with the known one that it holds: ``[verse 1] (write [verse])``."""
    known = _KNOWN_TAG_INSIDE.search(tag.replace(" ", "-"))
    return f"[{tag[:40]}] (write [{known[0]}])" if known else f"[{tag[:40]}]"


def _short_or_long_lines(sections: Sequence[Sequence[_Line]]) -> str:
    lines = [line for section in sections for line in section]
    outside = [(number, count) for number, count in lines if not _SHORTEST_LINE <= count <= _LONGEST_LINE]
    if not outside:
        return ""
    places = ", ".join(f"line {number}: {count}" for number, count in outside[:_SHOWN])
    more = ", ..." if len(outside) > _SHOWN else ""
    return (
        f"{len(outside)} of {len(lines)} lines lie outside of {_SHORTEST_LINE} to {_LONGEST_LINE} syllables "
        f"({places}{more}); split the long ones, fill the short ones"
    )


def _uneven_lines(sections: Sequence[Sequence[_Line]]) -> str:
    uneven = [section for section in sections if _longest(section) - _shortest(section) > _LARGEST_SPREAD]
    if not uneven:
        return ""
    first = uneven[0]
    return (
        f"lines of uneven length in {len(uneven)} of {len(sections)} sections (lines {first[0][0]} to {first[-1][0]}: "
        f"{_shortest(first)} to {_longest(first)} syllables); keep the lines of a section alike"
    )


def _shortest(section: Sequence[_Line]) -> int:
    return min(count for _, count in section)


def _longest(section: Sequence[_Line]) -> int:
    return max(count for _, count in section)


def _sections(lyrics: str) -> list[list[_Line]]:
    """The judged lines by section: what stands between tags and empty lines.

    Introductions, endings and breaks are free, as in the guide's own example; text in parentheses is backing voices.
    """
    language = guess_language(lyrics)
    sections: list[list[_Line]] = [[]]
    free = False
    for number, line in enumerate(lyrics.splitlines(), start=1):
        tag = _TAG.match(line.lstrip())
        if tag is not None:
            known = _KNOWN_TAG_INSIDE.search(tag[1].lower())
            free = known is not None and known[0] in _FREE_SECTIONS
        if tag is not None or not line.strip():
            sections.append([])
        count = None if free else count_syllables(_ASIDE.sub(" ", _TAG.sub(" ", line)), language)
        if count:
            sections[-1].append((number, count))
    return [section for section in sections if section]
