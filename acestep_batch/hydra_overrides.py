"""Overrides as typed: put in full, parsed by Hydra's grammar, and every mistake named before anything is composed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString, RangeSweep
from hydra.errors import HydraException

from acestep_batch.parameter import did_you_mean, shown
from acestep_batch.problems import Problem
from acestep_batch.schema import GROUPS, PARAMETERS, SECTIONS, SONG_NAMES, TEXT_FILES

PRESET_FILE = "preset_file"
_LONGEST = 100_000
_WHOLE_COMMAND = frozenset({"dry_run", "resume", "shard", "output.root", "output.name"})
_TEXT_KEYS = frozenset(f"generation.{name}" for name in ("prompt", "lyrics"))
_TAG = re.compile(r"=(\[[\w -]+\])")
_OVERRIDE = re.compile(r"^(?P<sign>\+{0,2}|~)(?P<key>[^=]+?)(?P<rest>=.*)?$", re.DOTALL)

QUOTING = (
    "quote the text twice, for the shell and for Hydra: "
    "bash: 'generation.prompt=\"pop, rock\"'   PowerShell, cmd: \"generation.prompt='pop, rock'\"   "
    "or put it into a file: prompt_file=prompt.txt"
)


def canonical(override: str) -> str:
    """An override in full: ``seed=1`` becomes ``generation.actual_seeds=1``, ``preset=x`` becomes ``+preset=x``.

    A text that is one tag, as ``lyrics=[inst]``, would be a list to Hydra, and is quoted.
    """
    match = _OVERRIDE.match(override)
    if match is None:
        return override
    sign, key, rest = match["sign"], match["key"], match["rest"] or ""
    section, _, name = key.rpartition(".")
    if section in ("", "generation") and (name in SONG_NAMES or name in TEXT_FILES):
        full = f"generation.{SONG_NAMES.get(name, name)}"
        if full in _TEXT_KEYS and (tag := _TAG.fullmatch(rest)):
            rest = f"='{tag[1]}'"
        return f"{full}{rest}" if sign != "~" else override
    if key == "preset" and sign == "":
        return f"+preset{rest}"
    known = key in (*GROUPS, PRESET_FILE) or (section in PARAMETERS and name in PARAMETERS[section])
    return f"{key}{rest}" if sign in ("+", "++") and known and key != "preset" else override


def check_overrides(overrides: Sequence[str], multirun: bool) -> tuple[list[Override], list[Problem]]:
    """Parse canonical overrides with Hydra's grammar and hold every key and choice against what there is.

    Needs an initialised configuration folder. What cannot be read is missing from the first list.
    """
    parser = OverridesParser.create(GlobalHydra.instance().config_loader())
    parsed: list[Override] = []
    problems: list[Problem] = []
    for override in overrides:
        try:
            each = parser.parse_override(override)
        except (HydraException, RecursionError, ValueError) as error:  # nested too deeply, a number too long
            problems.append(_unreadable(override, error))
            continue
        problem = _endless(override, each)
        if problem is not None:
            problems.append(problem)
            continue
        parsed.append(each)
        problem = _unknown_key(override, each) or _ambiguous(override, each, multirun)
        if problem is not None:
            problems.append(problem)
    presets = [override.partition("=")[2] for override in overrides if override.startswith("+preset=")]
    if len(presets) > 1:
        problems.append(Problem("+preset", "is given more than once", f"+preset=[{','.join(presets)}]"))
    return parsed, problems


def _unknown_key(override: str, parsed: Override) -> Problem | None:
    key = parsed.key_or_group
    if parsed.is_delete():
        return Problem(
            override, "nothing can be deleted from the configuration", "give the value that you want instead"
        )
    if key.startswith("hydra"):
        return Problem(override, "Hydra's own settings have no effect on a run", "leave it out")
    if key in ("hw.name", "model.name"):
        return Problem(override, "is the name of a choice", f"choose with {key.removesuffix('.name')}=")
    if key in GROUPS:
        return _unknown_choice(override, parsed)
    section, _, name = key.rpartition(".")
    if name in PARAMETERS.get(section, ()) or key == PRESET_FILE or (section == "generation" and name in TEXT_FILES):
        return None
    if section in ("", "generation"):
        known = [*SONG_NAMES, *TEXT_FILES, *PARAMETERS[""], *GROUPS, PRESET_FILE]
    else:
        known = [f"{section}.{each}" for each in PARAMETERS.get(section, ())] or [f"{each}." for each in SECTIONS]
    near = did_you_mean(key if section not in ("", "generation") else name, known)
    return Problem(override, f"{key} is no parameter{near}", "`python -m acestep_batch --help` lists them all")


def _unknown_choice(override: str, parsed: Override) -> Problem | None:
    options = GlobalHydra.instance().config_loader().get_group_options(parsed.key_or_group)
    for choice in _choices(parsed):
        if choice not in options:
            message = f"{shown(choice)} is no {parsed.key_or_group}{did_you_mean(choice, options)}"
            file = parsed.key_or_group == "manifest" and ("." in choice or "/" in choice)
            return Problem(override, message, f"manifest.path={choice}" if file else f"allowed: {', '.join(options)}")
    return None


def _choices(parsed: Override) -> list[str]:
    """The options that an override of a group names; several only for presets and in sweeps."""
    if parsed.is_sweep_override():
        named = list(parsed.sweep_string_iterator())
    else:
        named = [str(parsed.get_value_element_as_str())]
    if parsed.key_or_group != "preset":
        return named
    return [choice.strip() for each in named for choice in each.strip("[]").split(",")]


def _endless(override: str, parsed: Override) -> Problem | None:
    """A sweep whose values cannot be listed."""
    if not parsed.is_sweep_override():
        return None
    remedy = "sweep over a,b,c or range(first,end) or choice(a,b,c)"
    if not parsed.is_discrete_sweep():
        return Problem(shown(override), "an interval never ends", remedy)
    swept = parsed.value()
    if isinstance(swept, RangeSweep) and swept.shuffle and _length(swept) > _LONGEST:
        return Problem(shown(override), "is too long to be shuffled", remedy)
    try:
        found = next(parsed.sweep_string_iterator(), None)
    except (HydraException, ValueError) as error:
        return Problem(shown(override), f"cannot be listed ({first_line(error)})", remedy)
    return None if found is not None else Problem(shown(override), "has no values", remedy)


def _length(swept: RangeSweep) -> float:
    first, last, step = swept.start or 0, swept.stop or 0, swept.step or 1
    return abs((last - first) / step)


def _unreadable(override: str, error: Exception) -> Problem:
    key, equals, _ = override.partition("=")
    if key in _TEXT_KEYS:
        return Problem(shown(override), "Hydra cannot read this text", QUOTING)
    if not equals:
        is_file = override.lower().endswith((".csv", ".tsv", ".jsonl", ".json", ".yaml", ".yml", ".parquet"))
        remedy = f"manifest.path={override}" if is_file else "verbs: doctor, download, presets"
        return Problem(shown(override), "is neither key=value nor a verb", remedy)
    return Problem(
        shown(override),
        f"cannot be read ({first_line(error)})",
        "quote a value with special characters: key='\"value\"'",
    )


def _ambiguous(override: str, parsed: Override, multirun: bool) -> Problem | None:
    if not parsed.is_sweep_override():
        return None
    key, _, text = override.partition("=")
    if key in _TEXT_KEYS:
        value = parsed.value()
        items = value.list if isinstance(value, ChoiceSweep) else []
        if multirun and items and all(isinstance(item, QuotedString) for item in items):
            return None
        return Problem(shown(override), "a text with commas must be quoted", QUOTING)
    if multirun:
        message = "belongs to the whole command and cannot be swept"
        return Problem(shown(override), message, "give one value") if key in _WHOLE_COMMAND else None
    if key == "generation.actual_seeds":
        return Problem(
            shown(override), "several values", f"seed=[{text}] makes one audio per seed, -m seed={text} sweeps"
        )
    return Problem(shown(override), "several values without -m", f"add -m to sweep, or write a list as {key}=[{text}]")


def first_line(error: Exception) -> str:
    """The first two lines of an error of Hydra's as one."""
    return " ".join(line.strip() for line in str(error).splitlines()[:2])
