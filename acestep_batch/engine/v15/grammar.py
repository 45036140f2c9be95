"""Which token may come next in the planner's answer: tries of whole lines, free text, codes; no model, no torch.

An answer is a sequence of parts; a part is a small state that says what is allowed and takes one token after the other.
Lines are tokenised whole, so that every token stands where training had it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from acestep_batch.engine.v15.constants import BPM, KEYSCALES, LANGUAGES, PLANNED_DURATION_S, TIMESIGNATURES
from acestep_batch.engine.v15.metadata import Metadata
from acestep_batch.engine.v15.plan_text import END_OF_THINKING, THINK
from acestep_batch.engine.v15.vocabulary import TokenIds, Vocabulary, ascending

CAPTION_TOKENS = 512
"""The longest caption, in tokens."""
_NOTHING: TokenIds = ascending(())


class Position(Protocol):
    """A place within a part. Positions do not change: ``push`` gives the next one."""

    @property
    def allowed(self) -> TokenIds:
        """What may come next within the part."""
        ...

    @property
    def may_end(self) -> bool:
        """Whether the part may be over here."""
        ...

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken, without a draw."""
        ...

    def push(self, token: int) -> Position:
        """The place after ``token``, which is one of ``allowed``."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Trie:
    """One of several token sequences, none of which begins another."""

    branches: dict[int, Trie]
    allowed: TokenIds
    greedy: bool

    @classmethod
    def of(cls, sequences: Iterable[Sequence[int]], greedy: bool = False) -> Trie:
        by_first: dict[int, list[Sequence[int]]] = {}
        for sequence in sequences:
            if sequence:
                by_first.setdefault(sequence[0], []).append(sequence[1:])
        branches = {first: cls.of(rest, greedy) for first, rest in by_first.items()}
        return cls(branches, ascending(branches), greedy)

    @property
    def may_end(self) -> bool:
        return not self.branches

    def push(self, token: int) -> Trie:
        return self.branches[token]


@dataclass(frozen=True, slots=True, eq=False)
class Caption:
    """Free text after ``caption:``, to the end of its line or of an indented line that continues it; never empty."""

    vocabulary: Vocabulary
    tokens_left: int = CAPTION_TOKENS
    last: int | None = None
    empty_start: bytes | None = b""
    """The text so far while it has no letter or digit, None from then on; a character may take several tokens."""
    greedy: bool = field(default=False, init=False)

    @property
    def allowed(self) -> TokenIds:
        words = self.vocabulary
        is_last_chance = self.tokens_left <= 2
        if self.last is None:
            return words.spaced_starts if is_last_chance else words.indents
        if self.empty_start is not None:
            return words.starts if is_last_chance else words.words
        if self.may_end:
            return _NOTHING if is_last_chance else words.indents
        return words.newlines if self.tokens_left <= 1 else words.text

    @property
    def may_end(self) -> bool:
        return self.last is not None and self.empty_start is None and self.vocabulary.ends_line(self.last)

    def push(self, token: int) -> Caption:
        start = None if self.empty_start is None else self.empty_start + self.vocabulary.content(token)
        if start is not None and any(map(str.isalnum, start.decode("utf-8", "ignore"))):
            start = None
        return Caption(self.vocabulary, self.tokens_left - 1, token, start)


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Audio codes: exactly ``wanted``, or from one to ``at_most`` where nobody has decided."""

    vocabulary: Vocabulary
    wanted: int | None
    at_most: int
    done: int = 0
    greedy: bool = field(default=False, init=False)

    @property
    def allowed(self) -> TokenIds:
        is_full = self.done >= (self.at_most if self.wanted is None else self.wanted)
        return _NOTHING if is_full else self.vocabulary.codes

    @property
    def may_end(self) -> bool:
        return self.done == self.wanted if self.wanted is not None else self.done > 0

    def push(self, token: int) -> Codes:
        return Codes(self.vocabulary, self.wanted, self.at_most, self.done + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Anything:
    """Any tokens, as many as ``tokens_left``: decoding without constraints."""

    every: TokenIds
    tokens_left: int
    greedy: bool = field(default=False, init=False)

    @property
    def allowed(self) -> TokenIds:
        return self.every if self.tokens_left else _NOTHING

    @property
    def may_end(self) -> bool:
        return True

    def push(self, token: int) -> Anything:
        return Anything(self.every, self.tokens_left - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Cursor:
    """A place in an answer: the part it is in, and those that follow it."""

    position: Position
    following: tuple[Position, ...] = ()
    ends: TokenIds = field(default_factory=lambda: _NOTHING)
    """Tokens that end the answer where its last part may be over but could go on."""
    ended: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the answer is complete."""
        return self.ended or (self.position.may_end and not self.following and not len(self.position.allowed))

    @property
    def allowed(self) -> TokenIds:
        """What may come next."""
        if not self.position.may_end:
            return self.position.allowed
        after = self.following[0].allowed if self.following else self.ends
        return np.concatenate([self.position.allowed, after]) if len(self.position.allowed) else after

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken, without a draw."""
        return self.position.greedy and not self.position.may_end

    def push(self, token: int) -> Cursor:
        """The place after ``token``.

        Raises:
            ValueError: it is not allowed here.
        """
        if not self.is_over and token in self.position.allowed:
            return Cursor(self.position.push(token), self.following, self.ends)
        if not self.is_over and self.position.may_end:
            if self.following and token in self.following[0].allowed:
                return Cursor(self.following[0].push(token), self.following[1:], self.ends)
            if not self.following and token in self.ends:
                return Cursor(self.position, ended=True)
        raise ValueError(f"token {token} is not allowed here")


class Grammar:
    """The answers that a planner with this vocabulary may give."""

    def __init__(self, vocabulary: Vocabulary, caption_tokens: int = CAPTION_TOKENS) -> None:
        self.vocabulary = vocabulary
        self._caption_tokens = caption_tokens
        self._tries: dict[tuple[str, ...], Trie] = {}

    def thought(self, names: Sequence[str], given: Metadata, longest_s: int) -> Cursor:
        """A chain of thought with the fields ``names`` in their order; what is ``given`` stands there as it is.

        ``longest_s`` is the longest song that may be chosen, in whole seconds.
        """
        known = given.known()
        parts: list[Position] = [self._lines([f"{THINK}\n"])]
        for name in names:
            if name == "caption" and name not in known:
                parts += [self._lines(["caption:"]), Caption(self.vocabulary, self._caption_tokens)]
            else:
                values = [known[name]] if name in known else _choices(name, longest_s)
                lines = [f"{name}: {value}\n" for value in values]
                parts.append(self._lines(lines, greedy=name == "language"))
        first, *following = (*parts, self._lines([END_OF_THINKING]))
        return Cursor(first, tuple(following))

    def codes(self, wanted: int | None, at_most: int) -> Cursor:
        """Audio codes: exactly ``wanted``, or up to ``at_most`` and an end of turn where that is None."""
        return Cursor(Codes(self.vocabulary, wanted, at_most), ends=ascending([self.vocabulary.end_of_turn]))

    def anything(self, at_most: int, ends: Sequence[int]) -> Cursor:
        """Up to ``at_most`` tokens of any kind, until one of ``ends``."""
        return Cursor(Anything(np.setdiff1d(self.vocabulary.every, ends), at_most), ends=ascending(ends))

    def _lines(self, lines: Sequence[str], greedy: bool = False) -> Trie:
        key = tuple(lines)
        if key not in self._tries:
            self._tries[key] = Trie.of(map(self.vocabulary.encode, lines), greedy)
        return self._tries[key]


def _choices(name: str, longest_s: int) -> Sequence[int | str]:
    """What the planner may choose; a language is chosen, but greedily: it is found in the lyrics, not invented."""
    shortest, limit = PLANNED_DURATION_S[0], PLANNED_DURATION_S[-1]
    choices: dict[str, Sequence[int | str]] = {
        "bpm": BPM,
        "duration": range(shortest, max(shortest, min(longest_s, limit)) + 1),
        "keyscale": KEYSCALES,
        "language": LANGUAGES,
        "timesignature": TIMESIGNATURES,
    }
    return choices[name]


def accepts(cursor: Cursor, tokens: Iterable[int]) -> bool:
    """Whether ``tokens`` are a complete answer."""
    for token in tokens:
        try:
            cursor = cursor.push(token)
        except ValueError:
            return False
    return cursor.is_over
