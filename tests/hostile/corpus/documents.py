"""YAML and JSON that mean more than they say: tags, bombs, depth, duplicate keys, numbers out of all bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ..case import Case, Outcome, inert, refused
from .made import DRY, TINY, dry, records

TAGS = (
    "!!python/object/apply:os.system [touch pwned]", "!!python/object/new:subprocess.Popen [[touch, pwned]]",
    "!!python/object/apply:builtins.eval ['open(\"pwned\", \"w\")']", "!!python/name:os.system ''", "!!python/module:antigravity ''",
    "!!python/object:os.system {}", "!!python/tuple [a, b]", "!!python/str pop", "!!binary cG9w", "!!set {a}", "!!omap [a: b]",
    "!ENV pop", "!include /etc/passwd", "!<tag:evil,2020:x> pop", "!!python/bytes pop", "!pop", "!!map pop",
)  # fmt: skip
LAUGHS = "".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]\n" for name, below in zip("bcdefghij", "abcdefghi", strict=True)
)
"""387,420,489 texts in nine lines, once the aliases are followed."""
BOMB = f"a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n{LAUGHS}"
YAML = ("manifest.path=songs.yaml", *DRY)
JSON = dry()


def _bomb(use: str) -> dict[str, str | bytes]:
    lines = "".join(f"  {line}\n" for line in BOMB.splitlines())
    return {"songs.yaml": f"defaults:\n{lines}songs:\n{use}\n"}


def _no_mark(outcome: Outcome) -> None:
    assert not (outcome.folder / "pwned").exists()


def _kept(prompt: str):
    def check(outcome: Outcome) -> None:
        assert [record["prompt"] for record in records(outcome)] == [prompt]

    return check


def cases() -> Iterator[Case]:
    """Every case of this file."""
    yield from _yaml()
    yield from _json()


def _yaml() -> Iterator[Case]:
    def no(name: str, text: str | bytes, *says: str) -> Case:
        return refused("yaml", name, {"songs.yaml": text}, *YAML, says=says or ("songs.yaml",), check=_no_mark)

    def yes(name: str, text: str | bytes, prompt: str) -> Case:
        return inert("yaml", name, {"songs.yaml": text}, "manifest.path=songs.yaml", *TINY, check=_kept(prompt))

    for number, tag in enumerate(TAGS):
        yield no(f"tag-{number}", f"- id: a\n  prompt: {tag}\n", "songs.yaml row 1 (line 1)")
    yield no("tag-of-a-row", "- !!python/object/apply:os.system [touch pwned]\n", "songs.yaml row 1")
    yield no("tag-of-the-document", "!!python/object/apply:os.system [touch pwned]\n")
    yield no("tag-of-a-key", "- ? !!python/object/apply:os.system [touch pwned]\n  : pop\n", "songs.yaml row 1")
    yield no("tag-of-a-mapping", "- !!python/object/apply:os.system\n  prompt: pop\n", "songs.yaml row 1")
    yield no("tag-of-an-item", "- oss_steps: [!!python/object/apply:os.system [touch pwned], 1]\n", "songs.yaml row 1")
    yield no("tag-of-the-songs", "songs: !!python/object/apply:os.system [touch pwned]\n")
    yield no("tag-of-the-defaults", "defaults: !!python/object/new:os.system {prompt: a}\nsongs: [{}]\n", "songs.yaml")

    yield no("bomb-in-a-text", _bomb("- prompt: *j")["songs.yaml"])
    yield no("bomb-in-a-key", f"{BOMB}songs: [{{? *j : pop}}]\n")
    yield no("bomb-in-a-key-alone", "- &a [a, a]\n- &b [*a, *a, *a, *a, *a, *a, *a, *a]\n" + "".join(
        f"- &{name} [{', '.join([f'*{below}'] * 9)}]\n" for name, below in zip("cdefghij", "bcdefghi", strict=True)
    ) + "- ? *j\n  : pop\n", "songs.yaml row 11")  # fmt: skip
    yield no("bomb-as-a-row", "- &a [lol, lol]\n" + "".join(
        f"- &{name} [{', '.join([f'*{below}'] * 9)}]\n" for name, below in zip("bcdefghij", "abcdefghi", strict=True)
    ), "songs.yaml row 1")  # fmt: skip
    yield no("bomb-as-the-songs", f"{BOMB}songs: *j\n")
    yield no("bomb-in-a-list", "- oss_steps: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"- oss_steps: &{name} [{', '.join([f'*{below}'] * 9)}]\n" for name, below in zip("bcdefghij", "abcdefghi", strict=True)
    ), "songs.yaml row 2")  # fmt: skip
    yield no("bomb-by-merging", "- &a {prompt: a}\n" + "".join(
        f"- &{name} {{<<: [{', '.join([f'*{below}'] * 9)}]}}\n" for name, below in zip("bcdefghij", "abcdefghi", strict=True)
    ), "column <<")  # fmt: skip
    yield no("circle", "- &a [*a]\n", "songs.yaml row 1")
    yield no("circle-of-songs", "&a {songs: *a}\n", "songs.yaml")
    yield no("circle-in-a-text", "- prompt: &a [*a]\n", "column prompt")
    yield no("circle-in-a-key", "- &a {? *a : pop}\n", "songs.yaml row 1")
    yield no("depth", "- " + "[" * 60 + "]" * 60, "nested")
    yield no("much-depth", "[" * 100_000, "nested")
    yield no("depth-of-blocks", "".join(" " * level + "a:\n" for level in range(2_000)), "nested")
    yield no("depth-of-dashes", "- " * 50_000, "nested")
    yield no("depth-of-keys", "- " + "? " * 10_000, "songs.yaml")
    yield no("depth-of-braces", "- " + "{a: " * 5_000, "nested")
    yield no("same-key-twice", "- prompt: pop\n  prompt: rock\n", "songs.yaml row 1", "names prompt twice")
    yield no("same-key-in-two-spellings", '- "prompt": pop\n  ? prompt\n  : rock\n', "twice")
    yield no("same-song-twice", "songs:\n  a: {prompt: pop}\n  a: {prompt: rock}\n", "names a twice")
    yield no("songs-twice", "songs: []\nsongs: [{prompt: pop}]\n", "twice")
    yield no("key-of-many-lines", '- "a\\nerror: x\\e[31m": pop\n', "songs.yaml row 1")
    yield no("key-twice-with-escapes", '- "\\e[31ma": pop\n  "\\e[31ma": rock\n', "twice")
    yield no("unknown-top-with-escapes", 'songs: []\n"\\e[2J": 1\n', "unknown key")
    yield no("key-that-is-a-list", "- ? [prompt]\n  : pop\n", "songs.yaml row 1")
    yield no("key-that-is-null", "- ~: pop\n", "songs.yaml row 1")
    yield no("merge", "- &a {prompt: pop}\n- <<: *a\n", "column <<")
    yield no("two-documents", "- prompt: pop\n---\n- prompt: rock\n")
    yield no("unknown-version", "%YAML 9.9\n---\n- prompt: pop\n")
    yield no("unknown-alias", "- *nowhere\n")
    yield no("control-characters", "- prompt: \x01\x02\n")
    yield no("nul", "- prompt: a\0b\n")
    yield no("escaped-nul", '- prompt: "a\\0b"\n', "column prompt")
    yield no("escaped-half", '- prompt: "\\ud800"\n')
    yield no("latin-1", "- prompt: é\n".encode("latin-1"), "not UTF-8")
    yield no("utf-16", "- prompt: pop\n".encode("utf-16"), "not UTF-8")
    yield no("tabs", "-\tprompt:\n\t\tpop\n")
    yield no("endless-quotes", "- prompt: '" + "x" * 100_000)
    yield no("empty", "", "is empty")
    yield no("comments-only", "# nothing\n" * 1000, "is empty")
    yield no("scalar", "pop\n")
    yield no("number-beyond-all-bounds", f"- seed: {'9' * 10_000}\n", "column seed")
    yield no("exponent-beyond-all-bounds", "- audio_duration: 1e999999999\n", "column audio_duration")
    yield no("not-a-number", "- guidance_scale: .nan\n", "column guidance_scale")
    yield no("sexagesimal", "- seed: 1:30:00\n", "column seed")
    yield no("long-key", f"- ? {'k' * 200_000}\n  : pop\n", "songs.yaml row 1")
    yield yes("date", "- prompt: 2001-12-14t21:59:43.10-05:00\n", "2001-12-14t21:59:43.10-05:00")
    yield yes("norway", "- prompt: no\n", "no")
    yield yes("interpolation", "- prompt: ${oc.env:HOME} ${oc.decode:x} ${hydra:runtime.cwd}\n",
              "${oc.env:HOME} ${oc.decode:x} ${hydra:runtime.cwd}")  # fmt: skip
    yield yes("percent", "- prompt: '%s %n %(a)s {0} {seed} $HOME'\n", "%s %n %(a)s {0} {seed} $HOME")
    yield yes("many-aliases-of-a-text", "- prompt: &a pop\n  lyrics: *a\n", "pop")
    yield no("target-in-a-row", "- _target_: os.system\n  command: touch pwned\n", "column _target_")


def _json() -> Iterator[Case]:
    def no(name: str, text: str | bytes, *says: str) -> Case:
        return refused("json", name, {"songs.json": text}, *JSON, says=says or ("songs.json",))

    yield no("depth", "[" * 100_000, "nested too deeply")
    yield no("depth-of-objects", '{"a":' * 100_000, "nested too deeply")
    yield no("depth-in-a-cell", '[{"prompt": ' + "[" * 900 + "]" * 900 + "}]", "column prompt")
    yield no("depth-after-a-comment", "// deep\n" + "[" * 100_000, "nested too deeply")
    yield no("same-key-twice", '[{"prompt": "a", "prompt": "b"}]', "names prompt twice")
    yield no("same-key-in-escapes", '[{"prompt": "a", "\\u0070rompt": "b"}]', "names prompt twice")
    yield no(
        "same-key-twice-of-many",
        json.dumps([dict.fromkeys(map(str, range(50_000)))])[:-2] + ', "7": 1}]',
        "names 7 twice",
    )
    yield no("all-keys-twice", "[{" + ", ".join(f'"k{number % 30_000}": 1' for number in range(60_000)) + "}]", "twice")
    yield no("key-twice-with-escapes", '[{"\\u001b[31m\\n": 1, "\\u001b[31m\\n": 1}]', "twice")
    yield no("songs-twice", '{"songs": [], "songs": [{}]}', "names songs twice")
    for word in ("NaN", "Infinity", "-Infinity"):
        yield no(word.strip("-").lower() + str(word.count("-")), f'[{{"guidance_scale": {word}}}]', "not JSON")
    yield no("infinite-by-exponent", '[{"guidance_scale": 1e999}]', "column guidance_scale")
    yield no("number-of-ten-thousand-digits", f'[{{"seed": {"9" * 10_000}}}]')
    yield no("digits-as-text", f'[{{"seed": "{"9" * 100_000}"}}]', "column seed")
    yield no("digits-of-another-script", '[{"seed": "१२³"}]', "column seed")
    yield no("list-as-digits", f'[{{"seed": "[{"[" * 5_000}"}}]', "column seed")
    yield no("underscores", '[{"seed": "1_000"}]', "column seed")
    yield no("negative", '[{"seed": -1}]', "column seed")
    yield no("too-large", '[{"seed": 4294967296}]', "column seed")
    yield no("true-as-a-number", '[{"seed": true}]', "column seed")
    yield no("a-hundred-thousand-seeds", json.dumps([{"seed": [1] * 100_000}]), "column seed")
    yield no("takes", '[{"takes": 1000000000}]', "column takes")
    for value in ("[]", "{}", '["a"]', '{"a": 1}', "[[1]]", '{"__class__": "os.system"}'):
        yield no(
            f"prompt-of-{len(value)}-{value[0]}", f'[{{"prompt": {value}}}]'.replace("[]", '["x", []]'), "column prompt"
        )
        yield no(f"id-of-{len(value)}-{value[0]}", f'[{{"id": {value}}}]', "column id")
        yield no(f"preset-of-{len(value)}-{value[0]}", f'[{{"preset": {value}}}]', "column preset")
    for key in ("__proto__", "__class__", "constructor", "_target_", "record_", "hw.device", "output.root", "allow_outside",
                "output.allow_outside", "model.path", "dry_run", "manifest", "hydra"):  # fmt: skip
        yield no(f"key-{key}", json.dumps([{key: "x"}]), f"column {key}")
    yield no("key-of-many-lines", json.dumps([{"a\nerror: x\x1b[31m": 1}]), "songs.json row 1")
    yield no("key-as-long-as-a-book", json.dumps([{"k" * 200_000: 1}]), "songs.json row 1")
    yield no("ten-thousand-unknown-keys", json.dumps([dict.fromkeys((f"key{number}" for number in range(10_000)), 1)]),
             "songs.json row 1", "more")  # fmt: skip
    yield no("a-thousand-rows-of-unknown-keys", json.dumps([{f"key{number}": 1, "id": number} for number in range(1_000)]),
             "songs.json row 1")  # fmt: skip
    yield no("unknown-top-with-escapes", '{"songs": [], "\\u001b[2J": 1}', "unknown key")
    for number, text in enumerate(("1", "null", '"pop"', "[1]", "[null]", "[[]]", '["pop"]', "[[[]]]", "{}[]", "[]x", "", " ",
                                   '{"songs": 1}', '{"songs": "a"}', '{"songs": null}', '{"songs": {"a": 1}}', "[]",
                                   '{"defaults": [], "songs": [{}]}', '{"defaults": {"id": "a"}, "songs": [{}]}')):  # fmt: skip
        yield no(f"no-songs-{number}", text)
    yield no("endless-text", '[{"prompt": "' + "x" * 100_000)
    yield no("endless-comments", "/*" * 100_000)
    yield no("endless-escapes", '[{"prompt": "' + '\\"' * 100_000)
    yield no("commas", "[" + "," * 200_000 + "]")
    yield no("commas-and-blanks", "[" + ", \n" * 100_000 + "]")
    yield no("commas-and-comments", "[" + ",/**/" * 50_000 + "]")
    yield no("quotes", '"' * 200_001)
    yield no("slashes", "/" * 200_000)
    yield no("stars", "/*" + "*" * 200_000)
    yield no("utf-16", '[{"prompt": "pop"}]'.encode("utf-16"), "not UTF-8")
    yield no("utf-32-without-bom", '[{"prompt": "pop"}]'.encode("utf-32-le"))
    yield no("overlong-utf-8", b'[{"prompt": "\xc0\xaf"}]', "not UTF-8")
    yield no("a-zip", b"PK\x03\x04" + bytes(100))
    yield no("a-pickle", b"cos\nsystem\n(S'touch pwned'\ntR.")
    yield no("python", "__import__('os').system('touch pwned')")
    yield no("script", "[process.exit()]")
    for column in ("task", "lora_name_or_path", "audio2audio_enable"):
        value = {"task": "edit", "lora_name_or_path": "../../outside", "audio2audio_enable": True}[column]
        said = {"task": "src_audio_path", "audio2audio_enable": "ref_audio_input"}.get(column, column)
        yield no(f"other-{column}", json.dumps([{column: value}]), f"row 1, {said}")
        if column != "audio2audio_enable":
            yield no(
                f"other-{column}-as-a-list",
                json.dumps([{column: ["x" * 100_000]}]),
                f"row 1, {'column ' * (column == 'task')}{column}",
            )
    yield refused("json", "lines", {"songs.jsonl": '{"prompt": "a"}\n[]\n{"prompt"\n\xff\n' + "[" * 50_000}, "manifest.path=songs.jsonl",
                  *DRY, says=("row 2 (line 2)", "row 3 (line 3)", "row 4 (line 4)", "row 5 (line 5)"))  # fmt: skip
    yield refused(
        "json", "folder", _json_folder, "manifest.path=songs", *DRY, says=("1.json", "2.json", "3.json", "4.json")
    )
    yield inert("json", "interpolation", {"songs.json": '[{"id": "a", "prompt": "${oc.env:HOME}"}]'}, "manifest.path=songs.json", *TINY,
                check=_kept("${oc.env:HOME}"))  # fmt: skip
    yield inert(
        "json", "a-million-characters", {"songs.json": json.dumps([{"lyrics": "la " * 30_000}])}, *dry("lint=warn")
    )
    yield refused(
        "preset-file", "depth", {"p.json": "[" * 100_000}, "preset_file=p.json", *DRY, says=("preset_file=p.json",)
    )
    yield refused("preset-file", "bomb-of-keys", {"p.json": json.dumps({"parameters": dict.fromkeys(map(str, range(5_000)), 1)})},
                  "preset_file=p.json", *DRY, says=("preset_file=p.json",))  # fmt: skip
    yield refused("preset-file", "escapes", {"p.json": json.dumps({"\x1b[31m\n": 1, "parameters": {}})},
                  "preset_file=p.json", *DRY, says=("preset_file=p.json", "unknown key"))  # fmt: skip
    yield refused("preset-file", "target", {"p.json": json.dumps({"parameters": {"_target_": "os.system"}})},
                  "preset_file=p.json", *DRY, says=("preset_file=p.json: _target_",))  # fmt: skip
    yield refused("preset-file", "output-path", {"p.json": json.dumps({"parameters": {"output_path": "/etc/x"}})},
                  *dry("preset_file=p.json", "manifest=none", "generation.prompt=pop")[1:], says=("output_path",))  # fmt: skip
    yield refused("preset-file", "text-file", {"p.json": json.dumps({"parameters": {"lyrics_file": "/etc/passwd"}})},
                  "preset_file=p.json", *DRY, says=("preset_file=p.json: lyrics_file",))  # fmt: skip


def _json_folder(folder: Path) -> None:
    (folder / "songs").mkdir()
    for number, content in enumerate((b"[]", b"[" * 50_000, b"\xff", b'{"prompt": "a", "prompt": "b"}'), 1):
        (folder / "songs" / f"{number}.json").write_bytes(content)
