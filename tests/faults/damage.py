"""Damage to the files of a finished run, which somebody else's program or a bad disk does: made, found, and undone."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from acestep_batch.checks import check_folder
from acestep_batch.song_checks import Finding

UNPROMISED = (".locks", "superseded", "latents")
"""Folders about whose files a run promises nothing; nor does it about its logs."""

KINDS = ("flip", "truncate", "delete", "swap")


@dataclass(frozen=True, slots=True)
class Damage:
    """What is done to one file, or to two."""

    kind: str
    file: str
    """From the folder, as ``other``."""
    position: int = 0
    """The byte that changes, or the size that is left."""
    mask: int = 0
    """The bits of that byte that change."""
    other: str = ""
    """The file that it changes places with."""

    def __str__(self) -> str:
        detail = {
            "flip": f" byte {self.position} by {self.mask:#04x}",
            "truncate": f" to {self.position} bytes",
            "delete": "",
            "swap": f" with {self.other}",
        }
        return f"{self.kind} {self.file}{detail[self.kind]}"


def promised_files(folder: Path) -> list[str]:
    """Every file of a run or a sweep that its records speak for, from the folder."""
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and path.suffix != ".log" and not set(parts) & set(UNPROMISED):
            found.append("/".join(parts))
    return found


def draw(folder: Path, kind: str, random: Random) -> Damage:
    """Damage of a kind, at random; every file is as likely as any other, and so is every byte of it."""
    names = promised_files(folder)
    name = random.choice([each for each in names if (folder / each).stat().st_size > 0])
    size = (folder / name).stat().st_size
    match kind:
        case "flip":
            return Damage(kind, name, random.randrange(size), random.randrange(1, 256))
        case "truncate":
            return Damage(kind, name, random.randrange(size))
        case "delete":
            return Damage(kind, name)
        case _:
            content = (folder / name).read_bytes()
            others = [each for each in names if (folder / each).read_bytes() != content]
            return Damage(kind, name, other=random.choice(others))


@contextmanager
def done(damage: Damage, folder: Path) -> Iterator[None]:
    """The damage, for as long as the block runs; files with several names keep them."""
    with TemporaryDirectory() as kept:
        names = [name for name in (damage.file, damage.other) if name]
        for number, name in enumerate(names):
            shutil.copyfile(folder / name, Path(kept, str(number)))
        _do(damage, folder)
        try:
            yield
        finally:
            for number, name in enumerate(names):
                shutil.copyfile(Path(kept, str(number)), folder / name)


def _do(damage: Damage, folder: Path) -> None:
    path = folder / damage.file
    content = bytearray(path.read_bytes())
    match damage.kind:
        case "flip":
            content[damage.position] ^= damage.mask
            path.write_bytes(content)
        case "truncate":
            path.write_bytes(content[: damage.position])
        case "delete":
            path.unlink()
        case _:
            other = folder / damage.other
            path.write_bytes(other.read_bytes())
            other.write_bytes(content)


def findings(folder: Path) -> list[Finding]:
    """What the check of a run or a sweep finds, files named from the folder."""
    found = []
    for run in check_folder(folder):
        place = "" if run.folder == folder else run.folder.relative_to(folder).as_posix() + "/"
        found += [Finding(each.song, place + each.file, each.message, each.remedy) for each in run.findings]
    return found


def is_named(file: str, found: list[Finding]) -> bool:
    """Whether the findings lead to a file: by its name, or where it has lines, by one or by a song that lacks one."""
    place, _, name = file.rpartition("/")
    for lines in ("records", "measurements"):
        if name.startswith(lines):
            own = [each for each in found if each.file.startswith(f"{place}/{lines}".lstrip("/"))]
            return any(each.song or each.file.startswith(f"{file} line ") for each in own)
    return any(each.file == file for each in found)


def undetected(folder: Path, counts: Mapping[str, int], seed: int) -> tuple[Counter[str], list[str]]:
    """Do damage of every kind so many times, one after another, and look for it.

    Returns how many of each kind were done, and what was not found, or did not lead to its file. The folder is as it
    was afterwards, but that names that stood for one file may stand for copies of it.
    """
    random, tried, missed = Random(seed), Counter[str](), []
    for kind, count in counts.items():
        for _ in range(count):
            damage = draw(folder, kind, random)
            with done(damage, folder):
                found = findings(folder)
            tried[kind] += 1
            files = [damage.file, *([damage.other] if damage.other else [])]
            missed += [f"{damage}: {file} is not named" for file in files if not is_named(file, found)]
    return tried, missed
