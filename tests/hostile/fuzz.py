"""Inputs at random: sound documents of every kind, and the corpus' own, each changed as a seed and a number say."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from .case import TINY, Case, Prepare
from .corpus import CASES
from .corpus.made import DRY
from .corpus.runs import RUN, changed, finished_run, kept_latents, resealed, sound_latents, unmade
from .corpus.weights import TEXT, TRANSFORMER, V1, VOCODER, checkpoint
from .mutation import mutated, mutated_json

Mutate = Callable[[bytes, random.Random], bytes]

ROW: Mapping[str, object] = {
    "id": "a", "prompt": "pop, 90 bpm", "lyrics": "[verse]\nla la \u96e8\n[chorus]\nlo", "seed": 7, "infer_step": 2, "guidance_scale": 5.5,
    "scheduler_type": "euler", "cfg_type": "apg", "omega_scale": 10, "guidance_interval": 0.5, "oss_steps": [1, 2], "takes": 2,
    "output_path": "one/song.wav", "use_erg_tag": True, "comment": None,
}  # fmt: skip
YAML = """\
defaults: &all
  prompt: "pop, 90 bpm"
  infer_step: 2
songs:
  first:  # a comment
    lyrics: |
      [verse]
      la la 雨
    seed: [1, 2]
    oss_steps: [1, 2]
  second: {guidance_scale: 5.5, lyrics: "la \\u263a", scheduler_type: heun, output_path: one/song.wav}
  third:
    prompt: ~
    preset: fast
"""
CSV = 'id,prompt,lyrics,seed,guidance_scale,output_path\r\na,"pop, 90 bpm","[verse]\nla ""la""",7,5.5,\r\nb,雨,,8,3,one/b.wav\r\n'
PRESET = """\
# @package generation
prompt: "pop, ${.lyrics}"
lyrics: la
infer_step: 2
guidance_scale: 5.5
oss_steps: [1, 2]
"""
PRIMARY = """\
defaults:
  - config
  - _self_
generation:
  prompt: pop
  infer_step: 2
output:
  name: mine
  formats: [wav, flac]
  root: outputs
"""


@dataclass(frozen=True, slots=True)
class Document:
    """A kind of input: where it lies among what it needs, how it is changed, and the commands that bring it in."""

    prepare: Prepare
    find: Callable[[Path], Path]
    commands: tuple[tuple[str, ...], ...]
    ways: tuple[Mutate, ...] = (mutated,)
    after: Callable[[Path], None] | None = None
    """What is done to the folder afterwards, half of the time: seals made again, as somebody who knows how would."""


def _placed(name: str, text: str, *words: str, also: Mapping[str, str] | None = None) -> Document:
    files = {name: text, **(also or {})}

    def prepare(folder: Path) -> None:
        for each, content in files.items():
            (folder / each).parent.mkdir(parents=True, exist_ok=True)
            (folder / each).write_text(content, encoding="utf-8", newline="")

    ways = (mutated, mutated_json) if name.endswith((".json", ".jsonl")) else (mutated,)
    return Document(prepare, lambda folder: folder / name, (words,), ways)


def _of_run(name: str, *commands: tuple[str, ...], again: bool = False, words: tuple[str, ...] = ()) -> Document:
    """A file of a finished run; ``again`` has the songs be made once more."""

    def prepare(folder: Path) -> None:
        run = finished_run(folder, {"id": "a", "prompt": "pop", "seed": 1}, {"id": "b", "seed": 2}, words=words)
        if again:
            unmade(run)

    ways = (mutated, mutated_json) if name.endswith((".json", ".jsonl")) else (mutated,)
    return Document(prepare, lambda folder: sorted((folder / RUN).glob(name))[0], commands, ways,
                    lambda folder: resealed(folder / RUN, name))  # fmt: skip


def _of_checkpoint(name: str, way: Mutate = mutated) -> Document:
    ways = (mutated, way) if way is not mutated else (mutated, mutated_json)
    return Document(checkpoint, lambda folder: folder / "checkpoint" / name, ((*V1, "dry_run=true"), V1), ways)


def _header(content: bytes, rng: random.Random) -> bytes:
    """Weights whose header is changed, with the size that it has then."""
    size = struct.unpack("<Q", content[:8])[0]
    way = rng.choice((mutated, mutated_json))
    header = way(content[8 : 8 + size], rng)
    return struct.pack("<Q", len(header)) + header + content[8 + size :]


def _front(content: bytes, rng: random.Random) -> bytes:
    """Weights changed where their header is."""
    size = 8 + struct.unpack("<Q", content[:8])[0]
    return mutated(content[:size], rng) + content[size:]


def _members(content: bytes, rng: random.Random) -> bytes:
    """An archive with one member changed, packed again."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(members))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED))) as archive:
        for each, member in members.items():
            archive.writestr(each, mutated(member, rng) if each == name else member)
    return packed.getvalue()


MANIFEST = ("manifest.path=songs.json", *DRY)
RESUME = ("resume", str(RUN))
EXPLAIN = (*RESUME, "--as-planned", "--explain")
CHECK = ("verify", str(RUN), "--files-only")
CHECK_AS_JUNIT = (*CHECK, "--format", "junit")
FORMATS = ("wav", "flac", "mp3", "ogg", "opus")


@cache
def documents() -> Mapping[str, Document]:
    """Every kind, by name."""
    found = {
        "yaml-manifest": _placed("songs.yaml", YAML, "manifest.path=songs.yaml", *DRY),
        "json-manifest": _placed("songs.json", json.dumps([ROW, {"id": "b"}]), *MANIFEST),
        "json-defaults": _placed("songs.json", json.dumps({"defaults": {"takes": 2}, "songs": [ROW]}), *MANIFEST, "lint=warn"),
        "jsonl-manifest": _placed("songs.jsonl", f'{json.dumps(ROW)}\n{{"id": "b"}}\n', "manifest.path=songs.jsonl", *DRY),
        "csv-manifest": _placed("songs.csv", CSV, "manifest.path=songs.csv", *DRY, "lint=warn"),
        "preset": _placed("conf/preset/x.yaml", PRESET, *MANIFEST, "--config-dir", "conf", "+preset=x", also={"songs.json": '[{"id": "a"}]'}),
        "configuration": _placed("conf/mine.yaml", PRIMARY, *MANIFEST, "--config-dir", "conf", "--config-name", "mine",
                                 also={"songs.json": '[{"id": "a"}]'}),
        "preset-file": _placed("p.json", json.dumps({"parameters": {"infer_step": 2, "guidance_scale": 5.5, "oss_steps": [1, 2]}}),
                               *MANIFEST, "preset_file=p.json", also={"songs.json": '[{"id": "a"}]'}),
        "run-file": _of_run("run.json", RESUME, EXPLAIN, CHECK, again=True),
        "run-config": _of_run("config.yaml", RESUME, EXPLAIN, CHECK, again=True),
        "overrides": _of_run("overrides.yaml", RESUME, EXPLAIN, CHECK),
        "run-manifest": _of_run("manifest.jsonl", RESUME, EXPLAIN, CHECK),
        "plan": _of_run("plan.jsonl", RESUME, EXPLAIN, CHECK, CHECK_AS_JUNIT),
        "plan-to-do": _of_run("plan.jsonl", RESUME, EXPLAIN, again=True),
        "records": _of_run("records.jsonl", RESUME, EXPLAIN, CHECK, CHECK_AS_JUNIT),
        "environment": _of_run("environment.json", RESUME, CHECK),
        "seals": _of_run("seals.json", RESUME, CHECK),
        "summary": _of_run("summary.csv", RESUME, CHECK),
        "sidecar": _of_run("audio/*.json", RESUME, CHECK, _inspect("wav"), (*_inspect("wav"), "--json")),
        "latents": Document(changed(kept_latents(sound_latents)), lambda folder: next((folder / RUN / "latents").iterdir()),
                            (RESUME,), (mutated, _members)),
        "tokenizer": _of_checkpoint("umt5-base/tokenizer.json"),
        "vocabulary": _of_checkpoint("lyric_vocab.json"),
        "transformer-config": _of_checkpoint("ace_step_transformer/config.json"),
        "text-encoder-config": _of_checkpoint("umt5-base/config.json"),
        "autoencoder-config": _of_checkpoint("music_dcae_f8c8/config.json"),
        "vocoder-config": _of_checkpoint("music_vocoder/config.json"),
        **{f"weights-{name.partition('/')[0]}": _of_checkpoint(name, rng_way) for name, rng_way in
           ((TRANSFORMER, _header), (VOCODER, _front), (TEXT, _header))},
        **{f"audio-{name}": _of_run(f"audio/*.{name}", CHECK, _inspect(name), RESUME, words=(f"output.formats=[{name}]",)) for name in FORMATS},
    }  # fmt: skip
    return {**found, "corpus": Document(_no_files, _no_file, ())}


def _inspect(ending: str) -> tuple[str, ...]:
    return ("inspect", str(RUN / "audio" / f"0001_a_1.{ending}"))


def _no_files(folder: Path) -> None:
    """A case of the corpus brings its own."""


def _no_file(folder: Path) -> Path:
    return folder


def case_called(case_id: str) -> Case:
    """A case of the corpus, or ``fuzz-SEED-NUMBER``. Raises KeyError for what is neither."""
    if not case_id.startswith("fuzz-"):
        return CASES[case_id]
    _, seed, number = case_id.split("-")
    return fuzzed(int(seed), int(number))


def kind_of(number: int) -> str:
    """The kind of document that the case of this number changes."""
    return sorted(documents())[number % len(documents())]


def fuzzed(seed: int, number: int) -> Case:
    """The changed document of this number: it may be refused, or taken as what it is."""
    kind, rng = kind_of(number), random.Random(f"{seed} {number}")
    if kind == "corpus":
        return _of_corpus(seed, number, rng)
    document = documents()[kind]
    words = rng.choice(document.commands)

    def prepare(folder: Path) -> None:
        document.prepare(folder)
        file = document.find(folder)
        file.write_bytes(rng.choice(document.ways)(file.read_bytes(), rng))
        if document.after is not None and rng.random() < 0.5:
            document.after(folder)

    return Case(f"fuzz-{kind}", f"{seed}-{number}", prepare, words, None, codes=(0, 1, 2))


def _of_corpus(seed: int, number: int, rng: random.Random) -> Case:
    """A case of the corpus with one of its files changed; nothing of it is rendered."""
    case = CASES[rng.choice(sorted(CASES))]
    words = case.words
    if TINY[0] in words and "dry_run=true" not in words:
        words = (*words, "dry_run=true")

    def prepare(folder: Path) -> None:
        case.prepare(folder)
        files = sorted(
            path
            for path in folder.rglob("*")
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 200_000
        )
        if files:
            file = rng.choice(files)
            file.write_bytes(mutated(file.read_bytes(), rng))

    return replace(case, group="fuzz-corpus", name=f"{seed}-{number}-{case.id}", prepare=prepare, words=words, says=None,
                   check=None, codes=(0, 1, 2))  # fmt: skip
