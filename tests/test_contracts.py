"""The house's contracts: who imports whom, what a dry run leaves unimported, and calls that the code never makes."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("acestep_batch", "benchmarks", "training")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

HEAVY = {"torch", "transformers", "diffusers", "peft", "accelerate", "pandas", "pyarrow"}
HEAVY |= {"py3langid", "num2words", "pypinyin", "cutlet", "fugashi", "hangul_romanize"}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
POSIX_ONLY = {"fcntl", "resource", "pwd", "grp", "termios", "syslog"}
UNSAFE_YAML = {"load", "load_all", "unsafe_load", "unsafe_load_all", "full_load", "full_load_all"}
HARMFUL = {
    "torch.load",
    *(f"yaml.{name}" for name in UNSAFE_YAML),
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
}
HARMFUL |= {"os.system", "os.popen", "os.fork", "os.putenv", "os.unsetenv", "os.startfile"}
HARMFUL |= {
    f"os.{verb}{kind}" for verb in ("exec", "spawn") for kind in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")
}
GLOBAL_RANDOMNESS = {"torch.manual_seed", "torch.seed", "np.random.seed", "numpy.random.seed", "random.seed"}
ENVIRONMENT_WRITES = {"update", "setdefault", "pop", "popitem", "clear"}
PRINTING = {
    "cli",
    "shown",
    "doctor",
    "download",
    "download_v15",
    "presets",
    "reference",
    "progress",
    "verify",
    "inspection",
    "resume",
    "pick",
    "reporting",
}

UNWANTED = {
    "import pickle": "imports pickle",
    "from pickle import loads": "imports pickle",
    "torch.load('weights.pt')": "torch.load",
    "from torch import load": "from torch import load",
    "import numpy as np\nnp.load(file, allow_pickle=True)": "allow_pickle",
    "pd.read_pickle(file)": "read_pickle",
    "eval('1')": "eval",
    "compile(text, 'x', 'exec')": "compile",
    "__import__(name)": "__import__",
    "exec('x = 1')": "exec",
    "yaml.load(text)": "yaml.load",
    "yaml.unsafe_load(text)": "yaml.unsafe_load",
    "from yaml import load": "from yaml import load",
    "subprocess.run('ls', shell=True)": "shell=True",
    "subprocess.run('ls', shell=flag)": "shell=True",
    "subprocess.getoutput('ls')": "subprocess.getoutput",
    "os.system('ls')": "os.system",
    "from os import system": "from os import system",
    "os.popen('ls')": "os.popen",
    "os.execv('/bin/ls', [])": "os.execv",
    "hydra.utils.instantiate(config)": "instantiate",
    "AutoModel.from_pretrained(name, trust_remote_code=True)": "trust_remote_code",
    "os.environ['A'] = '1'": "writes the environment",
    "del os.environ['A']": "writes the environment",
    "os.environ.setdefault('A', '1')": "writes the environment",
    "os.environ |= {'A': '1'}": "writes the environment",
    "os.putenv('A', '1')": "os.putenv",
    "os.fork()": "os.fork",
    "multiprocessing.get_context('fork')": "fork",
    "import fcntl": "imports fcntl at import",
    "try:\n    import resource\nexcept ImportError:\n    resource = None": "imports resource at import",
    "torch.manual_seed(1)": "torch.manual_seed",
    "torch.load(file, weights_only=False)": "torch.load",
    "torch.load(file, weights_only=True)": "torch.load of weights only",
    "print('done')": "print",
}


def unwanted(tree: ast.Module) -> Iterator[str]:
    """What this project's code never does, wherever it stands in ``tree``."""
    inside_functions = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if isinstance(node, ast.ImportFrom):
                taken = {f"{node.module}.{alias.name}" for alias in node.names}
                yield from (f"from {node.module} import {name.rpartition('.')[2]}" for name in taken & HARMFUL)
            for name in {module.partition(".")[0] for module in modules}:
                if name in PICKLES:
                    yield f"imports {name}"
                if name in POSIX_ONLY and id(node) not in inside_functions:
                    yield f"imports {name} at import"
        elif isinstance(node, ast.Call):
            yield from _unwanted_call(node)
        elif isinstance(node, ast.Assign | ast.Delete):
            if any(isinstance(each, ast.Subscript) and _is_environment(each.value) for each in node.targets):
                yield "writes the environment"
        elif isinstance(node, ast.AugAssign) and _is_environment(node.target):
            yield "writes the environment"


def _unwanted_call(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    owner, _, attribute = name.rpartition(".")
    is_weights_only = any(each.arg == "weights_only" and ast.unparse(each.value) == "True" for each in call.keywords)
    if name == "torch.load" and is_weights_only:
        yield "torch.load of weights only"
    elif name in {"eval", "exec", "compile", "__import__", "print", *HARMFUL, *GLOBAL_RANDOMNESS}:
        yield name
    if attribute in {"read_pickle", "instantiate"}:
        yield attribute
    if attribute in ENVIRONMENT_WRITES and owner == "os.environ":
        yield "writes the environment"
    if attribute in {"get_context", "set_start_method"} and any(
        isinstance(each, ast.Constant) and each.value == "fork" for each in call.args
    ):
        yield "fork"
    for keyword in call.keywords:
        if keyword.arg == "allow_pickle" and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value):
            yield "allow_pickle"
        if keyword.arg == "trust_remote_code":
            yield "trust_remote_code"
        if keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False):
            yield "shell=True"


def _is_environment(node: ast.expr) -> bool:
    return ast.unparse(node) == "os.environ"


@pytest.mark.parametrize(("source", "complaint"), UNWANTED.items())
def test_the_check_sees_what_it_looks_for(source: str, complaint: str) -> None:
    assert complaint in set(unwanted(ast.parse(source)))


def test_no_source_file_does_what_is_unwanted() -> None:
    found = []
    for path in SOURCES:
        name = path.relative_to(ROOT)
        allowed = set()
        if name.parts[0] in ("benchmarks", "training") or (len(name.parts) == 2 and name.stem in PRINTING):
            allowed.add("print")
        if name.parts[0] == "training":  # new networks draw from torch's own generator; checkpoints are its own files
            allowed |= {"torch.manual_seed", "torch.load of weights only"}
        complaints = set(unwanted(ast.parse(path.read_text(encoding="utf-8"), str(path))))
        found += [f"{name}: {complaint}" for complaint in sorted(complaints - allowed)]
    assert found == []


def test_every_source_file_says_what_it_is_for() -> None:
    assert [str(path) for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))] == []


def test_import_contracts_hold() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 broken" in result.stdout


WATCHED = """
import json, os, sys
before = dict(os.environ)
from acestep_batch.cli import main
code = main(sys.argv[2:]) if sys.argv[2:] else 0
report = {"code": code, "modules": sorted(sys.modules), "environment": dict(os.environ) == before}
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(report, file)
"""


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--help",
        "--cfg job --resolve",
        "presets",
        "dry_run=true model=embedded hw=cpu",
        "dry_run=true manifest=presets hw=mac model=embedded",
    ],
)
def test_before_a_real_run_nothing_heavy_is_imported_and_nothing_written(words: str, tmp_path: Path) -> None:
    report, folder = tmp_path / "report.json", tmp_path / "empty"
    folder.mkdir()
    command = [sys.executable, "-c", WATCHED, str(report), *words.split()]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120
    )
    assert result.returncode == 0, result.stderr
    seen = json.loads(report.read_text(encoding="utf-8"))
    assert seen["code"] == 0, result.stderr
    assert HEAVY.isdisjoint(name.partition(".")[0] for name in seen["modules"])
    assert seen["environment"]
    assert list(folder.iterdir()) == []


def test_every_place_names_the_same_two_commands() -> None:
    for name in ("README.md", "CONTRIBUTING.md", ".ci/run", ".github/workflows/ci.yml"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert 'python -m pip install -c constraints.txt -e ".[test]"' in text, name
        assert "python -m pytest" in text, name


def test_the_constraints_name_everything_that_gets_installed() -> None:
    pinned = {
        canonicalize_name(Requirement(line.partition("#")[0]).name)
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting = [Requirement(line) for line in [*project["dependencies"], *project["optional-dependencies"]["test"]]]
    needed: dict[str, set[str]] = {}
    while waiting:
        requirement = waiting.pop()
        name = str(canonicalize_name(requirement.name))
        if name.startswith(("nvidia-", "cuda-", "triton")):
            continue  # torch's own exact pins, on Linux
        extras = requirement.extras | {""}
        new = extras - needed.setdefault(name, set())
        needed[name] |= new
        try:
            lines = importlib.metadata.requires(name) if new else None
        except importlib.metadata.PackageNotFoundError:
            continue
        for each in map(Requirement, lines or ()):
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in new):
                waiting.append(each)
    assert needed.keys() - pinned == set()


def test_the_dependencies_are_what_the_package_imports() -> None:
    imported = set()
    for path in (ROOT / "acestep_batch").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            imported |= {module.partition(".")[0] for module in modules}
    imported -= {*sys.stdlib_module_names, "acestep_batch"}
    owners = importlib.metadata.packages_distributions()
    used = {canonicalize_name(owners[module][0]) for module in imported}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    through_others = {"peft", "fugashi", "unidic-lite"}  # diffusers' adapters, and the dictionary that cutlet reads
    assert used == declared - through_others
