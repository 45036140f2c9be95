"""Parameters of a song that starts from nothing: name, type, default, ranges, meaning and source of each."""

from __future__ import annotations

from dataclasses import dataclass

from acestep_batch.engine.v1.limits import LYRIC_LANGUAGES, PROMPT_TOKENS
from acestep_batch.models import Family
from acestep_batch.parameter import RANDOM, Range, declare

_GUIDE = "control guide"
SEED_LIMIT = 2**32 - 1
SEEDS = Range(0, SEED_LIMIT)
SHORTEST_RANDOM_S = 30.0
LONGEST_S = 240.0
UNIT = Range(0.0, 1.0)
SCALE = Range(0.0, 100.0)


@dataclass(frozen=True, slots=True)
class NewSong:
    """The parameters of a song that starts from nothing; most are of v1 or of both families."""

    prompt: str = declare(
        "str", "", "Style, mood, instruments and tempo as comma-separated tags, the most important first; "
        f"{PROMPT_TOKENS} tokens at most, the rest is cut off. May be empty.", f"{_GUIDE}, Prompt",
        aliases=("caption",),
    )  # fmt: skip
    lyrics: str = declare(
        "str", "", "The words, a line each, with structure tags such as [verse]; [inst] for an instrumental. "
        "May be empty.", f"{_GUIDE}, Lyrics",
    )  # fmt: skip
    lyrics_language: str | None = declare(
        "choice", None, "Language that the lyrics are sung in, numbers and symbols too; null detects it line by line. "
        "A line that starts with a structure tag counts as English in any case.", "this product",
        choices=LYRIC_LANGUAGES, nullable=True,
        only=Family.V1,
    )  # fmt: skip
    audio_duration: float = declare(
        "float", 60.0, f"Length of the song. -1 draws it from the seed, between {SHORTEST_RANDOM_S:g} s and the lower "
        f"of {LONGEST_S:g} s and the profile's limit. Rounded down to whole latent frames of 4096 samples at 44.1 kHz.",
        f"{_GUIDE}, Audio Duration", hard=Range(0.0, above=True, also=(-1.0,)),
        guide=Range(0.0, LONGEST_S, also=(-1.0,)), unit="s", aliases=("duration",),
    )  # fmt: skip
    infer_step: int = declare(
        "int", 60, "Denoising steps: more is better and slower. heun calls the model 2n-1 times.",
        f"{_GUIDE}, Inference Steps", hard=Range(1, 1000), guide=Range(20, 120), aliases=("inference_steps",),
    )  # fmt: skip
    guidance_scale: float = declare(
        "float", 15.0, "How strongly prompt and lyrics are followed. Exactly 0 and exactly 1 switch guidance off. The "
        "guide's formula holds for cfg; apg also smooths, limits and projects the difference.",
        f"{_GUIDE}, Guidance Scale", hard=SCALE, guide=Range(1.0, 25.0),
    )  # fmt: skip
    cfg_type: str = declare(
        "choice", "apg", "Guidance algorithm. cfg_star outputs zero for the first two steps, where the guidance "
        "interval covers them.", f"{_GUIDE}, CFG Type", choices=("apg", "cfg", "cfg_star"),
        only=Family.V1,
    )  # fmt: skip
    scheduler_type: str = declare(
        "choice", "euler", "Solver: euler (fast), heun (second order, about twice the time), pingpong (stochastic; its "
        "noise follows the song's own seed).", f"{_GUIDE}, Scheduler Type", choices=("euler", "heun", "pingpong"),
        only=Family.V1,
    )  # fmt: skip
    omega_scale: float = declare(
        "float", 10.0, "Gain on the change of each step around its mean: 8 is +3.8 %, 12 is +5.4 %. Lower is smoother, "
        "higher punchier. pingpong ignores it.", f"{_GUIDE}, Omega Scale", hard=Range(), guide=Range(8.0, 12.0),
        only=Family.V1,
    )  # fmt: skip
    actual_seeds: tuple[int, ...] | str | None = declare(
        "seeds", None, f"One audio per seed. Without it the seed follows from the row's id; {RANDOM} draws one and "
        "records it.", f"{_GUIDE}, Seeds", hard=SEEDS, nullable=True, aliases=("seed",),
    )  # fmt: skip
    takes: int = declare(
        "int", 1, "How many takes: the first seed, and takes-1 seeds derived from it. Not with a list of seeds.",
        "this product", hard=Range(1, 10_000),
    )  # fmt: skip
    oss_steps: tuple[int, ...] = declare(
        "ints", (), "Only these steps of the schedule are run (experimental). The list decides the number of steps, "
        "whatever infer_step says. Not with heun.", f"{_GUIDE}, OSS Steps", hard=Range(1),
        only=Family.V1,
    )  # fmt: skip
    use_erg_tag: bool = declare(
        "bool", True, "Weaken the prompt in the negative branch, which varies the texture. Has no effect unless "
        "use_erg_lyric is on.", f"{_GUIDE}, ERG",
        only=Family.V1,
    )  # fmt: skip
    use_erg_lyric: bool = declare(
        "bool", True, "Weaken the lyrics in the negative branch, for freer phrasing.", f"{_GUIDE}, ERG",
        only=Family.V1,
    )  # fmt: skip
    use_erg_diffusion: bool = declare(
        "bool", True, "Weaken the transformer's attention in the negative branch, for fewer loops.", f"{_GUIDE}, ERG",
        only=Family.V1,
    )  # fmt: skip
    guidance_interval: float = declare(
        "float", 0.5, "Fraction of the steps, in the middle, that are guided. With heun the fraction is counted on n "
        "steps while 2n-1 calls run, so that it lies earlier.", f"{_GUIDE}, Guidance Interval", hard=UNIT, guide=UNIT,
        only=Family.V1,
    )  # fmt: skip
    guidance_interval_decay: float = declare(
        "float", 0.0, "How far guidance falls over the interval, from guidance_scale towards min_guidance_scale, which "
        "only a decay of 1 reaches.", f"{_GUIDE}, Guidance Interval Decay", hard=UNIT, guide=UNIT,
        only=Family.V1,
    )  # fmt: skip
    min_guidance_scale: float = declare(
        "float", 3.0, "Where guidance falls to; only used with a decay.", f"{_GUIDE}, Min Guidance Scale",
        hard=SCALE, guide=Range(0.0, 10.0),
        only=Family.V1,
    )  # fmt: skip
    guidance_scale_text: float = declare(
        "float", 0.0, "Double condition: the prompt's own scale. Active only when it and guidance_scale_lyric are "
        "above 1; then cfg_type and decay do not count.", f"{_GUIDE}, Double Condition Guidance", hard=SCALE,
        only=Family.V1,
    )  # fmt: skip
    guidance_scale_lyric: float = declare(
        "float", 0.0, "Double condition: the lyrics' own scale.", f"{_GUIDE}, Double Condition Guidance", hard=SCALE,
        only=Family.V1,
    )  # fmt: skip
    rng: str = declare(
        "choice", "song", "Where noise is drawn: song = on the CPU in float32, equal on every device; reference = on "
        "the compute device in the compute type, for seeds brought from the official pipeline.", "this product",
        choices=("song", "reference"),
        only=Family.V1,
    )  # fmt: skip
    overlapped_decode: bool = declare(
        "bool", False, "Decode songs of more than 48 s in overlapping windows: less memory, and a slightly different "
        "sound near the seams.", "reference implementation",
    )  # fmt: skip
    bf16: bool = declare(
        "bool", True, "Compute in bfloat16 instead of float32. Not on a Mac with v1.", f"{_GUIDE}, Precision",
        only=Family.V1,
    )  # fmt: skip
    torch_compile: bool = declare(
        "bool", False, "Compile the transformer; the first song is slower, the others faster.",
        f"{_GUIDE}, Model Compilation",
    )  # fmt: skip
    device_id: int = declare(
        "int", 0, "The N-th visible GPU; the environment is not changed.", f"{_GUIDE}, GPU Selection",
        hard=Range(0, 1023),
    )  # fmt: skip
    output_path: str | None = declare(
        "str", None, "File name in audio/ (null: output.template). An absolute path needs output.allow_outside=true.",
        f"{_GUIDE}, Save Location", nullable=True,
    )  # fmt: skip
