"""Lint for whole manifests: each distinct text and each distinct set of settings is judged once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from acestep_batch.compose import Settings
from acestep_batch.demo_words import DemoWords, PromptWords
from acestep_batch.lint import Advice, advise_settings
from acestep_batch.lint_text import advise_lyrics, advise_prompt, genres_of
from acestep_batch.schema_run import Hardware

_REMEMBERED = 20_000
_cached_genres = lru_cache(_REMEMBERED)(genres_of)
_cached_lyrics = lru_cache(_REMEMBERED)(advise_lyrics)


class RowAdvice:
    """Gives advice on rows; remembers what it said about equal texts."""

    def __init__(self, count_tokens: Callable[[str], int] | None, words: DemoWords | None = None) -> None:
        """``words`` are those of a model that knows few."""
        own = (lambda prompt: ()) if words is None else PromptWords(words).advise
        self._prompt = lru_cache(_REMEMBERED)(lambda prompt: (*advise_prompt(prompt, count_tokens), *own(prompt)))

    def genres(self, prompt: str) -> frozenset[str]:
        """The words of a prompt that bear on the settings."""
        return _cached_genres(prompt)

    def of_texts(self, settings: Settings) -> tuple[Advice, ...]:
        """Advice on prompt and lyrics."""
        return (*self._prompt(settings.values["prompt"]), *_cached_lyrics(settings.values["lyrics"]))

    def of_settings(self, settings: Settings, hw: Hardware, model: str) -> tuple[Advice, ...]:
        """Advice on everything else."""
        return advise_settings(
            settings.values,
            self.genres(settings.values["prompt"]),
            frozenset(settings.values.keys() - settings.asked),  # a preset's, a profile's or the schema's own values
            hw.recommended_steps,
            hw.recommended_guidance,
            hw.name,
            model,
        )
