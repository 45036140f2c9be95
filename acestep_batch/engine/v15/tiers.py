"""What 1.5 takes on by the memory of its device: the reference's table in place of a model of memory; no torch.

The numbers are those of ace-step/ACE-Step-1.5 at f30aee4. They are defaults and limits for who says nothing; a user may
go beyond them. Not in the table, because nothing here depends on it: the autoencoder always works in windows
(``autoencoder``), and a planner that the reference leaves out takes turns with the transformer instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tier:
    """Devices of about one size. Pairs are without a planner, and with one."""

    most_gib: float
    """The largest memory that belongs to it."""
    longest_s: tuple[float, float]
    most_songs: tuple[int, int]
    """At once."""
    planners: tuple[str, ...]
    """Those that fit beside the transformer."""


_ALL = ("0.6b", "1.7b", "4b")
TIERS = (
    Tier(4, (180.0, 180.0), (1, 1), ()),
    Tier(6, (360.0, 360.0), (1, 1), ()),
    Tier(8, (360.0, 240.0), (2, 1), _ALL[:1]),
    Tier(12, (360.0, 240.0), (4, 2), _ALL[:1]),
    Tier(math.nextafter(15.5, 0), (360.0, 240.0), (4, 2), _ALL[:2]),
    Tier(24, (480.0, 480.0), (8, 4), _ALL),
    Tier(math.inf, (600.0, 600.0), (8, 8), _ALL),
)
"""Smallest first; devices without memory of their own, a processor, belong to the first."""
PLANNER_GIB = {"0.6b": 3, "1.7b": 8, "4b": 12}
"""What each planner takes, its cache included."""


def tier_of(gib: float) -> Tier:
    """The tier of a device with this much memory, in GiB."""
    return next(tier for tier in TIERS if gib <= tier.most_gib)
