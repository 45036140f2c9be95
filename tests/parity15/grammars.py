"""What the reference's constrained decoding wrote, and whether our grammar allows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from acestep_batch.engine.v15.constants import PLANNED_DURATION_S
from acestep_batch.engine.v15.durations import target_codes
from acestep_batch.engine.v15.embedded_planner_text import planner_tokenizer_path
from acestep_batch.engine.v15.grammar import Grammar, accepts
from acestep_batch.engine.v15.metadata import WRITTEN, Metadata, checked, given_metadata, read_codes, read_fields
from acestep_batch.engine.v15.plan_text import END_OF_THINKING, END_OF_TURN
from acestep_batch.engine.v15.vocabulary import Vocabulary
from acestep_batch.problems import Refused

from ..parity.checks import Case, Check
from .comparing import equal, own_rule
from .pack import Pack
from .planner_texts import NO_TOKENIZER

NO_SUCH_MODE = "the planner plans songs; describing given codes is not among its phases"
OUT_OF_RANGE = "values out of range are refused; the reference writes them as they are"
SPELLING = "a value in another spelling is written in its own; the reference writes it as it is"
OPEN_LENGTH = "where nobody decides on a length the model ends the codes, within the longest song"
LONGEST_S = PLANNED_DURATION_S[-1]


def fsm(pack: Pack) -> Iterator[Check]:
    """Every recorded text with the embedded planner's tokenizer, and with a published one where there is one."""
    recorded = pack.read("fsm")
    tokenizers = {"embedded": planner_tokenizer_path()}
    if pack.tokenizer is not None:
        tokenizers["published"] = pack.tokenizer / "tokenizer.json"
    for name, file in tokenizers.items():
        grammar = Grammar(Vocabulary.from_file(file))
        for number, run in enumerate(recorded.get("runs", [])):
            case = Case("fsm", f"{name}.{number}")
            if run["kind"] == "phase1":
                yield from _check_thought(case, run, grammar)
            elif run["kind"] == "codes":
                yield from _check_codes(case, run, grammar)
            else:
                yield case.not_checked("text", NO_SUCH_MODE)
    yield from _check_splits(recorded, pack)


def _check_thought(case: Case, run: Mapping[str, Any], grammar: Grammar) -> Iterator[Check]:
    yield equal(case, "metadata", read_fields(run["text"]), run["parsed"])
    asked = run["user_metadata"] or {}
    try:
        given = _given(asked)
    except Refused:
        yield own_rule(case, "refused", True, _is_out_of_range(asked), OUT_OF_RANGE)
        return
    skipped = {"caption": run["skip_caption"], "language": run["skip_language"]}
    names = [name for name in WRITTEN if not skipped.get(name)]
    # The reference stops in front of the end of the thought and writes an end of turn in its place.
    text = run["text"].removesuffix(END_OF_TURN).removesuffix(END_OF_THINKING) + END_OF_THINKING
    own_spelling = {str(value): given.known()[name] for name, value in asked.items()}
    respelled = text
    for theirs, ours in own_spelling.items():
        respelled = respelled.replace(f": {theirs}\n", f": {ours}\n")
    cursor = grammar.thought(names, given, LONGEST_S)
    allowed = accepts(cursor, grammar.vocabulary.encode(respelled))
    if respelled == text:
        yield equal(case, "allowed", allowed, True)
    else:
        yield own_rule(case, "allowed", allowed, True, SPELLING)
    values = checked(read_fields(respelled))[0].known()
    yield equal(case, "in range", sorted(values), sorted(names))


def _given(asked: Mapping[str, Any]) -> Metadata:
    bpm, duration = asked.get("bpm"), asked.get("duration")
    return given_metadata(
        None if bpm is None else int(bpm),
        asked.get("keyscale", ""),
        asked.get("timesignature", ""),
        duration,
        asked.get("language", ""),
    )


def _is_out_of_range(asked: Mapping[str, Any]) -> bool:
    return not 30 <= int(asked.get("bpm", 30)) <= 300 or not 0 < asked.get("duration", 10) <= LONGEST_S


def _check_codes(case: Case, run: Mapping[str, Any], grammar: Grammar) -> Iterator[Check]:
    """Codes in the text that the tokenizer does not know stand for ones that it does."""
    seconds, codes = run["target_duration"], grammar.vocabulary.codes
    wanted = target_codes(seconds) if seconds is not None and seconds > 0 else None
    tokens = [int(codes[code % len(codes)]) for code in read_codes(run["text"])]
    tokens = (tokens * run["n_codes"])[: run["n_codes"]]
    cursor = grammar.codes(wanted, target_codes(LONGEST_S))
    if wanted is None:
        end = [grammar.vocabulary.end_of_turn]
        ours = accepts(cursor, tokens), accepts(cursor, tokens + end)
        yield own_rule(case, "open end", ours, (False, True), OPEN_LENGTH)
        return
    yield equal(case, "number", wanted, run["n_codes"])
    yield equal(case, "allowed", accepts(cursor, tokens), True)
    yield equal(case, "one more or less", accepts(cursor, tokens[1:]) or accepts(cursor, tokens + tokens[:1]), False)


def _check_splits(recorded: Mapping[str, Any], pack: Pack) -> Iterator[Check]:
    """The tokens of names and values, which only a published tokenizer has."""
    splits = {f"<{name}>": tokens for name, tokens in recorded.get("fixed_strings", {}).items()}
    for tree in recorded.get("prefix_trees", {}).values():
        splits |= tree["example"]
    vocabulary = None if pack.tokenizer is None else Vocabulary.from_file(pack.tokenizer / "tokenizer.json")
    for text, tokens in splits.items():
        case = Case("fsm", f"tokens of {text}")
        if vocabulary is None:
            yield case.not_checked("tokens", NO_TOKENIZER)
            continue
        ours = [vocabulary.decode([token]) for token in vocabulary.encode("".join(tokens))]
        yield equal(case, "tokens", ours, tokens)
