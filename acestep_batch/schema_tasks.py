"""Parameters of a song that is made from another one, and which task looks at which of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from acestep_batch.engine.v15.constants import CODEBOOK_SIZE, TRACK_NAMES
from acestep_batch.models import Family
from acestep_batch.parameter import Range, declare
from acestep_batch.schema_song import SEEDS, UNIT, NewSong

_REFERENCE = "reference implementation"
_V15 = "ACE-Step 1.5"


@dataclass(frozen=True, slots=True)
class TaskSong(NewSong):
    """The parameters of a song that is made from another one, or with LoRAs, beside those of a new one."""

    task: str = declare(
        "choice", "text2music", "What is made: a new song, or something of one that exists. v1 knows text2music, "
        "retake, repaint, extend, edit and audio2audio; 1.5 text2music, cover and repaint, its base model also "
        "extract, lego and complete.", _REFERENCE,
        choices=(
            "text2music", "retake", "repaint", "extend", "edit", "audio2audio", "cover", "extract", "lego", "complete",
        ),
        aliases=("task_type",),
    )  # fmt: skip
    src_audio_path: str | None = declare(
        "str", None, "The song that repaint, extend, edit, cover, extract, lego and complete start from: an audio "
        "file, @ID of this manifest, or @RUN_FOLDER/ID of an earlier run.", _REFERENCE, nullable=True,
        aliases=("src_audio",),
    )  # fmt: skip
    retake_seeds: tuple[int, ...] | None = declare(
        "ints", None, "Seeds of the noise that retake, repaint, extend and edit bring in, one for each audio or one "
        "for all; null derives each from the song's seed.", _REFERENCE, hard=SEEDS, nullable=True,
        only=Family.V1,
    )  # fmt: skip
    retake_variance: float = declare(
        "float", 0.5, "How far retake turns the noise: 0 is the same song, 1 the song of the other noise. Of repaint "
        "and extend also the share of the steps that is taken.", _REFERENCE, hard=UNIT,
        only=Family.V1,
    )  # fmt: skip
    repaint_start: float = declare(
        "float", 0.0, "Where repaint and lego begin. extend: below 0 is as much new before the source.", _REFERENCE,
        hard=Range(), unit="s", aliases=("repainting_start",),
    )  # fmt: skip
    repaint_end: float = declare(
        "float", 0.0, "Where repaint and lego end; with 1.5, 0 and -1 are the source's end. extend: what lies beyond "
        "the source's end is new.", _REFERENCE, hard=Range(0.0, also=(-1.0,)), unit="s", aliases=("repainting_end",),
    )  # fmt: skip
    edit_target_prompt: str | None = declare(
        "str", None, "What edit leads the source to, which prompt describes; null keeps prompt.", _REFERENCE,
        nullable=True,
        only=Family.V1,
    )  # fmt: skip
    edit_target_lyrics: str | None = declare(
        "str", None, "The words that edit leads the source to, whose own are lyrics; null keeps lyrics.", _REFERENCE,
        nullable=True,
        only=Family.V1,
    )  # fmt: skip
    edit_n_min: float = declare(
        "float", 0.0, "The share of the steps that edit leaves out at first: more keeps more.", _REFERENCE, hard=UNIT,
        only=Family.V1,
    )  # fmt: skip
    edit_n_max: float = declare(
        "float", 1.0, "The share of the steps after which edit makes the target by itself: less keeps less.",
        _REFERENCE, hard=UNIT,
        only=Family.V1,
    )  # fmt: skip
    edit_n_avg: int = declare(
        "int", 1, "Noises that each step of edit averages over; the time grows with it.", _REFERENCE,
        hard=Range(1, 100),
        only=Family.V1,
    )  # fmt: skip
    audio2audio_enable: bool = declare(
        "bool", False, "The reference's way to write task=audio2audio.", _REFERENCE,
        only=Family.V1,
    )  # fmt: skip
    ref_audio_input: str | None = declare(
        "str", None, "The song that audio2audio starts from, written as src_audio_path is.", _REFERENCE, nullable=True,
        only=Family.V1,
    )  # fmt: skip
    ref_audio_strength: float = declare(
        "float", 0.5, "How much of it audio2audio keeps: 0 starts from noise alone, 1 is the song itself.", _REFERENCE,
        hard=UNIT,
        only=Family.V1,
    )  # fmt: skip
    lora_name_or_path: tuple[str, ...] = declare(
        "names", (), "LoRAs, all at once: folders or files, or ids on the hub that are in its cache; none for none.",
        _REFERENCE,
    )  # fmt: skip
    lora_weight: tuple[float, ...] = declare(
        "floats", (1.0,), "Factor on what a LoRA adds, one for each or one for all.", _REFERENCE,
        hard=Range(-10.0, 10.0),
    )  # fmt: skip
    reference_audio: str | None = declare(
        "str", None, "A song whose timbre is taken, of any task: written as src_audio_path is.", _V15, nullable=True,
        only=Family.V15,
    )  # fmt: skip
    audio_codes: tuple[int, ...] | None = declare(
        "codes", None, "The song's outline, 5 codes a second, in place of the planner's; it decides the length.", _V15,
        hard=Range(0, CODEBOOK_SIZE - 1), nullable=True, only=Family.V15,
    )  # fmt: skip
    audio_cover_strength: float = declare(
        "float", 1.0, "The share of the steps that follow the source of cover, or audio codes; the others go on "
        "without.", _V15, hard=UNIT, only=Family.V15,
    )  # fmt: skip
    track_name: str | None = declare(
        "choice", None, "The track that extract takes out of the source, or that lego adds to it.", _V15,
        choices=TRACK_NAMES, nullable=True, only=Family.V15,
    )  # fmt: skip
    complete_track_classes: tuple[str, ...] | None = declare(
        "choices", None, "The tracks that complete adds to the source.", _V15, choices=TRACK_NAMES, nullable=True,
        only=Family.V15,
    )  # fmt: skip


_SOURCE, _RETAKE = "src_audio_path", ("retake_seeds", "retake_variance")
_WINDOW = ("repaint_start", "repaint_end")
_V1_TASKS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "text2music": frozenset(),
        "retake": frozenset(_RETAKE),
        "repaint": frozenset({_SOURCE, *_WINDOW, *_RETAKE}),
        "extend": frozenset({_SOURCE, *_WINDOW, *_RETAKE}),
        "edit": frozenset({
            _SOURCE, "retake_seeds", "edit_target_prompt", "edit_target_lyrics", "edit_n_min", "edit_n_max",
            "edit_n_avg",
        }),
        "audio2audio": frozenset({"ref_audio_input", "ref_audio_strength"}),
    }
)  # fmt: skip
_V15_TASKS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "text2music": frozenset(),
        "cover": frozenset({_SOURCE}),
        "repaint": frozenset({_SOURCE, *_WINDOW}),
        "extract": frozenset({_SOURCE, "track_name"}),
        "lego": frozenset({_SOURCE, *_WINDOW, "track_name"}),
        "complete": frozenset({_SOURCE, "complete_track_classes"}),
    }
)
TASKS: Mapping[Family, Mapping[str, frozenset[str]]] = MappingProxyType({Family.V1: _V1_TASKS, Family.V15: _V15_TASKS})
"""The tasks of each family and, by the task, the parameters that only some tasks use."""

TASK_PARAMETERS: frozenset[str] = frozenset({"audio2audio_enable"}).union(
    *(own for tasks in TASKS.values() for own in tasks.values())
)
"""Those of any task; a new song looks at none of them."""

LORA_PARAMETERS = frozenset({"lora_name_or_path", "lora_weight"})
