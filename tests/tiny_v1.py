"""v1 in the published layout at tiny sizes: the golden weights, and a lyric vocabulary of single letters."""

from __future__ import annotations

import shutil
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from acestep_batch.engine.checkpoint import LYRIC_VOCAB, REPOSITORY
from acestep_batch.engine.v1.limits import LYRIC_LANGUAGES

CHECKPOINT = Path(__file__).parent / "golden" / "v1" / "checkpoint"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def letter_vocabulary(path: Path) -> Path:
    """A vocabulary of the published form that knows single letters only."""
    special = ["[STOP]", "[UNK]", "[SPACE]", "[START]", "[zh-cn]", "[verse]"]
    special += [f"[{language}]" for language in LYRIC_LANGUAGES if language != "zh"]
    entries = {token: id_ for id_, token in enumerate([*special, *"abcdefghijklmnopqrstuvwxyz"])}
    vocabulary = Tokenizer(models.BPE(entries, [], unk_token="[UNK]"))
    vocabulary.pre_tokenizer = pre_tokenizers.Whitespace()
    vocabulary.add_special_tokens(special)
    vocabulary.save(str(path))
    return path


def snapshot_in(cache: Path) -> Path:
    """The checkpoint as the hub's client keeps it in ``cache``: revision main, in a folder named by its commit."""
    repository = cache / f"models--{REPOSITORY.replace('/', '--')}"
    snapshot = repository / "snapshots" / COMMIT
    shutil.copytree(CHECKPOINT, snapshot)
    letter_vocabulary(snapshot / LYRIC_VOCAB)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    return snapshot
