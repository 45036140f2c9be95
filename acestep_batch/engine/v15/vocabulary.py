"""The planner's tokenizer and what its tokens are: codes, ends, free text; no grammar, no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from acestep_batch.engine.v15.constants import CODEBOOK_SIZE
from acestep_batch.engine.v15.plan_text import END_OF_TEXT, END_OF_THINKING, END_OF_TURN, THINK, TURN, code_token
from acestep_batch.problems import one_line, refuse

TokenIds = np.ndarray
"""Different token ids, int64, in a fixed order."""

_REMEDY = "use the tokenizer.json of an acestep-5Hz-lm checkpoint"
_UNWANTED = frozenset({*range(0x20), 0x7F, *b"<`"})


class Vocabulary:
    """A published tokenizer (``tokenizer.json``, byte-level) and the sets of its tokens that a grammar asks for."""

    def __init__(self, tokenizer: Tokenizer, where: str) -> None:
        """Read the tokens; ``where`` is named in complaints.

        Raises:
            Refused: the tokenizer lacks a token that the planner needs, or is not byte-level.
        """
        self._tokenizer = tokenizer
        tokenizer.no_truncation()
        tokenizer.no_padding()
        needed = (TURN, END_OF_TURN, END_OF_TEXT, THINK, END_OF_THINKING, code_token(0))
        ids = {token: token_id for token in needed if (token_id := tokenizer.token_to_id(token)) is not None}
        if missing := [token for token in needed if token not in ids]:
            raise refuse(where, f"not a planner's tokenizer: it has no {', '.join(missing)}", _REMEDY)
        self.end_of_turn, self.end_of_text = ids[END_OF_TURN], ids[END_OF_TEXT]
        self.end_of_thinking = ids[END_OF_THINKING]
        self.every = ascending(tokenizer.get_vocab(with_added_tokens=True).values())
        self.size = int(self.every[-1]) + 1
        """Rows that a model's embedding needs at least."""
        self.codes = self._code_ids(ids[code_token(0)], where)
        self._read_texts(where)

    @classmethod
    def from_file(cls, file: Path) -> Vocabulary:
        """The vocabulary of a ``tokenizer.json``.

        Raises:
            Refused: there is no such file, it cannot be read, or it is not a planner's.
        """
        try:
            tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises bare exceptions
            message = f"cannot be read as a tokenizer ({one_line(error)[:200]})"
            raise refuse(str(file), message, "download it again") from error
        return cls(tokenizer, str(file))

    def encode(self, text: str) -> list[int]:
        """Token ids of a text; the names of special tokens in it become these tokens."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens included; bytes that are no UTF-8 become U+FFFD."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def _code_ids(self, first: int, where: str) -> TokenIds:
        """The tokens of the audio codes from 0 on, which must follow each other."""
        count = 0
        while count < CODEBOOK_SIZE and (found := self._tokenizer.token_to_id(code_token(count))) is not None:
            if found != first + count:
                raise refuse(where, f"{code_token(count)} is token {found}, not {first + count}", _REMEDY)
            count += 1
        return np.arange(first, first + count)

    def _read_texts(self, where: str) -> None:
        """Sort the tokens of ordinary text by where in a line they may stand.

        Tokens with control characters, with ``<`` (tags, special tokens) or with a backtick are none of it.
        """
        added = self._tokenizer.get_added_tokens_decoder()
        words: list[int] = []
        line_ends: list[int] = []
        indents: list[int] = []
        starts: list[int] = []
        spaced_starts: list[int] = []
        for token, token_id in self._tokenizer.get_vocab(with_added_tokens=False).items():
            content = _bytes_of(token)
            body = content.removesuffix(b"\n")
            if token_id in added or not content or _UNWANTED.intersection(body):
                continue
            if body != content:
                line_ends.append(token_id)
                continue
            words.append(token_id)
            if content.startswith(b" "):
                indents.append(token_id)
            if any(map(str.isalnum, content.decode("utf-8", "ignore"))):
                (spaced_starts if content.startswith(b" ") else starts).append(token_id)
        newline = self.encode("\n")
        if len(newline) != 1 or newline[0] not in line_ends or not starts or not spaced_starts:
            raise refuse(where, "not a byte-level tokenizer", _REMEDY)
        self.newlines = ascending(newline)
        """The one token of a line's end alone."""
        self.words = ascending(words)
        """Of a line of text; some are parts of a character."""
        self.text = ascending([*words, *line_ends])
        """Of any text; a line's last token may have text before the end of the line."""
        self._line_ends = frozenset(line_ends)
        self.indents = ascending(indents)
        """Words that start with a space."""
        self.starts, self.spaced_starts = ascending(starts), ascending(spaced_starts)
        """Words with a whole letter or digit, without and with a space before it."""

    def content(self, token: int) -> bytes:
        """The bytes of a text's token."""
        return _bytes_of(self._tokenizer.id_to_token(token) or "")

    def ends_line(self, token: int) -> bool:
        """Whether a text's token is the end of its line, perhaps with text before it."""
        return token in self._line_ends


def _bytes_of(token: str) -> bytes:
    """A token of a byte-level vocabulary as the text it stands for; other letters become zeros, which no text has."""
    return bytes(_BYTES.get(char, 0) for char in token)


def ascending(ids: Iterable[int]) -> TokenIds:
    """Token ids in the form that grammars and samplers take."""
    return np.array(sorted(set(ids)), dtype=np.int64)


def _byte_alphabet() -> dict[str, int]:
    """The letters that byte-level vocabularies write bytes with (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_alphabet()
