"""Stage 4: trains transformer and text encoder by flow matching on the latents of stage 3.

    python -m training.transformer --minutes 60

Goes on from its checkpoint where there is one. What a step draws follows from seed and step alone, so a run in chunks
is the run in one piece.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from training.batches import Batch, draw_batch, held_out_batch
from training.flow import at_level, component_weights, onset_weights, velocity
from training.latents import TrainingSet, load_training_set
from training.model import Model, begin
from training.progress import CHECKPOINTS, Chunk, default_device, load, save
from training.schedule import Recipe
from training.sizes import TEXT_ENCODER_CONFIG, TRANSFORMER_CONFIG

TRANSFORMER_FILE = "transformer.pt"
WEIGHT_DECAY, BETAS, MOST_GRADIENT = 0.01, (0.9, 0.95), 1.0
STEPS = 100_000


def loss_of(model: Model, batch: Batch, weights: Tensor, onset_strength: float) -> Tensor:
    """Mean weighted square error of the velocity; ``weights`` ``[8, 16]`` are on the model's device."""
    device = weights.device
    data, noise, sigmas = (each.to(device) for each in (batch.data, batch.noise, batch.sigmas))
    conditioning = model.conditioning(batch.text_ids, batch.lyric_ids, batch.without_text)
    predicted = model(at_level(data, noise, sigmas), sigmas, conditioning).float()
    square = (predicted - velocity(data, noise)).square()
    return (square * weights[..., None] * onset_weights(data, onset_strength)).mean()


class Training:
    """A run: the model, its moving average and the optimizer, at a step."""

    def __init__(
        self, training_set: TrainingSet, recipe: Recipe, transformer: dict[str, Any], text: dict[str, Any], device: str
    ) -> None:
        self.training_set, self.recipe, self.step = training_set, recipe, 0
        self.history: list[list[Any]] = [[0, self._taught()]]
        """Of every recipe and dataset so far, the first step and the values."""
        self.configs = {"transformer": transformer, "text": text}
        tokenizer = Tokenizer.from_str(training_set.tokenizer)
        torch.manual_seed(recipe.seed)
        self.model = Model(transformer, text, tokenizer.get_vocab_size())
        begin(self.model, tokenizer, recipe.seed)
        self.model.to(device)
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.learning_rate, betas=BETAS, weight_decay=WEIGHT_DECAY
        )
        self.weights = component_weights(training_set.variances, recipe.component_power).to(device)
        self.device = device

    def go_on(self, saved: dict[str, Any], may_differ: bool = False) -> None:
        """Take a checkpoint's place.

        Raises ValueError where it is of other sizes, words or codec, or, unless it ``may_differ``, of another recipe or
        dataset; a change of these is kept in the history.
        """
        if saved["configs"] != self.configs:
            raise ValueError("the checkpoint is of other sizes; move it away to begin anew")
        for name in ("tokenizer", "codec"):
            if saved[name] != getattr(self.training_set, name):
                raise ValueError(f"the checkpoint is of another {name} than the latents; move it away to begin anew")
        self.history = [list(each) for each in saved["history"]]
        if self.history[-1][1] != self._taught():
            if not may_differ:
                raise ValueError(
                    "the checkpoint is of another recipe or dataset; give --change-recipe, or move it away"
                )
            self.history.append([saved["step"], self._taught()])
        self.model.load_state_dict(saved["weights"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average = {name: value.to(self.device) for name, value in saved["average"].items()}
        self.step = saved["step"]

    def _taught(self) -> dict[str, Any]:
        data = self.training_set.dataset
        return asdict(self.recipe) | {"clips": len(self.training_set.trained), "dataset_seed": data["seed"]}

    def content(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "history": self.history,
            "configs": self.configs,
            "tokenizer": self.training_set.tokenizer,
            "codec": self.training_set.codec,
            "weights": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }

    def advance(self) -> float:
        """One step; its loss."""
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate(self.step)
        batch = draw_batch(self.training_set, recipe, self.step)
        with self._half_precision():
            loss = loss_of(self.model, batch, self.weights, recipe.onset_strength)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), MOST_GRADIENT)
        self.optimizer.step()
        kept = recipe.kept(self.step)
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - kept)
        self.step += 1
        return loss.item()

    @torch.no_grad()
    def held_out_loss(self) -> float:
        """Of the model as it is, all noise levels alike."""
        with self._half_precision():
            return loss_of(self.model, held_out_batch(self.training_set), self.weights, 0.0).item()

    def _half_precision(self) -> torch.autocast:
        """Products of matrices in bfloat16: several times faster on a GPU, or a CPU that has instructions for it."""
        return torch.autocast(self.device.split(":")[0], torch.bfloat16)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.transformer", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS)
    for name, value in asdict(Recipe()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    for name in ("num_layers", "rope_theta", "num_attention_heads", "attention_head_dim"):
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=type(TRANSFORMER_CONFIG[name]), default=TRANSFORMER_CONFIG[name]
        )
    parser.add_argument(
        "--change-recipe", action="store_true", help="go on from a checkpoint of another recipe or dataset"
    )
    given = vars(parser.parse_args(arguments))
    recipe = Recipe(**{name: given[name] for name in asdict(Recipe())})
    sizes = {**TRANSFORMER_CONFIG, **{name: given[name] for name in given if name in TRANSFORMER_CONFIG}}
    checkpoints: Path = given["checkpoints"]
    training_set = load_training_set(checkpoints)
    training = Training(training_set, recipe, sizes, dict(TEXT_ENCODER_CONFIG), given["device"])
    file = checkpoints / TRANSFORMER_FILE
    if file.is_file():
        training.go_on(load(file, given["device"]), given["change_recipe"])
    steps = min(given["steps"], recipe.ends_at or given["steps"])
    chunk = Chunk(training.step, steps, given["minutes"], file.with_suffix(".jsonl"))
    parameters = sum(each.numel() for each in training.model.parameters())
    print(f"{parameters:,} parameters, {len(training_set.trained)} clips, from step {training.step}", flush=True)
    while not chunk.is_over:
        loss = training.advance()
        if chunk.done(training.step, loss):
            save(file, training.content())
            print(f"step {training.step}: held-out loss {training.held_out_loss():.4f}", flush=True)


if __name__ == "__main__":
    main()
