"""The vocoder in windows: the same samples as in one piece, from no more frames than needed."""

from __future__ import annotations

import pytest
import torch

from acestep_batch.engine.embedded import draw_weights
from acestep_batch.engine.v1.vocoder import ADaMoSHiFiGANV1, VocoderConfig, fold_weight_norm

PUBLISHED = VocoderConfig()
WIDE_KERNELS = VocoderConfig(
    depths=(1, 1),
    dims=(8, 16),
    num_mels=16,
    upsample_initial_channel=128,
    resblock_kernel_sizes=(3, 13),
    resblock_dilation_sizes=((1, 3, 5), (1, 3, 5)),
)
FEW_LEVELS = VocoderConfig(
    depths=(1,),
    dims=(16,),
    num_mels=16,
    upsample_rates=(8, 8, 8),
    upsample_kernel_sizes=(16, 16, 8),
    upsample_initial_channel=32,
    resblock_kernel_sizes=(3,),
    resblock_dilation_sizes=((1,),),
    pre_conv_kernel_size=1,
)


def build(config: VocoderConfig) -> ADaMoSHiFiGANV1:
    """An untrained vocoder, ready to run."""
    vocoder = ADaMoSHiFiGANV1(config)
    vocoder.load_state_dict(draw_weights("music_vocoder", vocoder), strict=False)
    fold_weight_norm(vocoder)
    return vocoder.eval().requires_grad_(False)


@pytest.mark.parametrize("config", [WIDE_KERNELS, FEW_LEVELS], ids=["wide kernels", "few levels"])
@pytest.mark.parametrize(("n_frames", "window"), [(1, 4), (90, 20), (97, 32), (64, 64), (65, 64), (50, 1)])
def test_windows_give_the_samples_of_the_whole(config: VocoderConfig, n_frames: int, window: int) -> None:
    vocoder = build(config)
    mel = torch.randn(2, config.n_mels, n_frames, generator=torch.Generator().manual_seed(n_frames))
    whole = vocoder(mel)
    assert whole.shape == (2, n_frames * config.hop_length)
    assert whole.std() > 0.01
    torch.testing.assert_close(vocoder(mel, window), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("config", [WIDE_KERNELS, FEW_LEVELS], ids=["wide kernels", "few levels"])
def test_reach_is_how_far_a_frame_is_heard(config: VocoderConfig) -> None:
    """The gradient of the head's samples of one frame reaches that many frames to either side, and none beyond."""
    head, reach = build(config).head, config.head_reach
    middle = reach + 2
    frames = torch.zeros(1, config.num_mels, 2 * middle + 1, dtype=torch.float64, requires_grad=True)
    samples = head.double()(frames)[..., middle * config.hop_length : (middle + 1) * config.hop_length]
    samples.sum().backward()
    heard = frames.grad.abs().sum(dim=(0, 1)).nonzero().flatten().tolist()
    assert heard == list(range(middle - reach, middle + reach + 1))


def test_published_reach() -> None:
    assert PUBLISHED.head_reach == 34
