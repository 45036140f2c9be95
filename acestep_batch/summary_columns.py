"""Every column of the summary, in its order: name, unit, type, meaning. The table and its documentation follow it."""

from __future__ import annotations

from acestep_batch.loudness_copies import COPY_COLUMNS
from acestep_batch.measure.asked import ASKED_COLUMNS, TARGET_COLUMNS
from acestep_batch.measure.columns import COLUMNS, NEAREST_COLUMNS, Column
from acestep_batch.measure.flags import VERDICT_COLUMNS
from acestep_batch.models import Family
from acestep_batch.schema import SONG

_RECORDED = "the record"
_KINDS = {"int": "Int64", "float": "Float64", "bool": "boolean"}


def _text(name: str, meaning: str) -> Column:
    return Column(name, "", "string", meaning, _RECORDED)


def _whole(name: str, meaning: str, unit: str = "") -> Column:
    return Column(name, unit, "Int64", meaning, _RECORDED)


def _seconds(name: str, meaning: str) -> Column:
    return Column(name, "s", "Float64", meaning, _RECORDED)


_PLANNED_COLUMNS = (
    _text("family", "`v15` for songs of 1.5."),
    _text("planned_caption", "Of a song that was planned: what was rendered for its prompt."),
    _text("planned_vocal_language", "Its language as planned."),
    _whole("planned_bpm", "Its tempo as planned.", "1/min"),
    _text("planned_keyscale", "Its key as planned."),
    _text("planned_timesignature", "Beats in a bar, as planned."),
    _seconds("planned_duration_s", "Its length as planned."),
    _whole("planned_codes", "Audio codes of its plan; the codes stand in the record beside each file.", "codes"),
)

RECORD_COLUMNS = (
    _whole("index", "Place of the song in the manifest, from 1; empty for a row that was skipped."),
    _text("id", "The song's id, unique in its run."),
    _text("row", "Id of the manifest row that it comes from."),
    _text("identity", "Hash of everything that decides the sound."),
    _text("same_as", "Id of the song whose audio this one shares, for it would sound the same."),
    _whole("take", "Number of the take among those of its row, from 1."),
    _whole("seed", "The seed that was used; empty for a row that was skipped."),
    _text("status", "`ok` or `failed`."),
    _text("error", "Why it failed; empty otherwise."),
    _text("model", "The model, and whether it is trained."),
    _text("preset", "The preset of the song."),
    _seconds("duration_s", "Length of the audio."),
    _whole("frames", "Length in latent frames.", "frames"),
    _whole("model_calls", "How often the transformer was called."),
    _whole("micro_batch", "Songs that were rendered together.", "songs"),
    _text("rungs", "What was done so that the song could be made after all, such as with less memory."),
    _seconds("seconds", "Time that the song took, its share of a micro-batch."),
    _seconds("text_s", "Of it, for prompt and lyrics."),
    _seconds("diffusion_s", "Of it, for the diffusion."),
    _seconds("decode_s", "Of it, for the decoding."),
    _whole("peak_memory_bytes", "Most memory of the device so far, where it counts it.", "bytes"),
    _whole("peak_process_bytes", "Most memory of the process so far.", "bytes"),
    _text("files", "The audio files, from the folder of the summary."),
    _text("pcm_sha256", "Hash of the first file's samples."),
    _text("file_sha256", "Hash of the first file."),
    _whole("clipped_samples", "Samples beyond full scale that the first file's format cut off.", "samples"),
    _text("notes", "What was decided for the song, and said."),
    _text("finished_at", "When, as ISO 8601 in UTC."),
    _text("host", "Name of the machine."),
    _whole("pid", "The process that made it."),
    *_PLANNED_COLUMNS,
)
"""Of the record of each song."""

SONG_COLUMNS = tuple(
    Column(each.name, each.unit, _KINDS.get(each.kind, "string"), each.meaning, "the song's parameter")
    for each in SONG.values()
)
"""The song's parameters as they were used."""

V15_COLUMNS = frozenset(
    {each.name for each in (*_PLANNED_COLUMNS, *TARGET_COLUMNS)}
    | {each.name for each in SONG.values() if each.only == Family.V15}
)
"""Those that only songs of 1.5 have."""

MEASURED_COLUMNS = (*COLUMNS, *ASKED_COLUMNS, *NEAREST_COLUMNS, *COPY_COLUMNS)
"""What was measured of the song's first lossless file, or else of its first."""

SUMMARY_COLUMNS = (*RECORD_COLUMNS, *SONG_COLUMNS, *MEASURED_COLUMNS, *VERDICT_COLUMNS)
"""All of them. A sweep's summary has the column ``cell`` before them, and ``sweep.KEY`` for each swept key."""
