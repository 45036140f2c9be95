"""The 1.5 engine: the same song alone and in company, every input heard, nothing carried over, memory by components."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusion_support import engine, latents, song, tone

from acestep_batch.engine.base import Decoding
from acestep_batch.engine.v15.autoencoder import encode, halo_frames
from acestep_batch.engine.v15.batching import model_calls, sampling_key
from acestep_batch.engine.v15.embedded_configs import LABELS, embedded_diffusion
from acestep_batch.engine.v15.embedded_diffusion import load_embedded_v15
from acestep_batch.engine.v15.request import V15Request
from acestep_batch.engine.v15.variant import Variant

SETTINGS: list[tuple[Variant, dict[str, Any]]] = [
    (Variant.TURBO, {}),
    (Variant.TURBO, {"infer_method": "sde"}),
    (Variant.TURBO, {"timesteps": (0.97, 0.76, 0.5, 0.28)}),
    (Variant.BASE, {"guidance_scale": 7.0, "infer_step": 6}),
    (Variant.BASE, {"guidance_scale": 7.0, "infer_step": 6, "infer_method": "sde"}),
    (Variant.SFT, {"guidance_scale": 5.0, "infer_step": 6, "use_adg": True}),
    (Variant.BASE, {"guidance_scale": 4.0, "infer_step": 6, "cfg_interval_start": 0.3, "cfg_interval_end": 0.8}),
]


def company(request: V15Request) -> list[V15Request]:
    """Other songs that may be denoised with it: of as many vectors, of more and of fewer."""
    return [
        replace(request, seed=8, caption=request.caption[::-1]),
        replace(request, seed=9),
        replace(request, seed=10, lyrics="", caption="piano"),
        replace(request, seed=11, lyrics=request.lyrics * 4, keyscale=""),
    ]


@pytest.mark.parametrize(("variant", "changes"), SETTINGS, ids=str)
def test_a_song_is_bit_for_bit_the_same_alone_and_in_company(variant: Variant, changes: dict[str, Any]) -> None:
    own = song(**changes)
    batch = company(own)
    batch.insert(2, own)
    together = engine(variant).denoise(batch)
    for found, request in zip(together, batch, strict=True):
        np.testing.assert_array_equal(found.latents, latents(request, variant))
    (after,) = engine(variant).denoise([batch[-1], own])[1:]
    np.testing.assert_array_equal(after.latents, together[2].latents)


@pytest.mark.parametrize(("variant", "changes"), SETTINGS, ids=str)
def test_a_song_is_the_same_every_time(variant: Variant, changes: dict[str, Any]) -> None:
    torch.manual_seed(1)
    first = latents(song(**changes), variant)
    torch.manual_seed(2)
    np.testing.assert_array_equal(first, latents(song(**changes), variant))


SOURCE = tone(1.0)
CODES = (7, 63_999, 12_345, 0, 500)
HEARD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"seed": 8}),
    ({}, {"caption": "heavy metal"}),
    ({}, {"lyrics": "[verse]\nsol sobre el agua"}),
    ({}, {"instrumental": True}),
    ({}, {"vocal_language": "en"}),
    ({}, {"bpm": 140}),
    ({}, {"keyscale": "C major"}),
    ({}, {"timesignature": "3"}),
    ({}, {"shift": 1.0}),
    ({}, {"timesteps": (1.0, 0.5)}),
    ({}, {"infer_method": "sde"}),
    ({}, {"reference_audio": tone(2.0)}),
    ({}, {"audio_codes": CODES}),
    ({"audio_codes": CODES}, {"audio_codes": CODES[::-1]}),
    ({"audio_codes": CODES}, {"audio_cover_strength": 0.5}),
    ({"infer_step": 8}, {"infer_step": 5}),
    ({"guidance_scale": 7.0}, {"guidance_scale": 4.0}),
    ({"guidance_scale": 7.0}, {"use_adg": True}),
    ({"guidance_scale": 7.0}, {"cfg_interval_end": 0.7}),
    ({"guidance_scale": 7.0}, {"cfg_interval_start": 0.6}),
    ({"task": "cover", "src_audio": SOURCE}, {"src_audio": tone(1.0, 330)}),
    ({"task": "cover", "src_audio": SOURCE}, {"audio_cover_strength": 0.3}),
    ({"task": "repaint", "src_audio": SOURCE}, {"repainting_start": 0.5}),
    ({"task": "repaint", "src_audio": SOURCE, "repainting_start": 0.2}, {"repainting_end": 0.6}),
    ({"task": "extract", "src_audio": SOURCE}, {"track_name": "vocals"}),
    ({"task": "lego", "src_audio": SOURCE, "track_name": "bass"}, {"track_name": "drums"}),
    ({"task": "complete", "src_audio": SOURCE}, {"complete_track_classes": ("drums", "bass")}),
]


@pytest.mark.parametrize(("given", "changes"), HEARD, ids=str)
def test_every_input_is_heard(given: dict[str, Any], changes: dict[str, Any]) -> None:
    before, after = (latents(song(**each), Variant.BASE) for each in (given, given | changes))
    assert before.shape == after.shape
    assert np.abs(before - after).max() > 1e-4


def test_turbo_ignores_guidance_and_says_so() -> None:
    guided, plain = (engine().denoise([song(guidance_scale=scale)])[0] for scale in (7.0, 1.0))
    np.testing.assert_array_equal(guided.latents, plain.latents)
    assert len(guided.notes) == 1
    assert "guidance_scale 7.0 is ignored" in guided.notes[0]
    assert plain.notes == ()
    assert guided.model_calls == 8


def test_a_cover_without_strength_is_as_good_as_text() -> None:
    """The first call already sees what text2music sees."""
    cover = song(task="cover", src_audio=SOURCE, audio_cover_strength=0.0)
    np.testing.assert_array_equal(latents(cover), latents(song()))


def test_codes_and_sources_decide_the_length() -> None:
    assert latents(song(audio_codes=CODES * 3)).shape == (4, 75)
    assert latents(song(task="cover", src_audio=tone(0.81))).shape == (4, 20)
    assert latents(song(duration_s=1.01)).shape == (4, 26)


def test_the_null_branch_costs_only_where_guidance_is_on() -> None:
    guided = song(guidance_scale=4.0, infer_step=6, shift=1.0, cfg_interval_start=0.3, cfg_interval_end=0.8)
    assert model_calls(guided, Variant.BASE) == 6 + 3
    assert model_calls(guided, Variant.TURBO) == 8


def test_steps_are_counted_over_all_groups() -> None:
    steps: list[tuple[int, int]] = []
    own = song()
    engine().denoise([own, *company(own)], lambda done, total: steps.append((done, total)))
    total = steps[0][1]
    assert steps == [(done, total) for done in range(1, total + 1)]
    assert total > 8


def test_a_callback_may_cancel() -> None:
    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine().denoise([song()], cancel)


def test_what_cannot_be_rendered_or_batched_is_refused() -> None:
    with pytest.raises(ValueError, match="needs src_audio"):
        engine().denoise([song(task="repaint")])
    with pytest.raises(ValueError, match="do not share"):
        engine().denoise([song(), song(duration_s=2.0)])
    assert sampling_key(song(), Variant.TURBO) != sampling_key(song(infer_method="sde"), Variant.TURBO)


def test_every_decoding_gives_the_same_samples_and_no_seam() -> None:
    made = engine()
    (denoised,) = made.denoise([song(duration_s=12.0)])
    vae = made._parts.vae
    with torch.inference_mode():
        whole = vae.decoder(torch.from_numpy(denoised.latents)[None])[0].numpy()
    assert whole.shape == (2, 12 * 48_000)
    for decoding in Decoding:
        (rendered,) = made.decode([denoised], 48_000, decoding)
        np.testing.assert_allclose(rendered.audio, whole, atol=2e-5 * np.abs(whole).max())
    assert halo_frames(vae) == 9


def test_encoding_in_windows_leaves_no_seam() -> None:
    vae, audio = engine()._parts.vae, torch.from_numpy(tone(12.0).samples)
    with torch.inference_mode():
        whole = vae.encoder(audio[None])[0, :4].T
        found = encode(vae, audio)[0]
    assert found.shape == (300, 4)
    torch.testing.assert_close(found, whole, atol=1e-5 * whole.abs().max().item(), rtol=0)


def test_a_smaller_halo_would_leave_seams() -> None:
    vae = load_embedded_v15()._parts.vae
    z = torch.from_numpy(latents(song(duration_s=4.0)))[None]
    with torch.inference_mode():
        whole = vae.decoder(z)
        vae.enable_tiling()
        vae.tile_latent_min_length, vae.tile_latent_overlap = 32, 7
        assert (vae.decode(z).sample - whole).abs().max() > 1e-3 * whole.abs().max()


@pytest.mark.parametrize(
    "changes", [{}, {"seed": 2**32 - 1}, {"caption": "", "lyrics": ""}, {"duration_s": 0.2}], ids=str
)
def test_it_makes_sound(changes: dict[str, Any]) -> None:
    (rendered,) = engine().render([song(**changes)], 44_100)
    assert np.isfinite(rendered.audio).all()
    assert 0.05 <= np.abs(rendered.audio).max() <= 1.0
    assert (rendered.audio.std(axis=1) > 0.01).all(), "silent or constant"
    assert rendered.sample_rate == 44_100
    assert rendered.audio.shape[1] == round(rendered.frames * 1920 * 44_100 / 48_000)


def test_offloading_changes_nothing() -> None:
    made = load_embedded_v15()
    request = song(task="cover", src_audio=SOURCE, reference_audio=SOURCE, audio_cover_strength=0.5)
    expected = made.render([request], 48_000)[0].audio
    with made.offloaded():
        np.testing.assert_array_equal(made.render([request], 48_000)[0].audio, expected)


def test_in_float32_gives_the_weights_back_as_they_were() -> None:
    made = load_embedded_v15(dtype=torch.bfloat16)
    before = latents_of(made)
    with made.in_float32():
        wide = latents_of(made)
    np.testing.assert_array_equal(latents_of(made), before)
    assert np.abs(wide - before).max() > 0
    assert np.corrcoef(wide.ravel(), before.ravel())[0, 1] > 0.98


def latents_of(made: Any) -> np.ndarray:
    return made.denoise([song()])[0].latents


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_makes_sound(dtype: torch.dtype) -> None:
    (rendered,) = load_embedded_v15(dtype=dtype).render([song()], 48_000)
    assert rendered.audio.dtype == np.float32
    assert np.isfinite(rendered.audio).all()
    assert rendered.audio.std() > 0.01


def test_the_weights_are_the_recorded_bits_and_global_random_states_stay() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]
    described = load_embedded_v15().describe()
    assert described["files"] == [dict(embedded_diffusion(Variant.TURBO))]
    assert described["variant"] == "turbo"
    assert described["made_on"]["threads"] == 1
    assert engine().label == LABELS[Variant.TURBO]
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index]


def test_texts_that_are_longer_than_what_is_read_are_a_note() -> None:
    words, lyrics = "x" * 300, "[verse]\n" + "la " * 1_200
    (made,) = load_embedded_v15().denoise([song(caption=words, lyrics=lyrics, timesteps=(1.0,))])
    assert [note.split()[0] for note in made.notes if " tokens, of which " in note] == ["caption:", "lyrics:"]
    (same,) = load_embedded_v15().denoise([song(caption=words, lyrics=f"{lyrics} more", timesteps=(1.0,))])
    np.testing.assert_array_equal(same.latents, made.latents)
    (short,) = load_embedded_v15().denoise([song(timesteps=(1.0,))])
    assert not any("tokens" in note for note in short.notes)
