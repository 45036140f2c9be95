"""Parameters of a run: machine, model, planner, manifest, outputs, and the options of the run itself."""

from __future__ import annotations

from dataclasses import dataclass

from acestep_batch.engine.v15.dtypes import DTYPES
from acestep_batch.engine.v15.planner_files import PLANNERS
from acestep_batch.models import MODELS, Family
from acestep_batch.outputs.formats import FORMAT_NAMES, WAV_SUBTYPES
from acestep_batch.parameter import Range, declare
from acestep_batch.schema_song import LONGEST_S

_GUIDE = "control guide"
_V15 = "ACE-Step 1.5"


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
