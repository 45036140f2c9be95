"""Who lies on the device while who works: planner and transformer take turns where they are told to."""

from __future__ import annotations

from typing import Any

import numpy as np
import planner_songs
import pytest
import torch
from diffusion_support import song
from torch import nn

from acestep_batch.engine.v15.embedded_diffusion import load_embedded_v15
from acestep_batch.engine.v15.embedded_planner import load_embedded_planner
from acestep_batch.engine.v15.planned_engine import PlannedEngine, PlannerPart
from acestep_batch.engine.v15.song import V15Song

DEVICE = "cpu:0"
"""A second name of the processor, which stands for a device with memory of its own."""
PARTS = ("text_encoder", "condition_encoder", "transformer", "vae")
REQUEST = V15Song(song(), planner_songs.song(duration_s=1.0, use_cot_caption=False), has_planner=True)


class Stage:
    """Sees every move of a component, and where all of them lie whenever one works."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, swaps: bool) -> None:
        self.lies: dict[str, str] = {}
        self.seen: dict[str, set[frozenset[str]]] = {}
        self.names: dict[nn.Module, str] = {}
        move = nn.Module.to

        def to(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
            if module in self.names and args and isinstance(args[0], (str, torch.device)):
                self.lies[self.names[module]] = str(args[0])
            return move(module, *args, **kwargs)

        diffusion = load_embedded_v15()
        diffusion._device = torch.device(DEVICE)
        for name in PARTS:
            part = getattr(diffusion._parts, name)
            self._watch(name, getattr(part, "model", part), DEVICE)
        monkeypatch.setattr(nn.Module, "to", to)
        self.engine = PlannedEngine(diffusion, PlannerPart(self._load, dict), swaps)

    def _load(self, device: str) -> Any:
        planner = load_embedded_planner(device)
        self._watch("planner", planner.model, device)
        return planner

    def _watch(self, name: str, module: nn.Module, device: str) -> None:
        self.names[module], self.lies[name] = name, device
        inner = module.decoder if name == "vae" else module
        inner.register_forward_pre_hook(lambda *_: self.seen.setdefault(name, set()).add(self.on_device))

    @property
    def on_device(self) -> frozenset[str]:
        return frozenset(name for name, device in self.lies.items() if device == DEVICE)


@pytest.fixture
def expected() -> np.ndarray:
    return PlannedEngine(load_embedded_v15(), PlannerPart(load_embedded_planner, dict)).denoise([REQUEST])[0].latents


def render(stage: Stage) -> np.ndarray:
    (made,) = stage.engine.denoise([REQUEST])
    stage.engine.decode([made], 48_000)
    return made.latents


def test_planner_and_transformer_take_turns(monkeypatch: pytest.MonkeyPatch, expected: np.ndarray) -> None:
    stage = Stage(monkeypatch, swaps=True)
    assert np.array_equal(render(stage), expected)
    assert stage.seen.pop("planner") == {frozenset({"planner"})}
    assert stage.seen == {name: {frozenset(PARTS)} for name in PARTS}
    assert stage.on_device == frozenset(PARTS)


def test_without_offloading_all_lie_on_the_device(monkeypatch: pytest.MonkeyPatch, expected: np.ndarray) -> None:
    stage = Stage(monkeypatch, swaps=False)
    assert np.array_equal(render(stage), expected)
    assert stage.seen == {name: {frozenset({*PARTS, "planner"})} for name in (*PARTS, "planner")}


def test_where_memory_runs_out_every_component_lies_there_alone(
    monkeypatch: pytest.MonkeyPatch, expected: np.ndarray
) -> None:
    stage = Stage(monkeypatch, swaps=False)
    with stage.engine.offloaded():
        assert np.array_equal(render(stage), expected)
    assert stage.seen == {name: {frozenset({name})} for name in (*PARTS, "planner")}
