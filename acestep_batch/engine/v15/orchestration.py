"""Which phases of the planner a song needs, and what the song becomes after them; no model, no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from acestep_batch.engine.v15.constants import (
    CODEBOOK_SIZE,
    COMPLETE,
    COVER,
    EXTRACT,
    LEGO,
    REPAINT,
    TEXT2MUSIC,
    UNKNOWN_LANGUAGE,
)
from acestep_batch.engine.v15.durations import CODES_PER_SECOND, target_codes
from acestep_batch.engine.v15.metadata import WRITTEN, Metadata, given_metadata
from acestep_batch.problems import refuse

UNPLANNED_TASKS = (COVER, REPAINT)
"""No planner works for them: their source, or what they have in its place, decides."""


@dataclass(frozen=True, slots=True)
class PlannerRequest:
    """What the planner reads of a song, under the published names; every value is inside its hard range.

    No defaults here: every default has one home, the schema.
    """

    caption: str
    lyrics: str
    vocal_language: str
    """``unknown`` where it is not given."""
    bpm: int | None
    keyscale: str
    timesignature: str
    """Empty where not given, as ``keyscale``."""
    duration_s: float | None
    """None lets the planner choose."""
    task: str
    has_audio: bool
    """Whether source or reference audio is given."""
    audio_codes: tuple[int, ...] | None
    """Codes that are given; the planner then makes none."""
    thinking: bool
    use_cot_metas: bool
    use_cot_caption: bool
    use_cot_language: bool
    use_constrained_decoding: bool
    lm_temperature: float
    lm_cfg_scale: float
    lm_top_k: int
    lm_top_p: float
    lm_repetition_penalty: float
    lm_negative_prompt: str
    seed: int
    longest_s: int
    """The longest song that the planner may choose, whole seconds; a song's own ``duration_s`` may be longer."""


@dataclass(frozen=True, slots=True)
class Phases:
    """What the planner does for a song."""

    thought: bool
    """Whether it writes a chain of thought."""
    codes: bool
    """Whether it writes audio codes."""
    fields: tuple[str, ...]
    """The fields of the chain of thought, in their order."""
    given: Metadata
    """What the user states: written as it is, never chosen."""
    notes: tuple[str, ...] = ()
    """What is done differently from what was asked, in words."""

    @property
    def any(self) -> bool:
        """Whether the song needs a planner at all."""
        return self.thought or self.codes


@dataclass(frozen=True, slots=True)
class Plan:
    """What a song is rendered from once the planner is done; it renders again without the planner's weights."""

    caption: str
    vocal_language: str
    bpm: int | None
    keyscale: str
    timesignature: str
    """Empty where not known, as ``keyscale``."""
    duration_s: float | None
    """None where neither the user nor the planner decided."""
    audio_codes: tuple[int, ...] | None
    """Five a second; None where the transformer starts from silence or from source audio."""
    thought: str
    """The finished chain of thought that the codes were made from, tags included; empty where there is none."""
    notes: tuple[str, ...] = ()
    """What was done differently from what was asked, in words."""

    def to_record(self) -> dict[str, Any]:
        """As JSON; ``from_record`` reads it."""
        return asdict(self) | {"audio_codes": self.audio_codes and list(self.audio_codes), "notes": list(self.notes)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any], where: str) -> Self:
        """The plan in a record, which stands at ``where``.

        Raises:
            Refused: a field is missing or is not what ``to_record`` writes.
        """
        names = [field.name for field in fields(cls)]
        wrong = [name for name in names if name not in record or not _fits(name, record[name])]
        if wrong:
            message = f"the plan in the record is damaged: {', '.join(wrong)}"
            raise refuse(where, message, "let the planner plan the song again")
        values = {name: record[name] for name in names}
        values["audio_codes"] = values["audio_codes"] and tuple(values["audio_codes"])
        return cls(**values | {"notes": tuple(values["notes"])})


def _fits(name: str, value: object) -> bool:
    if name == "audio_codes":
        codes = value if isinstance(value, list) else []
        return value is None or (bool(codes) and all(type(code) is int and 0 <= code < CODEBOOK_SIZE for code in codes))
    if name == "notes":
        return isinstance(value, list) and all(isinstance(note, str) for note in value)
    if name == "bpm":
        return value is None or type(value) is int
    if name == "duration_s":
        return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0)
    return isinstance(value, str)


def task_of(request: PlannerRequest) -> str:
    """The task that is rendered: a cover of nothing is a song from its text."""
    nothing = not request.has_audio and not request.audio_codes
    return TEXT2MUSIC if request.task == COVER and nothing else request.task


def phases_of(request: PlannerRequest) -> Phases:
    """What the planner does for a song.

    The chain of thought needs ``use_cot_metas`` and something that the user left open; without it there is neither a
    new caption nor a language, whatever their switches say. Audio codes need ``thinking``, and no codes that are given.
    Tasks on source audio get no codes: they would take the place of the audio (the reference drops it).

    Raises:
        Refused: metadata that the user gives is out of range.
    """
    language = "" if request.vocal_language == UNKNOWN_LANGUAGE else request.vocal_language
    given = given_metadata(request.bpm, request.keyscale, request.timesignature, request.duration_s, language)
    task = task_of(request)
    switched_on = request.thinking or request.use_cot_caption or request.use_cot_language or request.use_cot_metas
    if not switched_on or task in UNPLANNED_TASKS:
        return Phases(False, False, (), given)
    complete = None not in (given.bpm, given.keyscale, given.timesignature, given.duration)
    thought = request.use_cot_metas and not complete
    left_out = {"caption": not request.use_cot_caption, "language": not request.use_cot_language}
    on_audio = task in (EXTRACT, LEGO, COMPLETE)
    wants_codes = request.thinking and not request.audio_codes
    notes = []
    if wants_codes and on_audio:
        notes.append(f"no audio codes: {task} works on the source audio, which codes would replace")
    if not thought and (request.use_cot_caption or request.use_cot_language):
        why = "all metadata is given" if request.use_cot_metas else "use_cot_metas is off"
        notes.append(f"no chain of thought, so no new caption and no language from it: {why}")
    return Phases(
        thought=thought,
        codes=wants_codes and not on_audio,
        fields=tuple(name for name in WRITTEN if not left_out.get(name)) if thought else (),
        given=given,
        notes=tuple(notes),
    )


def metadata_for_codes(phases: Phases, written: Metadata) -> Metadata:
    """What the finished chain of thought before the codes states; without one, what the user does, but no language."""
    if phases.thought:
        return written
    given = phases.given
    return Metadata(given.bpm, None, given.duration, given.keyscale, None, given.timesignature)


def codes_wanted(request: PlannerRequest, written: Metadata) -> int | None:
    """How many audio codes the song takes; None where nobody has decided on a length.

    The length that the planner wrote counts. (The reference forgets it and lets the codes end where they like.)
    """
    seconds = written.duration if request.duration_s is None else request.duration_s
    return None if seconds is None else target_codes(seconds)


def planned(
    request: PlannerRequest,
    phases: Phases,
    written: Metadata,
    codes: Sequence[int] = (),
    thought: str = "",
    notes: Sequence[str] = (),
) -> Plan:
    """The song after the planner: what the user states wins, the planner fills in what is left open.

    ``written`` is the planner's metadata. Its caption replaces the user's where ``use_cot_caption`` asks for it; its
    language fills in an unknown one. (The reference looks for it under another name and never finds it.)
    """
    given, audio_codes = phases.given, tuple(codes) or request.audio_codes or None
    duration_s = request.duration_s if request.duration_s is not None else written.duration
    if duration_s is None and audio_codes:
        duration_s = len(audio_codes) / CODES_PER_SECOND
    return Plan(
        caption=(written.caption if request.use_cot_caption else None) or request.caption,
        vocal_language=given.language or (written.language if request.use_cot_language else None) or UNKNOWN_LANGUAGE,
        bpm=given.bpm if given.bpm is not None else written.bpm,
        keyscale=given.keyscale or written.keyscale or "",
        timesignature=given.timesignature or written.timesignature or "",
        duration_s=duration_s,
        audio_codes=audio_codes,
        thought=thought,
        notes=(*phases.notes, *notes),
    )


def unplanned(request: PlannerRequest) -> Plan:
    """The song without a planner: what the user states, and nothing else.

    Raises:
        Refused: metadata that the user gives is out of range.
    """
    phases = phases_of(request)
    notes = ["there is no planner: it would have filled in what is left open"] if phases.any else []
    bare = Phases(False, False, (), phases.given)
    return planned(request, bare, Metadata(), notes=notes)
