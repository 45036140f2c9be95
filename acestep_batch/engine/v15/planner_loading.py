"""A planner's checkpoint folder to a loaded planner; safetensors only, every parameter accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import Qwen3ForCausalLM

from acestep_batch.engine.out_of_memory import is_out_of_memory
from acestep_batch.engine.v15.planner import Planner
from acestep_batch.engine.v15.planner_files import TOKENIZER, planner_problems
from acestep_batch.engine.v15.vocabulary import Vocabulary
from acestep_batch.problems import Refused, one_line, refuse


def load_planner(folder: Path, device: str, dtype: torch.dtype, songs_at_once: int = 1) -> Planner:
    """The planner of a folder with ``config.json``, ``tokenizer.json`` and safetensors, in one file or several.

    Parameters may lack the prefix ``model.``, as in some of the published files. ``songs_at_once`` as in ``Planner``.

    Raises:
        Refused: a file is missing, cannot be read or does not fit the others.
    """
    if problems := planner_problems(folder):
        raise Refused(problems)
    vocabulary = Vocabulary.from_file(folder / TOKENIZER)
    remedy = "download the folder again"
    try:
        result: Any = Qwen3ForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # they are refused below, all by name
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises whatever it met
        if is_out_of_memory(error):
            raise
        raise refuse(str(folder), f"holds no planner that can be built ({one_line(error)[:300]})", remedy) from error
    model, loaded = result
    wrong = [f"{name} is missing" for name in sorted(loaded["missing_keys"])]
    wrong += [f"{name} is unexpected" for name in sorted(loaded["unexpected_keys"])]
    wrong += [f"{name} has another shape" for name, *_ in sorted(loaded["mismatched_keys"])]
    if wrong:
        message = f"the weights do not fit Qwen3ForCausalLM: {'; '.join(wrong[:20])}"
        raise refuse(str(folder), message + (f" and {len(wrong) - 20:,} more" if len(wrong) > 20 else ""), remedy)
    if model.config.vocab_size < vocabulary.size:
        message = f"the tokenizer has {vocabulary.size:,} tokens, the model only {model.config.vocab_size:,}"
        raise refuse(str(folder), message, remedy)
    model.eval().requires_grad_(False)
    return Planner(model.to(device), vocabulary, songs_at_once=songs_at_once)
