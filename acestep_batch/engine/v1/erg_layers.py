"""Which layers entropy-rectifying guidance weakens in a network that is not as deep as the published one."""

from __future__ import annotations


def at_depth(published: range, published_depth: int, depth: int) -> range:
    """The layers that lie where ``published`` lie in the published network of ``published_depth`` layers.

    Rounded outwards, so there is always one; the published network has its own.
    """
    return range(published.start * depth // published_depth, -(-published.stop * depth // published_depth))
