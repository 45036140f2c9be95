"""How much memory songs need while v1 renders them, computed from the sizes of model and songs; no torch.

Each formula adds up the tensors that the code holds at the moment when they are most; its comments name that moment.
Counted are tensors, softmax attention as the fused kernels compute it (no matrix of scores, but where relative
positions need one). Not counted is what a device takes beside them: the context and kernels of CUDA, workspaces of
cuBLAS and cuDNN, and what the allocator loses to rounding and fragments; ``needed_bytes`` leaves a margin for them.
Compiled blocks fuse operations and need less. ``bytes_a_weight`` is 4 in float32, else 2; ``frames`` are latent frames.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.tasks import Edit
from acestep_batch.engine.v1.at_once import AtOnce, suited_to
from acestep_batch.engine.v1.limits import PROMPT_TOKENS
from acestep_batch.engine.v1.parameters import PATCH_HIDDEN, encoder_parameters, model_parameters
from acestep_batch.engine.v1.sizes import ModelSizes, VocoderSizes

FLOAT32 = 4

RESERVE_BYTES = 2**30
"""Of the margin: what a process takes on a device without any tensor."""
SLACK = 4
"""Of the margin: one part in so many is added to whatever rendering needs; weights are exact."""

_DIGIT, _SIGN = re.compile("[0-9]"), re.compile("[#$%&@£°€]")
_PIECES_A_DIGIT, _PIECES_A_SIGN = 9, 7
"""Digits and signs are spelled out. That many tokens are the most that any of the languages makes of one."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model as it stands in memory."""

    sizes: ModelSizes
    bytes_a_weight: int
    at_once: AtOnce
    decodes_beside_denoising: bool
    """Whether one batch is decoded while the next is denoised, so that both need their memory at once."""
    encodes_sources: bool = False
    """Whether what encodes audio is loaded too, because a task's source is audio."""


def loaded(sizes: ModelSizes, device: str, bf16: bool, encodes_sources: bool = False) -> Loaded:
    """The model as the engine loads it on ``device``, such as ``cpu`` or ``cuda:0``."""
    kind = device.partition(":")[0]
    width, beside = 2 if bf16 else FLOAT32, kind == "cuda"
    return Loaded(sizes, width, suited_to(kind), decodes_beside_denoising=beside, encodes_sources=encodes_sources)


def songs_that_fit(model: Loaded, memory_bytes: int, frames: int, tokens: int, branches: int, at_most: int) -> int:
    """How many songs, up to ``at_most``, may be rendered at once in ``memory_bytes``; 0 where not even one fits.

    ``memory_bytes`` is what the process may use in all, weights included; the rest as in ``needed_bytes``.
    """

    def needed(songs: int) -> int:
        return needed_bytes(model, frames, tokens, branches, songs)

    return bisect_right(range(1, at_most + 1), memory_bytes, key=needed)


def needed_bytes(model: Loaded, frames: int, tokens: int, branches: int, songs: int) -> int:
    """Memory for a process that renders ``songs`` at once, with a margin.

    The margin is 1 GiB and a quarter of all that is not weights. ``tokens`` counts the vectors that the longest song
    attends to (``tokens_of``), ``branches`` its evaluations of the model in a guided step, 1 to 3.
    """
    sizes, width = model.sizes, model.bytes_a_weight
    denoising = max(
        encoding_bytes(sizes, tokens, width), denoising_bytes(sizes, frames, tokens, songs, branches, width)
    )
    weights = weights_bytes(sizes, width)
    if model.encodes_sources:
        weights += encoder_parameters(sizes) * width
        denoising = max(denoising, source_encoding_bytes(sizes, frames, width))
    together = min(songs, model.at_once.songs(frames))
    decoding = decoding_bytes(sizes, frames, width, model.at_once.mel_frames, together)
    peak = denoising + decoding if model.decodes_beside_denoising else max(denoising, decoding)
    return RESERVE_BYTES + weights + peak + peak // SLACK


def songs_decoded_together(sizes: ModelSizes, frames: int, bytes_a_weight: int, window: int, memory_bytes: int) -> int:
    """How many songs ``decoding_bytes`` has room for in ``memory_bytes``, without a margin; 0 where for none."""
    return memory_bytes // decoding_bytes(sizes, frames, bytes_a_weight, window, songs=1)


def weights_bytes(sizes: ModelSizes, bytes_a_weight: int) -> int:
    """All that is always loaded: transformer, text encoder, latent decoder and vocoder."""
    return model_parameters(sizes) * bytes_a_weight


def tokens_of(request: SongRequest) -> int:
    """An upper estimate of the vectors that a song attends to; of an edit, by whichever of its songs has more."""
    tokens = tokens_at_most(request.prompt, request.lyrics)
    if isinstance(task := request.task, Edit):
        return max(tokens, tokens_at_most(task.edit_target_prompt, task.edit_target_lyrics))
    return tokens


def tokens_at_most(prompt: str, lyrics: str) -> int:
    """An upper estimate of the vectors that a song attends to: one for the speaker, and the tokens of both texts.

    No tokenizer is asked. A prompt has at most as many tokens as bytes in UTF-8, one for its end, and no more than are
    read. Lyrics have a token for their start, two for each line (its language, its end), and at most one for each byte,
    but 9 for a digit and 7 for a sign. That is a bound for the embedded model. v1's word pieces are longer: lyrics have
    0.3 to 0.9 of the estimate, as a rule 0.6. Only rare Chinese, Japanese and Korean characters become more pieces than
    their 3 bytes.
    """
    prompt_tokens = min(len(prompt.encode(errors="replace")) + 1, PROMPT_TOKENS)
    if not lyrics:
        return 1 + prompt_tokens
    lyric_tokens = 1 + 2 * (lyrics.count("\n") + 1) + len(lyrics.encode(errors="replace"))
    lyric_tokens += (_PIECES_A_DIGIT - 1) * len(_DIGIT.findall(lyrics))
    lyric_tokens += (_PIECES_A_SIGN - 1) * len(_SIGN.findall(lyrics))
    return 1 + prompt_tokens + lyric_tokens


def encoding_bytes(sizes: ModelSizes, tokens: int, bytes_a_weight: int) -> int:
    """Peak while lyrics of ``tokens`` are encoded, one song at a time; a prompt takes less."""
    model = sizes.transformer
    width, hidden = model.lyric_encoder_output_size, model.lyric_encoder_linear_units
    # Scores for the 2 L - 1 distances, those picked for each pair, and these scaled; beside them 4 of [L, width] and 3
    # of [2 L - 1, width], or 6 of [L, width] where few tokens make the hidden layer the largest.
    scores = 4 * model.lyric_encoder_attention_heads * tokens**2 + 10 * width * tokens
    return bytes_a_weight * max(scores, (2 * hidden + 6 * width) * tokens)


def denoising_bytes(sizes: ModelSizes, frames: int, tokens: int, songs: int, branches: int, bytes_a_weight: int) -> int:
    """Peak of the denoising loop and of what comes right before it, the keys and values of ``tokens`` vectors.

    Every block keeps a key and a value for each vector of each branch of each song until the loop ends.
    """
    model, items = sizes.transformer, songs * branches
    width, values_per_frame = model.inner_dim, model.in_channels * model.patch_size[0]
    kept = 2 * model.num_layers * width * items * tokens * bytes_a_weight
    # Rotating a key: its projection, the other half of the turn, two products and their sum in float32, beside what it
    # is projected from (before and after the norm) and, where frames attend to each other, the query.
    rotating = 2 * bytes_a_weight + 5 * FLOAT32
    projecting = width * items * tokens * rotating
    attention = width * (rotating + FLOAT32)
    # The hidden layer, of two halves, before and after its SiLU, beside three residual streams.
    gated_conv = (2 * 2 * model.hidden + 3 * width) * bytes_a_weight
    # The patch embedding's hidden layer before and after its norm.
    patches = 2 * PATCH_HIDDEN * bytes_a_weight
    # Of any number of frames: shifts, scales and gates, and the linear attention's state.
    fixed = width * (3 * 6 * bytes_a_weight + model.attention_head_dim * FLOAT32)
    blocks = items * (frames * max(attention, gated_conv, patches) + fixed)
    # For each song the state, its noise, and what solver and guidance hold; for each item input and velocity.
    latents = frames * values_per_frame * (8 * songs * FLOAT32 + items * (FLOAT32 + bytes_a_weight))
    return kept + max(projecting, blocks + latents)


def source_encoding_bytes(sizes: ModelSizes, frames: int, bytes_a_weight: int) -> int:
    """Peak of encoding a source of ``frames``, one at a time: of the spectrum or of the encoder's largest level."""
    model, vocoder = sizes.autoencoder, sizes.vocoder
    columns = frames * 2 ** (len(model.encoder_block_out_channels) - 1)
    samples = model.in_channels * columns * vocoder.hop_length * 2 * FLOAT32  # as given, and filled up
    places = columns * vocoder.n_mels
    mel = model.in_channels * places * (2 * FLOAT32 + bytes_a_weight)
    # The complex spectrum, its parts squared, and their sums, beside the samples with a margin.
    spectrum = model.in_channels * columns * FLOAT32 * ((vocoder.n_fft // 2 + 1) * 5 + vocoder.hop_length)
    levels = []
    for level, width in enumerate(model.encoder_block_out_channels):
        kind, scales = model.encoder_block_types[level], model.encoder_qkv_multiscales[level]
        values = width * places // 4**level
        levels.append(_block_bytes(kind, values, places // 4**level, scales, bytes_a_weight) + values * bytes_a_weight)
    return samples + mel + max(spectrum, *levels)


def decoding_bytes(sizes: ModelSizes, frames: int, bytes_a_weight: int, window: int, songs: int) -> int:
    """Peak of decoding ``songs`` together: of the latent decoder or of the vocoder, which run one after the other.

    ``window`` is the number of mel frames that the vocoder's head takes at once.
    """
    channels = sizes.autoencoder.in_channels  # of the song, each of which is one item for the vocoder
    columns = frames * 2 ** (len(sizes.autoencoder.decoder_block_out_channels) - 1)
    mel = columns * sizes.vocoder.input_channels * (FLOAT32 + bytes_a_weight)
    vocoder = channels * _vocoder_bytes(sizes.vocoder, columns, bytes_a_weight, window)
    return songs * (channels * mel + max(_latent_decoder_bytes(sizes, frames, bytes_a_weight), vocoder))


def _latent_decoder_bytes(sizes: ModelSizes, frames: int, bytes_a_weight: int) -> int:
    """For one song: the largest of the decoder's levels, each of which has 4 times the places of the one below."""
    model = sizes.autoencoder
    channels = model.decoder_block_out_channels
    places = frames * sizes.transformer.patch_size[0]
    shortcut = below = channels[-1] * places * bytes_a_weight
    peaks = []
    for level in reversed(range(len(channels))):
        values = channels[level] * places
        kind, scales = model.decoder_block_types[level], model.decoder_qkv_multiscales[level]
        block = _block_bytes(kind, values, places, scales, bytes_a_weight)
        # Stretching the level below to this one's places, then its convolution.
        stretched = 0 if level == len(channels) - 1 else channels[level + 1] * places * bytes_a_weight
        peaks.append(shortcut + below + max(block, stretched + values * bytes_a_weight))
        below, places = values * bytes_a_weight, 4 * places
    return max(peaks)


def _block_bytes(kind: str, values: int, places: int, kernels: tuple[int, ...], bytes_a_weight: int) -> int:
    """Peak within a block of the autoencoder that takes and gives ``values`` numbers."""
    if kind == "EfficientViTBlock":
        # The gated convolution's hidden layer before and after its SiLU, or for each scale of the attention query,
        # key and value, and in float32 these again, the positive query and key, and the products.
        scales = 1 + len(kernels)
        attention = (3 * scales + 1) * bytes_a_weight + 9 * scales * FLOAT32
        return values * max(18 * bytes_a_weight, attention)
    # Normalising: the residual, the convolution's output, and two of its size in float32.
    return values * (2 * bytes_a_weight + 2 * FLOAT32) + 2 * places * FLOAT32


def _vocoder_bytes(sizes: VocoderSizes, columns: int, bytes_a_weight: int, window: int) -> int:
    """For one channel of ``columns`` mel frames."""
    # A block of the backbone: its hidden layer, 4 times as wide, before and after GELU, and four of its own width.
    backbone = 12 * max(sizes.dims) * columns
    # A residual block of the head at its largest level: input, sum over blocks, and three within the block.
    taken = min(columns, window + 2 * sizes.head_reach)
    samples_per_frame, largest = 1, sizes.upsample_initial_channel
    for width, rate in zip(sizes.head_widths[1:], sizes.upsample_rates, strict=True):
        samples_per_frame *= rate
        largest = max(largest, width * samples_per_frame)
    frames = columns * sizes.dims[-1]
    # The samples of all windows, each with its halo, and then these as one.
    pieces = columns * sizes.hop_length * (1 + 2 * sizes.head_reach / min(window, columns))
    head = max(5 * largest * taken + pieces, pieces + 3 * columns * sizes.hop_length)
    return int(bytes_a_weight * max(backbone, frames + head))
