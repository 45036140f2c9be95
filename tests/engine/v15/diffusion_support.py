"""Songs and engines for the tests of the 1.5 diffusion half."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from acestep_batch.engine.v15.embedded_diffusion import EmbeddedV15Engine, load_embedded_v15
from acestep_batch.engine.v15.request import SAMPLE_RATE, V15Request, Waveform
from acestep_batch.engine.v15.variant import Variant

SONG: dict[str, Any] = {
    "caption": "latin trap, dembow, 808 bass, moody pads",
    "lyrics": "[verse]\nluces de la calle\n\n[chorus]\nno me digas nada",
    "instrumental": False,
    "vocal_language": "es",
    "bpm": 92,
    "keyscale": "A minor",
    "timesignature": "4",
    "duration_s": 1.0,
    "seed": 7,
    "infer_step": 8,
    "guidance_scale": 1.0,
    "use_adg": False,
    "cfg_interval_start": 0.0,
    "cfg_interval_end": 1.0,
    "shift": 3.0,
    "infer_method": "ode",
    "timesteps": (),
    "task": "text2music",
    "track_name": "",
    "complete_track_classes": (),
    "src_audio": None,
    "reference_audio": None,
    "repainting_start": 0.0,
    "repainting_end": -1.0,
    "audio_cover_strength": 1.0,
    "audio_codes": None,
}


def song(**changes: Any) -> V15Request:
    """A short song for a turbo checkpoint, with changes."""
    return V15Request(**SONG | changes)


def tone(duration_s: float, hz: float = 220.0) -> Waveform:
    """A source: a stereo sine whose channels differ."""
    t = np.arange(int(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    return Waveform(0.3 * np.sin(2 * np.pi * hz * np.stack((t, 1.5 * t))).astype(np.float32))


@cache
def engine(variant: Variant = Variant.TURBO) -> EmbeddedV15Engine:
    """The embedded model, loaded once."""
    return load_embedded_v15(variant=variant)


def latents(request: V15Request, variant: Variant = Variant.TURBO) -> np.ndarray:
    """Latents [C, F] of one song, rendered alone."""
    (denoised,) = engine(variant).denoise([request])
    return denoised.latents
