"""The reference's recorded tasks as rows of a manifest: the same requests, latents and samples."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from golden_rows import row_of, songs_of_row, sources_of
from parity.pack import read_cases, read_tensors
from parity.tasks import with_tasks
from tiny_v1 import CHECKPOINT

from acestep_batch.attempts import decode, denoise
from acestep_batch.engine.tasks import Extend
from acestep_batch.engine.v1.loading import load_engine

GOLDEN = CHECKPOINT.parent
TASKS = json.loads((GOLDEN / "tasks.json").read_text(encoding="utf-8"))["cases"]
WHOLE = [case for case in read_cases(GOLDEN, "g_e2e/cases") if case["params"].get("task", "text2music") != "text2music"]
NO_TRIM = "extend_both"
"""There the reference takes what the left side gets off the right one."""


@pytest.fixture(scope="module")
def source_files(tmp_path_factory):
    """Files as long as those that the cases name."""
    folder = tmp_path_factory.mktemp("golden")
    (folder / "inputs").mkdir()
    for case in TASKS:
        params = case["params"]
        name = params.get("ref_audio_input") or params.get("src_audio_path")
        if name is not None:
            frames = 37 if "ref" in name else 35
            soundfile.write(folder / name, np.zeros((frames * 4096, 2)), 44_100)
    return folder


@pytest.mark.parametrize("case", TASKS, ids=lambda case: case["id"])
def test_rows_ask_the_engine_for_what_the_reference_was_asked_for(case, source_files, tmp_path):
    songs, problems = songs_of_row(row_of(case), tmp_path, source_files)
    assert problems == []
    sources = sources_of(songs)
    source = next(iter(sources.values()), None)
    ours = [song.request(source) for song in songs]
    theirs = with_tasks(case, source)
    length = case["params"]["audio_duration"] if source is None else ours[0].audio_duration  # which no task looks at
    theirs = [replace(request, audio_duration=length, overlapped_decode=False) for request in theirs]
    if case["id"] == NO_TRIM:
        assert isinstance(theirs[0].task, Extend)
        theirs = [replace(request, task=replace(request.task, right_frames=15)) for request in theirs]
    assert ours == theirs


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case["id"])
def test_rows_make_the_reference_s_songs_from_file_to_samples(case, tmp_path):
    ids = json.loads((GOLDEN / "lyric_ids.json").read_text(encoding="utf-8"))
    engine = load_engine(CHECKPOINT, lambda text, _: ids[text], "cpu", torch.float32, False, "golden", [])
    songs, problems = songs_of_row(row_of(case), tmp_path, GOLDEN)
    assert problems == []
    attempts = denoise(engine, songs, lambda _: lambda done, total: None, sources_of(songs))
    (made,) = decode(engine, attempts, case["wav_sr"], overlapped_allowed=False)
    assert not made.error
    theirs = read_tensors(GOLDEN, f"g_e2e/{case['id']}")
    np.testing.assert_allclose(made.denoised.latents, theirs["final_latents"][0], rtol=0, atol=5e-4)
    wave = made.rendered.audio
    assert wave.shape[1] == case["wav_len"]
    pieces = {"wav_full": slice(None), "wav_head": slice(1024), "wav_every101": slice(None, None, 101)}
    compared = [name for name in pieces if name in theirs]
    assert compared
    for name in compared:
        difference = np.abs(wave[:, pieces[name]] - theirs[name][0].numpy())
        assert np.sqrt((difference**2).mean()) < 1e-4
        assert difference.max() < 2e-3
