"""Two finished runs compared song by song, without rendering anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from acestep_batch.checks import CheckedRun
from acestep_batch.compare import Comparison, Tier
from acestep_batch.expectation import Expected, expected_of_file, expected_tier, making_of
from acestep_batch.identity import changed_facts
from acestep_batch.outputs.audio_files import read_audio
from acestep_batch.recorded import Recorded
from acestep_batch.rerender import FileVerdict, with_file
from acestep_batch.song_checks import CheckedSong, Finding
from acestep_batch.verdicts import Report


@dataclass(frozen=True, slots=True)
class _Placed:
    """A song and the run it is in."""

    run: CheckedRun
    song: CheckedSong

    @property
    def identity(self) -> object:
        """The hash of everything that decides its sound."""
        return (self.song.record or {}).get("identity")


def compare_runs(report: Report, one: Sequence[CheckedRun], other: Sequence[CheckedRun], is_strict: bool) -> None:
    """Put the verdicts on the songs of ``one`` into its report, each against its counterpart in ``other``.

    That is the song of the same id and sound, else one of the same sound, else the one of the same id. Songs that only
    one of them has, and what is wrong with the other's files, are findings.
    """
    for run in other:
        report.findings += [(run.cell, _of_other(finding)) for finding in run.findings]
    verdicts = {(song.cell, song.song_id): song for song in report.songs}
    left = [_Placed(run, song) for run in other for song in run.songs if song.is_made]
    for placed in [_Placed(run, song) for run in one for song in run.songs if song.is_made]:
        verdict = verdicts[placed.run.cell, placed.song.song_id]
        found = _counterpart(placed, left)
        if found is None:
            verdict.is_alone = True
            verdict.findings.append(Finding(placed.song.song_id, "the other run", "has no such song"))
            continue
        left.remove(found)
        verdict.files += _files(placed, found, is_strict)
    for placed in left:
        report.findings.append((placed.run.cell, Finding(placed.song.song_id, "the other run", "alone has this song")))


def _of_other(finding: Finding) -> Finding:
    return Finding(finding.song, f"the other run's {finding.file}", finding.message, finding.remedy)


def _counterpart(placed: _Placed, others: Sequence[_Placed]) -> _Placed | None:
    def rank(other: _Placed) -> tuple[bool, bool, bool]:
        return (
            other.identity == placed.identity,
            other.song.song_id == placed.song.song_id,
            other.run.cell == placed.run.cell,
        )

    best = max(others, key=rank, default=None)
    return best if best is not None and any(rank(best)[:2]) else None


def _files(one: _Placed, other: _Placed, is_strict: bool) -> Iterator[FileVerdict]:
    """Files of the same encoding; where there are none, the first of each."""
    theirs = {recorded.encoding: (name, recorded) for name, recorded in other.song.files.items()}
    pairs = [(name, own, *theirs[own.encoding]) for name, own in one.song.files.items() if own.encoding in theirs]
    if not pairs and one.song.files and theirs:
        pairs = [(*next(iter(one.song.files.items())), *next(iter(other.song.files.items())))]
    for name, own, their_name, their in pairs:
        expected = _expected(one, own, other, their, is_strict)
        yield FileVerdict(name, expected, _compared(one.run.folder / name, own, other.run.folder / their_name))


def _expected(one: _Placed, own: Recorded, other: _Placed, their: Recorded, is_strict: bool) -> Expected:
    expected = expected_of_file(
        expected_tier(making_of(own), making_of(their), is_strict),
        own.encoding,
        (own.encoder, their.encoder),
        is_strict,
    )
    reasons = list(expected.reasons)
    plans = (one.song.planned, other.song.planned)
    if one.identity != other.identity and plans[0] is not None and plans[1] is not None:
        reasons += [f"another {name}" for name in changed_facts(plans[0].facts, plans[1].facts)]
    if own.encoding != their.encoding:
        reasons.append(f"{own.encoding.label} and {their.encoding.label}")
    if reasons == list(expected.reasons):
        return expected
    return Expected(Tier.BIT_IDENTICAL if is_strict else Tier.PERCEPTUAL, tuple(reasons))


def _compared(path: Path, own: Recorded, other: Path) -> Comparison:
    try:
        audio, rate = read_audio(other)
    except (OSError, RuntimeError) as error:
        return Comparison(Tier.DIFFERENT, reason=f"the other cannot be read ({error})")
    if rate != own.sample_rate:
        return Comparison(Tier.DIFFERENT, reason=f"{own.sample_rate} and {rate} Hz")
    return with_file(path, audio, own)
