"""Options and fixtures that all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lyric-vocab",
        type=Path,
        metavar="FILE",
        help="the published lyric vocabulary (vocab.json of ace-step/ACE-Step), for the tests that compare token ids",
    )


@pytest.fixture(scope="session")
def lyric_vocab(request: pytest.FixtureRequest) -> Path:
    """Path of the published lyric vocabulary, which is not part of this repository."""
    path: Path | None = request.config.getoption("--lyric-vocab")
    if path is None:
        pytest.skip("needs the published lyric vocabulary: give --lyric-vocab=FILE")
    return path
