"""Whether files can be written as a run and its rows say: formats, names, folders, and what must not be overwritten."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from acestep_batch.compose import Run, Settings
from acestep_batch.outputs.audio_files import encoder_failure
from acestep_batch.outputs.folders import check_writable
from acestep_batch.outputs.formats import audio_format, format_problems
from acestep_batch.outputs.names import template_problem
from acestep_batch.outputs.output_path import OutputRules, is_absolute, output_target
from acestep_batch.plan import TEMPLATE_FIELDS
from acestep_batch.problems import Problem
from acestep_batch.schema import PARAMETERS
from acestep_batch.schema_run import Output
from acestep_batch.songs import audios_of


def path_problem(
    settings: Settings, run: Run, rules: OutputRules, own_files: Container[Path], where: str
) -> Problem | None:
    """Why a row's own path cannot be used: not allowed, of a format that cannot be written, or taken.

    ``own_files`` are those of the run itself; they may exist.
    """
    asked, output = settings.values["output_path"], run.output
    found = output_target(asked, "name", rules, where=where)
    if isinstance(found, Problem):
        return found
    if found.formats != output.formats and (problems := _format_problems(found.formats, output)):
        return problems[0]
    if not is_absolute(asked):
        return None
    if check_writable(found.folder) is not None:
        return Problem(where, f"{found.folder} is not writable", "choose another folder")
    if audios_of(settings) > 1 or run.swept:
        return None  # the name gets a suffix
    taken = [path for path in found.paths() if path.exists() and path not in own_files]
    return Problem(where, f"{taken[0]} exists and is never overwritten", "choose another name") if taken else None


def formats_asked(run: Run) -> bool:
    """Whether a person chose the formats."""
    return run.output.formats != PARAMETERS["output"]["formats"].default or any(
        "output.formats=" in each for each in run.overrides
    )


def _format_problems(formats: tuple[str, ...], output: Output) -> list[Problem]:
    problems = format_problems(formats, output.wav_subtype, output.sample_rate)
    for name in formats:
        if reason := encoder_failure(audio_format(name, output.wav_subtype)):
            message = f"libsndfile cannot write {name}: {reason}"
            problems.append(Problem("output.formats", message, "pip install -U soundfile"))
    return problems


def output_problems(run: Run, rules: OutputRules) -> list[Problem]:
    """Why files cannot be written as the run says: their formats, their names, their folder."""
    output = run.output
    problems = _format_problems(output.formats, output)
    if output.loudness_lufs is not None and not run.options.measure:
        message = "needs what measure=false switches off"
        problems.append(Problem("output.loudness_lufs", message, "drop one of the two"))
    for problem in (template_problem(output.template, TEMPLATE_FIELDS), check_writable(Path(output.root))):
        problems.extend([problem] if problem is not None else [])
    longest = output_target(None, "name", rules, where="output.root")
    return [*problems, longest] if isinstance(longest, Problem) else problems
