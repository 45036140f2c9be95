"""All stages of the comparison, in the order of the table; each makes checks out of a pack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ..parity.checks import Check
from .conditions import dit_text_prompts
from .diffusion import DIFFUSION
from .grammars import fsm
from .orchestrations import orchestration
from .pack import Pack
from .planner_texts import lm_cot_format, lm_output_parsing, lm_prompt_token_ids, lm_prompts
from .tables import constants, durations, gpu_tiers, param_defaults, seeds

_PLANNER: tuple[Callable[[Pack], Iterator[Check]], ...] = (
    lm_prompts,
    lm_prompt_token_ids,
    lm_cot_format,
    lm_output_parsing,
    orchestration,
    fsm,
    dit_text_prompts,
    constants,
    durations,
    seeds,
    param_defaults,
    gpu_tiers,
)
"""Each is named after the recordings that it reads."""

STAGES: Mapping[str, Callable[[Pack], Iterator[Check]]] = {stage.__name__: stage for stage in _PLANNER} | DIFFUSION
"""By name."""
