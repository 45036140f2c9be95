"""The planner's texts: prompts, token ids, the block of the chain of thought, and what is read out of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transformers import AutoTokenizer

from acestep_batch.engine.v15 import constants
from acestep_batch.engine.v15.metadata import read_codes, read_fields, read_lyrics, thought_text
from acestep_batch.engine.v15.plan_text import (
    codes_prompt,
    codes_prompt_without,
    format_prompt,
    inspiration_prompt,
    thought_prompt,
    thought_prompt_without,
    understand_prompt,
)
from acestep_batch.engine.v15.vocabulary import Vocabulary

from ..parity.checks import Case, Check
from .comparing import equal
from .pack import Pack

NO_TOKENIZER = "token ids need --tokenizer"


def lm_prompts(pack: Pack) -> Iterator[Check]:
    """Both sides of both phases for every song and negative prompt, and the prompts of the other modes."""
    recorded = pack.read("lm_prompts")
    for number, song in enumerate(recorded.get("generate", [])):
        case, caption, lyrics = Case("lm_prompts", f"generate.{number}"), song["caption"], song["lyrics"]
        yield equal(case, "thought", thought_prompt(caption, lyrics), song["cot"]["cond"])
        for negative, prompt in song["cot"]["uncond"].items():
            yield equal(case, f"thought without, {negative!r}", thought_prompt_without(lyrics, negative), prompt)
        for codes in song["codes"]:
            thought = thought_text(codes["metadata"])
            yield equal(case, "codes", codes_prompt(caption, lyrics, thought), codes["cond"])
            for negative, prompt in codes["uncond"].items():
                ours = codes_prompt_without(caption, lyrics, negative)
                yield equal(case, f"codes without, {negative!r}", ours, prompt)
    for number, asked in enumerate(recorded.get("understand", [])):
        case = Case("lm_prompts", f"understand.{number}")
        yield equal(case, "prompt", understand_prompt(asked["audio_codes"]), asked["cond"])
        yield equal(case, "prompt without", understand_prompt(""), asked["uncond"])
    for number, asked in enumerate(recorded.get("inspiration", [])):
        ours = inspiration_prompt(asked["query"], asked["instrumental"])
        yield equal(Case("lm_prompts", f"inspiration.{number}"), "prompt", ours, asked["cond"])
    for number, asked in enumerate(recorded.get("format", [])):
        ours = format_prompt(asked["caption"], asked["lyrics"])
        yield equal(Case("lm_prompts", f"format.{number}"), "prompt", ours, asked["cond"])


def lm_prompt_token_ids(pack: Pack) -> Iterator[Check]:
    """Token ids of whole prompts, and whether the tokenizer's own chat template writes the same prompts."""
    cases = pack.cases("lm_prompt_token_ids")
    if pack.tokenizer is None:
        for number, _ in enumerate(cases):
            yield Case("lm_prompt_token_ids", str(number)).not_checked("ids", NO_TOKENIZER)
        return
    vocabulary = Vocabulary.from_file(pack.tokenizer / "tokenizer.json")
    for number, recorded in enumerate(cases):
        case = Case("lm_prompt_token_ids", str(number))
        yield equal(case, "ids", vocabulary.encode(recorded["text"]), recorded["ids"])
    yield from _chat_template(Case("lm_prompt_token_ids", "chat template"), pack)


def _chat_template(case: Case, pack: Pack) -> Iterator[Check]:
    tokenizer: Any = AutoTokenizer.from_pretrained(pack.tokenizer, local_files_only=True)
    if tokenizer.chat_template is None:
        yield case.not_checked("prompts", "the tokenizer has no chat template")
        return
    thought = thought_text({"bpm": 93, "language": "no"})
    turns = [
        {"role": "system", "content": f"# Instruction\n{constants.GENERATE_INSTRUCTION}\n\n"},
        {"role": "user", "content": "# Caption\npop\n\n# Lyric\nla\n"},
    ]
    closed = [*turns, {"role": "assistant", "content": thought}]
    ours = thought_prompt("pop", "la"), codes_prompt("pop", "la", thought)
    for what, own, messages, is_open in (("thought", ours[0], turns, True), ("codes", ours[1], closed, False)):
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=is_open)
        yield equal(case, what, own, text)


def lm_cot_format(pack: Pack) -> Iterator[Check]:
    """Metadata to the block of the chain of thought."""
    for number, recorded in enumerate(pack.cases("lm_cot_format")):
        case = Case("lm_cot_format", str(number))
        yield equal(case, "block", thought_text(recorded["metadata"]), recorded["cot_text"])


def lm_output_parsing(pack: Pack) -> Iterator[Check]:
    """An answer to metadata, codes and lyrics."""
    for number, recorded in enumerate(pack.cases("lm_output_parsing")):
        case, text = Case("lm_output_parsing", str(number)), recorded["text"]
        yield equal(case, "metadata", read_fields(text), recorded["metadata"])
        yield equal(case, "codes", list(read_codes(text)), recorded["dit_code_ids"])
        yield equal(case, "lyrics", read_lyrics(text), recorded["lyrics_after_think"])
