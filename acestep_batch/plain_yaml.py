"""YAML that is only data: no tags that name types, no depth, no aliases that multiply; knows nothing of songs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import yaml

from acestep_batch.parameter import named, shown
from acestep_batch.problems import Refused, refuse

DEEPEST = 50
MOST_VALUES = 100_000
"""Of a configuration, once its aliases are followed."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_TAGS = {
    kind: frozenset(f"tag:yaml.org,2002:{name}" for name in names.split())
    for kind, names in {
        "scalar": "str int float bool null timestamp merge value",
        "sequence": "seq",
        "mapping": "map",
    }.items()
}


def compose_yaml(text: str, where: str, remedy: str) -> yaml.Node | None:
    """The one document of a text as nodes, nothing of it constructed; None for an empty one.

    Aliases are not followed: a node may stand in several places, and may hold itself.

    Args:
        remedy: what to do about text that is no YAML.

    Raises:
        Refused: it is no YAML, or is nested too deeply.
    """
    try:
        _check_depth(text, where)
        node: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise _no_yaml(error, where, remedy) from None
    return node


def _no_yaml(error: Exception, where: str, remedy: str) -> Refused:
    """In one line, with the line of the text where that is known."""
    mark = getattr(error, "problem_mark", None)
    line = f"line {mark.line + 1}: " if mark is not None else ""
    said = [getattr(error, name, None) for name in ("context", "problem", "reason")]
    reason = ", ".join(str(each) for each in said if each) or "cannot be read"
    return refuse(where, f"is not YAML, {line}{reason}", remedy)


def load_yaml(text: str, where: str, remedy: str) -> Any:
    """A text as dicts, lists, texts, numbers, truth values and None.

    Raises:
        Refused: as ``compose_yaml``; it names a key twice, or has tags of other types, or aliases that make it
            endless or huge.
    """
    node = compose_yaml(text, where, remedy)
    if node is not None:
        _measured(node, where, {})
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # by PyYAML's own rules; and dates that there are not
        raise _no_yaml(error, where, remedy) from None


def check_tag(node: yaml.Node, where: str) -> None:
    """Refuse a node whose tag says that it is more than a plain text, number, list or mapping."""
    kind: str = node.id  # type: ignore[attr-defined]  # every kind of node has one; types-PyYAML does not know
    if node.tag not in _PLAIN_TAGS[kind]:
        line = f" in line {node.start_mark.line + 1}" if node.start_mark else ""
        remedy = "write plain texts, numbers, lists and mappings"
        raise refuse(where, f"has the tag {shown(node.tag)}{line}", remedy)


def _check_depth(text: str, where: str) -> None:
    """Refuse what is nested so deeply that composing it would overflow the C stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                line = f" line {event.start_mark.line + 1}" if event.start_mark else ""
                raise refuse(f"{where}{line}", f"is nested more than {DEEPEST} deep", "write it flatter")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _measured(node: yaml.Node, where: str, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """How many values a node stands for, and how deep it is, aliases followed; ``known`` remembers nodes."""
    if id(node) in known:
        found = known[id(node)]
        if found is None:
            raise refuse(where, "refers to itself", "write it without the alias")
        return found
    check_tag(node, where)
    known[id(node)] = None
    below: list[Any] = []
    if isinstance(node, yaml.MappingNode):
        names = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if repeated := [name for name, times in names.items() if times > 1]:
            raise refuse(where, f"names {named(repeated)} twice", "keep one of them")
        below = [each for pair in node.value for each in pair]
    elif isinstance(node, yaml.SequenceNode):
        below = node.value
    sizes = [_measured(each, where, known) for each in below]
    values, depth = 1 + sum(size for size, _ in sizes), 1 + max((depth for _, depth in sizes), default=0)
    if values > MOST_VALUES or depth > DEEPEST:
        raise refuse(
            where,
            f"stands for more than {MOST_VALUES:,} values, or more than {DEEPEST} levels",
            "write it without aliases",
        )
    known[id(node)] = values, depth
    return values, depth
