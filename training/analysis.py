"""Audio to the log-mel that the v1 vocoder reads and the codec learns."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from acestep_batch.engine.v1.vocoder import VocoderConfig

FULL_SCALE = 32768


class Analysis:
    """The transform, made once; its window and filters are the published ones."""

    def __init__(self) -> None:
        self._transform = VocoderConfig().mel_transform()

    def mel(self, audio: NDArray[np.int16]) -> NDArray[np.float16]:
        """`[C, N]` int16 at 44.1 kHz -> `[C, 128, N // 512]`, natural logarithm of mel magnitudes."""
        with torch.inference_mode():
            found = self._transform(torch.from_numpy(audio.astype(np.float32) / FULL_SCALE))
        return np.asarray(found.numpy().astype(np.float16))
