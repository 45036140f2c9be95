"""Tables: what is allowed, lengths, seeds, defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator

from acestep_batch import schema
from acestep_batch.engine.v15 import constants as own
from acestep_batch.engine.v15.durations import target_codes, whole_seconds
from acestep_batch.engine.v15.metadata import thought_text
from acestep_batch.engine.v15.tiers import PLANNER_GIB, tier_of
from acestep_batch.seeds import take_seeds

from ..parity.checks import Case, Check
from .comparing import equal, own_rule
from .pack import Pack

PLACEHOLDERS = {"{TRACK_NAME}": "DRUMS", "{TRACK_CLASSES}": "DRUMS | BASS"}
SEEDS = "the reference draws the seeds that are missing at random; here they follow from the first, or from the row"
SEED_TEXT = "a seed that is no whole number is refused, where the reference reads what it can and draws the rest"


def constants(pack: Pack) -> Iterator[Check]:
    """Languages, keys, ranges, tracks, tasks and instructions."""
    recorded = pack.read("constants")
    tables = {
        "languages": list(own.LANGUAGES),
        "keyscales": sorted(own.KEYSCALES),
        "bpm": [own.BPM[0], own.BPM[-1]],
        "duration": [own.PLANNED_DURATION_S[0], own.PLANNED_DURATION_S[-1]],
        "timesignatures": [int(beats) for beats in own.TIMESIGNATURES],
        "track_names": list(own.TRACK_NAMES),
        "task_types": list(own.TASKS),
        "task_types_turbo": list(own.TURBO_TASKS),
    }
    for name, ours in tables.items():
        if name in recorded:
            theirs = sorted(recorded[name]) if name == "keyscales" else recorded[name]
            yield equal(Case("constants", name), "values", ours, theirs)
    for name, text in recorded.get("task_instructions", {}).items():
        task, is_bare = name.removesuffix("_default"), name.endswith("_default")
        has_tracks = f"{task}_default" in recorded["task_instructions"] and not is_bare
        tracks = [[], ["drums"], ["drums", "bass"]][("{TRACK_CLASSES}" in text) + has_tracks]
        filled = re.sub(r"\{TRACK_\w+\}", lambda match: PLACEHOLDERS[match[0]], text)
        yield equal(Case("constants", f"instruction {name}"), "text", own.task_instruction(task, tracks), filled)
    instructions = {
        "generate": own.GENERATE_INSTRUCTION,
        "understand": own.UNDERSTAND_INSTRUCTION,
        "inspire": own.INSPIRE_INSTRUCTION,
        "format": own.FORMAT_INSTRUCTION,
    }
    for name, text in recorded.get("lm_instructions", {}).items():
        yield equal(Case("constants", f"planner's instruction {name}"), "text", instructions.get(name), text)


def durations(pack: Pack) -> Iterator[Check]:
    """What lengths are in codes and in the models' texts; latent frames belong to the diffusion stages."""
    for recorded in pack.cases("durations"):
        case, seconds = Case("durations", f"{recorded['duration']} s"), recorded["duration"]
        yield equal(case, "codes", target_codes(seconds), recorded["lm_target_codes"])
        yield equal(case, "prompt", f"{whole_seconds(seconds)} seconds", recorded["dit_meta_seconds"])
        block = thought_text({"duration": whole_seconds(seconds)})
        yield equal(case, "block", block, f"<think>\nduration: {recorded['lm_meta_duration']}\n</think>")


def seeds(pack: Pack) -> Iterator[Check]:
    """The seeds that a text names are the songs' seeds; those it lacks are not drawn at random here."""
    parameter = schema.SONG["actual_seeds"]
    for number, recorded in enumerate(pack.cases("seeds")):
        case, theirs = Case("seeds", str(number)), recorded["out"]
        text = "" if recorded["seed"] is None else str(recorded["seed"])
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if not all(re.fullmatch(r"-?\d+", part) for part in parts):
            yield own_rule(case, "refused", _refuses(text.replace(",", ";")), True, SEED_TEXT)
            continue
        named = parameter.parse([int(part) for part in parts if int(part) >= 0]) if parts else ()
        used = named[: len(theirs)]
        ours = take_seeds(used[0], len(theirs)) if len(used) == 1 else used
        kept = list(used) + [None] * (len(theirs) - len(used))
        yield equal(case, "named seeds", kept, theirs)
        if None in theirs:
            yield own_rule(case, "the others", ours[: len(used)], used, SEEDS)


def _refuses(text: str) -> bool:
    try:
        schema.SONG["actual_seeds"].parse(text)
    except ValueError:
        return True
    return False


def param_defaults(pack: Pack) -> Iterator[Check]:
    """The published defaults of what the planner reads."""
    for name, (_, default) in pack.read("param_defaults").get("GenerationParams", {}).items():
        if name in own.PLANNER_DEFAULTS:
            yield equal(Case("param_defaults", name), "default", own.PLANNER_DEFAULTS[name], default)


def gpu_tiers(pack: Pack) -> Iterator[Check]:
    """Lengths, songs at once and planners by memory. That small devices plan nothing by themselves is no rule here."""
    recorded = pack.read("gpu_tiers")
    for gib, name in recorded.get("tier_of", {}).items():
        tier, theirs = tier_of(float(gib)), recorded["configs"][name]
        ours = {
            "max_duration_with_lm": tier.longest_s[True],
            "max_duration_without_lm": tier.longest_s[False],
            "max_batch_size_with_lm": tier.most_songs[True],
            "max_batch_size_without_lm": tier.most_songs[False],
            "available_lm_models": [f"acestep-5Hz-lm-{each.upper()}" for each in tier.planners],
            "lm_memory_gb": {each.upper(): PLANNER_GIB[each] for each in tier.planners},
        }
        yield equal(Case("gpu_tiers", f"{gib} GiB"), "limits", ours, {key: theirs[key] for key in ours})
