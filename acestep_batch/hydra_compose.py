"""One composition by Hydra, as plain data: the schema below it, its errors as ours, and Hydra's own flags."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc
from yaml import YAMLError

from acestep_batch.hydra_overrides import PRESET_FILE, first_line
from acestep_batch.problems import refuse
from acestep_batch.schema import PARAMETERS, SECTIONS, TEXT_FILES

_ERRORS = (HydraException, OmegaConfBaseException, YAMLError, RecursionError)


def store_schema() -> None:
    """Make the schema's defaults known to Hydra, as the lowest layer of every composition."""
    ConfigStore.instance().store(name="schema", node=_schema_node(), provider="acestep_batch")


def _schema_node() -> dict[str, Any]:
    """The schema's defaults as the lowest layer of the configuration."""
    node: dict[str, Any] = {
        section: {name: _plain(parameter.default) for name, parameter in PARAMETERS[section].items()}
        for section in SECTIONS
    }
    node["generation"] |= dict.fromkeys(TEXT_FILES)
    node |= {name: parameter.default for name, parameter in PARAMETERS[""].items()}
    return node | {PRESET_FILE: None}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def compose_config(config_name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """What Hydra composes, its own section included. Raises Refused in the product's words."""
    try:
        return hydra.compose(config_name, list(overrides), return_hydra_config=True)
    except _ERRORS as error:
        raise refuse("configuration", first_line(error), "see `python -m acestep_batch --help`") from None


def plain_config(config: DictConfig) -> dict[str, Any]:
    """A configuration resolved into plain data, without Hydra's own section.

    Raises Refused where it cannot be resolved, or where a song's parameters read the environment.
    """
    try:
        with _no_environment():
            song = config.get("generation")
            if OmegaConf.is_config(song):
                OmegaConf.to_container(song, resolve=True)
        own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        container = OmegaConf.to_container(own, resolve=True)
    except _ERRORS as error:
        raise refuse("configuration", first_line(error), "write \\${ for a literal ${") from None
    if not isinstance(container, dict):
        raise refuse("configuration", "is not a mapping")
    return {str(key): value for key, value in container.items()}


@contextmanager
def _no_environment() -> Iterator[None]:
    """``${oc.env:NAME}`` is refused in here: records and tags hold a song's texts, and are passed on."""

    def env(*_: object) -> str:
        raise ValueError("a song's parameters cannot hold environment variables; records and tags would tell them")

    OmegaConf.register_new_resolver("oc.env", env, replace=True)
    try:
        yield
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def show(config_dir: Path, arguments: Sequence[str]) -> None:
    """Let Hydra answer its own flags (``--cfg``, ``--info``, ``--hydra-help``, ``--shell-completion``)."""
    store_schema()
    typed, sys.argv = sys.argv, [sys.argv[0], *arguments]
    try:
        hydra.main(config_path=str(config_dir.resolve()), config_name="config", version_base="1.3")(_nothing)()
    except (*_ERRORS, ValueError) as error:
        raise refuse(" ".join(arguments), first_line(error), "see `python -m acestep_batch --help`") from None
    finally:
        sys.argv = typed


def _nothing(config: DictConfig) -> None:
    """What Hydra would run; its flags never get there."""
