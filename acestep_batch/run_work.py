"""The work of one process on a run's folder: the plan read or made, names cleared, everything asked written down."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from acestep_batch.batches import micro_batches
from acestep_batch.engine.load import model_files, planner_files
from acestep_batch.identity import identity_of, needs_planner, sound_facts
from acestep_batch.ledger import latest, ledger_files, read_ledger
from acestep_batch.levels import steps
from acestep_batch.linking import linked
from acestep_batch.lock import LOCKS, held, is_alone
from acestep_batch.outputs.atomic import write_text
from acestep_batch.outputs.formats import audio_format, is_lossy
from acestep_batch.outputs.names import stem_from_template
from acestep_batch.outputs.output_path import OutputRules, OutputTarget, is_absolute, output_target, unique_targets
from acestep_batch.outputs.records import json_text
from acestep_batch.plan import Song
from acestep_batch.preflight import Preflight
from acestep_batch.problems import Problem, Refused, refuse
from acestep_batch.record import manifest_row
from acestep_batch.replan import Work, first_batches, first_plan, plan_again
from acestep_batch.run_plan import PLAN, PlannedSong, is_same_plan, plan_text, read_plan, stored_seeds
from acestep_batch.schema_run import Output
from acestep_batch.seals import broken_seals, write_seals
from acestep_batch.shard import Shard
from acestep_batch.songs import songs_of
from acestep_batch.sources import LATENTS
from acestep_batch.superseded import remove_temporary_files, set_aside

log = logging.getLogger("acestep_batch")


@dataclass(frozen=True, slots=True)
class Opened:
    """A run's folder with what this process is to do in it."""

    work: Work
    mine: frozenset[str]
    """Ids of the songs to be made that are this process's."""
    records: Mapping[str, Mapping[str, Any]]
    """The record that counts for each song that has one."""
    set_aside: Mapping[Path, Path]
    """Files that gave way, and where they are now."""


def open_work(checked: Preflight, folder: Path, shard: Shard | None) -> Opened:
    """Read or make the plan of a run whose lock this process holds, and clear the names of what it will make.

    Raises:
        Refused: names that do not fit, a plan that is damaged, or one that must change while other shards follow it.
        OSError: the run's own files cannot be written.
    """
    with held(folder / LOCKS / "plan.lock", wait_s=60):
        if is_alone(folder, shard):
            remove_temporary_files(folder)
        before, ledger = _stored(folder), read_ledger(folder)
        records = latest(ledger.records)
        work = _work(checked, folder, before, records)
        trust = not ledger.damaged and (bool(ledger.records) or len(ledger_files(folder)) == 0 == len(before))
        moves: dict[Path, Path] = {}
        if not is_same_plan(before, work.plan):
            if before and not is_alone(folder, shard):  # without a plan, the others wait for this one's
                raise refuse(str(folder), "its songs have changed while other shards are at work", "wait for them")
            moves |= set_aside(folder, work.dropped, records, trust=trust)
            _write_plan(checked, folder, work.plan)
        elif (broken_seals(folder) or not _agrees(before)) and is_alone(folder, shard):  # by a crash, or later
            _write_plan(checked, folder, work.plan)
        mine = frozenset(_mine(work, shard))
        moves |= set_aside(folder, (each for each in work.plan if each.song.song_id in mine), records, trust=trust)
    return Opened(work, mine, records, moves)


def look(checked: Preflight, folder: Path) -> Work:
    """What is left to do; changes nothing.

    Raises Refused, as ``open_work``.
    """
    return _work(checked, folder, _stored(folder), latest(read_ledger(folder).records))


def _work(
    checked: Preflight, folder: Path, before: Sequence[PlannedSong], records: Mapping[str, Mapping[str, Any]]
) -> Work:
    songs = planned_songs(checked, folder, stored_seeds(before) if before else recorded_seeds(records))

    def batching(own: Sequence[PlannedSong], apart: Sequence[Hashable]) -> list[list[int]]:
        return [list(batch.positions) for batch in micro_batches([each.song for each in own], checked.target, apart)]

    if not before and not records:
        return first_plan(songs, batching)
    is_part = checked.run.options.limit is not None
    return plan_again(songs, before, records, folder, batching, is_part=is_part)


def _stored(folder: Path) -> list[PlannedSong]:
    return read_plan(folder) if (folder / PLAN).exists() else []


def _agrees(plan: Sequence[PlannedSong]) -> bool:
    """Whether the songs' identities are those of the facts that stand beside them."""
    return all(identity_of(each.facts) == each.identity for each in plan)


def _mine(work: Work, shard: Shard | None) -> list[str]:
    """The songs of this process; one that sounds like another goes with it, or if that is done, to the first.

    One that starts from another goes with that, so that no process waits for what another one makes.
    """
    if shard is None:
        return [each.song.song_id for each in work.plan if each.song.song_id in work.todo]
    step, batch_of = steps(each.song for each in work.plan), first_batches(work.plan)
    found = []
    for each in work.plan:
        batch = batch_of(step[each.same_as or each.song.song_id].first)
        if each.song.song_id in work.todo and shard.takes(batch or 0):
            found.append(each.song.song_id)
    return found


def recorded_seeds(records: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[int, ...]]:
    """The seeds of each row as the records have them, by the row's id."""
    found: dict[str, tuple[int, ...]] = {}
    for record in sorted((each for each in records.values() if "take" in each), key=lambda each: int(each["take"])):
        found[str(record["row"])] = (*found.get(str(record["row"]), ()), int(record["seed"]))
    return found


def planned_songs(checked: Preflight, folder: Path, seeds: Mapping[str, tuple[int, ...]]) -> list[PlannedSong]:
    """The songs that are asked for, with their files and identities; ``seeds`` are those drawn at random before."""
    run, target = checked.run, checked.target
    if checked.stored:
        songs, places = [each.song for each in checked.stored], [each.files for each in checked.stored]
    else:
        invalid = {each.row.id for each in checked.rows if each.problems}
        songs, problems = linked(songs_of(checked.rows, run, target, seeds), checked.places, run.hw, target, invalid)
        if problems:
            raise Refused([each for own in problems.values() for each in own])
        places = audio_targets(songs, checked, folder)
    weights = model_files(target.checkpoint, target.lyric_vocab, target.v15)
    planners = planner_files(target.v15) if any(map(needs_planner, songs)) and target.v15 is not None else {}
    step = steps(songs)
    found: dict[str, PlannedSong] = {}
    for song, place in sorted(zip(songs, places, strict=True), key=lambda each: step[each[0].song_id].level):
        song = with_source(song, found, run.output)
        own = weights | planners if needs_planner(song) else weights
        facts = sound_facts(song, run.output.sample_rate, own)
        found[song.song_id] = PlannedSong(song, place, facts, identity_of(facts))
    return [found[song.song_id] for song in songs]


def with_source(song: Song, planned: Mapping[str, PlannedSong], output: Output) -> Song:
    """A song that starts from another of the run, with that one's identity and with what is taken of it.

    Of a reference that is the audio, even where latents are kept.
    """
    if song.source is not None and song.source.song_id is not None:
        source = planned[song.source.song_id]
        name = source.files.formats[0]
        form = LATENTS if output.save_latents else audio_format(name, output.wav_subtype).label
        notes = song.notes
        if form != LATENTS and is_lossy(name):
            note = f"{source.song.song_id}, which it starts from, was read from {name}"
            notes = tuple(dict.fromkeys((*notes, f"{note}: output.save_latents=true loses less")))
        song = replace(song, source=replace(song.source, form=form, identity=source.identity), notes=notes)
    if song.reference is not None and song.reference.song_id is not None:
        timbre = planned[song.reference.song_id]
        form = audio_format(timbre.files.formats[0], output.wav_subtype).label
        song = replace(song, reference=replace(song.reference, form=form, identity=timbre.identity))
    return song


def audio_targets(songs: Sequence[Song], checked: Preflight, folder: Path) -> list[OutputTarget]:
    """The files of each song, no two of them the same; an absolute path is told apart by seed and by cell.

    Raises:
        Refused: a name that cannot be used.
    """
    rules: OutputRules = replace(checked.rules, audio_folder=folder / "audio")
    targets: list[OutputTarget] = []
    problems: list[Problem] = []
    for song in songs:
        asked = song.generation.output_path
        stem = stem_from_template(checked.run.output.template, song.template_values(checked.name))
        suffix = f"_{song.seed}" if song.takes > 1 else ""
        if checked.run.swept and asked is not None and is_absolute(asked):
            suffix += f"_{folder.name}"
        found = output_target(asked, stem, rules, suffix=suffix, where=f"{song.place}, output_path")
        if isinstance(found, Problem):
            problems.append(found)
        else:
            targets.append(found)
    if problems:
        raise Refused(problems)
    return unique_targets(targets)


def _write_plan(checked: Preflight, folder: Path, plan: Sequence[PlannedSong]) -> None:
    """What was asked, resolved, before anything is rendered; the plan comes last, for it makes the folder a run's."""
    texts = {
        "config.yaml": yaml.safe_dump(resolved_config(checked), sort_keys=False, allow_unicode=True),
        "overrides.yaml": yaml.safe_dump(list(checked.run.overrides), allow_unicode=True),
        "manifest.jsonl": "".join(json_text(manifest_row(each.song)) + "\n" for each in plan),
        PLAN: plan_text(plan, folder),
    }
    write_seals(folder, texts)
    for name, text in texts.items():
        write_text(folder / name, text, replace=True)


def resolved_config(checked: Preflight) -> dict[str, Any]:
    """The configuration as the run uses it: files read, presets in place, ``auto`` decided."""
    layers, config = checked.run.layers, dict(checked.run.config)
    song = {**layers.base, **layers.preset, **layers.preset_file, **layers.command_line}
    config["generation"] = {name: list(value) if isinstance(value, tuple) else value for name, value in song.items()}
    config["hw"] = {**config["hw"], "batch_size": checked.target.batch_size, "max_duration_s": checked.target.longest_s}
    return config
