"""Songs for the planner's tests."""

from __future__ import annotations

from typing import Any

from acestep_batch.engine.v15.constants import PLANNED_DURATION_S, PLANNER_DEFAULTS, TEXT2MUSIC
from acestep_batch.engine.v15.orchestration import PlannerRequest

SWITCHES = {
    name: value
    for name, value in PLANNER_DEFAULTS.items()
    if name.startswith(("thinking", "use_cot", "use_con", "lm_"))
}


def song(**changes: Any) -> PlannerRequest:
    """A song with the published defaults, nothing but its caption and lyrics given."""
    values: dict[str, Any] = {
        "caption": "latin trap, dark, 808 bass",
        "lyrics": "[verse]\nla noche cae\n\n[chorus]\nfuego",
        "vocal_language": "unknown",
        "bpm": None,
        "keyscale": "",
        "timesignature": "",
        "duration_s": None,
        "task": TEXT2MUSIC,
        "has_audio": False,
        "audio_codes": None,
        "seed": 7,
        "longest_s": PLANNED_DURATION_S[-1],
        **SWITCHES,
    }
    return PlannerRequest(**values | changes)
