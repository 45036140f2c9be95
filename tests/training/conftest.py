"""A dataset and the files of the first stages, made once for all tests of the recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_in_clips import stand_in

from training import codec, latents, vocoder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stand_in(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="session")
def checkpoints(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """After stages 1 to 3, of a step each; tests must not write here."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for stage in (codec, vocoder):
        stage.main([str(dataset), "--steps", "1", "--device", "cpu", "--checkpoints", str(folder)])
    latents.main([str(dataset), "--checkpoints", str(folder)])
    return folder
