"""Which layers of v1's transformer take a LoRA, and whether a file fits them; no torch.

The published form is a folder with ``pytorch_lora_weights.safetensors``, whose names are the layers' own, without a
prefix.
"""

from __future__ import annotations

from pathlib import Path

from acestep_batch.engine.lora_files import file_problems
from acestep_batch.engine.v1.parameters import TIME_WIDTH
from acestep_batch.engine.v1.sizes import TransformerSizes
from acestep_batch.problems import Problem


def lora_problems(path: Path, sizes: TransformerSizes) -> list[Problem]:
    """Everything that keeps the LoRA at ``path``, a folder or a file, from being loaded; empty where nothing does."""
    return file_problems(path, adaptable_layers(sizes), str)


def adaptable_layers(sizes: TransformerSizes) -> dict[str, tuple[int, int]]:
    """The transformer's linear layers by the names of the published checkpoint: numbers in and out."""
    width, lyric, units = sizes.inner_dim, sizes.lyric_encoder_output_size, sizes.lyric_encoder_linear_units
    layers = {
        "speaker_embedder": (sizes.speaker_embedding_dim, width),
        "genre_embedder": (sizes.text_embedding_dim, width),
        "lyric_encoder.embed.out.0": (sizes.lyric_hidden_size, lyric),
        "lyric_proj": (lyric, width),
        "timestep_embedder.linear_1": (TIME_WIDTH, width),
        "timestep_embedder.linear_2": (width, width),
        "t_block.1": (width, 6 * width),
        "final_layer.linear": (width, sizes.patch_size[0] * sizes.out_channels),
    }
    for index in range(sizes.lyric_encoder_num_blocks):
        layer = f"lyric_encoder.encoders.{index}"
        layers |= {f"{layer}.self_attn.linear_{name}": (lyric, lyric) for name in ("q", "k", "v", "out", "pos")}
        layers |= {f"{layer}.feed_forward.w_1": (lyric, units), f"{layer}.feed_forward.w_2": (units, lyric)}
    for index in range(sizes.num_layers):
        for attention in ("attn", "cross_attn"):
            for name in ("to_q", "to_k", "to_v", "to_out.0"):
                layers[f"transformer_blocks.{index}.{attention}.{name}"] = (width, width)
    return layers
