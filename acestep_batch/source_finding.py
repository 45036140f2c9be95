"""Where what rows name is found: audio files, and the folders of earlier runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from acestep_batch.earlier_runs import run_of
from acestep_batch.models import Family
from acestep_batch.parameter import shown
from acestep_batch.run_plan import PLAN
from acestep_batch.sources import WHOLE_FILE, SongSource, audio_facts


@dataclass(frozen=True, slots=True)
class Places:
    """Where the files that rows name are looked for."""

    manifest: Path
    """The manifest's folder."""
    output_root: Path
    """The folder of all runs."""


def named_run(name: str, places: Places) -> tuple[Path, str] | None:
    """The run's folder and the id that ``FOLDER/ID`` names; or of an id alone the run that the manifest lies in.

    There a record beside an audio file lies, which names songs of its run.
    """
    found = run_of(name, (Path(), places.manifest, places.output_root))
    folder = places.manifest.absolute()
    own = ((each, name) for each in (folder, *folder.parents) if (each / PLAN).is_file())
    return found or next(own, None)


def file_source(text: str, places: Places, family: Family) -> SongSource:
    """An audio file as a model of ``family`` reads it. Raises ValueError, with the reason, where that is no song."""
    folders = (places.manifest, Path())
    path = next((folder / text for folder in folders if _exists(folder / text)), None)
    if path is None:
        where = dict.fromkeys(str(folder.absolute()) for folder in folders)
        raise ValueError(f"{shown(text)} does not exist in {' or '.join(where)}")
    try:
        facts = audio_facts(path.absolute())
    except OSError as error:
        raise ValueError(f"{shown(text)} cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise ValueError(f"{shown(text)} {error}") from error
    frames = facts.frames(family)
    if not frames:
        raise ValueError(f"{shown(text)} is shorter than one latent frame (0.04 s)")
    return SongSource(frames, WHOLE_FILE, str(path.absolute()), facts.sha256)


def _exists(path: Path) -> bool:
    """Whether there is such a file; a text that no file system takes for a name is none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
