"""Tables of songs, CSV and Parquet, to raw rows; a million rows go by one at a time."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from acestep_batch.manifest_rows import Place, RawManifest, RawRow, unknown_column
from acestep_batch.parameter import named
from acestep_batch.problems import Problem, Refused, refuse

_DELIMITERS = ",;\t|"
_SUMMARY = frozenset({"identity", "status", "pcm_sha256"})
_NAMED = 100
_WRITE_AGAIN = "write it again, such as with pandas' to_parquet"
_ROWS_AT_ONCE = 64
"""Few, for every row of a Parquet file may refer to one long text, which is copied for each."""
_MANY = 1_000_000
_LONGEST_LIST = 10_000
_BLOATED_BYTES, _DENSEST = 4 * 2**20, 100
"""Texts of this many bytes are not packed to less than a hundredth."""
_HEADER_CHARS = 65_536
"""The delimiter is looked for in so much of the first line; below the longest cell that the csv module takes."""


def csv_manifest(path: Path, known: Collection[str]) -> RawManifest:
    """A table with a header, its delimiter the one of ``, ; tab |`` that finds the most known columns.

    Raises:
        Refused: not UTF-8, or a header that is unclear. What is found later is raised by the rows.
    """
    total = max(1, path.stat().st_size)
    with path.open(encoding="utf-8-sig", newline="") as text:
        try:
            delimiter = _delimiter(text.readline(_HEADER_CHARS), known, path.suffix.lower() == ".tsv")
            text.seek(0)
            header = [name.strip() for name in next(csv.reader(text, delimiter=delimiter, strict=True), [])]
        except UnicodeDecodeError as error:
            raise refuse(path.name, f"is not UTF-8 (byte {error.start})", "save it as UTF-8") from None
        except csv.Error as error:
            raise refuse(f"{path.name} header", str(error), "check the quotes of the first line") from None
    problems = _header_problems(path.name, header, known)
    stream: BinaryIO | None = None

    def rows() -> Iterator[RawRow | Refused]:
        nonlocal stream
        with path.open("rb") as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
            yield from _csv_rows(
                path.name, csv.reader(text, delimiter=delimiter, strict=True), header, delimiter, known
            )

    def progress() -> float:
        return 0.0 if stream is None else 1.0 if stream.closed else min(1.0, stream.tell() / total)

    return RawManifest(None, rows(), progress, problems)


def _delimiter(first_line: str, known: Collection[str], is_tsv: bool) -> str:
    def known_names(delimiter: str) -> int:
        return sum(name.strip() in known for name in next(csv.reader([first_line], delimiter=delimiter), []))

    return max("\t" + _DELIMITERS if is_tsv else _DELIMITERS, key=known_names)


def _header_problems(file: str, header: Sequence[str], known: Collection[str]) -> tuple[Problem, ...]:
    """Columns that mean nothing, the first of them one by one.

    Raises:
        Refused: names that are missing or repeated, or those of a run's summary.
    """
    if set(header) >= _SUMMARY:
        raise refuse(file, "is the summary of a run, not its manifest", "give manifest.jsonl of the same folder")
    repeated = [name for name, times in Counter(header).items() if times > 1]
    if repeated or "" in header:
        problem = f"names {named(repeated) or 'a column'} {'twice' if any(repeated) else 'with no text'}"
        raise refuse(f"{file} header", problem, "give every column a name of its own")
    unknown = [name for name in header if name not in known]
    found = [unknown_column(f"{file} header", name, known) for name in unknown[:_NAMED]]
    if len(unknown) > _NAMED:
        found.append(
            Problem(f"{file} header", f"and {len(unknown) - _NAMED:,} more columns are no parameters", "leave them out")
        )
    return tuple(found)


def _csv_rows(
    file: str, reader: Any, header: Sequence[str], delimiter: str, known: Collection[str]
) -> Iterator[RawRow | Refused]:
    """The rows below the header. Rows without any text, which spreadsheets leave at the end, are not counted."""
    width, number = len(header), 0
    unknown = [name for name in header if name not in known]
    try:
        next(reader, None)
        line = reader.line_num + 1
        for cells in reader:
            row = {name: cell for name, cell in zip(header, cells, strict=False) if cell and not cell.isspace()}
            if row or len(cells) > width:
                number += 1
                place = Place(file, number, line)
                if len(cells) == width:
                    for name in unknown:
                        row.pop(name, None)
                    yield RawRow(place, row)
                else:
                    message = f"has {len(cells)} cells, the header has {width}"
                    yield refuse(
                        str(place), message, f'quote cells with a {delimiter!r}, a quote or a line break as "..."'
                    )
            line = reader.line_num + 1
    except csv.Error as error:
        remedy = "check the quotes of this line and the lines before"
        raise refuse(f"{file} line {reader.line_num}", str(error), remedy) from None
    except UnicodeDecodeError as error:
        where = f"{file} after line {reader.line_num}"
        raise refuse(where, f"is not UTF-8 ({error.reason})", "save it as UTF-8") from None


def parquet_manifest(path: Path, known: Collection[str]) -> RawManifest:
    """A Parquet table; a null or an empty text is a cell that is not set.

    Raises:
        Refused: it is no Parquet file, would unpack to far more than it is, or a column's name is unclear. What is
            found later is raised by the rows.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path)
        header = table.schema_arrow.names
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise refuse(path.name, f"is not a parquet file: {_said(error)}", _WRITE_AGAIN) from None
    problems = _header_problems(path.name, header, known)
    columns = [name for name in header if name in known]
    if fault := _bloat(table.metadata, columns, path.stat().st_size):
        raise refuse(path.name, fault, "check where it comes from, and write it again")
    total = max(1, table.metadata.num_rows)
    number = 0

    def rows() -> Iterator[RawRow | Refused]:
        nonlocal number
        with table:
            try:
                for batch in table.iter_batches(batch_size=_ROWS_AT_ONCE, columns=columns):
                    for value in batch.to_pylist():
                        number += 1
                        cells = {name: cell for name, cell in value.items() if cell is not None and cell != ""}
                        yield RawRow(Place(path.name, number), cells)
            except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
                raise refuse(
                    f"{path.name} after row {number}", f"cannot be read: {_said(error)}", _WRITE_AGAIN
                ) from None

    return RawManifest(None, rows(), lambda: number / total, problems)


def _said(error: Exception) -> str:
    return " ".join(str(error).split())


def _bloat(metadata: Any, columns: Collection[str], file_bytes: int) -> str:
    """Why reading these columns of a Parquet file would take far more memory or time than its size tells; or empty."""
    if metadata.num_rows > _MANY and metadata.num_rows > file_bytes:
        return f"claims {metadata.num_rows:,} rows in {file_bytes:,} bytes"
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            name = chunk.path_in_schema.partition(".")[0]
            if name not in columns:
                continue
            if chunk.num_values > max(_MANY, _LONGEST_LIST * group.num_rows):
                return f"claims {chunk.num_values:,} values of {name} in {group.num_rows:,} rows"
            size, packed = chunk.total_uncompressed_size, max(1, chunk.total_compressed_size)
            if size > _BLOATED_BYTES and size > _DENSEST * packed:
                return f"would unpack {packed:,} bytes of {name} to {size:,}"
    return ""
