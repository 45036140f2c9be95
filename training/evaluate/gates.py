"""The gates of the embedded model, and how clips score at them, each beside the score against other clips' prompts.

A score is a share of hits: output i against prompt j is `[N, N]`; its diagonal is the score, the rest is what
anybody would get who did not read the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from training.evaluate.clips import KEYS, Heard, HeardClips
from training.evaluate.probes import train
from training.prompts import understood
from training.shards import Clip

GATES = {"lead": 0.65, "accompaniment": 0.70, "drums": 0.80, "bpm": 0.60, "key": 0.60}
"""Least shares; `genre` is scored without a gate."""
PROBED = ("lead", "accompaniment", "drums", "genre")
TEMPO_TOLERANCE = 0.06
KEY_RANKS = 3
"""Of 24: a guess is right one time in eight."""
_CEILING_SHARE = 5
"""Every fifth real clip is kept from the probes; they give the ceiling."""

T = TypeVar("T")
Hits = NDArray[np.bool_]
"""`[outputs, prompts]`."""


@dataclass(frozen=True, slots=True)
class Score:
    name: str
    ceiling: float
    """Real clips that no probe was trained on."""
    score: float
    shuffled: float
    """The same outputs against the prompts of others."""
    clips: int
    """Whose prompt says something of this."""
    gate: float | None

    @property
    def passed(self) -> bool | None:
        """None without a gate, and where no prompt said anything."""
        return None if self.gate is None or not self.clips else self.score >= self.gate


def scores(real: HeardClips, generated: HeardClips) -> list[Score]:
    """One for each of `GATES`, and genre. Prompts that say nothing of an aspect do not count for it."""
    told = np.arange(len(real.clips)) % _CEILING_SHARE == 0
    taught = HeardClips(_where(real.clips, ~told), _where(real.heard, ~told))
    kept = HeardClips(_where(real.clips, told), _where(real.heard, told))
    found = []
    for name in (*PROBED, "bpm", "key"):
        wants = [_meant(clip, name) for clip in kept.clips]
        asked = [understood(clip.prompt).get(name) for clip in generated.clips]
        says = None
        if name in PROBED:
            probe = train(taught.features, [str(_meant(clip, name)) for clip in taught.clips])
            says = (probe.says(kept.features), probe.says(generated.features))
        on_real = _hits(name, kept.heard, says[0] if says else None, wants)
        hits = _hits(name, generated.heard, says[1] if says else None, asked)
        said = np.array([each is not None for each in asked])
        score, shuffled = shares(hits, said, [clip.prompt for clip in generated.clips])
        found.append(Score(name, float(np.diag(on_real).mean()), score, shuffled, int(said.sum()), GATES.get(name)))
    return found


def shares(hits: Hits, said: NDArray[np.bool_], prompts: Sequence[str]) -> tuple[float, float]:
    """Share of hits of outputs with their own prompts, and with other ones; nan where there are none."""
    others = np.array([[mine != theirs for theirs in prompts] for mine in prompts])
    own, shuffled = np.diag(hits)[said], hits[:, said][others[:, said]]
    return _share(own), _share(shuffled)


def tempo_fits(bpm: float | None, asked: float) -> bool:
    """Within 6 %, or half or double of it."""
    return bpm is not None and any(abs(bpm * octave / asked - 1) <= TEMPO_TOLERANCE for octave in (0.5, 1, 2))


def key_rank(fits: NDArray[np.float64], asked: str) -> int:
    """How many keys fit as well as the one asked for, or better: 0 is best."""
    return int((fits >= fits[KEYS.index(asked)]).sum()) - 1


def _hits(
    name: str, heard: Sequence[Heard], says: Sequence[str] | None, wanted: Sequence[str | bool | float | None]
) -> Hits:
    def hit(index: int, want: str | bool | float | None) -> bool:
        if want is None:
            return False
        if name == "bpm":
            return tempo_fits(heard[index].bpm, float(want))
        if says is None:
            return key_rank(heard[index].key_fits, str(want)) < KEY_RANKS
        return says[index] == str(want)

    return np.array([[hit(index, want) for want in wanted] for index in range(len(heard))])


def _meant(clip: Clip, name: str) -> str | bool | float:
    meant: str | bool | float = getattr(clip, name)
    return meant


def _where(items: Sequence[T], chosen: NDArray[np.bool_]) -> list[T]:
    return [item for item, kept in zip(items, chosen, strict=True) if kept]


def _share(hits: Hits) -> float:
    return float(hits.mean()) if hits.size else float("nan")
