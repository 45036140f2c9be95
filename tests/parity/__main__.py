"""Compare the engine with every recording in a pack: ``python -m tests.parity PACK_DIR [--lyric-vocab FILE]``.

A pack is a folder laid out as ``tests/golden/v1/README.md`` describes; its checkpoint is loaded as a user's would be.
Ends with 0 when no comparison failed, with 1 when one did, and with 2 when there was nothing to compare.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from .audio import audio_stage
from .checks import Case, Check, Verdict
from .networks import guidance_stage, transformer_stage
from .report import WIDTH, summary, table
from .schedulers import scheduler_stage
from .songs import song_stage
from .texts import lyric_languages, lyrics_stage, text_encoder_stage


def compare(pack: Path, lyric_vocab: Path | None) -> Iterator[Check]:
    """All comparisons, stage by stage; what a pack does not hold is left out."""
    stages = {
        "a": partial(lyrics_stage, pack, lyric_vocab),
        "b": partial(text_encoder_stage, pack),
        "c": partial(transformer_stage, pack),
        "d": partial(guidance_stage, pack),
        "e": partial(scheduler_stage, pack),
        "f": partial(audio_stage, pack),
        "g": partial(song_stage, pack, lyric_vocab),
    }
    for stage, checks in stages.items():
        yield from Case(stage, "loading").guarded(checks)


@contextmanager
def one_thread() -> Iterator[None]:
    """The tensors of a pack are tiny: more threads only wait for each other, several times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pack", type=Path, metavar="PACK_DIR", help="recordings of the reference and their checkpoint")
    parser.add_argument("--lyric-vocab", type=Path, metavar="FILE", help="the published lyric vocabulary (vocab.json)")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    checks: list[Check] = []

    def noted() -> Iterator[Check]:
        for check in compare(options.pack, options.lyric_vocab):
            checks.append(check)
            yield check

    with one_thread(), torch.inference_mode():
        for line in table(noted()):
            print(line, flush=True)
    if not any(check.verdict in {Verdict.PASS, Verdict.FAIL} for check in checks):
        print(f"{options.pack}: nothing to compare; give the folder that holds checkpoint/ and the recordings")
        return 2
    print()
    for line in summary(checks):
        print(line)
    if languages := lyric_languages(options.pack):
        counts = ", ".join(f"{language} {count}" for language, count in languages.items())
        print(f"\n{textwrap.fill(f'lyric lines: {counts}', WIDTH, subsequent_indent='  ')}")
    failures = sum(check.verdict is Verdict.FAIL for check in checks)
    print(f"\n{failures} of {len(checks)} comparisons failed, {time.perf_counter() - started:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
