"""The `inspect` verb: how one audio file was made, from its tags or the record beside it, and whether it still is."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from acestep_batch.engine.base import Engine
from acestep_batch.engine.load import EngineKey, load_engine
from acestep_batch.interrupts import Interrupts, interrupts
from acestep_batch.outputs.audio_files import ENCODER, decoded, file_sha256
from acestep_batch.outputs.formats import is_lossy
from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.outputs.records import json_text
from acestep_batch.outputs.tags import read_record
from acestep_batch.problems import FAILED, OK, REFUSED, Problem, Refused, refuse
from acestep_batch.record import Outcome
from acestep_batch.record_text import about_rerun, about_song, field_lines
from acestep_batch.recorded import Recorded, recorded_song
from acestep_batch.rerender import FileVerdict, against_file, engine_key_of, loaded_problems, render_again
from acestep_batch.run_plan import PLAN
from acestep_batch.shown import print_problems
from acestep_batch.verification import weights_place_of
from acestep_batch.verify import means, weights_place
from acestep_batch.weights_place import WeightsPlace

HELP = """\
python -m acestep_batch inspect FILE [--rerun] [--json] [model.path=DIR] [model.lyric_vocab=FILE]

Prints how an audio file was made: from the record beside it, where that is this file's, else from
its own tags, so that the file alone is enough. Its samples are held against the record.

  --rerun   make the song again, by itself, and compare: bit-identical, numerical or perceptual, as
            `verify` has it
  --json    the record and what was found, as JSON

Exit codes: 0 the samples (and the new rendering) are as recorded; 1 they are not; 2 that cannot be
told here, or the file says nothing about itself.
"""

_REMEDY = "inspect files that acestep_batch wrote, with their tags or with the .json beside them"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise refuse("inspect", message, "`python -m acestep_batch inspect --help`")


@dataclass(frozen=True, slots=True)
class Inspected:
    """What one file says about itself."""

    path: Path
    source: str
    """Where the record was found, in words."""
    record: Mapping[str, Any]
    recorded: Recorded
    has_samples: bool | None
    """Whether its samples are those that were written; None where that cannot be told here."""
    samples: str
    """The same in words."""


def run(words: Sequence[str]) -> int:
    """Carry the verb out; returns the exit code."""
    parser = _Parser(prog="python -m acestep_batch inspect", add_help=False, allow_abbrev=False)
    parser.add_argument("file", nargs="?")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--rerun", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--help", "-h", action="store_true")
    flags = parser.parse_intermixed_args(words)
    if flags.help:
        print(HELP, end="")
        return 0
    if flags.file is None:
        raise refuse("inspect", "names no file", "such as outputs/demo/v0001/audio/x.wav")
    place = weights_place("inspect", flags.words)
    inspected = inspect(Path(flags.file))
    verdict: FileVerdict | None = None
    problems: Sequence[Problem] = ()
    if not flags.json:
        print("\n".join(_described(inspected)))
    code: int | None = None
    if flags.rerun:
        with interrupts() as stop:
            try:
                verdict = rerun(inspected, place, load_engine, stop)
            except Refused as refused:
                problems = refused.problems
            except KeyboardInterrupt:
                code = stop.code
        if not flags.json:
            print_problems(problems)
            if verdict is not None:
                print("\n".join(about_rerun(verdict)))
    if flags.json:
        print(json_text(_as_json(inspected, verdict, problems), indent=2))
    return exit_code(inspected, verdict, problems) if code is None else code


def _described(inspected: Inspected) -> Iterator[str]:
    yield from field_lines("file", str(inspected.path))
    yield from field_lines("from", inspected.source)
    yield from field_lines("samples", inspected.samples)
    yield from about_song(inspected.record, inspected.recorded)


def exit_code(inspected: Inspected, verdict: FileVerdict | None, problems: Sequence[Problem]) -> int:
    """As the verb's help says."""
    if inspected.has_samples is False or (verdict is not None and not verdict.holds):
        return FAILED
    return REFUSED if problems or (inspected.has_samples is None and verdict is None) else OK


def inspect(path: Path) -> Inspected:
    """Find a file's record, and hold its samples against it.

    Raises:
        Refused: it is no audio file, or says nothing about itself that can be read.
    """
    if "\0" in str(path) or not path.is_file():
        raise refuse(str(path), "is no file", "give an audio file, such as outputs/demo/v0001/audio/x.wav")
    tags: dict[str, Any] | None = None
    try:
        tags = read_record(path)
        in_tags: Sequence[Problem] = ()
    except Refused as refused:
        in_tags = refused.problems
    try:
        pcm = decoded(path)[0]
    except (OSError, RuntimeError) as error:
        raise Refused([*in_tags, Problem(str(path), f"cannot be decoded ({error})", _REMEDY)]) from error
    beside = _beside(path)
    if beside is not None and _fits(beside, path, pcm, tags):
        record, source = beside, f"the record beside it, {path.name}.json"
    elif tags is not None:
        stranger = "; the record beside it is another file's" if beside is not None else ""
        record, source = tags, f"the file's own tags{stranger}"
    else:
        raise Refused(in_tags or [Problem(str(path), "says nothing about how it was made", _REMEDY)])
    recorded = recorded_song(record, f"{path}: {source}")
    return Inspected(path, source, record, recorded, *_samples(recorded, record, path, pcm))


def _beside(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(read_plain_file(path.with_name(f"{path.name}.json")))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("record"), dict) else None


def _fits(beside: Mapping[str, Any], path: Path, pcm: str, tags: Mapping[str, Any] | None) -> bool:
    """Whether the record is this file's: by its bytes, by its samples, or by what its tags say."""
    file = beside["record"].get("file")
    own = tags.get("record") if tags is not None else None
    if not isinstance(file, dict):
        return False
    if file.get("file_sha256") == file_sha256(path) or file.get("pcm_sha256") == pcm:
        return True
    identity = own.get("identity") if isinstance(own, dict) else None
    return tags is None or (identity is not None and identity == beside["record"].get("identity"))


def _samples(recorded: Recorded, record: Mapping[str, Any], path: Path, pcm: str) -> tuple[bool | None, str]:
    if pcm == recorded.pcm_sha256:
        return True, f"as recorded, sha256 {pcm}"
    if is_lossy(recorded.encoding.name):
        if record["record"]["file"].get("file_sha256") == file_sha256(path):
            return True, "the file's bytes are as recorded; its samples decode otherwise here"
        if recorded.encoder != ENCODER:
            return None, f"other than recorded, but {recorded.encoder} wrote them, and this is {ENCODER}"
    return False, f"NOT AS RECORDED: sha256 {pcm}, recorded {recorded.pcm_sha256}"


def rerun(
    inspected: Inspected, place: WeightsPlace, load: Callable[[EngineKey], Engine], stop: Interrupts
) -> FileVerdict:
    """Make the song again, by itself, and compare it with the file.

    Raises:
        Refused: the weights, the engine or the libraries are not those of the record; it cannot be made again here.
        KeyboardInterrupt: ``stop`` asked for the end.
    """
    recorded = inspected.recorded
    with_loader = means(load, stop.check)
    key = engine_key_of(
        recorded, weights_place_of(_run_of(inspected.path), place), with_loader.machine, with_loader.build
    )
    engine = with_loader.load(key)
    if problems := loaded_problems(recorded, engine):
        raise Refused(problems)
    with with_loader.watch([recorded.replay]) as watcher:

        def on_step(done: int, total: int) -> None:
            count(done, total)
            stop.check()

        count = watcher.batch([recorded.replay])
        made = render_again(
            engine, [recorded.replay], recorded.sample_rate, lambda songs: on_step, _run_of(inspected.path)
        )
        (again,) = made.values()
        watcher.finished(Outcome(recorded.song, engine.label, "", error=again.error, seconds=again.seconds))
    if again.audio is None:
        raise refuse(recorded.song.song_id, f"could not be made again here: {again.error}")
    return against_file(inspected.path, inspected.path.name, recorded, again, again.audio, is_strict=False)


def _run_of(path: Path) -> Path:
    """The folder of the run that a file lies in, or lay in."""
    parents = path.resolve().parents
    return next((each for each in parents if (each / PLAN).is_file()), parents[min(1, len(parents) - 1)])


def _as_json(inspected: Inspected, verdict: FileVerdict | None, problems: Sequence[Problem]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "file": str(inspected.path),
        "source": inspected.source,
        "samples_as_recorded": inspected.has_samples,
        "samples": inspected.samples,
        "exit_code": exit_code(inspected, verdict, problems),
        "record": dict(inspected.record),
    }
    if verdict is not None:
        found["rerun"] = verdict.as_json()
    if problems:
        found["cannot_be_made_again"] = [str(problem) for problem in problems]
    return found
