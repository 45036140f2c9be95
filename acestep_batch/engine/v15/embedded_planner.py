"""The embedded planner: a tiny Qwen3 with untrained weights that are the same bits on every machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM
from transformers.models.qwen3.modeling_qwen3 import Qwen3RotaryEmbedding

from acestep_batch.engine.drawn_weights import drawn_weights
from acestep_batch.engine.one_thread import one_thread
from acestep_batch.engine.v15.embedded_planner_text import planner_tokenizer_path
from acestep_batch.engine.v15.orchestration import Plan, PlannerRequest
from acestep_batch.engine.v15.planner import Planner, TokenCallback
from acestep_batch.engine.v15.vocabulary import Vocabulary

LONGEST_S = 30
CAPTION_TOKENS = 24
"""Random weights end a caption by chance only: it is kept short."""
CONFIG: Mapping[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 32_768,
    "tie_word_embeddings": True,
}


class EmbeddedPlanner(Planner):
    """Plans on one CPU thread, so that a plan is the same on any number of cores."""

    def plan(self, requests: Sequence[PlannerRequest], on_token: TokenCallback | None = None) -> list[Plan]:
        with one_thread():
            return super().plan(requests, on_token)


def load_embedded_planner(device: str = "cpu", songs_at_once: int = 1) -> EmbeddedPlanner:
    """The embedded planner; its weights are drawn here, in a fraction of a second."""
    vocabulary = Vocabulary.from_file(planner_tokenizer_path())
    model = embedded_model(vocabulary).to(device)  # type: ignore[arg-type]  # the type checker misreads its decorator
    return EmbeddedPlanner(model, vocabulary, LONGEST_S, CAPTION_TOKENS, songs_at_once)


def embedded_model(vocabulary: Vocabulary) -> Qwen3ForCausalLM:
    """The network, float32 on the CPU, ready for inference."""
    config = Qwen3Config(vocab_size=vocabulary.size, eos_token_id=vocabulary.end_of_turn, **CONFIG)
    with torch.device("meta"):
        model = Qwen3ForCausalLM(config)
    weights = drawn_weights("acestep-5Hz-lm", model, {})
    model.load_state_dict(weights, strict=False, assign=True)
    model.tie_weights()
    model.model.rotary_emb = Qwen3RotaryEmbedding(config)  # its table is computed, not stored
    model.eval().requires_grad_(False)
    return model
