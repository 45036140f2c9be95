"""The contact sheet: a picture that opens, with a tile for each song that was made."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from report_records import made_record, skipped_record, source_of

from acestep_batch.report.contact_sheet import contact_sheet
from acestep_batch.report.page import page_of
from acestep_batch.report.pictures import peaks_in, picture


def sheet_of(*records, pictures=None) -> Image.Image:
    return Image.open(io.BytesIO(contact_sheet(page_of([source_of(*records)]), pictures or {})))


@pytest.mark.parametrize(("songs", "down"), [(0, 1), (1, 1), (4, 2), (24, 6), (121, 30)])
def test_it_grows_with_the_songs_and_no_further(songs, down):
    records = [made_record(f"song {number}", number) for number in range(songs)]
    assert sheet_of(*records).height == 70 + 28 + down * 166 + 8


def test_a_song_is_seen_and_a_row_that_was_not_made_is_not(tmp_path):
    wave = np.sin(np.arange(48_000) / 9).astype(np.float32)
    (tmp_path / "a.png").write_bytes(picture(np.stack([wave, wave]), 48_000))
    record = made_record("<b>\n مرحبا 🎵" * 40, quality="warn")
    (song,) = page_of([source_of(record)]).songs
    drawn = sheet_of(record, pictures={song.key: (tmp_path / "a.png", peaks_in(tmp_path / "a.png"))})
    assert len(set(drawn.convert("RGB").get_flattened_data())) > 20
    assert len(set(sheet_of(skipped_record("a", "invalid")).convert("RGB").get_flattened_data())) > 1
    assert drawn.size == sheet_of(skipped_record("b", "invalid")).size
