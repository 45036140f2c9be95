"""How the embedded model reads prompts and lyrics: a word list, bytes and v1's lyric rule; no torch."""

from __future__ import annotations

import re
import string
from pathlib import Path

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram

_ASSETS = Path(__file__).with_name("embedded_assets")

PAD_ID, END_ID, UNKNOWN_ID = 0, 1, 2
_SPECIAL = ("<pad>", "</s>", "<unk>")
_SYMBOLS = ("▁", *string.ascii_lowercase, *string.digits, *string.punctuation)
_FRAGMENTS = (
    *("al", "an", "ar", "at", "ed", "en", "er", "es", "he", "ic", "in", "ing", "ion", "is", "it", "ive", "le", "ly"),
    *("ment", "ness", "on", "or", "ous", "ra", "re", "ri", "st", "te", "th", "ti", "tion", "un", "▁re", "▁un"),
)

LYRIC_START, LYRIC_LINE_END = 1, 2
STRUCTURE_TAGS = (  # the twelve of v1's vocabulary
    *("[start]", "[intro]", "[verse]", "[chorus]", "[bridge]", "[outro]"),
    *("[end]", "[inst]", "[solo]", "[hook]", "[pre-chorus]", "[break]"),
)
_FIRST_TAG = 3
_FIRST_BYTE = _FIRST_TAG + len(STRUCTURE_TAGS)
LYRIC_VOCAB_SIZE = _FIRST_BYTE + 256
"""Ids: 0 for no lyrics, the start, the end of a line, twelve tags, 256 bytes."""
_TAG_PATTERN = re.compile(f"({'|'.join(re.escape(tag) for tag in STRUCTURE_TAGS)})", re.IGNORECASE)


def text_tokenizer_path() -> Path:
    """The prompt tokenizer, a file of the ``tokenizers`` library; it neither truncates nor pads.

    The file is ``build_text_tokenizer().save(...)``.
    """
    return _ASSETS / "text_tokenizer.json"


def build_text_tokenizer() -> Tokenizer:
    """One token for each word in ``text_words.txt``; other words fall into fragments, letters and UTF-8 bytes.

    Upper and lower case are one, and so is any white space. The unknown token never occurs; ``</s>`` ends every text.
    """
    words = (_ASSETS / "text_words.txt").read_text(encoding="utf-8").split()
    pieces = dict.fromkeys((*_SYMBOLS, *_FRAGMENTS, *(f"▁{word}" for word in words)), -1.0)
    byte_pieces = {f"<0x{byte:02X}>": -10.0 for byte in range(256)}
    vocabulary = [(piece, 0.0) for piece in _SPECIAL] + list(byte_pieces.items()) + list(pieces.items())
    tokenizer = Tokenizer(Unigram(vocabulary, unk_id=UNKNOWN_ID, byte_fallback=True))
    tokenizer.add_special_tokens(list(_SPECIAL))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Replace(Regex(" ?, ?"), ", "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {_SPECIAL[END_ID]}", special_tokens=[(_SPECIAL[END_ID], END_ID)]
    )
    return tokenizer


def embedded_lyric_ids(lyrics: str, lyrics_language: str | None = None) -> list[int]:
    """Token ids of lyrics, by v1's rule: a start, then every line and its end; a blank line is an end alone.

    Structure tags are single tokens in either case, everything else is its UTF-8 bytes. Spaces around a line do not
    count; nothing else is dropped. Bytes are the same in every language: ``lyrics_language`` changes nothing.
    """
    ids = [LYRIC_START]
    for line in lyrics.split("\n"):
        for part in _TAG_PATTERN.split(line.strip()):
            tag = part.lower()
            if tag in STRUCTURE_TAGS:
                ids.append(_FIRST_TAG + STRUCTURE_TAGS.index(tag))
            else:
                ids.extend(_FIRST_BYTE + byte for byte in part.encode("utf-8", "surrogatepass"))
        ids.append(LYRIC_LINE_END)
    return ids
