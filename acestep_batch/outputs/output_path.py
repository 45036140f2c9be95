"""Where a song's files go: the meaning of the guide's `output_path`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath

from acestep_batch.outputs.formats import FORMAT_NAMES
from acestep_batch.outputs.names import MAX_FOLDER_CHARS, MIN_STEM_CHARS, safe_name, shortened, stem_room, unique_stems
from acestep_batch.problems import Problem

_UNWRITABLE_ENDINGS = frozenset({"aac", "aif", "aiff", "alac", "m4a", "mp4", "oga", "wma"})


@dataclass(frozen=True, slots=True)
class OutputTarget:
    """The files of one song: `folder/stem.format` for each format."""

    folder: Path
    stem: str
    formats: tuple[str, ...]

    def path(self, format_name: str) -> Path:
        """The audio file in one of the formats."""
        return self.folder / f"{self.stem}.{format_name}"

    def paths(self) -> list[Path]:
        """The audio files, and then the records beside them."""
        audio = [self.path(name) for name in self.formats]
        return [*audio, *(path.with_name(f"{path.name}.json") for path in audio)]


@dataclass(frozen=True, slots=True)
class OutputRules:
    """What the run says about every row's files.

    `formats_asked` is true where a person chose `formats`, and false where they are only the default, which the
    ending of an `output_path` then replaces.
    """

    audio_folder: Path
    formats: tuple[str, ...]
    formats_asked: bool
    allow_outside: bool


def output_target(
    output_path: str | None, template_stem: str, rules: OutputRules, *, suffix: str = "", where: str = "output_path"
) -> OutputTarget | Problem:
    """Where one audio goes, or why it cannot.

    None means `template_stem` in the audio folder. A file name is that name there, and a relative path stays in
    folders below it, each part made safe. An absolute path (of POSIX or Windows) needs `allow_outside`. The ending,
    if it is a format's, must be among the formats or replaces the default ones. `suffix`, such as `_7`, tells
    the audio from the others of its row (more seeds, more cells) and is added to a given name only.
    """
    if output_path is None:
        return _fitted(OutputTarget(rules.audio_folder, safe_name(template_stem), rules.formats), where)
    if not output_path.strip() or output_path.endswith(("/", "\\")):
        return Problem(where, f"{output_path!r} names no file", "end it with a file name, or leave it empty")
    located = _located(output_path, rules, where)
    if isinstance(located, Problem):
        return located
    folder, name = located
    stem, _, ending = name.rpartition(".")
    ending = ending.lower()
    if not stem or ending not in {*FORMAT_NAMES, *_UNWRITABLE_ENDINGS}:
        return _fitted(OutputTarget(folder, safe_name(name + suffix), rules.formats), where)
    formats = _formats(ending, rules, where)
    if isinstance(formats, Problem):
        return formats
    return _fitted(OutputTarget(folder, safe_name(stem + suffix), formats), where)


def is_absolute(output_path: str) -> bool:
    """Whether a path is anchored, by Windows' rules or POSIX'."""
    return bool(PureWindowsPath(output_path).anchor)


def unique_targets(targets: Sequence[OutputTarget]) -> list[OutputTarget]:
    """The same targets, with suffixes where two songs would share a file or a sidecar (see `unique_stems`)."""
    keys = [f"{target.folder}/{target.stem}" for target in targets]
    return [
        replace(target, stem=key[len(str(target.folder)) + 1 :])
        for target, key in zip(targets, unique_stems(keys), strict=True)
    ]


def _located(output_path: str, rules: OutputRules, where: str) -> tuple[Path, str] | Problem:
    """Folder and file name, before the name is made safe. Windows' rules see every kind of separator and root."""
    windows = PureWindowsPath(output_path)
    if "\0" in output_path or ".." in windows.parts:
        return Problem(where, f"{output_path!r} contains '..' or NUL", "write a plain path")
    if output_path.startswith("~"):
        return Problem(where, f"{output_path!r} begins with '~', which is not expanded", "write the whole path")
    if not windows.anchor:
        folders = (shortened(safe_name(part), MAX_FOLDER_CHARS) for part in windows.parts[:-1])
        return rules.audio_folder.joinpath(*folders), windows.name
    if not rules.allow_outside:
        message = f"{output_path!r} lies outside the run's audio folder"
        return Problem(where, message, "set output.allow_outside=true, or give a file name only")
    native = Path(output_path)
    if not native.anchor:
        return Problem(where, f"{output_path!r} is a Windows path, and this is not Windows", "write it as /folder/file")
    return native.parent, native.name


def _formats(ending: str, rules: OutputRules, where: str) -> tuple[str, ...] | Problem:
    if ending in rules.formats:
        return rules.formats
    if ending in _UNWRITABLE_ENDINGS:
        return Problem(where, f"'.{ending}' cannot be written", f"end it with one of {', '.join(FORMAT_NAMES)}")
    if rules.formats_asked:
        asked = ", ".join(rules.formats)
        remedy = f"leave the ending off, or add {ending} to output.formats"
        return Problem(where, f"ends in '.{ending}', but output.formats is [{asked}]", remedy)
    return (ending,)


def _fitted(target: OutputTarget, where: str) -> OutputTarget | Problem:
    room = stem_room(target.folder)
    if room < MIN_STEM_CHARS:
        message = f"the folder's path is too long for file names in it: {target.folder}"
        return Problem(where, message, "choose a shorter output.root= or output.name=")
    return replace(target, stem=shortened(target.stem, room))
