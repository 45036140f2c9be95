"""The evaluators: they hear what is there, and the scores of other clips' prompts are what chance gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.analysis import Analysis
from training.composer import compose, compose_tags
from training.dataset import clip_of
from training.evaluate.__main__ import main
from training.evaluate.clips import KEYS, HeardClips, firsts, hear
from training.evaluate.gates import PROBED, asked_and_shuffled, key_rank, scores, shares, teach, tempo_fits, tonic_rank
from training.evaluate.probes import load, save, train
from training.evaluate.seeds import compare
from training.evaluate.table import read_scores
from training.evaluate.teach import PROBES
from training.evaluate.teach import main as teach_main
from training.recipe import recipe
from training.shards import VERSION, Manifest, write_listing, write_shard
from training.synth import render

pytestmark = pytest.mark.slow

LEADS = ("bells", "organ")
CLIPS = 20


def write_clips(folder: Path, seeds: Sequence[int]) -> None:
    """Clips of two leads in turns, drums in every other pair, with full prompts."""
    analysis, clips, audios = Analysis(), [], []
    for index, seed in enumerate(seeds):
        tags = replace(compose(seed).tags, lead=LEADS[index % 2], drums=index // 2 % 2 == 0)
        composition = compose_tags(tags, seed, full_prompt=True)
        clips.append(clip_of(composition, index))
        audios.append(render(composition))
    write_listing(folder, Manifest(VERSION, len(clips), 0, "few", True, "of this test"), clips)
    write_shard(folder, 0, np.stack([analysis.mel(audio) for audio in audios]), np.stack(audios))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("clips")
    write_clips(made, range(CLIPS))
    return made


@pytest.fixture(scope="module")
def heard(folder: Path) -> HeardClips:
    return hear(folder)


@pytest.mark.slow
def test_probes_learn_from_few_clips_what_is_in_others(heard: HeardClips) -> None:
    taught = np.arange(CLIPS) < 14
    leads = [clip.lead for clip in heard.clips]
    says = train(heard.features[taught], leads[:14]).says(heard.features[~taught])
    assert sum(said == lead for said, lead in zip(says, leads[14:], strict=True)) >= 5


def test_a_probe_is_the_same_from_many_rows_and_from_few(heard: HeardClips) -> None:
    leads = [clip.lead for clip in heard.clips]
    few = heard.features[:, :30]
    narrow, wide = train(few[:, :10], leads), train(np.hstack([few[:, :10], np.zeros((CLIPS, 40))]), leads)
    np.testing.assert_allclose(wide.weights[:10], narrow.weights[:10], atol=1e-9)


def test_probes_from_a_file_say_the_same(heard: HeardClips, tmp_path: Path) -> None:
    taught = teach(heard.clips, heard.features)
    save(taught, "of this test", tmp_path / "probes.npz")
    kept, of = load(tmp_path / "probes.npz")
    assert of == "of this test"
    assert kept.keys() == taught.keys() == set(PROBED)
    for name in PROBED:
        assert kept[name].says(heard.features) == taught[name].says(heard.features)


def test_the_kept_probes_are_of_the_clips_that_this_code_renders(heard: HeardClips) -> None:
    probes, of = load(PROBES)
    assert of == recipe(), "render the training set again, then python -m training.evaluate.teach"
    for name in ("lead", "drums"):
        score, shuffled, clips = asked_and_shuffled(name, heard, probes)
        assert (score >= 0.9, clips) == (True, CLIPS)
        assert shuffled < 0.6


def test_probes_are_taught_by_clips_of_this_code_alone(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "probes.npz"
    assert teach_main(["--clips", str(folder), "--into", str(file)]) == 2
    assert "is not of this recipe" in capsys.readouterr().err
    assert not file.exists()


def test_the_tempo_and_the_key_of_real_clips_are_heard(heard: HeardClips) -> None:
    fits = [tempo_fits(each.bpm, clip.bpm) for clip, each in zip(heard.clips, heard.heard, strict=True)]
    assert sum(fits) >= 0.9 * CLIPS
    ranks = [key_rank(each.key_fits, clip.key) for clip, each in zip(heard.clips, heard.heard, strict=True)]
    assert sum(rank < 3 for rank in ranks) >= 0.8 * CLIPS


def test_scores_beat_those_of_other_prompts(heard: HeardClips) -> None:
    found = {score.name: score for score in scores(heard, heard)}
    assert set(found) == {"lead", "accompaniment", "drums", "genre", "bpm", "key", "key and mode"}
    assert (found["genre"].gate, found["key and mode"].gate) == (None, None)
    assert found["key and mode"].score <= found["key"].score
    assert found["key and mode"].shuffled < found["key"].shuffled
    for name in ("lead", "drums", "bpm", "key"):
        assert found[name].passed
        assert found[name].score > found[name].shuffled + 0.2
        assert found[name].clips == CLIPS


def test_shuffled_tags_fail_the_gates(heard: HeardClips) -> None:
    prompts = [clip.prompt for clip in heard.clips]
    turned = [replace(clip, prompt=prompts[index - 1]) for index, clip in enumerate(heard.clips)]
    found = {score.name: score for score in scores(heard, HeardClips(turned, heard.heard))}
    assert not found["bpm"].passed
    assert not found["key"].passed
    assert not found["lead"].passed


def test_a_prompt_that_says_nothing_of_an_aspect_does_not_count_for_it(heard: HeardClips) -> None:
    clips = [replace(clip, prompt=clip.lead) for clip in heard.clips]
    found = {score.name: score for score in scores(heard, HeardClips(clips, heard.heard))}
    assert found["lead"].clips == CLIPS
    assert found["bpm"].clips == 0
    assert found["bpm"].passed is None


def test_shares_are_of_the_diagonal_and_of_what_is_beside_it() -> None:
    hits = np.array([[True, False, True], [True, True, False], [False, False, False]])
    assert shares(hits, np.array([True, True, True]), ["a", "b", "c"]) == (2 / 3, 1 / 3)
    assert shares(hits, np.array([True, False, False]), ["a", "b", "c"]) == (1, 1 / 2)
    assert shares(hits, np.array([True, True, True]), ["a", "b", "a"]) == (2 / 3, 1 / 4)


def test_tempi_fit_within_6_percent_and_in_octaves() -> None:
    assert [tempo_fits(bpm, 100) for bpm in (94.1, 105.9, 47.1, 211.8, 100)] == [True] * 5
    assert [tempo_fits(bpm, 100) for bpm in (93, 107, 75, 150, 300, None)] == [False] * 6


def test_silence_has_no_key() -> None:
    assert key_rank(np.zeros(24), "C major") == 23
    assert tonic_rank(np.zeros(24), "C major") == 11
    assert key_rank(np.arange(24.0), KEYS[-1]) == 0


def test_a_tonic_counts_in_the_mode_that_fits_best() -> None:
    fits = np.zeros(24)
    fits[[KEYS.index(key) for key in ("C minor", "G major", "G minor", "A minor")]] = (0.5, 0.9, 0.8, 0.7)
    assert [tonic_rank(fits, key) for key in ("C major", "C minor", "G minor", "A major", "D major")] == [
        2,
        2,
        0,
        1,
        11,
    ]
    assert [key_rank(fits, key) for key in ("C major", "C minor", "G minor")] == [23, 3, 1]


def test_one_tonic_in_four_is_in_the_top_3_by_chance() -> None:
    draws = np.random.default_rng(0)
    ranks = np.array([[tonic_rank(draws.random(24), key), key_rank(draws.random(24), key)] for key in KEYS * 40])
    np.testing.assert_allclose((ranks < 3).mean(axis=0), [3 / 12, 3 / 24], atol=0.04)


def test_seeds_are_compared_within_a_prompt() -> None:
    one, other = (clip_of(compose(seed), index) for index, seed in enumerate((1, 2)))
    again = replace(one, seed=9)
    mels = [np.full((2, 4, 4), level, np.float16) for level in (0, 0, 1, 3)]
    audios = [np.full((2, 8), level, np.int16) for level in (5, 5, 6, 7)]
    found = compare([one, one, again, other], mels, audios)
    assert (found.between_seeds_nat, found.between_prompts_nat, found.same_seed_identical) == (1, 2, True)
    assert found.passed
    assert not compare([one, one, again, other], mels, [audios[0], audios[3], *audios[2:]]).passed
    assert compare([one, other], mels[:2], audios[:2]).passed is None


def test_the_command_prints_every_gate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder.parent / "scores.json"
    words = ["--clips", str(folder), "--generated", str(folder), "--json", str(file)]
    assert main(words) == 1  # no two seeds of a prompt
    written = read_scores(file)
    assert {"lead", "drums", "bpm", "key"} <= set(written.claimed)
    assert not written.passed
    assert written.seeds.passed is None
    printed = capsys.readouterr().out
    assert "tempo within 6 %      0.90" in printed
    assert "not measured" in printed


def test_a_prompt_that_comes_several_times_counts_once(folder: Path) -> None:
    found = hear(folder)
    twice = HeardClips([*found.clips, *(replace(clip, seed=clip.seed + 1) for clip in found.clips)], found.heard * 2)
    assert firsts(twice).clips == firsts(found).clips == found.clips
    assert len(firsts(twice).heard) == CLIPS


def test_an_empty_folder_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--clips", str(folder), "--generated", str(tmp_path)]) == 2
    assert "clips.jsonl" in capsys.readouterr().err
