"""All parameters by section and name: where they stand, who reads them, and the guide's remedies."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from acestep_batch.models import Family
from acestep_batch.parameter import Parameter, parameters_of
from acestep_batch.schema_run import Hardware, Lm, ManifestSource, Model, Output, RunOptions
from acestep_batch.schema_tasks import LORA_PARAMETERS, TASK_PARAMETERS, TASKS
from acestep_batch.schema_v15 import Generation

SECTIONS: Mapping[str, type] = MappingProxyType(
    {"generation": Generation, "hw": Hardware, "model": Model, "lm": Lm, "manifest": ManifestSource, "output": Output}
)
"""Sections of the configuration by key; RunOptions stands at the top."""

PARAMETERS: Mapping[str, Mapping[str, Parameter]] = MappingProxyType(
    {key: MappingProxyType(parameters_of(section)) for key, section in [*SECTIONS.items(), ("", RunOptions)]}
)
"""Parameters by section and name; the options of the run under the empty key."""

SONG: Mapping[str, Parameter] = PARAMETERS["generation"]

SONG_NAMES: Mapping[str, str] = MappingProxyType(
    {word: name for name, parameter in SONG.items() for word in (name, *parameter.aliases)}
)
"""The parameter that each name or alias means."""

GROUPS = ("hw", "model", "lm", "preset", "manifest", "output")
"""Groups of the configuration that the command line chooses from."""


def reads(family: Family, parameter: Parameter) -> bool:
    """Whether models of a family read a parameter."""
    return parameter.only in ("", family)


SONG_OF: Mapping[Family, Mapping[str, Parameter]] = {
    family: MappingProxyType({name: each for name, each in SONG.items() if reads(family, each)}) for family in Family
}
"""The parameters of a song that each family reads."""

TEXT_FILES: Mapping[str, str] = MappingProxyType({"prompt_file": "prompt", "lyrics_file": "lyrics"})
"""Keys that name a text file, and the parameter that its text becomes."""


@cache
def names_used(task: str, has_lora: bool, family: Family = Family.V1) -> tuple[str, ...]:
    """The parameters that a song of a task has a use for, in the schema's order; ``task`` only where it is no new song.

    What others it knows has no effect and stands in no record.
    """
    unused = {"task"} | TASK_PARAMETERS if task == "text2music" else TASK_PARAMETERS - TASKS[family][task]
    dropped = unused if has_lora else unused | LORA_PARAMETERS
    return tuple(name for name in SONG_OF[family] if name not in dropped)


RECORD_KEYS = frozenset({"timecosts", "audio_path", "format"})
"""Keys of the reference's requests that record a past run and ask for nothing."""

COMMON_PATTERNS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Output too robotic", "Lower guidance_scale (12-14), enable all ERG",
     ("guidance_scale=13", "use_erg_tag=true", "use_erg_lyric=true", "use_erg_diffusion=true")),
    ("Output ignores prompt", "Raise guidance_scale (18-20), disable ERG",
     ("guidance_scale=19", "use_erg_tag=false", "use_erg_lyric=false", "use_erg_diffusion=false")),
    ("Output too repetitive", "Enable use_erg_diffusion, use scheduler_type pingpong",
     ("use_erg_diffusion=true", "scheduler_type=pingpong")),
    ("Output lacks energy", "Raise omega_scale (11-12), use scheduler_type pingpong",
     ("omega_scale=11.5", "scheduler_type=pingpong")),
    ("Generation too slow", "Lower infer_step (27-50), use bf16, scheduler_type euler",
     ("infer_step=27", "bf16=true", "scheduler_type=euler")),
)  # fmt: skip
"""The guide's Common Patterns: problem, its words for the remedy, and the remedy as overrides."""
