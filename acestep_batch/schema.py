"""Every parameter once: name, type, default, hard range, the guide's range, meaning and source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from acestep_batch.engine.v1.limits import LYRIC_LANGUAGES, PROMPT_TOKENS
from acestep_batch.engine.v15.constants import (
    BPM,
    CODEBOOK_SIZE,
    LANGUAGES,
    NO_INPUT,
    PLANNED_DURATION_S,
    TIMESIGNATURES,
    TRACK_NAMES,
    UNKNOWN_LANGUAGE,
)
from acestep_batch.engine.v15.dtypes import DTYPES
from acestep_batch.engine.v15.limits import INFER_METHODS
from acestep_batch.engine.v15.planner_files import PLANNERS
from acestep_batch.models import MODELS, Family
from acestep_batch.outputs.formats import FORMAT_NAMES, WAV_SUBTYPES
from acestep_batch.parameter import RANDOM, Parameter, Range, declare, parameters_of

SEED_LIMIT = 2**32 - 1
SHORTEST_RANDOM_S = 30.0
LONGEST_S = 240.0

_GUIDE, _REFERENCE, _V15 = "control guide", "reference implementation", "ACE-Step 1.5"
_UNIT = Range(0.0, 1.0)
_SCALE = Range(0.0, 100.0)
_SEEDS = Range(0, SEED_LIMIT)
FROM_RECORD = "from_record"
NO_PLANNER = "none"
PLANNER_CHOICES = ("auto", NO_PLANNER, FROM_RECORD)


@dataclass(frozen=True, slots=True)
class Generation:
    """The parameters of a song; any of them can be a column of a manifest."""

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
        f"{_GUIDE}, Guidance Scale", hard=_SCALE, guide=Range(1.0, 25.0),
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
        "records it.", f"{_GUIDE}, Seeds", hard=_SEEDS, nullable=True, aliases=("seed",),
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
        "steps while 2n-1 calls run, so that it lies earlier.", f"{_GUIDE}, Guidance Interval", hard=_UNIT, guide=_UNIT,
        only=Family.V1,
    )  # fmt: skip
    guidance_interval_decay: float = declare(
        "float", 0.0, "How far guidance falls over the interval, from guidance_scale towards min_guidance_scale, which "
        "only a decay of 1 reaches.", f"{_GUIDE}, Guidance Interval Decay", hard=_UNIT, guide=_UNIT,
        only=Family.V1,
    )  # fmt: skip
    min_guidance_scale: float = declare(
        "float", 3.0, "Where guidance falls to; only used with a decay.", f"{_GUIDE}, Min Guidance Scale",
        hard=_SCALE, guide=Range(0.0, 10.0),
        only=Family.V1,
    )  # fmt: skip
    guidance_scale_text: float = declare(
        "float", 0.0, "Double condition: the prompt's own scale. Active only when it and guidance_scale_lyric are "
        "above 1; then cfg_type and decay do not count.", f"{_GUIDE}, Double Condition Guidance", hard=_SCALE,
        only=Family.V1,
    )  # fmt: skip
    guidance_scale_lyric: float = declare(
        "float", 0.0, "Double condition: the lyrics' own scale.", f"{_GUIDE}, Double Condition Guidance", hard=_SCALE,
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
    task: str = declare(
        "choice", "text2music", "What is made: a new song, or something of one that exists. v1 knows text2music, "
        "retake, repaint, extend, edit and audio2audio; 1.5 text2music, cover and repaint, its base model also "
        "extract, lego and complete.", _REFERENCE,
        choices=(
            "text2music", "retake", "repaint", "extend", "edit", "audio2audio", "cover", "extract", "lego", "complete",
        ),
        aliases=("task_type",),
    )  # fmt: skip
    src_audio_path: str | None = declare(
        "str", None, "The song that repaint, extend, edit, cover, extract, lego and complete start from: an audio "
        "file, @ID of this manifest, or @RUN_FOLDER/ID of an earlier run.", _REFERENCE, nullable=True,
        aliases=("src_audio",),
    )  # fmt: skip
    retake_seeds: tuple[int, ...] | None = declare(
        "ints", None, "Seeds of the noise that retake, repaint, extend and edit bring in, one for each audio or one "
        "for all; null derives each from the song's seed.", _REFERENCE, hard=_SEEDS, nullable=True,
        only=Family.V1,
    )  # fmt: skip
    retake_variance: float = declare(
        "float", 0.5, "How far retake turns the noise: 0 is the same song, 1 the song of the other noise. Of repaint "
        "and extend also the share of the steps that is taken.", _REFERENCE, hard=_UNIT,
        only=Family.V1,
    )  # fmt: skip
    repaint_start: float = declare(
        "float", 0.0, "Where repaint and lego begin. extend: below 0 is as much new before the source.", _REFERENCE,
        hard=Range(), unit="s", aliases=("repainting_start",),
    )  # fmt: skip
    repaint_end: float = declare(
        "float", 0.0, "Where repaint and lego end; with 1.5, 0 and -1 are the source's end. extend: what lies beyond "
        "the source's end is new.", _REFERENCE, hard=Range(0.0, also=(-1.0,)), unit="s", aliases=("repainting_end",),
    )  # fmt: skip
    edit_target_prompt: str | None = declare(
        "str", None, "What edit leads the source to, which prompt describes; null keeps prompt.", _REFERENCE,
        nullable=True,
        only=Family.V1,
    )  # fmt: skip
    edit_target_lyrics: str | None = declare(
        "str", None, "The words that edit leads the source to, whose own are lyrics; null keeps lyrics.", _REFERENCE,
        nullable=True,
        only=Family.V1,
    )  # fmt: skip
    edit_n_min: float = declare(
        "float", 0.0, "The share of the steps that edit leaves out at first: more keeps more.", _REFERENCE, hard=_UNIT,
        only=Family.V1,
    )  # fmt: skip
    edit_n_max: float = declare(
        "float", 1.0, "The share of the steps after which edit makes the target by itself: less keeps less.",
        _REFERENCE, hard=_UNIT,
        only=Family.V1,
    )  # fmt: skip
    edit_n_avg: int = declare(
        "int", 1, "Noises that each step of edit averages over; the time grows with it.", _REFERENCE,
        hard=Range(1, 100),
        only=Family.V1,
    )  # fmt: skip
    audio2audio_enable: bool = declare(
        "bool", False, "The reference's way to write task=audio2audio.", _REFERENCE,
        only=Family.V1,
    )  # fmt: skip
    ref_audio_input: str | None = declare(
        "str", None, "The song that audio2audio starts from, written as src_audio_path is.", _REFERENCE, nullable=True,
        only=Family.V1,
    )  # fmt: skip
    ref_audio_strength: float = declare(
        "float", 0.5, "How much of it audio2audio keeps: 0 starts from noise alone, 1 is the song itself.", _REFERENCE,
        hard=_UNIT,
        only=Family.V1,
    )  # fmt: skip
    lora_name_or_path: tuple[str, ...] = declare(
        "names", (), "LoRAs, all at once: folders or files, or ids on the hub that are in its cache; none for none.",
        _REFERENCE,
    )  # fmt: skip
    lora_weight: tuple[float, ...] = declare(
        "floats", (1.0,), "Factor on what a LoRA adds, one for each or one for all.", _REFERENCE,
        hard=Range(-10.0, 10.0),
    )  # fmt: skip
    reference_audio: str | None = declare(
        "str", None, "A song whose timbre is taken, of any task: written as src_audio_path is.", _V15, nullable=True,
        only=Family.V15,
    )  # fmt: skip
    audio_codes: tuple[int, ...] | None = declare(
        "codes", None, "The song's outline, 5 codes a second, in place of the planner's; it decides the length.", _V15,
        hard=Range(0, CODEBOOK_SIZE - 1), nullable=True, only=Family.V15,
    )  # fmt: skip
    audio_cover_strength: float = declare(
        "float", 1.0, "The share of the steps that follow the source of cover, or audio codes; the others go on "
        "without.", _V15, hard=_UNIT, only=Family.V15,
    )  # fmt: skip
    track_name: str | None = declare(
        "choice", None, "The track that extract takes out of the source, or that lego adds to it.", _V15,
        choices=TRACK_NAMES, nullable=True, only=Family.V15,
    )  # fmt: skip
    complete_track_classes: tuple[str, ...] | None = declare(
        "choices", None, "The tracks that complete adds to the source.", _V15, choices=TRACK_NAMES, nullable=True,
        only=Family.V15,
    )  # fmt: skip
    bpm: int | None = declare(
        "int", None, "Beats a minute; null leaves it to the planner.", _V15, hard=Range(BPM[0], BPM[-1]), nullable=True,
        only=Family.V15,
    )  # fmt: skip
    keyscale: str = declare(
        "str", "", "Key, such as F# minor: A to G, then nothing, # or b, then major or minor; empty leaves it to the "
        "planner.", _V15, only=Family.V15,
    )  # fmt: skip
    timesignature: str = declare(
        "str", "", f"Beats in a bar: {', '.join(TIMESIGNATURES)} (6/8); empty leaves it to the planner.", _V15,
        only=Family.V15,
    )  # fmt: skip
    vocal_language: str = declare(
        "choice", UNKNOWN_LANGUAGE, "Language that the lyrics are sung in; unknown leaves it to the planner.", _V15,
        choices=LANGUAGES, aliases=("language",), only=Family.V15,
    )  # fmt: skip
    instrumental: bool = declare(
        "bool", False, "Nobody sings: [Instrumental] takes the place of the lyrics.", _V15, only=Family.V15,
    )  # fmt: skip
    shift: float | None = declare(
        "float", None, "Moves the timesteps towards noise; null is 3 for turbo, 1 for base and sft. Turbo knows 1, 2 "
        "and 3.", _V15, hard=Range(0.0, above=True), guide=Range(1.0, 5.0), nullable=True, only=Family.V15,
    )  # fmt: skip
    infer_method: str = declare(
        "choice", "ode", "Solver: ode (Euler) or sde (with new noise at every step, from the song's own seed).", _V15,
        choices=INFER_METHODS, only=Family.V15,
    )  # fmt: skip
    timesteps: tuple[float, ...] = declare(
        "floats", (), "Timesteps falling from 1 (noise), in place of infer_step and shift.", _V15, hard=_UNIT,
        only=Family.V15,
    )  # fmt: skip
    cfg_interval_start: float = declare(
        "float", 0.0, "Guidance is on at timesteps from here.", _V15, hard=_UNIT, only=Family.V15,
    )  # fmt: skip
    cfg_interval_end: float = declare(
        "float", 1.0, "Guidance is on at timesteps up to here; 1 is noise.", _V15, hard=_UNIT, only=Family.V15,
    )  # fmt: skip
    use_adg: bool = declare(
        "bool", False, "Adaptive dual guidance in place of adaptive projected guidance.", _V15, only=Family.V15,
    )  # fmt: skip
    thinking: bool = declare(
        "bool", True, "The planner writes audio codes, the song's outline.", _V15, aliases=("think",), only=Family.V15,
    )  # fmt: skip
    use_cot_metas: bool = declare(
        "bool", True, "The planner decides what is left open of bpm, key, time signature and length; without it there "
        "is no new caption and no language either.", _V15, only=Family.V15,
    )  # fmt: skip
    use_cot_caption: bool = declare(
        "bool", True, "The planner's caption takes the place of the prompt.", _V15, only=Family.V15,
    )  # fmt: skip
    use_cot_language: bool = declare(
        "bool", True, "The planner decides on an unknown language.", _V15, only=Family.V15,
    )  # fmt: skip
    use_constrained_decoding: bool = declare(
        "bool", True, "The planner can write nothing but valid metadata and the right number of audio codes.", _V15,
        only=Family.V15,
    )  # fmt: skip
    lm_temperature: float = declare(
        "float", 0.85, "How freely the planner chooses; 0 takes the likeliest.", _V15, hard=Range(0.0, 100.0),
        guide=Range(0.0, 2.0), only=Family.V15,
    )  # fmt: skip
    lm_cfg_scale: float = declare(
        "float", 2.0, "How strongly the planner follows prompt and lyrics; 1 is off.", _V15, hard=_SCALE,
        only=Family.V15,
    )  # fmt: skip
    lm_top_k: int = declare(
        "int", 0, "The planner chooses among so many tokens; 0 is all.", _V15, hard=Range(0, 1_000_000),
        only=Family.V15,
    )  # fmt: skip
    lm_top_p: float = declare(
        "float", 0.9, "The planner chooses among the likeliest tokens that make up this share; 1 is all.", _V15,
        hard=Range(0.0, 1.0, above=True), only=Family.V15,
    )  # fmt: skip
    lm_repetition_penalty: float = declare(
        "float", 1.0, "Above 1, the planner avoids tokens that it has used.", _V15, hard=Range(0.0, 100.0, above=True),
        only=Family.V15,
    )  # fmt: skip
    lm_negative_prompt: str = declare(
        "str", NO_INPUT, "What the planner moves away from.", _V15, only=Family.V15,
    )  # fmt: skip
    lm_max_duration: int | None = declare(
        "int", None, "Longest song that the planner may choose; null is the profile's limit.", "this product",
        hard=Range(PLANNED_DURATION_S[0], PLANNED_DURATION_S[-1]), nullable=True, unit="s", only=Family.V15,
    )  # fmt: skip
    planner: str = declare(
        "choice", "auto", "auto plans with the run's planner (lm); none renders from the texts alone; from_record "
        "takes the plan of a record, and needs no planner.", "this product", choices=PLANNER_CHOICES, only=Family.V15,
    )  # fmt: skip
    plan: str | None = declare(
        "str", None, "The plan that planner=from_record renders, as JSON; a row that is a record has it.",
        "this product", nullable=True, only=Family.V15,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hardware:
    """``hw.``: what the machine can take, and what the guide recommends for it."""

    name: str = declare("str", "cpu", "The profile's name; auto looks at the machine.", "this product")
    device: str = declare("choice", "cpu", "Where the model runs.", "this product", choices=("cpu", "cuda", "mps"))
    batch_size: int | str = declare(
        "int", 1, "Songs rendered together at most, fewer where memory is estimated not to suffice; auto is 8 on a GPU "
        "(of 1.5: 1 to 8, by its memory) and 1 elsewhere.", f"{_GUIDE}, Hardware",
        hard=Range(1, 256), choices=("auto",),
    )  # fmt: skip
    max_duration_s: float = declare(
        "float", LONGEST_S, "Longest song the profile allows; of 1.5 no longer than its device's memory suggests, "
        "unless the command line has it.", f"{_GUIDE}, Hardware", hard=Range(0.0, above=True),
        unit="s",
    )  # fmt: skip
    recommended_steps: tuple[int, ...] = declare(
        "ints", (), "Lowest and highest infer_step that the guide recommends for the profile.", f"{_GUIDE}, Hardware",
        hard=Range(1, 1000),
    )  # fmt: skip
    recommended_guidance: tuple[int, ...] = declare(
        "ints", (), "Lowest and highest guidance_scale that the guide recommends for it.", f"{_GUIDE}, Hardware",
        hard=Range(0, 100),
    )  # fmt: skip
    offload_to_cpu: bool | None = declare(
        "bool", None, "Planner and transformer take turns on the device; null: where its memory is below 16 GB, on a "
        "Mac below 32 GB.", _V15, nullable=True, only=Family.V15,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Model:
    """``model.``: which weights."""

    name: str = declare(
        "choice", "embedded", "The model; auto is v1 with a GPU or Mac profile, embedded on cpu.", "this product",
        choices=("auto", *MODELS),
    )  # fmt: skip
    path: str | None = declare(
        "str", None, "Folder of the checkpoint in the published layout; null looks in the Hugging Face cache.",
        "this product", nullable=True,
    )  # fmt: skip
    revision: str = declare("str", "main", "Revision of the checkpoint in the Hugging Face cache.", "this product")
    lyric_vocab: str | None = declare(
        "str", None, "The lyric vocabulary; null takes lyric_vocab.json in the checkpoint's folder.", "this product",
        nullable=True, only=Family.V1,
    )  # fmt: skip
    dtype: str = declare(
        "choice", "auto", "What it computes in: auto is bfloat16 on CUDA and float32 on a CPU; on a Mac float16, but "
        "float32 for the planner.", _V15, choices=DTYPES, only=Family.V15,
    )  # fmt: skip
    bundle: str | None = declare(
        "str", None, "Folder with the autoencoder and the text encoder of a checkpoint that has none; null looks "
        "beside the checkpoint, then in the Hugging Face cache.", "this product", nullable=True, only=Family.V15,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lm:
    """``lm.``: the planner of 1.5, a language model that thinks a song up before it is made."""

    name: str = declare(
        "choice", "auto", "The planner; auto is 1.7b, 0.6b below 16 GB of memory, the embedded model has its own. none "
        "renders from the texts alone.", _V15, choices=("auto", "none", *PLANNERS), only=Family.V15,
    )  # fmt: skip
    path: str | None = declare(
        "str", None, "Folder of the planner; null looks in the Hugging Face cache.", "this product", nullable=True,
        only=Family.V15,
    )  # fmt: skip
    revision: str = declare(
        "str", "main", "Revision of the planner in the Hugging Face cache.", "this product", only=Family.V15,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ManifestSource:
    """``manifest.``: which songs."""

    path: str | None = declare(
        "str", None, "File of songs (.csv .tsv .jsonl .json .yaml .parquet) or folder of JSON files; null for one song "
        "from the command line.", "this product", nullable=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Output:
    """``output.``: what is written, and where."""

    root: str = declare("str", "outputs", "Folder of all runs.", "this product")
    name: str | None = declare(
        "str", None, "Name of the run's folder; null takes the manifest's stem.", "this product", nullable=True,
    )  # fmt: skip
    template: str = declare(
        "str", "{index}_{id}_{seed}", "Name of the audio files, without extension.", "this product",
    )  # fmt: skip
    formats: tuple[str, ...] = declare(
        "choices", ("wav",), "Audio formats, all written from one master.", "this product", choices=FORMAT_NAMES,
    )  # fmt: skip
    wav_subtype: str = declare(
        "choice", "pcm16", "Sample type of wav files.", "this product", choices=WAV_SUBTYPES,
    )  # fmt: skip
    sample_rate: int = declare(
        "int", 48_000, "48000 as the reference writes; 44100 is the model's own rate (not for opus).", "this product",
        hard=Range(8_000, 192_000), unit="Hz",
    )  # fmt: skip
    allow_outside: bool = declare("bool", False, "Allow an absolute output_path.", "this product")
    save_latents: bool = declare(
        "bool", False, "Keep every song's latents in latents/, 5.5 kB a second; tasks on it then need not encode its "
        "audio again.", "this product",
    )  # fmt: skip
    loudness_lufs: float | None = declare(
        "float", None, "Write a copy of each song at this loudness into audio/loudness/, such as -14; the song itself "
        "stays as it is. Needs measure=true.", "this product", hard=Range(-60.0, -5.0), nullable=True, unit="LUFS",
    )  # fmt: skip
    true_peak_ceiling_dbtp: float = declare(
        "float", -1.0, "The true peak that such a copy keeps below; a song that would pass it stays quieter.",
        "EBU R 128", hard=Range(-20.0, 0.0), unit="dBTP",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of the run itself."""

    dry_run: bool = declare("bool", False, "Check everything and render nothing.", "this product")
    lint: str = declare(
        "choice", "warn", "The guide's advice on each row: off, as warnings, or as errors.", "this product",
        choices=("off", "warn", "error"),
    )  # fmt: skip
    on_invalid: str = declare(
        "choice", "stop", "Rows with errors: stop before any work, or skip them and record them as failed.",
        "this product", choices=("stop", "skip"),
    )  # fmt: skip
    on_error: str = declare(
        "choice", "continue", "A song that fails while running: go on with the others, or stop.", "this product",
        choices=("continue", "stop"),
    )  # fmt: skip
    on_oom: str = declare(
        "choice", "degrade", "A song that fits in memory in no other way: decode it in overlapping windows, which "
        "sounds different near their seams and is recorded, or let it fail.", "this product",
        choices=("degrade", "fail"),
    )  # fmt: skip
    strict: bool = declare(
        "bool", False, "Render every song by itself and with kernels that repeat their bits, so that they depend on "
        "no neighbour.", "this product",
    )  # fmt: skip
    resume: bool | None = declare(
        "bool", None, "Go on in the newest version with the same configuration; null: false for a run, true for a "
        "sweep and with shard.", "this product", nullable=True,
    )  # fmt: skip
    measure: bool = declare(
        "bool", True, "Measure every song in a process beside the rendering: loudness, peaks, tempo, key and more "
        "(docs/outputs.md).", "this product",
    )  # fmt: skip
    report: bool = declare(
        "bool", True, "Write report.html, its pictures, playlist.m3u8 and audio/metadata.csv at the end.",
        "this product",
    )  # fmt: skip
    scores: tuple[str, ...] = declare(
        "names", (), "Models that judge the songs when all are made (docs/outputs.md): clap, lyrics, aesthetics, or of "
        "another package; NAME:FOLDER says where weights lie. None is downloaded.", "this product",
    )  # fmt: skip
    score_device: str = declare(
        "str", "cpu", "Where they compute: cpu, cuda, cuda:N or mps. The songs' model has left it by then.",
        "this product",
    )  # fmt: skip
    shard: str | None = declare(
        "str", None, "I/N: make only every N-th micro-batch, from the I-th, beside other processes in one folder.",
        "this product", nullable=True,
    )  # fmt: skip
    limit: int | None = declare(
        "int", None, "Only the first rows.", "this product", hard=Range(1), nullable=True,
    )  # fmt: skip


SECTIONS: Mapping[str, type] = MappingProxyType(
    {"generation": Generation, "hw": Hardware, "model": Model, "lm": Lm, "manifest": ManifestSource, "output": Output}
)
"""Sections of the configuration by key; RunOptions stands at the top."""

PARAMETERS: Mapping[str, Mapping[str, Parameter]] = MappingProxyType(
    {key: MappingProxyType(parameters_of(section)) for key, section in [*SECTIONS.items(), ("", RunOptions)]}
)
"""Parameters by section and name; the options of the run under the empty key."""

SONG: Mapping[str, Parameter] = PARAMETERS["generation"]

SONG_NAMES: Mapping[str, str] = MappingProxyType(
    {word: name for name, parameter in SONG.items() for word in (name, *parameter.aliases)}
)
"""The parameter that each name or alias means."""

GROUPS = ("hw", "model", "lm", "preset", "manifest", "output")
"""Groups of the configuration that the command line chooses from."""


def reads(family: Family, parameter: Parameter) -> bool:
    """Whether models of a family read a parameter."""
    return parameter.only in ("", family)


SONG_OF: Mapping[Family, Mapping[str, Parameter]] = {
    family: MappingProxyType({name: each for name, each in SONG.items() if reads(family, each)}) for family in Family
}
"""The parameters of a song that each family reads."""

TEXT_FILES: Mapping[str, str] = MappingProxyType({"prompt_file": "prompt", "lyrics_file": "lyrics"})
"""Keys that name a text file, and the parameter that its text becomes."""

_SOURCE, _RETAKE = "src_audio_path", ("retake_seeds", "retake_variance")
_WINDOW = ("repaint_start", "repaint_end")
_V1_TASKS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "text2music": frozenset(),
        "retake": frozenset(_RETAKE),
        "repaint": frozenset({_SOURCE, *_WINDOW, *_RETAKE}),
        "extend": frozenset({_SOURCE, *_WINDOW, *_RETAKE}),
        "edit": frozenset({
            _SOURCE, "retake_seeds", "edit_target_prompt", "edit_target_lyrics", "edit_n_min", "edit_n_max",
            "edit_n_avg",
        }),
        "audio2audio": frozenset({"ref_audio_input", "ref_audio_strength"}),
    }
)  # fmt: skip
_V15_TASKS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "text2music": frozenset(),
        "cover": frozenset({_SOURCE}),
        "repaint": frozenset({_SOURCE, *_WINDOW}),
        "extract": frozenset({_SOURCE, "track_name"}),
        "lego": frozenset({_SOURCE, *_WINDOW, "track_name"}),
        "complete": frozenset({_SOURCE, "complete_track_classes"}),
    }
)
TASKS: Mapping[Family, Mapping[str, frozenset[str]]] = MappingProxyType({Family.V1: _V1_TASKS, Family.V15: _V15_TASKS})
"""The tasks of each family and, by the task, the parameters that only some tasks use."""

TASK_PARAMETERS: frozenset[str] = frozenset({"audio2audio_enable"}).union(
    *(own for tasks in TASKS.values() for own in tasks.values())
)
"""Those of any task; a new song looks at none of them."""

LORA_PARAMETERS = frozenset({"lora_name_or_path", "lora_weight"})


@cache
def names_used(task: str, has_lora: bool, family: Family = Family.V1) -> tuple[str, ...]:
    """The parameters that a song of a task has a use for, in the schema's order; ``task`` only where it is no new song.

    What others it knows has no effect and stands in no record.
    """
    unused = {"task"} | TASK_PARAMETERS if task == "text2music" else TASK_PARAMETERS - TASKS[family][task]
    dropped = unused if has_lora else unused | LORA_PARAMETERS
    return tuple(name for name in SONG_OF[family] if name not in dropped)


RECORD_KEYS = frozenset({"timecosts", "audio_path", "format"})
"""Keys of the reference's requests that record a past run and ask for nothing."""

COMMON_PATTERNS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Output too robotic", "Lower guidance_scale (12-14), enable all ERG",
     ("guidance_scale=13", "use_erg_tag=true", "use_erg_lyric=true", "use_erg_diffusion=true")),
    ("Output ignores prompt", "Raise guidance_scale (18-20), disable ERG",
     ("guidance_scale=19", "use_erg_tag=false", "use_erg_lyric=false", "use_erg_diffusion=false")),
    ("Output too repetitive", "Enable use_erg_diffusion, use scheduler_type pingpong",
     ("use_erg_diffusion=true", "scheduler_type=pingpong")),
    ("Output lacks energy", "Raise omega_scale (11-12), use scheduler_type pingpong",
     ("omega_scale=11.5", "scheduler_type=pingpong")),
    ("Generation too slow", "Lower infer_step (27-50), use bf16, scheduler_type euler",
     ("infer_step=27", "bf16=true", "scheduler_type=euler")),
)  # fmt: skip
"""The guide's Common Patterns: problem, its words for the remedy, and the remedy as overrides."""
