"""What songs are made from beside their settings, read when they are made: files, songs of the same run, LoRAs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from acestep_batch.engine.tasks import Adapter, AudioSource, Beginning, LatentSource, Referenced, Source
from acestep_batch.latents_files import DAMAGED, latents_file, latents_sha256, read_latents
from acestep_batch.loras import lora_sha256
from acestep_batch.models import Family
from acestep_batch.outputs.audio_files import master_sha256, read_audio
from acestep_batch.outputs.plain_files import check_plain_file
from acestep_batch.plan import Song
from acestep_batch.problems import one_line
from acestep_batch.record import shown_path
from acestep_batch.sources import LATENTS, WHOLE_FILE, SongSource, song_audio


def read_source(source: SongSource, folder: Path, family: Family = Family.V1) -> tuple[Source, SongSource]:
    """The content of a source whose ``path`` is known, from ``folder`` or absolute; and the source with its hash.

    ``family`` is that of the song that starts from it.

    Raises:
        ValueError: it is gone, cannot be read, or is not what it was; the message names it.
    """
    path = folder / (source.path or "")
    try:
        check_plain_file(path)
        found: Source
        if source.form == LATENTS:
            latents, _ = read_latents(path, source.frames)
            found, sha256 = LatentSource(latents), latents_sha256(latents)
        else:
            samples, rate = read_audio(path)
            sha256 = master_sha256(samples)
            found = (
                AudioSource(samples, rate)
                if source.form == WHOLE_FILE
                else song_audio(samples, rate, source.frames, family)
            )
    except FileNotFoundError as error:
        raise ValueError(f"{path} is gone") from error
    except (OSError, RuntimeError, *DAMAGED) as error:
        raise ValueError(f"{path} cannot be read ({one_line(error)})") from error
    if source.sha256 is not None and sha256 != source.sha256:
        raise ValueError(f"{path} is not what it was: its content is sha256 {sha256}, and was {source.sha256}")
    return found, replace(source, sha256=sha256)


@dataclass(slots=True)
class SourceFiles:
    """Reads the sources of a run's songs; what it read stands in ``used`` then."""

    folder: Path
    records: Mapping[str, Mapping[str, Any]]
    """Of songs that others start from, by id, as they come to be."""
    used: dict[str, SongSource] = field(default_factory=dict)
    """By the id of the song that started from it: with its path, and the hash of its content."""
    used_references: dict[str, SongSource] = field(default_factory=dict)
    """Likewise, those whose timbre was taken."""

    def load(self, songs: Sequence[Song]) -> tuple[dict[str, Beginning], dict[str, str]]:
        """The sources of those songs of a micro-batch that have one, by the songs' ids, and why others cannot be made.

        LoRAs, which the engine reads, are only held against their hashes.

        Songs of one source share it.
        """
        found: dict[str, Beginning] = {}
        failed: dict[str, str] = {}
        read: dict[tuple[SongSource, Family], tuple[Source, SongSource]] = {}

        def content(source: SongSource, family: Family) -> tuple[Source, SongSource]:
            try:
                key = (self._located(source), family)
                if key not in read:
                    read[key] = read_source(key[0], self.folder, family)
            except ValueError as error:
                raise ValueError(f"source {source.song_id or source.path} failed: {error}") from error
            return read[key]

        for song in songs:
            if changed := next(filter(None, map(_changed, song.adapters)), ""):
                failed[song.song_id] = changed
            if changed:
                continue
            try:
                own: Source | None = None
                if song.source is not None:
                    own, self.used[song.song_id] = content(song.source, song.family)
                    found[song.song_id] = own
                if song.reference is not None:
                    timbre, self.used_references[song.song_id] = content(song.reference, song.family)
                    found[song.song_id] = Referenced(own, timbre)
            except ValueError as error:
                failed[song.song_id] = str(error)
        return found, failed

    def _located(self, source: SongSource) -> SongSource:
        """A source with the path of its content, which a song of the same run has only now."""
        if source.path is not None:
            return source
        record = self.records.get(source.song_id or "")
        if record is None or record.get("identity") != source.identity:
            raise ValueError("it was not made")
        if record["status"] != "ok":
            raise ValueError(str(record["error"]))
        source = replace(source, frames=source.frames or int(record["frames"]))
        if source.form == LATENTS:
            path = latents_file(self.folder, str(source.identity))
            return replace(source, path=shown_path(path, self.folder))
        audio = record["audio"][0]
        return replace(source, path=str(audio["path"]), sha256=str(audio["pcm_sha256"]))


def _changed(adapter: Adapter) -> str:
    """Why a LoRA is not the one that was planned; empty where it is."""
    try:
        same = lora_sha256(adapter.path) == adapter.sha256
    except OSError as error:
        return f"LoRA {adapter.path} cannot be read ({error.strerror or error})"
    return "" if same else f"LoRA {adapter.path} is not what it was: its sha256 has changed"
