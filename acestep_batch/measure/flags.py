"""What is suspicious about a measurement, in words: ok, warn or fail; every limit stands here with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from acestep_batch.measure.columns import Column, Measurement


class Quality(StrEnum):
    """The worst of a song's findings."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Rule:
    """A number beyond its limits, and what that means.

    `says` gets the number. `why` is for the documentation.
    """

    column: str
    level: Quality
    says: str
    why: str
    above: float = float("inf")
    below: float = float("-inf")

    def holds(self, value: Any) -> bool:
        """Whether there is something to say; what is not measured is not judged."""
        return value is not None and not self.below <= value <= self.above

    @property
    def limit(self) -> str:
        """When it applies, in words."""
        parts = [f"below {self.below:g}"] if self.below > float("-inf") else []
        return " or ".join([*parts, f"above {self.above:g}"] if self.above < float("inf") else parts)


RULES = (
    Rule("broken_samples", Quality.FAIL, "{} samples are not finite", "such a file is no audio", above=0),
    Rule("sample_peak_dbfs", Quality.FAIL, "silent: its peak is {:.0f} dBFS", "33 steps of 16-bit audio", below=-60),
    Rule(
        "duration_error_s",
        Quality.FAIL,
        "{:+.1f} s against what was asked",
        "part of the song is missing or too much",
        above=5,
        below=-5,
    ),
    Rule(
        "duration_error_s",
        Quality.WARN,
        "{:+.1f} s against what was asked",
        "engines work in frames of 0.1 s or less",
        above=0.5,
        below=-0.5,
    ),
    Rule(
        "clipped_runs",
        Quality.WARN,
        "clipped {} times",
        "a plateau at full scale is heard as a click or as distortion",
        above=0,
    ),
    Rule(
        "true_peak_dbtp",
        Quality.WARN,
        "true peak {:+.1f} dBTP",
        "players and lossy encoders clip it; EBU R 128 asks for -1",
        above=0,
    ),
    Rule(
        "loudness_lufs",
        Quality.WARN,
        "loudness {:.0f} LUFS",
        "louder than the loudest masters; or lost among others at -14",
        above=-5,
        below=-36,
    ),
    Rule(
        "crest_factor_db",
        Quality.WARN,
        "crest factor {:.1f} dB",
        "music has 8 to 20; a square wave has 0, a sine 3",
        below=4,
    ),
    Rule(
        "dc_offset",
        Quality.WARN,
        "constant offset {:+.3f}",
        "-40 dBFS; it takes headroom and clicks at both ends",
        above=0.01,
        below=-0.01,
    ),
    Rule("silence_head_s", Quality.WARN, "starts with {:.1f} s of silence", "longer than a listener waits", above=2),
    Rule("silence_tail_s", Quality.WARN, "ends with {:.1f} s of silence", "the song ended before its time", above=5),
    Rule("longest_gap_s", Quality.WARN, "{:.1f} s of silence within", "longer than a break in music", above=2),
    Rule(
        "spectral_flatness",
        Quality.WARN,
        "noise-like: flatness {:.2f}",
        "white noise has 0.56, dense music up to 0.3",
        above=0.4,
    ),
    Rule(
        "stereo_correlation",
        Quality.WARN,
        "channels out of phase: correlation {:.2f}",
        "in mono it loses more than it keeps",
        below=-0.1,
    ),
)
"""What is judged of every song, in the order of the reasons. The limits are this project's choice."""


NEAR_DUPLICATE = 0.9
"""Similarity from which two songs are told to be nearly the same.

Of the embedded model, 20 s: other seeds 0.36 at most, guidance_scale 16 in place of 15 0.99. Synthesised songs of 10 s:
others 0.5 at most, the same as MP3 0.999, with noise 11 dB below it 0.91."""


@dataclass(frozen=True, slots=True)
class State:
    """A finding that no number tells."""

    level: Quality
    says: str
    why: str
    applies: Callable[[Measurement], bool]


STATES = (
    State(
        Quality.FAIL, "digital silence", "every sample is 0",
        lambda found: found.broken_samples == 0 and found.sample_peak_dbfs is None,
    ),
    State(
        Quality.WARN, "one channel is silent", "a stereo song is in both",
        lambda found: found.stereo_width is not None and found.stereo_correlation is None,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """The worst level, and each reason with its number."""

    quality: Quality
    reasons: tuple[str, ...] = ()


VERDICT_COLUMNS = (
    Column("quality", "", "string", "`ok`, `warn` or `fail`: the worst of the flags that apply.", "the flags below"),
    Column("quality_reasons", "", "string", "Each flag that applies, with its number.", "the flags below"),
)
"""What a verdict adds to the summary."""


def judged(measurement: Measurement, nearest_song: str = "", similarity: float | None = None) -> Verdict:
    """What the rules say about a measurement, and about the run's song that is most like it.

    Of two rules for one number that say the same, the first counts.
    """
    found = {state.says: state.level for state in STATES if state.applies(measurement)}
    for rule in RULES:
        value = getattr(measurement, rule.column)
        if rule.holds(value):
            found.setdefault(rule.says.format(value), rule.level)
    if similarity is not None and similarity >= NEAR_DUPLICATE:
        found[f"nearly the same as {nearest_song} ({similarity:.2f})"] = Quality.WARN
    if not found:
        return Verdict(Quality.OK)
    return Verdict(Quality.FAIL if Quality.FAIL in found.values() else Quality.WARN, tuple(found))
