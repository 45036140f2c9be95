"""Hydra's side of the command line: overrides checked, sweeps expanded, layers composed into plain data.

Only this module, hydra_compose and hydra_overrides import Hydra or OmegaConf; nothing of theirs leaves them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from acestep_batch.config_files import check_config_folder
from acestep_batch.hydra_compose import compose_config, plain_config, store_schema
from acestep_batch.hydra_overrides import PRESET_FILE, canonical, check_overrides
from acestep_batch.parameter import did_you_mean
from acestep_batch.problems import Problem, Refused, refuse
from acestep_batch.schema import GROUPS, SONG_NAMES

MOST_CELLS = 10_000
"""Of a sweep: each takes a tenth of a second to check, and a folder."""


@dataclass(frozen=True, slots=True)
class Layers:
    """One run's configuration as plain data, layer by layer; values are not typed yet."""

    config: Mapping[str, Any]
    """Everything, resolved, as Hydra merges it."""
    base: Mapping[str, Any]
    """Song parameters below the preset: schema, config.yaml, hw, model."""
    presets: tuple[str, ...]
    preset: Mapping[str, Any]
    """Song parameters that the run's presets set."""
    preset_file: str | None
    command_line: Mapping[str, Any]
    """Song parameters (and text files) given on the command line."""
    overrides: tuple[str, ...]
    swept: Mapping[str, str]
    """This cell's values for the swept keys, as typed; empty outside a sweep."""
    own: frozenset[str]
    """Song parameters that a preset or profile of the user's own sets; the shipped ones' do not count."""
    shipped_presets: frozenset[str]
    load_preset: Callable[[str], Mapping[str, Any]] = field(repr=False)
    """The song parameters of a preset by name.

    Raises Refused for an unknown one.
    """


@contextmanager
def composer(config_dir: Path, extra_dir: str | None, config_name: str) -> Iterator[Composer]:
    """Open the configuration folder, and the user's own (``--config-dir``), which adds to it.

    Raises:
        Refused: the user's folder does not exist, holds what is more than values, or holds a file that a shipped one
            of that name would hide.
    """
    if extra_dir is not None:
        check_config_folder(Path(extra_dir), config_dir / "config.yaml")
    if extra_dir is not None and (taken := _taken_names(config_dir, Path(extra_dir))):
        raise Refused(taken)
    store_schema()
    with initialize_config_dir(str(config_dir.resolve()), job_name="acestep_batch", version_base="1.3"):
        loader = cast(ConfigLoaderImpl, GlobalHydra.instance().config_loader())
        if extra_dir is not None:
            from hydra.core.config_search_path import SearchPathQuery

            search_path = loader.get_search_path()
            own = f"file://{Path(extra_dir).resolve()}"
            search_path.prepend(provider="command-line", path=own, anchor=SearchPathQuery(provider="schema"))
            loader.repository.initialize_sources(search_path)
        yield Composer(config_name, config_dir)


def _taken_names(shipped: Path, own: Path) -> list[Problem]:
    return [
        Problem(str(file), f"is hidden by the shipped {group}/{file.name}", "give it another name")
        for group in GROUPS
        for file in sorted((own / group).glob("*.yaml"))
        if (shipped / group / file.name).is_file()
    ]


@dataclass(frozen=True, slots=True)
class Composer:
    """Composes runs while the configuration folder is open."""

    config_name: str
    shipped: Path
    _composed: dict[tuple[str, ...], DictConfig] = field(default_factory=dict)

    def cells(self, typed: Sequence[str], multirun: bool, auto_hw: str) -> list[Layers]:
        """The runs that a command line asks for: one, or one for each cell of a sweep.

        Args:
            typed: overrides as typed.
            multirun: whether ``-m`` was given.
            auto_hw: the hardware profile that ``hw=auto`` means on this machine.

        Raises:
            Refused: every override that is wrong.
        """
        overrides = [canonical(override) for override in typed]
        parsed, problems = check_overrides(overrides, multirun)
        if problems:
            raise Refused(problems)
        plain = [override for override, each in zip(overrides, parsed, strict=True) if not each.is_sweep_override()]
        axes = [
            [
                (each.get_key_element(), value)
                for value in itertools.islice(each.sweep_string_iterator(), MOST_CELLS + 1)
            ]
            for each in parsed
            if each.is_sweep_override()
        ]
        if math.prod(map(len, axes)) > MOST_CELLS:
            raise refuse("-m", f"asks for more than {MOST_CELLS:,} cells", "sweep over fewer values at once")
        cells: list[Layers] = []
        for chosen in itertools.product(*axes):
            try:
                cells.append(
                    self._layers([*plain, *(f"{key}={value}" for key, value in chosen)], dict(chosen), auto_hw)
                )
            except Refused as refused:
                problems.extend(problem for problem in refused.problems if problem not in problems)
        if problems:
            raise Refused(problems)
        return cells

    def sweep(self, typed: Sequence[str], multirun: bool, auto_hw: str) -> tuple[list[Layers], Layers | None]:
        """The runs of a command line, and for a sweep the configuration without the swept keys; else None.

        Raises Refused, as ``cells``.
        """
        cells = self.cells(typed, multirun, auto_hw)
        if not multirun:
            return cells, None
        overrides = [canonical(override) for override in typed]
        parsed, _ = check_overrides(overrides, multirun)
        plain = [override for override, each in zip(overrides, parsed, strict=True) if not each.is_sweep_override()]
        return cells, self._layers(plain, {}, auto_hw)

    def resolved(self, typed: Sequence[str], auto_hw: str) -> list[str]:
        """Overrides for Hydra's own commands (``--cfg``, ``--info``): canonical, with ``auto`` decided.

        Raises:
            Refused: every override that is wrong.
        """
        overrides = [canonical(override) for override in typed]
        _, problems = check_overrides(overrides, multirun=False)
        if problems:
            raise Refused(problems)
        decided = self._decide_auto(overrides, auto_hw)
        plain_config(self._compose(self.config_name, decided))  # what cannot be resolved is refused here, in our form
        return list(decided)

    def _decide_auto(self, overrides: Sequence[str], auto_hw: str) -> tuple[str, ...]:
        """Overrides with ``hw=auto`` and ``model=auto`` decided: v1 with a GPU or Mac profile, embedded on cpu.

        And ``model=v15`` is its turbo checkpoint.
        """
        choices = self._below(overrides).hydra.runtime.choices
        hw, model = choices["hw"], choices["model"]
        if hw == "auto":
            hw = auto_hw
        if model == "auto":
            profile = plain_config(self._compose(f"hw/{hw}")).get("hw", {})
            model = "embedded" if profile.get("device", "cpu") == "cpu" else "v1"
        model = "v15_turbo" if model == "v15" else model
        kept = [each for each in overrides if each not in ("hw=auto", "model=auto", "model=v15")]
        decided = [f"{group}={now}" for group, now in (("hw", hw), ("model", model)) if choices[group] != now]
        return (*kept, *decided)

    def _below(self, overrides: Sequence[str]) -> DictConfig:
        """What stands below presets and the song's own parameters."""
        above = ("generation.", "+preset=", f"{PRESET_FILE}=")
        return self._compose(self.config_name, [each for each in overrides if not each.startswith(above)])

    def _compose(self, config_name: str, overrides: Sequence[str] = ()) -> DictConfig:
        """Compose once for each distinct request: the cells of a sweep share most of theirs."""
        key = (config_name, *overrides)
        if key not in self._composed:
            self._composed[key] = compose_config(config_name, overrides)
        return self._composed[key]

    def _layers(self, overrides: Sequence[str], swept: Mapping[str, str], auto_hw: str) -> Layers:
        decided = self._decide_auto(overrides, auto_hw)
        below = self._below(decided)
        names = [
            each.split("=", 1)[0].removeprefix("generation.") for each in decided if each.startswith("generation.")
        ]
        config = plain_config(compose_config(self.config_name, decided))
        presets = _preset_names(decided)
        shipped = frozenset(file.stem for file in (self.shipped / "preset").glob("*.yaml"))
        merged: dict[str, Any] = {}
        own: set[str] = set()
        for preset in presets:
            merged |= self.load_preset(preset)
            own.update(() if preset in shipped else self.load_preset(preset))
        hw = below.hydra.runtime.choices["hw"]
        if not (self.shipped / "hw" / f"{hw}.yaml").is_file():
            own.update(plain_config(self._compose(f"hw/{hw}")).get("generation", {}))
        return Layers(
            config=config,
            base=plain_config(below)["generation"],
            presets=presets,
            preset=merged,
            preset_file=config[PRESET_FILE],
            command_line={name: config["generation"][name] for name in names},
            overrides=tuple(overrides),
            swept={_swept_name(key): given for key, given in swept.items()},
            own=frozenset(own),
            shipped_presets=shipped,
            load_preset=self.load_preset,
        )

    def load_preset(self, name: str) -> Mapping[str, Any]:
        """The song parameters that a preset sets.

        Raises:
            Refused: there is no preset of that name.
        """
        options = self.options("preset")
        if name not in options:
            raise refuse(
                f"preset {name}",
                f"there is no such preset{did_you_mean(name, options)}",
                f"allowed: {', '.join(options)}",
            )
        generation: dict[str, Any] = plain_config(self._compose(f"preset/{name}")).get("generation", {})
        return generation

    def options(self, group: str) -> list[str]:
        """The choices of a group, shipped ones and the user's own."""
        return list(GlobalHydra.instance().config_loader().get_group_options(group))


def _swept_name(key: str) -> str:
    """What a sweep calls a key: the parameter's name, or its short one; the group's."""
    name = key.lstrip("+").removeprefix("generation.")
    return next((alias for alias, full in SONG_NAMES.items() if full == name and alias != name), name)


def _preset_names(overrides: Sequence[str]) -> tuple[str, ...]:
    texts = [each.split("=", 1)[1] for each in overrides if each.startswith("+preset=")]
    return tuple(
        name.strip() for text in texts for name in text.strip("[]").split(",") if name.strip() not in ("", "null")
    )
