"""Stage f: latents to audio, plainly and in overlapping windows, and audio to latents.

Recorded tensors named ``..._everyK`` hold every K-th sample, ``..._win`` the samples of the case's ``win``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acestep_batch.engine.v1.autoencoder import MEL_MAX, MEL_MIN, MusicDecoder, load_decoder
from acestep_batch.engine.v1.music_encoder import MusicEncoder, load_encoder
from acestep_batch.engine.v1.resample import resample
from acestep_batch.engine.v1.vocoder import VocoderConfig

from .checks import MEL, RELATIVE, WAVEFORM, WAVEFORM_SENSITIVITY_FACTOR, Case, Check, largest, relative
from .pack import read_cases, read_tensors, tensors_of

DEFAULT_RATE = 48000
"""Of audio that is encoded without a sample rate."""
WAVE = re.compile(r"wav(?P<rate>44|48)k(_every(?P<stride>\d+)|_(?P<window>win))?")


def audio_stage(pack: Path) -> Iterator[Check]:
    """Every case of ``f_audio``, and the recorded filters and window of the log-mel transform."""
    cases, tensors = read_cases(pack, "f_audio"), read_tensors(pack, "f_audio")
    if not cases:
        return
    folders = pack / "checkpoint" / "music_dcae_f8c8", pack / "checkpoint" / "music_vocoder"
    decoder = load_decoder(*folders, torch.float32, "cpu")
    encoder = load_encoder(*folders, torch.float32, "cpu")
    for recorded in cases:
        case = Case("f", recorded["id"])
        if recorded["kind"] == "encode":
            yield from case.guarded(
                partial(_check_encode, case, recorded, tensors_of(tensors, recorded["id"]), encoder)
            )
        else:
            latents = recorded.get("latent", f"{recorded['id']}.latent")
            yield from case.guarded(partial(_check_decode, case, recorded, tensors, latents, decoder))
    case = Case("f", "mel_transform")
    yield from case.guarded(partial(_check_mel_transform, case, folders[1], tensors))


def _check_decode(
    case: Case, recorded: dict[str, Any], tensors: dict[str, Tensor], latents_name: str, decoder: MusicDecoder
) -> Iterator[Check]:
    theirs, latents = tensors_of(tensors, case.name), tensors[latents_name]
    if "mel" in theirs or "mel_raw" in theirs:
        yield from _check_mel(case, decoder.decode_mel(latents), theirs)
    decode = decoder.decode_windows if recorded["kind"] == "decode_overlap" else decoder.decode
    waves: dict[int, Tensor] = {}
    for name, stored in theirs.items():
        if name in {"latent", "mel", "mel_raw"}:
            continue
        match = WAVE.fullmatch(name)
        if match is None:
            yield case.not_checked(name, f"{name}: not a kind of recording that is known here")
            continue
        rate = 44100 if match["rate"] == "44" else 48000
        if rate not in waves:
            waves[rate] = torch.stack([torch.from_numpy(song) for song in decode(latents, rate)])
            length = recorded.get(f"wav{match['rate']}k_len", waves[rate].shape[-1])
            yield case.check(f"wav{match['rate']}k length", abs(waves[rate].shape[-1] - length))
        kept = slice(*recorded["win"]) if match["window"] else slice(None, None, int(match["stride"] or 1))
        ours = waves[rate][..., kept]
        yield from case.waveform(name, ours if stored.dim() == 3 else ours[0], stored, *_tolerances(recorded))


def _check_mel(case: Case, mel: Tensor, theirs: dict[str, Tensor]) -> Iterator[Check]:
    raw = (mel - MEL_MIN) / (MEL_MAX - MEL_MIN) * 2 - 1  # what the autoencoder itself puts out
    for name, ours in (("mel", mel), ("mel_raw", raw)):
        if name in theirs:
            yield case.check(name, largest(ours[..., : theirs[name].shape[-1]], theirs[name]), MEL)


def _tolerances(recorded: dict[str, Any]) -> tuple[float, float]:
    if "wav_sensitivity" not in recorded:
        return WAVEFORM, WAVEFORM
    p99, rms = (recorded["wav_sensitivity"][name] for name in ("p99", "rms"))
    return WAVEFORM_SENSITIVITY_FACTOR * p99, WAVEFORM_SENSITIVITY_FACTOR * rms


def _check_encode(
    case: Case, recorded: dict[str, Any], theirs: dict[str, Tensor], encoder: MusicEncoder
) -> Iterator[Check]:
    audio, rate = theirs["audio"], recorded.get("sr") or DEFAULT_RATE
    native = resample(audio, rate, encoder.native_rate)
    padded = torch.nn.functional.pad(native, (0, -native.shape[-1] % encoder.samples_per_latent))
    latents = encoder.encode(audio, rate)
    yield case.check("padded length", abs(padded.shape[-1] - recorded.get("padded_len", padded.shape[-1])))
    yield case.check("latent frames", abs(latents.shape[-1] - recorded.get("latent_frames", latents.shape[-1])))
    for name, stored in theirs.items():
        if match := re.fullmatch(r"audio44k_padded(?:_every(\d+))?", name):
            yield case.check("audio44k", largest(padded[..., :: int(match[1] or 1)], stored), MEL)
    if "logmel" in theirs:
        logmel = torch.stack([encoder.mel_transform(song) for song in padded])
        yield case.check("logmel", largest(logmel, theirs["logmel"]), MEL)
    yield case.check("latent", largest(latents, theirs["latent"]), MEL)


def _check_mel_transform(case: Case, vocoder_folder: Path, tensors: dict[str, Tensor]) -> Iterator[Check]:
    """The filters and window that follow from the sizes, not those in the checkpoint."""
    config = json.loads((vocoder_folder / "config.json").read_text(encoding="utf-8"))
    transform = VocoderConfig.from_dict(config).mel_transform()
    if "mel_fb" in tensors:
        yield case.check("filters", relative(transform.mel_scale.fb, tensors["mel_fb"]), RELATIVE)
    if "stft_window" in tensors:
        yield case.check("window", relative(transform.spectrogram.window, tensors["stft_window"]), RELATIVE)
