"""Records of a run changed so well that every seal holds again: what only another rendering can find."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acestep_batch.identity import identity_of
from acestep_batch.ledger import SEAL, sealed
from acestep_batch.outputs.audio_files import decoded, file_sha256
from acestep_batch.outputs.records import json_text, write_json
from acestep_batch.run_plan import read_plan
from acestep_batch.run_records import run_records
from acestep_batch.schema import SONG
from acestep_batch.seals import write_seals
from acestep_batch.summary import SummaryFiles


def change_line(
    folder: Path, song_id: str, change: Callable[[dict[str, Any]], None], name: str = "records.jsonl"
) -> None:
    """Change the ledger's line about a song and seal it again; nothing else follows."""
    lines = _lines(folder / name)
    for line in lines:
        if line["id"] == song_id:
            change(line)
            line.pop(SEAL)
    text = "".join(json_text(line if SEAL in line else sealed(line)) + "\n" for line in lines)
    (folder / name).write_text(text, encoding="utf-8")


def forge(folder: Path, song_id: str, change: Callable[[dict[str, Any]], None] = lambda sidecar: None) -> None:
    """Change the records beside a song's files; ledger, plan, manifest, seals and summary are made to agree.

    So are the hashes, with the audio files as they are by then.
    """
    plan = {line["song"]["song_id"]: line for line in _lines(folder / "plan.jsonl")}
    own = plan[song_id]

    def follow(line: dict[str, Any]) -> None:
        for entry in line["audio"]:
            path = folder / entry["path"]
            beside = path.with_name(f"{path.name}.json")
            sidecar = json.loads(beside.read_text(encoding="utf-8"))
            change(sidecar)
            heard = {name: sidecar[name] for name in SONG if name in sidecar}
            own["facts"] |= {name: value for name, value in heard.items() if name in own["facts"]}
            own["song"]["generation"] |= heard
            own["identity"] = identity_of(own["facts"])
            hashes = {"pcm_sha256": decoded(path)[0], "file_sha256": file_sha256(path), "bytes": path.stat().st_size}
            sidecar["record"] |= {"identity": own["identity"]}
            sidecar["record"]["file"] |= hashes
            entry |= hashes | {"sidecar_sha256": write_json(beside, sidecar, replace=True)}
            shared = ("identity", "micro_batch", "rungs", "notes", "model", "frames", "duration_s", "model_calls")
            line |= {**heard, **{name: sidecar["record"][name] for name in shared}}
        line |= {name: line["audio"][0][name] for name in ("pcm_sha256", "file_sha256")}

    def follow_measurement(line: dict[str, Any]) -> None:
        heard = decoded(folder / own["folder"] / f"{own['stem']}.{own['formats'][0]}")
        line |= {"identity": own["identity"], "pcm_sha256": heard[0]}

    change_line(folder, song_id, follow)
    texts = {
        "config.yaml": (folder / "config.yaml").read_text(encoding="utf-8"),
        "overrides.yaml": (folder / "overrides.yaml").read_text(encoding="utf-8"),
        "manifest.jsonl": (folder / "manifest.jsonl").read_text(encoding="utf-8"),
        "plan.jsonl": "".join(json_text(line) + "\n" for line in plan.values()),
    }
    if (folder / "measurements.jsonl").exists():
        change_line(folder, song_id, follow_measurement, "measurements.jsonl")
    write_seals(folder, texts)
    (folder / "plan.jsonl").write_text(texts["plan.jsonl"], encoding="utf-8")
    assert SummaryFiles(folder, lambda _: run_records(folder, read_plan(folder))).write() == ""


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]
