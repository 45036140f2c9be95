"""Loads a transformers model from a folder, without the network and without running what lies there."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from transformers import PreTrainedModel

Model = TypeVar("Model", bound=PreTrainedModel)


def load_model(kind: type[Model], folder: Path, device: str) -> Model:
    """The model that transformers saved there, for inference.

    Weights are read as safetensors or, for some models are published in no other way, as `pytorch_model.bin` by torch's
    reader of weights only, which runs nothing that stands in the file.

    Raises OSError, ValueError or pickle.UnpicklingError when the folder does not hold one.
    """
    # torch notes its constructors at the first use of a device context, for good; from_pretrained uses one while it has
    # replaced torch.linspace, which would then ignore every later context, such as the one that engines are built in.
    with torch.device("meta"):
        torch.empty(0)
    model = kind.from_pretrained(folder, local_files_only=True, weights_only=True)
    model.to(device)  # type: ignore[arg-type]  # its decorator hides the types
    model.eval()
    return model
