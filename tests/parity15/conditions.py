"""The texts that condition the diffusion transformer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from acestep_batch.engine.v15.constants import TEXT2MUSIC, task_instruction
from acestep_batch.engine.v15.dit_prompts import caption_of, lyrics_prompt, meta_text, text_prompt, with_colon
from acestep_batch.engine.v15.metadata import checked

from ..parity.checks import Case, Check
from .comparing import equal
from .pack import Pack

OTHER_FORMS = "metadata as a text, or under other names than its own, is not taken: a plan has one form"
OWN_NAMES = {"bpm", "caption", "duration", "keyscale", "language", "timesignature"}


def dit_text_prompts(pack: Pack) -> Iterator[Check]:
    """Instruction, metadata, prompt and lyrics of every task, and the prompts of songs with a plan."""
    recorded = pack.read("dit_text_prompts")
    for number, song in enumerate(recorded.get("cases", [])):
        case = Case("dit_text_prompts", str(number))
        track = song.get("track_name")
        tracks = [track] if track else song.get("complete_track_classes", [])
        yield equal(case, "instruction", task_instruction(song["task_type"], tracks), song["instruction"])
        metas = meta_text(song["bpm"], song["time_signature"], song["key_scale"], song["duration"])
        yield equal(case, "metadata", metas, song["meta_string"])
        yield equal(case, "text", text_prompt(song["instruction"], song["caption"], metas), song["text_prompt"])
        yield equal(case, "lyrics", lyrics_prompt(song["lyrics"], song["vocal_language"]), song["lyrics_prompt"])
    for number, asked in enumerate(recorded.get("instruction_formatting", [])):
        case = Case("dit_text_prompts", f"instruction.{number}")
        yield equal(case, "with colon", with_colon(asked["instruction"]), asked["formatted"])
    for number, asked in enumerate(recorded.get("caption_extraction", [])):
        case = Case("dit_text_prompts", f"caption.{number}")
        yield equal(case, "caption", caption_of(asked["input"]), asked["output"])
    for number, song in enumerate(recorded.get("metas_from_lm_dict", [])):
        yield from _planned_song(Case("dit_text_prompts", f"planned.{number}"), song)


def _planned_song(case: Case, song: dict[str, Any]) -> Iterator[Check]:
    metas = song["metas"] or {}
    if not isinstance(metas, dict) or not metas.keys() <= OWN_NAMES or isinstance(metas.get("duration"), str):
        yield case.not_checked("prompts", OTHER_FORMS)
        return
    written, _ = checked({name: value for name, value in metas.items() if name != "duration"})
    listed = meta_text(written.bpm, written.timesignature or "", written.keyscale or "", metas.get("duration"))
    prompt = text_prompt(task_instruction(TEXT2MUSIC), written.caption or song["caption"], listed)
    yield equal(case, "text", prompt, song["out"][0])
    yield equal(
        case, "lyrics", lyrics_prompt(song["lyrics"], written.language or song["vocal_language"]), song["out"][1]
    )
