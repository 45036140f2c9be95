"""One process's part of a run: every N-th micro-batch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from acestep_batch.problems import refuse


@dataclass(frozen=True, slots=True)
class Shard:
    """The ``index``-th of ``count`` parts, counted from 1."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def takes(self, batch: int) -> bool:
        """Whether the micro-batch of this number, counted from 0 over the whole plan, is this part's."""
        return batch % self.count == self.index - 1


def parse_shard(text: str | None) -> Shard | None:
    """``2/8`` is the second of eight parts; None and ``1/1`` are the whole run.

    Raises:
        Refused: anything else.
    """
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text.strip())
    index, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= index <= count:
        raise refuse(f"shard={text}", "is not I/N with 1 <= I <= N", "such as shard=2/8 for the second of eight")
    return Shard(index, count) if count > 1 else None
