"""What a 1.5 song attends to and starts from: texts, timbre, sources and codes; no latents of its own, no steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from diffusers.pipelines.ace_step.modeling_ace_step import AceStepAudioTokenDetokenizer, AceStepAudioTokenizer
from torch import Tensor

from acestep_batch.engine.tasks import AwaitedSource, LatentSource
from acestep_batch.engine.v1.resample import resample
from acestep_batch.engine.v15.autoencoder import encode
from acestep_batch.engine.v15.codes import hints_of_codes, hints_of_latents
from acestep_batch.engine.v15.components import Components
from acestep_batch.engine.v15.limits import window_frames
from acestep_batch.engine.v15.prompts import lyric_text, prompt_text, task_of_prompt
from acestep_batch.engine.v15.request import (
    FRAMES_PER_SECOND,
    SAMPLE_RATE,
    SAMPLES_PER_FRAME,
    Sound,
    V15Request,
    Waveform,
)
from acestep_batch.engine.v15.text import LYRIC_TOKENS, PROMPT_TOKENS

TIMBRE_FRAMES = int(30 * FRAMES_PER_SECOND)
_WINDOW_S, _WINDOWS = 10, 3


@dataclass(frozen=True, slots=True)
class Condition:
    """One view of one song for the transformer."""

    states: Tensor
    """[1, L, D], to be attended to: lyrics, timbre, prompt. No part of it is padding."""
    context: Tensor
    """[1, F, 2 C], beside the latents: what is known of each frame, and 1 where it is to be made or 0 to be kept."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A song's texts as vectors [1, T, C]."""

    prompt: Tensor
    plain_prompt: Tensor
    """Under the instruction of ``text2music``, for the steps after a cover's."""
    lyrics: Tensor


class Conditioner:
    """Encodes songs one by one, so that none depends on the songs beside it."""

    def __init__(self, components: Components) -> None:
        self._parts = components

    def texts(self, request: V15Request) -> Texts:
        """Prompt and lyrics; needs the text encoder alone."""
        encoder = self._parts.text_encoder
        task = task_of_prompt(request)
        prompt = encoder.encode_prompt(prompt_text(request, task))
        is_cover = task == "cover" and request.audio_cover_strength < 1
        plain = encoder.encode_prompt(prompt_text(request, "text2music")) if is_cover else prompt
        return Texts(prompt, plain, encoder.embed_lyrics(lyric_text(request)))

    def unread(self, request: V15Request) -> list[str]:
        """In words which of its texts are longer than what is read of them."""
        count = self._parts.text_encoder.tokens
        prompt, lyrics = count(prompt_text(request, task_of_prompt(request))), count(lyric_text(request))
        found = []
        if prompt > PROMPT_TOKENS:
            ends = "its end, where tempo, key and length stand, goes unread"
            found.append(f"caption: the prompt has {prompt:,} tokens, of which {PROMPT_TOKENS:,} are read: {ends}")
        if lyrics > LYRIC_TOKENS:
            found.append(
                f"lyrics: they have {lyrics:,} tokens, of which {LYRIC_TOKENS:,} are read: their end goes unsung"
            )
        return found

    def heard(self, request: V15Request) -> tuple[Tensor | None, Tensor | None]:
        """Latents [1, F, C] of the source and [1, 750, C] of the reference; needs the autoencoder alone, if at all.

        Raises ValueError for latents of another shape, and for a song that is not made yet.
        """
        source = None if request.src_audio is None else self._latents(request.src_audio)
        timbre = request.reference_audio
        if isinstance(timbre, AwaitedSource):
            raise ValueError("the reference of a song is not made yet: only its length is known")
        return source, None if timbre is None else encode(self._parts.vae, _timbre_samples(timbre))

    def _latents(self, sound: Sound) -> Tensor:
        match sound:
            case Waveform():
                return encode(self._parts.vae, _samples(sound)[:, : sound.frames * SAMPLES_PER_FRAME])
            case LatentSource(latents=latents):
                if latents.ndim != 2 or latents.shape[0] != self._parts.channels:
                    shape = list(latents.shape)
                    raise ValueError(f"the source's latents are {shape}, and this model's [{self._parts.channels}, F]")
                return torch.from_numpy(np.asarray(latents, dtype=np.float32)).T[None]
            case _:
                raise ValueError("the source of a task is not made yet: only its length is known")

    def conditions(
        self, request: V15Request, texts: Texts, source: Tensor | None, reference: Tensor | None
    ) -> tuple[Condition, Condition]:
        """The song as its task wants it, and as ``text2music`` for the steps after a cover's (else the same)."""
        timbre = self._silence(TIMBRE_FRAMES) if reference is None else reference
        own = Condition(self._states(texts.prompt, texts.lyrics, timbre), self._context(request, source))
        if texts.plain_prompt is texts.prompt:
            return own, own
        silent = self._silence(request.frames)
        plain = torch.cat((silent, torch.ones_like(silent)), dim=-1)
        return own, Condition(self._states(texts.plain_prompt, texts.lyrics, timbre), plain)

    def _states(self, prompt: Tensor, lyrics: Tensor, timbre: Tensor) -> Tensor:
        encoder = self._parts.condition_encoder
        prompt, lyrics, timbre = (each.to(encoder.device, encoder.dtype) for each in (prompt, lyrics, timbre))
        states, _ = encoder(
            text_hidden_states=prompt,
            text_attention_mask=torch.ones(prompt.shape[:2], dtype=torch.bool, device=encoder.device),
            lyric_hidden_states=lyrics,
            lyric_attention_mask=torch.ones(lyrics.shape[:2], dtype=torch.bool, device=encoder.device),
            refer_audio_acoustic_hidden_states_packed=timbre,
            refer_audio_order_mask=torch.zeros(1, dtype=torch.long, device=encoder.device),
        )
        return states

    def _context(self, request: V15Request, source: Tensor | None) -> Tensor:
        known = self._known(request, source)
        mask = torch.ones_like(known)
        if request.task in {"repaint", "lego"}:
            window = window_frames(request)
            mask = torch.zeros_like(known)
            mask[:, window.start : window.stop] = 1
        if request.task == "repaint":
            known = torch.where(mask > 0, self._silence(request.frames), known)
        return torch.cat((known, mask), dim=-1)

    def _known(self, request: V15Request, source: Tensor | None) -> Tensor:
        """What is known of each frame before it is made, [1, F, C]."""
        if request.audio_codes is not None:
            return hints_of_codes(request.audio_codes, *self._audio_tokens())
        if source is None:
            return self._silence(request.frames)
        encoder = self._parts.condition_encoder
        source = source.to(encoder.device, encoder.dtype)
        if request.task == "cover":
            return hints_of_latents(source, encoder.silence_latent, *self._audio_tokens())
        return source

    def _audio_tokens(self) -> tuple[AceStepAudioTokenizer, AceStepAudioTokenDetokenizer]:
        tokenizer, detokenizer = self._parts.audio_tokenizer, self._parts.detokenizer
        if tokenizer is None or detokenizer is None:
            raise ValueError("this checkpoint has no audio tokenizer, so that it takes neither audio codes nor covers")
        return tokenizer, detokenizer

    def _silence(self, frames: int) -> Tensor:
        """Latents of silence [1, frames, C]; beyond their end they begin again."""
        silence: Tensor = self._parts.condition_encoder.silence_latent
        if silence.shape[1] >= frames:
            return silence[:, :frames]
        return silence.repeat(1, -(-frames // silence.shape[1]), 1)[:, :frames]


def _samples(audio: Waveform) -> Tensor:
    """In stereo [2, N] at 48,000 Hz."""
    samples = torch.from_numpy(np.asarray(audio.samples, dtype=np.float32))
    return resample(samples, audio.sample_rate, SAMPLE_RATE).expand(2, -1)


def _timbre_samples(audio: Waveform) -> Tensor:
    """Three windows of 10 s, from the start, a third and the end; shorter audio is repeated first."""
    window, samples = _WINDOW_S * SAMPLE_RATE, _samples(audio)
    repeats = -(-_WINDOWS * window // samples.shape[-1])
    samples = samples.repeat(1, repeats)
    length = samples.shape[-1]
    starts = (0, length // _WINDOWS, length - window)
    return torch.cat([samples[:, start : start + window] for start in starts], dim=-1)
