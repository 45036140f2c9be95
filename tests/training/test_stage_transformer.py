"""Stage 4: the model sees songs as the product shows them, learns, and goes on as if never stopped."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from acestep_batch.engine.base import SETTINGS, SongRequest
from acestep_batch.engine.embedded_text import embedded_lyric_ids
from acestep_batch.engine.v1.batching import Branch
from acestep_batch.engine.v1.conditioning import Conditioner
from acestep_batch.engine.v1.schedules import timesteps, uniform_steps
from acestep_batch.engine.v1.text import TextEncoder
from acestep_batch.schema import SONG
from training.batches import draw_batch
from training.latents import TrainingSet, load_training_set, loop_frames
from training.progress import load, save
from training.schedule import Recipe
from training.sizes import TEXT_ENCODER_CONFIG, TRANSFORMER_CONFIG
from training.tokens import FIRST_WORD_ID, UNKNOWN_ID
from training.transformer import Training, loss_of

pytestmark = pytest.mark.slow

TINY = {**TRANSFORMER_CONFIG, "num_layers": 2, "lyric_encoder_num_blocks": 1}
TINY_TEXT = {**TEXT_ENCODER_CONFIG, "num_layers": 2}
RECIPE = Recipe(batch=4, warm_up=1, looped=0.0)
DEFAULTS = {name: parameter.default for name, parameter in SONG.items() if name in SETTINGS}


@pytest.fixture(scope="module")
def training_set(checkpoints: Path) -> TrainingSet:
    return load_training_set(checkpoints)


def begun(training_set: TrainingSet, recipe: Recipe = RECIPE) -> Training:
    return Training(training_set, recipe, TINY, TINY_TEXT, "cpu")


@torch.no_grad()
def test_before_training_the_model_is_the_best_linear_denoiser_of_white_latents(training_set: TrainingSet) -> None:
    training = begun(training_set)
    for block in training.model.transformer.transformer_blocks:
        block.scale_shift_table.zero_()
        block.cross_attn.to_out[0].weight.zero_()
        block.cross_attn.to_out[0].bias.zero_()
    training.model.transformer.t_block[1].weight.zero_()
    training.model.transformer.t_block[1].bias.zero_()
    generator = torch.Generator().manual_seed(0)
    data, noise = (torch.randn(4, 8, 16, 64, generator=generator) for _ in range(2))
    conditioning = training.model.conditioning([[3, 1]] * 4, [[]] * 4, [False] * 4)
    sigmas = torch.tensor([0.1, 0.4, 0.7, 0.95])
    level = sigmas[:, None, None, None]
    mixed = (1 - level) * data + level * noise
    expected = (2 * level - 1) / (level**2 + (1 - level) ** 2) * mixed
    made = training.model(mixed, sigmas, conditioning)
    assert ((made - expected).square().mean() / expected.square().mean()).sqrt() < 0.2


@pytest.mark.parametrize(("branch", "lyrics"), [(Branch.COND, "[verse]\nla"), (Branch.COND, ""), (Branch.EMPTY, "")])
@torch.no_grad()
def test_a_song_is_conditioned_as_in_the_product(training_set: TrainingSet, branch: Branch, lyrics: str) -> None:
    model, tokenizer = begun(training_set).model.eval(), Tokenizer.from_str(training_set.tokenizer)
    prompt = "pop, 90 bpm"
    ids, lyric_ids = tokenizer.encode(prompt).ids, embedded_lyric_ids(lyrics) if lyrics else []
    longer = tokenizer.encode("pop, piano, 120 bpm").ids
    ours = model.conditioning([ids, longer], [lyric_ids, [1, 2, 3]], [branch is Branch.EMPTY, False])
    request = SongRequest(**DEFAULTS | {"prompt": prompt, "lyrics": lyrics, "seed": 0})
    conditioner = Conditioner(model.transformer, TextEncoder(model.text, tokenizer), embedded_lyric_ids)
    theirs = conditioner.conditioning([request], [branch])
    length = theirs.keys[0].shape[2]
    assert ours.mask is not None
    assert ours.mask[0, 0, 0].sum() == length
    for own, their in zip((*ours.keys, *ours.values), (*theirs.keys, *theirs.values), strict=True):
        torch.testing.assert_close(own[:1, :, :length], their, rtol=0, atol=1e-4)


@torch.no_grad()
def test_the_model_is_told_the_time_that_the_schedules_tell(training_set: TrainingSet) -> None:
    model = begun(training_set).model
    table = uniform_steps(3)
    conditioning = model.conditioning([[3, 1]] * 3, [[]] * 3, [False] * 3)
    latents = training_set.latents[:3].float()
    times = model.transformer.embed_times(timesteps(table), latents.shape[-1])
    assert torch.equal(model(latents, table[:-1], conditioning), model.transformer(latents, times, conditioning))


def test_an_epoch_sees_every_clip_once_and_held_out_ones_never(training_set: TrainingSet) -> None:
    recipe = replace(RECIPE, batch=5)
    known = {latents.numpy().tobytes(): clip for clip, latents in enumerate(training_set.latents)}
    seen = [
        known[latents.half().numpy().tobytes()]
        for step in range(4)
        for latents in draw_batch(training_set, recipe, step).data
    ]
    assert sorted(seen) == training_set.trained == [clip for clip in range(21) if clip != 19]


def test_texts_lyrics_and_words_are_hidden_now_and_then(training_set: TrainingSet) -> None:
    batches = [draw_batch(training_set, RECIPE, step) for step in range(100)]
    without_text = [each for batch in batches for each in batch.without_text]
    assert 0.05 < sum(without_text) / len(without_text) < 0.15
    lyrics = [each for batch in batches for each in batch.lyric_ids]
    assert any(each and set(each) == {0} for each in lyrics)
    words = [each for batch in batches for ids in batch.text_ids for each in ids]
    assert 0 < words.count(UNKNOWN_ID) < 0.05 * len(words)
    assert all(ids[: FIRST_WORD_ID - 3] == list(range(3, FIRST_WORD_ID)) for b in batches for ids in b.text_ids)


def test_a_run_in_chunks_is_the_run_in_one_piece(training_set: TrainingSet, tmp_path: Path) -> None:
    whole = begun(training_set)
    first_losses = [whole.advance() for _ in range(3)]
    parts = begun(training_set)
    losses = [parts.advance()]
    for _ in range(2):
        save(tmp_path / "checkpoint.pt", parts.content())
        parts = begun(training_set)
        parts.go_on(load(tmp_path / "checkpoint.pt"))
        losses.append(parts.advance())
    assert losses == first_losses
    for one, other in ((whole.model.state_dict(), parts.model.state_dict()), (whole.average, parts.average)):
        for name, value in one.items():
            assert torch.equal(value, other[name]), name


def test_every_weight_learns_and_a_batch_can_be_learnt_by_heart(training_set: TrainingSet) -> None:
    training = begun(training_set)
    batch = draw_batch(training_set, RECIPE, 0)
    optimizer = torch.optim.Adam(training.model.parameters(), lr=1e-3)
    losses = []
    for _ in range(30):
        loss = loss_of(training.model, batch, training.weights, 1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    idle = {name for name, value in training.model.named_parameters() if not value.grad.abs().max() > 0}  # type: ignore[union-attr]
    assert idle == {"transformer.speaker_embedder.weight"}  # whose input is 0, as in the product


def test_a_change_of_recipe_is_refused_or_kept_in_the_history(training_set: TrainingSet) -> None:
    before = begun(training_set)
    before.advance()
    changed = replace(RECIPE, looped=0.5)
    with pytest.raises(ValueError, match="another recipe"):
        begun(training_set, changed).go_on(before.content())
    after = begun(training_set, changed)
    after.go_on(before.content(), may_differ=True)
    data = {"clips": 20, "dataset_seed": 0}
    assert after.content()["history"] == [[0, asdict(RECIPE) | data], [1, asdict(changed) | data]]
    elsewhere = replace(training_set, dataset=training_set.dataset | {"seed": 7})
    with pytest.raises(ValueError, match="dataset"):
        begun(elsewhere).go_on(before.content())
    for name in ("tokenizer", "codec"):
        with pytest.raises(ValueError, match=f"another {name}"):
            begun(replace(training_set, **{name: training_set.tokenizer + " "})).go_on(
                before.content(), may_differ=True
            )
    with pytest.raises(ValueError, match="other sizes"):
        Training(training_set, RECIPE, {**TINY, "num_layers": 1}, TINY_TEXT, "cpu").go_on(before.content())


def test_the_rate_rises_stays_and_falls_to_nothing_where_the_run_ends() -> None:
    recipe = Recipe(learning_rate=1.0, warm_up=10, full_rate=100, ends_at=400, cool_down=100)
    rates = [recipe.rate(step) for step in range(401)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert rates[9:100] == [1.0] * 91
    assert rates[99:300] == [replace(recipe, ends_at=0).rate(step) for step in range(99, 300)]
    assert rates[350] == pytest.approx(0.5 * (100 / 351) ** 0.5)
    assert rates == [*rates[:99], *sorted(rates[99:], reverse=True)]
    assert rates[400] == 0


def test_looped_songs_repeat_their_bars(training_set: TrainingSet) -> None:
    frames = training_set.latents.shape[-1]
    looping = replace(training_set, loop_frames=[12] * len(training_set.text_ids))
    batch = draw_batch(looping, replace(RECIPE, looped=1.0), 4)
    length = batch.data.shape[-1]
    assert frames < length <= frames * 323 / 128
    assert len(batch.data) == len(batch.text_ids) == len(batch.sigmas) == 4 * frames // length
    assert torch.equal(batch.data[..., 12:], batch.data[..., :-12])
    assert batch.data[0].std(dim=-1).min() > 0
    assert draw_batch(looping, RECIPE, 4).data.shape[-1] == frames


@pytest.mark.parametrize(
    ("bpm", "beats_per_bar", "expected"),
    [(129.19921875, 4, 120), (107.666015625, 3, 126), (92.28515625, 4, 112), (100.0, 4, 128), (123.046875, 3, 126)],
)
def test_a_loop_is_whole_bars_of_whole_frames(bpm: float, beats_per_bar: int, expected: int) -> None:
    assert loop_frames(bpm, beats_per_bar, 128) == expected
