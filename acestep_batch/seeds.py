"""Seeds and draws that follow from names: hashes only, no generator and no state."""

from __future__ import annotations

import hashlib

from acestep_batch.schema_song import LONGEST_S, SHORTEST_RANDOM_S


def seed_of_id(row_id: str) -> int:
    """The seed of a row that names none: the first 32 bits of sha256 of its id."""
    return int.from_bytes(hashlib.sha256(row_id.encode("utf-8", "surrogatepass")).digest()[:4], "big")


def derived_bits(seed: int, name: str) -> int:
    """64 bits that belong to a song's seed and the name of a draw which the reference does not have."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big")


def take_seeds(first: int, takes: int) -> tuple[int, ...]:
    """The first seed and ``takes - 1`` seeds derived from it, all different."""
    seeds = {first: None}
    attempt = 1
    while len(seeds) < takes:
        seeds.setdefault(derived_bits(first, f"take {attempt}") >> 32)
        attempt += 1
    return tuple(seeds)


def drawn_duration_s(seed: int, limit_s: float) -> float:
    """The length of a song with ``audio_duration: -1``: uniform from 30 s to the lower of 240 s and the limit."""
    longest = min(LONGEST_S, limit_s)
    shortest = min(SHORTEST_RANDOM_S, longest)
    drawn = shortest + (longest - shortest) * derived_bits(seed, "duration") / 2**64
    return max(shortest, min(longest, round(drawn, 2)))
