"""The planner at work: the decode loop over a Qwen3 model, and the phases of a song; knows no files and no audio."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor
from transformers import Qwen3ForCausalLM

from acestep_batch.engine.v15.constants import PLANNED_DURATION_S
from acestep_batch.engine.v15.durations import target_codes
from acestep_batch.engine.v15.grammar import CAPTION_TOKENS, Cursor, Grammar
from acestep_batch.engine.v15.metadata import Metadata, checked, read_codes, read_fields, thought_text
from acestep_batch.engine.v15.orchestration import (
    Phases,
    Plan,
    PlannerRequest,
    codes_wanted,
    metadata_for_codes,
    phases_of,
    planned,
)
from acestep_batch.engine.v15.plan_text import (
    codes_prompt,
    codes_prompt_without,
    thought_prompt,
    thought_prompt_without,
)
from acestep_batch.engine.v15.token_reader import TokenReader
from acestep_batch.engine.v15.token_sampling import Sampling, draw_token, guided
from acestep_batch.engine.v15.vocabulary import Vocabulary
from acestep_batch.problems import Problem, Refused

TokenCallback = Callable[[int, int], None]
"""Called after every token with (tokens done, tokens at most) of the phase that runs; may raise to cancel."""

TOKENS_BESIDE_CAPTION = 128
"""A chain of thought is cut off where it takes more than this above its caption; with constraints none does."""
SPARE_TOKENS = 10
"""What codes without constraints may take above their number."""


@dataclass(slots=True)
class _Song:
    """One song while it is planned."""

    request: PlannerRequest
    phases: Phases
    generator: torch.Generator
    sampling: Sampling
    written: Metadata = field(default_factory=Metadata)
    thought: str = ""
    codes: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Answer:
    """One answer while it is written."""

    prompt: list[int]
    prompt_without: list[int]
    """The unguided side's prompt."""
    cursor: Cursor
    song: _Song
    tokens: list[int] = field(default_factory=list)

    @property
    def rows(self) -> list[list[int]]:
        """The prompts that the model reads; without guidance there is one."""
        return [self.prompt] if self.song.request.lm_cfg_scale == 1.0 else [self.prompt, self.prompt_without]


class Planner:
    """A loaded planner. A plan is a pure function of its request: every song draws from a stream of its own seed."""

    def __init__(
        self,
        model: Qwen3ForCausalLM,
        vocabulary: Vocabulary,
        longest_s: int = PLANNED_DURATION_S[-1],
        caption_tokens: int = CAPTION_TOKENS,
        songs_at_once: int = 1,
    ) -> None:
        """Take a model and its vocabulary.

        ``longest_s`` is the longest song that this model can plan, in whole seconds, ``caption_tokens`` the longest
        caption that it may write. With ``songs_at_once`` above 1, songs share the model's passes: that is faster, but
        the last bits of a song's logits then depend on its company, and with them, rarely, a token.
        """
        self.model = model
        self.vocabulary = vocabulary
        self._longest_s = longest_s
        self._songs_at_once = songs_at_once
        self._grammar = Grammar(vocabulary, caption_tokens)
        self._thought_tokens = caption_tokens + TOKENS_BESIDE_CAPTION

    def to(self, device: str | torch.device) -> Self:
        """Move the model to a device, where it plans from then on."""
        self.model.to(device)  # type: ignore[arg-type]  # the type checker misreads its decorator
        return self

    @torch.inference_mode()
    def plan(self, requests: Sequence[PlannerRequest], on_token: TokenCallback | None = None) -> list[Plan]:
        """The plans of songs, in the order given; a song that needs no planner is as cheap as it gets.

        Raises:
            Refused: metadata that a user gives is out of range, or texts and answers do not fit into the model; before
                any work, and of all songs.
        """
        songs = self._songs(requests)
        for first in range(0, len(songs), self._songs_at_once):
            group = songs[first : first + self._songs_at_once]
            self._think(group, on_token)
            self._write_codes(group, on_token)
        return [
            planned(song.request, song.phases, song.written, song.codes, song.thought, song.notes) for song in songs
        ]

    def _think(self, songs: Sequence[_Song], on_token: TokenCallback | None) -> None:
        """The first phase: a chain of thought that states metadata."""
        answers = []
        for song in (song for song in songs if song.phases.thought):
            request = song.request
            prompt = thought_prompt(request.caption, request.lyrics)
            without = thought_prompt_without(request.lyrics, request.lm_negative_prompt)
            if request.use_constrained_decoding:
                cursor = self._grammar.thought(song.phases.fields, song.phases.given, self._longest(request))
            else:
                words = self.vocabulary
                ends = (words.end_of_thinking, words.end_of_turn, words.end_of_text)
                cursor = self._grammar.anything(self._thought_tokens, ends)
            answers.append(self._answer(song, prompt, without, cursor))
        self._write(answers, self._thought_tokens, on_token)
        for answer in answers:
            song = answer.song
            text = self.vocabulary.decode(answer.tokens)
            song.written, dropped = checked(read_fields(text))
            stated = {name: value for name, value in song.phases.given.known().items() if name in song.phases.fields}
            song.written = replace(song.written, **stated)  # type: ignore[arg-type]  # values of the same fields
            song.notes += dropped

    def _write_codes(self, songs: Sequence[_Song], on_token: TokenCallback | None) -> None:
        """The second phase: audio codes, after the chain of thought in its finished form."""
        answers, most = [], 0
        for song in (song for song in songs if song.phases.codes):
            request = song.request
            song.thought = thought_text(metadata_for_codes(song.phases, song.written).known())
            prompt = codes_prompt(request.caption, request.lyrics, song.thought)
            without = codes_prompt_without(request.caption, request.lyrics, request.lm_negative_prompt)
            wanted = codes_wanted(request, song.written)
            at_most = target_codes(self._longest(request)) if wanted is None else wanted
            if request.use_constrained_decoding:
                cursor = self._grammar.codes(wanted, at_most)
            else:
                at_most += SPARE_TOKENS
                cursor = self._grammar.anything(at_most, (self.vocabulary.end_of_turn, self.vocabulary.end_of_text))
            most = max(most, at_most)
            answers.append(self._answer(song, prompt, without, cursor))
        self._write(answers, most, on_token)
        for answer in answers:
            song = answer.song
            song.codes = read_codes(self.vocabulary.decode(answer.tokens))
            wanted = codes_wanted(song.request, song.written)
            if not song.codes:
                song.notes.append("the planner wrote no audio codes")
            elif wanted is not None and len(song.codes) != wanted:
                song.notes.append(f"the planner wrote {len(song.codes):,} audio codes; the length takes {wanted:,}")

    def _songs(self, requests: Sequence[PlannerRequest]) -> list[_Song]:
        """The songs as they are before any work; what cannot be planned is refused, all of it at once."""
        songs: list[_Song] = []
        problems: list[Problem] = []
        for request in requests:
            try:
                phases = phases_of(request)
            except Refused as refused:
                problems += refused.problems
                continue
            songs.append(_Song(request, phases, token_stream(request.seed), Sampling.of(request)))
            problems += self._room_problems(request, phases)
        if problems:
            raise Refused(problems)
        return songs

    def _room_problems(self, request: PlannerRequest, phases: Phases) -> list[Problem]:
        """Why a song's texts and answers do not fit into the model; empty where they do."""
        if not phases.any:
            return []
        codes = target_codes(request.duration_s or self._longest(request)) if phases.codes else 0
        thought = 2 * self._thought_tokens if phases.thought else TOKENS_BESIDE_CAPTION
        prompt = thought_prompt(request.caption, request.lyrics)
        negative = thought_prompt_without(request.lyrics, request.lm_negative_prompt)
        length = max(map(len, map(self.vocabulary.encode, (prompt, negative)))) + thought + codes + SPARE_TOKENS
        limit = self.model.config.max_position_embeddings
        if length <= limit:
            return []
        message = f"caption, lyrics and plan may take {length:,} tokens; the planner has room for {limit:,}"
        return [Problem("planner", message, "shorten the lyrics or the song")]

    def _longest(self, request: PlannerRequest) -> int:
        return min(request.longest_s, self._longest_s)

    def _answer(self, song: _Song, prompt: str, without: str, cursor: Cursor) -> _Answer:
        return _Answer(self.vocabulary.encode(prompt), self.vocabulary.encode(without), cursor, song)

    def _write(self, answers: Sequence[_Answer], at_most: int, on_token: TokenCallback | None) -> None:
        """Write all answers to their end, token by token."""
        waiting = [answer for answer in answers if not answer.cursor.is_over]
        if not waiting:
            return
        rows = [row for answer in waiting for row in answer.rows]
        reader = TokenReader(self.model, rows)
        done = 0
        while any(not answer.cursor.is_over for answer in waiting):
            logits = reader.logits
            chosen: list[int] = []
            row = 0
            for answer in waiting:
                width = len(answer.rows)
                token = self._next(answer, logits[row : row + width])
                chosen += [token] * width
                row += width
            done += 1
            if on_token is not None:
                on_token(done, max(done, at_most))
            if any(not answer.cursor.is_over for answer in waiting):
                reader.read([[token] for token in chosen])

    def _next(self, answer: _Answer, logits: Tensor) -> int:
        """Choose and note the next token of an answer, [rows, V] logits; a finished one goes on with padding."""
        cursor, song = answer.cursor, answer.song
        if cursor.is_over:
            return self.vocabulary.end_of_text
        allowed = cursor.allowed
        if len(allowed) == 1:
            token = int(allowed[0])
        else:
            ids = torch.from_numpy(allowed)
            mixed = guided(logits[0], logits[1], song.request.lm_cfg_scale) if len(logits) == 2 else logits[0].float()
            sampling = replace(song.sampling, temperature=0.0) if cursor.greedy else song.sampling
            seen = {*answer.prompt, *answer.tokens} if sampling.repetition_penalty != 1.0 else ()
            token = draw_token(mixed.cpu()[ids], ids, seen, sampling, song.generator)
        answer.tokens.append(token)
        answer.cursor = cursor.push(token)
        return token


def token_stream(seed: int) -> torch.Generator:
    """The draws of one song's plan: a stream of its own, so that they do not repeat those of its noise."""
    own = hashlib.sha256(f"{seed}/planner".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(own[:8], "big"))
