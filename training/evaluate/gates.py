"""The gates of the embedded model, and how clips score at them, each beside the score against other clips' prompts.

A score is a share of hits: output i against prompt j is `[N, N]`; its diagonal is the score, the rest is what
anybody would get who did not read the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from acestep_batch.measure.tonality import MODES, TONICS
from training.evaluate.clips import KEYS, HeardClips
from training.evaluate.features import Features
from training.evaluate.probes import Probe, train
from training.prompts import understood
from training.shards import Clip

GATES = {"lead": 0.75, "accompaniment": 0.85, "drums": 0.85, "bpm": 0.90, "key": 0.60}
"""Least shares; the first four are raised from 0.65, 0.70, 0.80 and 0.60, since the shipped weights pass more. `genre`
and `key and mode` are scored without a gate."""
PROBED = ("lead", "accompaniment", "drums", "genre")
KEY, KEY_AND_MODE = "key", "key and mode"
"""The tonic in either mode, of 12: a guess is right one time in four. Of 24: one time in eight."""
ASPECTS = (*PROBED, "bpm", KEY, KEY_AND_MODE)
TEMPO_TOLERANCE = 0.06
KEY_RANKS = 3
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
    kept = HeardClips(_where(real.clips, told), _where(real.heard, told))
    probes = teach(_where(real.clips, ~told), real.features[~told])
    found = []
    for name in ASPECTS:
        on_real = _hits(name, kept, probes, [_meant(clip, name) for clip in kept.clips])
        scored = asked_and_shuffled(name, generated, probes)
        found.append(Score(name, float(np.diag(on_real).mean()), *scored, GATES.get(name)))
    return found


def teach(real: Sequence[Clip], given: Features) -> dict[str, Probe]:
    """The probe of each of `PROBED`, from real clips and their features `[N, F]`."""
    return {name: train(given, [str(_meant(clip, name)) for clip in real]) for name in PROBED}


def asked_and_shuffled(name: str, generated: HeardClips, probes: Mapping[str, Probe]) -> tuple[float, float, int]:
    """Score against own prompts, score against those of others, and how many prompts say something of the aspect."""
    asked = [understood(clip.prompt).get(_named(name)) for clip in generated.clips]
    said = np.array([each is not None for each in asked])
    hits = _hits(name, generated, probes, asked)
    return *shares(hits, said, [clip.prompt for clip in generated.clips]), int(said.sum())


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


def tonic_rank(fits: NDArray[np.float64], asked: str) -> int:
    """How many tonics fit as well as that of the key asked for, or better, each in the mode that fits it best."""
    best = fits.reshape(len(MODES), len(TONICS)).max(axis=0)
    return int((best >= best[TONICS.index(asked.split()[0])]).sum()) - 1


def _hits(
    name: str, clips: HeardClips, probes: Mapping[str, Probe], wanted: Sequence[str | bool | float | None]
) -> Hits:
    says = probes[name].says(clips.features) if name in PROBED else []

    def hit(index: int, want: str | bool | float | None) -> bool:
        if want is None:
            return False
        heard = clips.heard[index]
        if name == "bpm":
            return tempo_fits(heard.bpm, float(want))
        if name in (KEY, KEY_AND_MODE):
            rank = tonic_rank if name == KEY else key_rank
            return rank(heard.key_fits, str(want)) < KEY_RANKS
        return says[index] == str(want)

    return np.array([[hit(index, want) for want in wanted] for index in range(len(clips.heard))])


def _meant(clip: Clip, name: str) -> str | bool | float:
    meant: str | bool | float = getattr(clip, _named(name))
    return meant


def _named(name: str) -> str:
    return KEY if name == KEY_AND_MODE else name


def _where(items: Sequence[T], chosen: NDArray[np.bool_]) -> list[T]:
    return [item for item, kept in zip(items, chosen, strict=True) if kept]


def _share(hits: Hits) -> float:
    return float(hits.mean()) if hits.size else float("nan")
