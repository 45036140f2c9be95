"""How the embedded planner reads and writes: words, bytes and a few audio codes, in the published format; no torch."""

from __future__ import annotations

import re
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from acestep_batch.engine.v15.constants import LANGUAGES
from acestep_batch.engine.v15.metadata import WRITTEN
from acestep_batch.engine.v15.plan_text import (
    END_OF_TEXT,
    END_OF_THINKING,
    END_OF_TURN,
    THINK,
    TURN,
    code_token,
)

_ASSETS = Path(__file__).parents[1] / "embedded_assets"

CODES = 64
"""Audio codes that the embedded planner knows: the first of the codebook's 64,000."""
_SPLIT = (  # Qwen's: words with the space before them, single digits, runs of signs, line ends
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def planner_tokenizer_path() -> Path:
    """The tokenizer, a file of the ``tokenizers`` library: ``build_planner_tokenizer().save(...)``."""
    return _ASSETS / "planner_tokenizer.json"


def build_planner_tokenizer() -> Tokenizer:
    """Byte-level, as the published one; words of a list of music words are one token, others fall into bytes.

    The special tokens and the audio codes have the published names and follow the text tokens, the codes last.
    """
    words = (_ASSETS / "text_words.txt").read_text(encoding="utf-8").split()
    known = [f" {word}" for word in (*words, *LANGUAGES, "major", "minor") if re.fullmatch("[a-z]+", word)]
    pieces = [*WRITTEN, "Instruction", " Caption", " Lyric", ".\n", ",\n", *known]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    spelled = (_spelled(piece) for piece in pieces)
    vocabulary = {token: token_id for token_id, token in enumerate(dict.fromkeys((*letters, *spelled)))}
    tokenizer = Tokenizer(BPE(vocabulary, [], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [END_OF_TEXT, TURN, END_OF_TURN, THINK, END_OF_THINKING, *map(code_token, range(CODES))]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


def _spelled(text: str) -> str:
    """ASCII text in the letters of byte-level vocabularies."""
    return text.replace(" ", "Ġ").replace("\n", "Ċ")
