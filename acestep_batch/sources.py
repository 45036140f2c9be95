"""The song that a task starts from: how a plan names it, and what an audio file holds; decides nothing about tasks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import soundfile

from acestep_batch.engine.tasks import Adapter, AudioSource
from acestep_batch.engine.v1.limits import NATIVE_SAMPLE_RATE, SAMPLES_PER_FRAME
from acestep_batch.engine.v15.request import SAMPLE_RATE as V15_SAMPLE_RATE
from acestep_batch.engine.v15.request import SAMPLES_PER_FRAME as V15_SAMPLES_PER_FRAME
from acestep_batch.engine.v15.request import whole_frames
from acestep_batch.models import Family
from acestep_batch.outputs.audio_files import BLOCK_FRAMES
from acestep_batch.outputs.plain_files import check_plain_file
from acestep_batch.reading import number

WHOLE_FILE, SONG_AUDIO, LATENTS = "audio", "song audio", "latents"
"""What of a source is taken: a file as it is; the audio of a song, as long as its latents were; or these. For a song of
the same run the encoding's label (such as ``wav pcm16``) stands for its audio, for its samples are not known before."""

_SHA256 = re.compile("[0-9a-f]{64}")
_LONGEST_FILE_S = 3600


@dataclass(frozen=True, slots=True)
class SongSource:
    """What a task starts from, as the plan knows it: a file, or a song of the same run, which may not be made yet."""

    frames: int
    """Latent frames; 0 of a song of the same run whose length a planner is to decide."""
    form: str
    """``WHOLE_FILE``, ``SONG_AUDIO``, ``LATENTS``, or the label of the encoding of a song of the same run."""
    path: str | None = None
    """The file, absolute; of a song of the same run from its folder, and None as long as that is not made."""
    sha256: str | None = None
    """Of the file's samples or latents; None likewise."""
    song_id: str | None = None
    """The song of the same run; None where it is a file."""
    identity: str | None = None
    """Of that song."""

    @property
    def facts(self) -> dict[str, Any]:
        """What of it decides the sound of a song, wherever it lies."""
        return {"source": self._content, "source_from": self.form}

    @property
    def reference_facts(self) -> dict[str, Any]:
        """The same of a song whose timbre is taken."""
        return {"reference": self._content, "reference_form": self.form}

    @property
    def _content(self) -> str | None:
        return self.sha256 if self.song_id is None else self.identity


def source_of_record(values: object) -> SongSource | None:
    """A source as a plan or a record holds it. Raises ValueError, TypeError or LookupError for what none of them holds.

    Keys that a record has beside a plan's are left out.
    """
    if values is None:
        return None
    known: dict[str, Any] = {name: dict(values).get(name) for name in _FIELDS}  # type: ignore[call-overload]
    source = SongSource(**known)
    texts = (source.path, source.sha256, source.song_id, source.identity)
    is_awaited = source.path is None and source.song_id is not None
    least = 0 if is_awaited else 1
    if type(source.frames) is not int or not least <= source.frames < 2**31 or not isinstance(source.form, str):
        raise ValueError("a source has an impossible length or form")
    if any(text is not None and (not isinstance(text, str) or not text.isprintable()) for text in texts):
        raise ValueError("a source's name is no text")
    if source.path is not None and is_remote(source.path):
        raise ValueError("a source lies on another machine")
    if any(each is not None and not _SHA256.fullmatch(each) for each in (source.sha256, source.identity)):
        raise ValueError("a source's hash is no sha256")
    if (source.path is None and source.song_id is None) or source.facts["source"] is None:
        raise ValueError("a source is neither a file nor a song")
    return source


def adapters_of(lines: Iterable[Any]) -> tuple[Adapter, ...]:
    """Adapters as a plan or a record holds them: path, weight, sha256. Raises ValueError or TypeError for others."""
    found = []
    for path, weight, sha256 in lines:
        if not isinstance(path, str) or "\0" in path or not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise ValueError("an adapter is no file with its sha256")
        if is_remote(path):
            raise ValueError("an adapter lies on another machine")
        found.append(Adapter(Path(path), number(weight), sha256))
    return tuple(found)


_FIELDS = tuple(each.name for each in fields(SongSource))


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What an audio file holds."""

    sha256: str
    """Of its samples, as ``outputs.audio_files.pcm_sha256`` gives it."""
    samples: int
    sample_rate: int
    """In Hz."""

    def frames(self, family: Family = Family.V1) -> int:
        """Latent frames that a family's engine makes of it: v1 fills up the last one with silence, 1.5 drops it."""
        if family is Family.V15:
            return whole_frames(self.samples, self.sample_rate)
        native = -(-self.samples * NATIVE_SAMPLE_RATE // self.sample_rate)
        return -(-native // SAMPLES_PER_FRAME)


def is_remote(text: str) -> bool:
    """Whether a path names another machine's share, which even a look at tells who asks."""
    return PureWindowsPath(text).drive.startswith("\\\\") or text.startswith(("//", "\\\\"))


def audio_facts(path: Path) -> AudioFacts:
    """What an audio file holds, read once while it stays as it is.

    Raises:
        OSError: it is no plain file, or cannot be read.
        ValueError: there is no song in it; the message says why.
    """
    check_plain_file(path)
    status = path.stat()
    return _audio_facts(path, status.st_size, status.st_mtime_ns)


@lru_cache(10_000)
def _audio_facts(path: Path, _size: int, _changed_ns: int) -> AudioFacts:
    digest, samples = hashlib.sha256(), 0
    try:
        with soundfile.SoundFile(path) as file:
            if file.channels > 2:
                raise ValueError(f"has {file.channels} channels; one or two are read")
            rate = file.samplerate
            for block in file.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True):
                if not np.isfinite(block).all():
                    raise ValueError("has samples that are no numbers")
                digest.update(np.ascontiguousarray(block, "<f4").data)
                samples += len(block)
                if samples > _LONGEST_FILE_S * rate:
                    raise ValueError(f"is longer than {_LONGEST_FILE_S} s")
    except RuntimeError as error:  # libsndfile's own
        raise ValueError(f"is no audio that can be read ({error})") from error
    if not samples:
        raise ValueError("has no audio in it")
    return AudioFacts(digest.hexdigest(), samples, rate)


def song_audio(samples: np.ndarray, sample_rate: int, frames: int, family: Family = Family.V1) -> AudioSource:
    """Audio ``[C, N]`` of a song of ``frames`` latent frames, for the engine to make as many of it again.

    Resampling rounds lengths up: with its last sample, a song of v1 would begin another frame. Of 1.5 whole frames are
    taken, so that what a lossy format has lost at the end is filled up with silence.
    """
    if family is Family.V1:
        return AudioSource(samples[:, : frames * SAMPLES_PER_FRAME * sample_rate // NATIVE_SAMPLE_RATE], sample_rate)
    wanted = -(-frames * V15_SAMPLES_PER_FRAME * sample_rate // V15_SAMPLE_RATE)
    missing = max(0, wanted - samples.shape[-1])
    return AudioSource(np.pad(samples[:, :wanted], ((0, 0), (0, missing))), sample_rate)
