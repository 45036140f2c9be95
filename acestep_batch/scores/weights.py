"""Loads a transformers model from a folder, without the network and without pickles."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from transformers import PreTrainedModel

Model = TypeVar("Model", bound=PreTrainedModel)


def load_model(kind: type[Model], folder: Path, device: str) -> Model:
    """The model that transformers saved there, as safetensors, for inference.

    Raises OSError or ValueError when the folder does not hold one.
    """
    # torch notes its constructors at the first use of a device context, for good; from_pretrained uses one while it has
    # replaced torch.linspace, which would then ignore every later context, such as the one that engines are built in.
    with torch.device("meta"):
        torch.empty(0)
    model = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    model.to(device)  # type: ignore[arg-type]  # its decorator hides the types
    model.eval()
    return model
