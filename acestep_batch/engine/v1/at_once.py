"""How much of songs is decoded in one pass, which bounds the memory; no torch."""

from __future__ import annotations

from dataclasses import dataclass

from acestep_batch.engine.v1.limits import latent_frames


@dataclass(frozen=True, slots=True)
class AtOnce:
    """What goes through the decoder's networks together. It changes no sample beyond the rounding of sums."""

    latent_frames: int
    """Songs that together have no more frames than this go together; a longer one goes alone."""
    mel_frames: int
    """Of every song of a pass, the frames that the vocoder's head turns into samples at a time."""

    def songs(self, frames: int) -> int:
        """How many songs of ``frames`` latent frames go together."""
        return max(1, self.latent_frames // frames)


SMALL = AtOnce(latent_frames=1, mel_frames=256)
"""One song at a time, in small windows: the least memory, and the fastest on a CPU. The layers between stay in its
caches and the allocator reuses their memory; of a whole song, or of several, it maps and clears new pages for every
layer, which takes longer than the sums. Four songs of 20 s together took 1.7 times as long as one by one."""
LARGE = AtOnce(latent_frames=latent_frames(240.0), mel_frames=4096)
"""Enough for other devices to be busy. Short songs together take no more memory than one of 240 s: at the published
sizes, in a type of two bytes, 4.5 GB (1.74 MB a latent frame), most of it in the latent decoder."""


def suited_to(device_kind: str) -> AtOnce:
    """The choice for a kind of device, such as ``cpu`` or ``cuda``."""
    return SMALL if device_kind == "cpu" else LARGE
