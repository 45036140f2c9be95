"""The prompt tokenizer that goes with the trained weights: a word is a token, and so is a number.

A word outside the list is the unknown token. Every prompt begins with a few tokens that stand for nothing: what the
text encoder gathers there lies at the same place in any prompt, and cross-attention turns its keys by their place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
GATHERING = tuple(f"<g{index}>" for index in range(8))
UNKNOWN_ID = 2
FIRST_WORD_ID = 3 + len(GATHERING)
NUMBERS = range(40, 221)
"""As tempi, in beats per minute."""
_PUNCTUATION = tuple(",.-#'/&")
_WORD = r"\p{L}+|\p{N}+|[^\s\p{L}\p{N}]"


def build_tokenizer(prompts: Iterable[str], least: int = 2) -> Tokenizer:
    """For the words that occur ``least`` times or more in ``prompts``, and the numbers of all tempi."""
    counts: Counter[str] = Counter()
    splitter = _bare(Tokenizer(WordLevel({UNKNOWN: 0}, unk_token=UNKNOWN)))
    normalizer, pre_tokenizer = splitter.normalizer, splitter.pre_tokenizer
    for prompt in prompts:
        counts.update(word for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(prompt)))
    words = sorted(word for word, count in counts.items() if count >= least and not re.fullmatch(r"\d+", word))
    ordered = (PAD, END, UNKNOWN, *GATHERING, *map(str, NUMBERS), *_PUNCTUATION, *words)
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(ordered))}
    tokenizer = _bare(Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN)))
    tokenizer.add_special_tokens([PAD, END, UNKNOWN, *GATHERING])
    special = [(token, vocabulary[token]) for token in (*GATHERING, END)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{' '.join(GATHERING)} $A {END}", special_tokens=special
    )
    return tokenizer


def _bare(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD), behavior="removed", invert=True)
    return tokenizer
