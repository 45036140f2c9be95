"""The words that the embedded model understands, as the file that ships with its weights and that the product reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training import words
from training.tempo import GRIDS, Tempo, numbers


def word_list(grid: str) -> dict[str, Any]:
    """``phrases``: aspect to value to what says so, the plain phrase first; ``tempi_bpm``: the numbers trained on."""
    listed: Mapping[str, Mapping[Any, tuple[str, ...]]] = {
        "lead": words.LEADS,
        "accompaniment": words.ACCOMPANIMENTS,
        "drums": {"drums": words.DRUMS[True], "no drums": words.DRUMS[False]},
        "genre": words.GENRES,
        "mood": words.MOODS,
        "tempo": words.TEMPOS,
        "tonic": words.TONICS,
        "mode": {mode: (mode,) for mode in words.MODES},
        "metre": {"three beats": words.METRES[3]},
    }
    tempi = sorted(number for frames in GRIDS[grid] for number in numbers(Tempo(frames), grid))
    return {"phrases": {aspect: dict(values) for aspect, values in listed.items()}, "tempi_bpm": tempi}
