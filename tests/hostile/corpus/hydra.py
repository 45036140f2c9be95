"""Configuration that would make Hydra or OmegaConf act: targets, resolvers, search paths, callbacks, endless sweeps."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ..case import TINY, Case, Outcome, inert, refused
from .documents import BOMB
from .made import dry, folders, records, run, songs

ONE = songs({"id": "a"})
PRESET = "# @package generation\n"
GLOBAL = "# @package _global_\n"
PRIMARY = "defaults:\n  - config\n  - _self_\n"
MINE = ("--config-dir", "conf")


def _no_mark(outcome: Outcome) -> None:
    assert not (outcome.folder / "pwned").exists()
    assert "antigravity" not in sys.modules


def cases() -> Iterator[Case]:
    """Every case of this file."""
    yield from _words()
    yield from _files()


def _words() -> Iterator[Case]:
    def no(name: str, *words: str, says: tuple[str, ...] = ()) -> Case:
        return refused("override", name, ONE, *dry(*words), says=says or words[-1:], check=_no_mark)

    yield no("run-dir", "hydra.run.dir={outside}", says=("hydra.run.dir",))
    yield no("output-subdir", "hydra.output_subdir={outside}", says=("hydra.output_subdir",))
    yield no("launcher", "hydra/launcher=joblib")
    yield no("sweeper", "+hydra.sweeper._target_=os.system")
    yield no("callback", "+hydra.callbacks.x._target_=os.system")
    yield no("searchpath", "hydra.searchpath=[pkg://antigravity]")
    yield no("job-logging", "hydra.job_logging.handlers.x={class: os.system}")
    yield no("environment", "+hydra.job.env_set.PATH=x")
    yield no("chdir", "hydra.job.chdir=true")
    yield no("hydra-file", "hydra=x")
    yield no("hydra-plus-plus", "++hydra.job_logging.version=1")
    yield no("target", "+_target_=os.system")
    yield no("target-of-a-song", "generation._target_=os.system")
    yield no("target-of-the-model", "++model._target_=os.system")
    yield no("target-in-a-mapping", "generation={_target_: os.system, _args_: [touch pwned]}", says=("generation",))
    yield no("target-as-a-text", "generation.prompt={_target_: os.system}", says=("prompt=",))
    yield no("whole-section", "manifest={path: x.csv}", says=("manifest",))
    yield no("package", "preset@_global_=fast")
    yield no("package-of-hydra", "manifest@hydra=demo", says=("manifest@hydra",))
    yield no("delete", "~manifest")
    yield no("delete-hydra", "~hydra.run")
    yield no("plus", "+secret.key=1")
    yield no("dunder", "generation.__class__=x")
    yield no("circle", "generation.prompt=${generation.prompt}", says=("configuration",))
    yield no(
        "circle-of-two",
        "generation.prompt=${generation.lyrics}",
        "generation.lyrics=${generation.prompt}",
        says=("configuration",),
    )
    yield no("no-such-resolver", "generation.prompt=${os.system:touch pwned}", says=("generation.prompt",))
    yield no("eval", "generation.prompt=${eval:'open(\"pwned\")'}", says=("configuration",))
    yield no("environment-in-a-text", "generation.prompt=${oc.env:HOME}", says=("configuration",))
    yield no("environment-in-lyrics", "generation.lyrics='${oc.decode:${oc.env:HOME}}'", says=("configuration",))
    yield no(
        "environment-by-a-detour",
        "output.name=${oc.env:HOME}",
        "generation.prompt=${output.name}",
        says=("configuration",),
    )
    yield no("the-whole-configuration", "generation.prompt=${generation}", says=("generation.prompt",))
    yield no("hydra-in-a-text", "generation.prompt=${hydra:runtime.cwd}", says=("configuration",))
    yield no("half-an-interpolation", "generation.prompt='${'", says=("configuration",))
    yield no("deep-list", "seed=" + "[" * 2_000 + "]" * 2_000, says=("seed",))
    yield no("deep-mapping", "generation.prompt=" + "{a:" * 1_000 + "1" + "}" * 1_000, says=("generation.prompt",))
    yield no("deep-interpolation", "generation.prompt='" + "${" * 500 + "}" * 500 + "'", says=("generation.prompt",))
    yield no("deep-key", ".".join(["a"] * 3_000) + "=1", says=("a.a",))
    yield no("deep-function", "seed=" + "int(" * 1_000 + "1" + ")" * 1_000, says=("seed",))
    yield no("many-dots", "output.name=" + "." * 50_000 + "=", says=("output.name",))
    yield no("endless-sweep", "-m", "seed=range(0,1000000000)", says=("-m: asks for more than 10,000 cells",))
    yield no(
        "endless-product",
        "-m",
        "seed=range(0,1000)",
        "infer_step=range(1,1000)",
        "guidance_scale=range(1,100)",
        says=("cells",),
    )
    yield no("sweep-by-nothing", "-m", "seed=range(0,10,0)", says=("seed",))
    yield no("interval", "-m", "guidance_scale=interval(0,1)", says=("guidance_scale",))
    yield no("glob", "-m", "preset=glob(*)", says=("glob",))
    yield no("glob-of-a-file", "-m", "manifest=glob(../*)", says=("glob",))
    yield no("nul", "output.name=a\0b", says=("output.name",))
    yield no("escapes", "x\x1b[31m\n=1", says=("error",))
    yield no("no-key", "=1", says=("=1",))
    yield no("not-a-number", "guidance_scale=nan", says=("guidance_scale",))
    yield no("infinite", "guidance_scale=inf", says=("guidance_scale",))
    yield no("many-digits", f"seed={'9' * 10_000}", says=("seed",))
    yield no("long-text", f"generation.prompt='{'x' * 300_000}'", says=("prompt=", "300,000 characters"))
    yield no("shard", "shard=999999999999/1", says=("shard",))
    yield no("shard-of-nothing", "shard=0/0", says=("shard",))
    yield no("root-that-is-a-file", "output.root=songs.json", says=("output.root",))
    yield no("root-below-a-file", "output.root=songs.json/x", says=("output.root",))
    yield no("root-of-the-kernel", "output.root=/proc/x", says=("output.root",))
    yield no("limit", "limit=0", says=("limit",))
    yield no("formats-of-a-path", "output.formats=[../../x]", says=("output.formats",))
    yield no("device", "hw.device='; touch pwned'", says=("hw.device",))
    yield no("revision", "model=v1", "model.revision=../../../outside", says=("checkpoint",))
    yield no("revision-with-escapes", "model=v1", 'model.revision="a\x1b[31mb"', says=("checkpoint",))
    yield inert(
        "override",
        "escaped-interpolation",
        ONE,
        *run("generation.prompt='\\${oc.env:HOME}'"),
        check=_has_prompt("${oc.env:HOME}"),
    )
    yield inert(
        "override",
        "sweep-of-scripts",
        ONE,
        *run("-m", "generation.prompt='$(touch pwned)','`touch pwned`'"),
        check=_no_mark,
    )


def _has_prompt(prompt: str):
    def check(outcome: Outcome) -> None:
        _no_mark(outcome)
        assert [record["prompt"] for record in records(outcome)] == [prompt]

    return check


def _files() -> Iterator[Case]:
    """A folder for --config-dir, which can come from anybody too."""

    def no(
        name: str, files: dict[str, str | bytes], *words: str, says: tuple[str, ...] = ("x.yaml",), shows: bool = False
    ) -> Case:
        words = (*MINE, *words) if shows else dry(*MINE, *words)
        return refused("config", name, {**ONE, **files}, *words, says=says, check=_no_mark)

    def preset(text: str) -> dict[str, str | bytes]:
        return {"conf/preset/x.yaml": text}

    def primary(text: str) -> dict[str, str | bytes]:
        return {"conf/mine.yaml": PRIMARY + text}

    yield no("target", preset(PRESET + "_target_: os.system\ncommand: touch pwned\n"), "+preset=x", says=("_target_",))
    yield no("target-in-a-text", preset(PRESET + "prompt: {_target_: os.system}\n"), "+preset=x", says=("prompt",))
    yield no("tag", preset(PRESET + "prompt: !!python/object/apply:os.system [touch pwned]\n"), "+preset=x")
    yield no("tag-of-a-name", preset(PRESET + "prompt: !!python/name:os.system ''\n"), "+preset=x")
    yield no("bomb", preset(PRESET + BOMB), "+preset=x")
    yield no("depth", preset(PRESET + "prompt: " + "[" * 300 + "]" * 300), "+preset=x")
    yield no("much-depth", preset(PRESET + "prompt: " + "[" * 50_000), "+preset=x")
    yield no("circle", preset(PRESET + "prompt: &a [*a]\n"), "+preset=x")
    yield no("same-key-twice", preset(PRESET + "infer_step: 1\ninfer_step: 2\n"), "+preset=x", says=("infer_step",))
    yield no("not-utf-8", {"conf/preset/x.yaml": b"\xff\xfe\x00"}, "+preset=x")
    yield no("control-characters", preset(PRESET + "prompt: \x01\n"), "+preset=x")
    yield no("binary", {"conf/preset/x.yaml": bytes(range(256))}, "+preset=x")
    yield no("list", preset("- a\n- b\n"), "+preset=x", says=("preset",))
    yield no("scalar", preset("pop\n"), "+preset=x", says=("preset",))
    yield no("environment", preset(PRESET + "prompt: ${oc.env:HOME}\n"), "+preset=x", says=("configuration",))
    yield no("environment-in-a-rows-preset", {**preset(PRESET + "prompt: ${oc.env:HOME}\n"), **songs({"id": "a", "preset": "x"})},
             says=("preset",))  # fmt: skip
    yield no("package-of-hydra", preset("# @package hydra\nrun:\n  dir: pwned\n"), "+preset=x")
    yield no("hydra-in-global", preset(GLOBAL + "hydra:\n  run:\n    dir: pwned\n"), "+preset=x")
    yield no(
        "override-of-the-launcher", preset(GLOBAL + "defaults:\n  - override /hydra/launcher: evil\n"), "+preset=x"
    )
    yield no("defaults-elsewhere", preset("defaults:\n  - /../../outside/precious\n"), "+preset=x", says=("precious",))
    yield no("output-root-in-a-preset", preset(PRESET + "root: {outside}\n"), "+preset=x", says=("root",))
    yield no("secret-section", preset(GLOBAL + "secret: 1\n"), "+preset=x", says=("secret",))
    yield no(
        "file-with-escapes",
        {"conf/preset/a\x1b[31m.yaml": PRESET + "infer_step: 0\n"},
        "+preset=y",
        says=("+preset=y",),
    )
    yield no("huge", preset(PRESET + "prompt: '" + "x" * 20_000_000 + "'\n"), "+preset=x")

    for show in ((), ("--cfg", "job"), ("--cfg", "hydra"), ("--cfg", "all"), ("--info",), ("--info", "plugins"),
                 ("--info", "searchpath"), ("--hydra-help",)):  # fmt: skip
        shown = "-".join(word.strip("-") for word in show) or "run"
        words = ("--config-name", "mine", *show)
        shows = bool(show)
        for name, text in (
            ("searchpath", "hydra:\n  searchpath: [pkg://antigravity]\n"),
            ("callbacks", "hydra:\n  callbacks:\n    x: {_target_: os.system, command: touch pwned}\n"),
            ("logging", "hydra:\n  job_logging:\n    version: 1\n    handlers: {x: {'()': os.system, command: touch pwned}}\n"
                        "  hydra_logging:\n    version: 1\n    handlers: {x: {'()': os.system, command: touch pwned}}\n"),
            ("launcher", "hydra:\n  launcher: {_target_: os.system}\n  sweeper: {_target_: os.system}\n  mode: MULTIRUN\n"),
        ):  # fmt: skip
            yield no(f"{name}-{shown}", primary(text), *words, says=("mine.yaml",), shows=shows)
    yield no("primary-environment", primary("hydra:\n  job: {env_set: {PATH: pwned}, env_copy: [HOME]}\n"), "--config-name", "mine",
             says=("mine.yaml",))  # fmt: skip
    yield no("primary-override", {"conf/mine.yaml": "defaults:\n  - config\n  - override hydra/launcher: evil\n  - _self_\n"},
             "--config-name", "mine", says=("mine.yaml",))  # fmt: skip
    yield no(
        "primary-allow-outside",
        {**primary("output:\n  allow_outside: maybe\n")},
        "--config-name",
        "mine",
        says=("allow_outside",),
    )
    yield inert("config", "python-beside-it", {**ONE, **preset(PRESET + "infer_step: 2\n"), "conf/__init__.py": "open('pwned', 'w')\n",
                                               "hydra_plugins/evil.py": "open('pwned', 'w')\n", "antigravity.py": "open('pwned', 'w')\n"},
                *dry(*MINE, "+preset=x"), check=_no_mark)  # fmt: skip
    yield inert("config", "link-elsewhere", _linked_preset, *dry(*MINE, "+preset=x"))
    yield inert("config", "environment-of-the-root", {**ONE, **primary("output:\n  root: ${oc.env:ROOT_OF_SONGS,outputs}\n")},
                "manifest.path=songs.json", *TINY, *MINE, "--config-name", "mine", check=_one_folder)  # fmt: skip


def _one_folder(outcome: Outcome) -> None:
    assert len(folders(outcome)) == 1


def _linked_preset(folder) -> None:
    (folder / "songs.json").write_text('[{"id": "a"}]', encoding="utf-8")
    (folder / "conf" / "preset").mkdir(parents=True)
    (folder / "shared.yaml").write_text(PRESET + "infer_step: 2\n", encoding="utf-8")
    (folder / "conf" / "preset" / "x.yaml").symlink_to(folder / "shared.yaml")
