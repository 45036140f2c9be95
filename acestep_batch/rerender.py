"""Recorded songs rendered again and held against their files: weights found, the engine's key, one song's verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acestep_batch.attempts import Attempt, OnBatch, asked_decoding, decode, denoise
from acestep_batch.compare import Comparison, Tier, compare
from acestep_batch.engine.base import Decoding, Engine
from acestep_batch.engine.checkpoint import LYRIC_VOCAB, find_checkpoint, missing_files
from acestep_batch.engine.embedded_identity import is_embedded_file
from acestep_batch.engine.load import EngineKey, model_facts
from acestep_batch.expectation import Expected, Making, expected_of_file, expected_tier, making_of, obstacles
from acestep_batch.hardware import Machine, TorchBuild, device_problem
from acestep_batch.models import Family
from acestep_batch.outputs.audio_files import ENCODER, master_sha256, read_audio, write_audio
from acestep_batch.outputs.formats import AudioFormat
from acestep_batch.plan import Song
from acestep_batch.problems import Problem, Refused, refuse
from acestep_batch.recorded import Recorded, files_by_name
from acestep_batch.rerender_v15 import v15_engine_key
from acestep_batch.source_files import SourceFiles
from acestep_batch.weights_place import WeightsPlace


@dataclass(frozen=True, slots=True)
class Rendering:
    """One song as it came out again."""

    making: Making
    audio: NDArray[np.float32] | None
    """[2, N]; None where it could not be made."""
    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """One audio file against another rendering of its song."""

    path: str
    expected: Expected
    found: Comparison
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the tier reached is the expected one or a better one."""
        return self.found.tier.holds(self.expected.tier)

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "path": self.path,
            "holds": self.holds,
            "expected": str(self.expected.tier),
            "reasons": list(self.expected.reasons),
            "reached": str(self.found.tier),
            "largest_difference": self.found.largest,
            "log_mel_db": self.found.log_mel_db,
            "reason": self.found.reason,
            "note": self.note,
        }


def engine_key_of(recorded: Recorded, place: WeightsPlace, machine: Machine, build: TorchBuild | None) -> EngineKey:
    """What has to be loaded to make a song again: its weights, on its kind of device or, without one, on the CPU.

    Raises:
        Refused: the weights are not here, or are others; the engine or the lyric libraries are others.
    """
    if recorded.song.family is Family.V15:
        return v15_engine_key(recorded, place, _device(recorded, machine, build))
    checkpoint = vocab = None
    if not all(map(is_embedded_file, recorded.model_files)):
        commit, revision = (recorded.engine.get(name) for name in ("commit", "revision"))
        checkpoint = find_checkpoint(place.path, str(commit or revision or "main"))
        if checkpoint is None:
            remedy = "give the checkpoint's folder as model.path=, or `python -m acestep_batch download model=v1`"
            raise refuse("checkpoint", f"there is none of commit {commit or revision} here", remedy)
        vocab = place.lyric_vocab or checkpoint / LYRIC_VOCAB
        if missing := missing_files(checkpoint, vocab):
            raise Refused(missing)
    generation = recorded.song.generation
    facts = model_facts(checkpoint, vocab, None)
    here = files_by_name(facts["files"]) if recorded.model_files else {}
    if problems := obstacles(recorded, here, facts["lyric_libraries"]):
        raise Refused(problems)
    return EngineKey(
        model="embedded" if checkpoint is None else "v1",
        device=_device(recorded, machine, build),
        bf16=generation.bf16,
        torch_compile=generation.torch_compile,
        checkpoint=checkpoint,
        revision=recorded.engine.get("revision"),
        lyric_vocab=vocab,
        strict=bool(recorded.engine.get("strict")),
    )


def _device(recorded: Recorded, machine: Machine, build: TorchBuild | None) -> str:
    """As torch names it: of the recorded kind, or without one the CPU."""
    kind, asked = recorded.device.partition(":")[0], recorded.song.generation.device_id
    device_id = asked if asked < len(machine.gpus) else 0
    if kind != "cpu" and device_problem(kind, machine, build, device_id) is not None:
        kind = "cpu"
    return f"cuda:{device_id}" if kind == "cuda" else kind


def loaded_problems(recorded: Recorded, engine: Engine) -> list[Problem]:
    """Why a loaded engine is not the one that made a song: its weights are drawn or read by now, and hashed."""
    facts = engine.describe()
    return obstacles(recorded, files_by_name(facts["files"]), dict(facts.get("lyric_libraries") or {}))


def render_again(
    engine: Engine, songs: Sequence[Song], sample_rate: int, on_batch: OnBatch, folder: Path
) -> dict[str, Rendering]:
    """Songs of one micro-batch by the runner's own steps, by song id; what cannot be made says why.

    ``folder`` is their run's, in which other songs lie that they start from.
    A song that was decoded in overlapping windows says so in its row; no other is.
    """
    sources, failed = SourceFiles(folder, {}).load(songs)
    able = [song for song in songs if song.song_id not in failed]
    denoised = denoise(engine, able, on_batch, sources) if able else []
    attempts = [Attempt(song, 0.0, error=failed[song.song_id]) for song in songs if song.song_id in failed]
    for way in Decoding:  # a song of several may have been decoded otherwise than they, for want of memory
        own = [each for each in denoised if asked_decoding(each.song) is way]
        attempts += decode(engine, own, sample_rate, overlapped_allowed=False)
    facts = engine.describe()
    return {
        each.song.song_id: Rendering(
            Making(facts, each.batch, frozenset(map(str, each.rungs))),
            None if each.rendered is None else each.rendered.audio,
            each.error,
            each.seconds,
        )
        for each in attempts
    }


def against_file(
    path: Path, name: str, recorded: Recorded, again: Rendering, audio: NDArray[np.float32], is_strict: bool
) -> FileVerdict:
    """A file against its song's new rendering ``audio``, which is encoded as the file is.

    ``name`` is what to call the file.
    """
    song = expected_tier(making_of(recorded), again.making, is_strict)
    expected = expected_of_file(song, recorded.encoding, (recorded.encoder, ENCODER), is_strict)
    encoded = as_file(audio, recorded.sample_rate, recorded.encoding)
    found = with_file(path, encoded, recorded)
    right = found.tier is not Tier.BIT_IDENTICAL and master_sha256(encoded) == recorded.pcm_sha256
    return FileVerdict(
        name, expected, found, "the record makes its samples again; the file has others" if right else ""
    )


def with_file(path: Path, audio: NDArray[np.float32], recorded: Recorded) -> Comparison:
    """A file's samples against ``audio``, which has the recorded sample rate."""
    try:
        found, rate = read_audio(path)
    except (OSError, RuntimeError) as error:
        return Comparison(Tier.DIFFERENT, reason=f"cannot be read ({error})")
    if rate != recorded.sample_rate:
        return Comparison(Tier.DIFFERENT, reason=f"{rate} Hz, not the recorded {recorded.sample_rate}")
    return compare(found, audio, rate, sample_step(recorded.encoding))


def sample_step(encoding: AudioFormat) -> float:
    """The distance of two neighbouring values of the sample type; 0 for floats."""
    return 0.0 if encoding.bits is None else float(2.0 ** (1 - encoding.bits))


def as_file(audio: NDArray[np.float32], sample_rate: int, encoding: AudioFormat) -> NDArray[np.float32]:
    """The samples ``[2, N]`` that a file of this encoding gives back."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"song.{encoding.name}"
        write_audio(path, audio, sample_rate, encoding)
        return read_audio(path)[0]


def one_at_a_time(
    load: Callable[[EngineKey], Engine], say: Callable[[EngineKey], None]
) -> Callable[[EngineKey], Engine]:
    """A loader that keeps the last engine; the old one goes before a new one comes, for two may not fit."""
    held: dict[EngineKey, Engine] = {}

    def loaded(key: EngineKey) -> Engine:
        if key not in held:
            held.clear()
            say(key)
            held[key] = load(key)
        return held[key]

    return loaded
