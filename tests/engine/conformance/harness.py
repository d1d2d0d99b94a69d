"""Runs small Pulumi stacks with the real engine and our plugins, and reports their steps.

`Stack` is one throw-away stack: `declare` says which resources its program makes; `preview`, `up`, `refresh`
and `destroy` run the engine and return a `Run`: the steps of each resource, the diagnostics, the verdict.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.toolchain.shims import OFFLINE_PLUGINS, shim_text

ROOT = Path(__file__).resolve().parents[3]
# Seconds for one engine operation: the longest case waits twice 30 s for a network in use.
OPERATION_TIMEOUT_S = 180

PROGRAM = '''
import importlib, json, pathlib
import pulumi
here = pathlib.Path(__file__).parent
providers = {}
files = {"$file": pulumi.FileAsset, "$text": pulumi.StringAsset, "$folder": pulumi.FileArchive}
def as_file(value):
    """{"$file": path} is a file, and so on; everything else is what it says."""
    kind = next(iter(value), None) if isinstance(value, dict) and len(value) == 1 else None
    return files[kind](value[kind]) if kind in files else value
for each in json.loads((here / "resources.json").read_text()):
    module, _, cls = each["type"].rpartition(".")
    inputs = {k: as_file(v) for k, v in each["inputs"].items()}
    inputs |= {k: pulumi.Output.secret(inputs[k]) for k in each["secrets"]}
    options = pulumi.ResourceOptions(**each["options"])
    if each["provider"]:
        options.provider = providers[each["provider"]]
    made = getattr(importlib.import_module(module), cls)(each["name"], **inputs, opts=options)
    if cls == "Provider":
        providers[each["name"]] = made
'''


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One resource of a program: its logical name, SDK class and inputs as the SDK spells them."""

    name: str
    type: str  # "pulumi_docker.Container"
    inputs: Mapping[str, object]
    options: Mapping[str, object] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    provider: str = ""


@dataclass(frozen=True)
class Step:
    """One step of the engine. `detailed` maps property paths to kinds such as `update-replace`."""

    op: str
    keys: tuple[str, ...] = ()  # that force a replacement
    diffs: tuple[str, ...] = ()  # that differ
    detailed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What one engine operation did."""

    ok: bool
    steps: Mapping[str, tuple[Step, ...]]  # by logical name
    diagnostics: tuple[str, ...]
    output: str

    def of(self, name: str) -> tuple[Step, ...]:
        """The steps of one resource, in the engine's order."""
        return self.steps.get(name, ())

    def errors(self, name: str) -> str:
        """The diagnostics that name the resource."""
        return "\n".join(each for each in self.diagnostics if each.startswith(f"{name}: "))


@dataclass(frozen=True)
class Recorded:
    """One resource in the exported state."""

    id: str
    inputs: Mapping[str, object]
    outputs: Mapping[str, object]
    init_errors: tuple[str, ...]


def plugin_folder(folder: Path) -> Path:
    """A folder with the engine and our plugins, to be put first on PATH."""
    engine = shutil.which("pulumi", path=f"{ROOT / '.gad' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if engine is None:
        raise RuntimeError("no pulumi in .gad/bin or on PATH: run `make setup` first")
    folder.mkdir(parents=True)
    (folder / "pulumi").symlink_to(Path(engine).resolve())
    for name, module in OFFLINE_PLUGINS.items():
        script = folder / name
        script.write_text(shim_text(ROOT, module))
        script.chmod(0o755)
    return folder


class Stack:
    """A stack of its own, in `folder`; `bin_folder` holds the engine and the plugins."""

    def __init__(self, folder: Path, bin_folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "state").mkdir()
        (folder / "__main__.py").write_text(PROGRAM)
        (folder / "Pulumi.yaml").write_text(
            f"name: conformance\nruntime:\n  name: python\n  options:\n    virtualenv: {Path(sys.prefix)}\n"
        )
        self._environment = {
            **os.environ,
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "PULUMI_HOME": str(bin_folder.parent / "pulumi-home"),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "conformance",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DEBUG_COMMANDS": "true",  # for --event-log
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            **(environment or {}),
        }
        self.declare([])
        self._pulumi("stack", "init", "test", "--non-interactive")

    def declare(self, resources: Sequence[Declared]) -> None:
        """What the program makes from now on."""
        document = [
            {
                "name": each.name,
                "type": each.type,
                "inputs": each.inputs,
                "options": each.options,
                "secrets": [*each.secrets],
                "provider": each.provider,
            }
            for each in resources
        ]
        (self.folder / "resources.json").write_text(json.dumps(document))

    def up(self, *arguments: str) -> Run:
        """`pulumi up`, without its preview."""
        return self._operate("up", "--yes", "--skip-preview", *arguments)

    def preview(self, *arguments: str) -> Run:
        """`pulumi preview`."""
        return self._operate("preview", *arguments)

    def refresh(self, *arguments: str) -> Run:
        """`pulumi refresh`."""
        return self._operate("refresh", "--yes", "--skip-preview", *arguments)

    def destroy(self, *arguments: str) -> Run:
        """`pulumi destroy`."""
        return self._operate("destroy", "--yes", "--skip-preview", *arguments)

    def exported(self, *arguments: str) -> Mapping[str, Recorded]:
        """The state, by logical name; secrets are ciphertext unless `--show-secrets` is given."""
        document = json.loads(self._pulumi("stack", "export", *arguments).stdout)
        return {
            each["urn"].rsplit("::", 1)[-1]: Recorded(
                id=each.get("id", ""),
                inputs=each.get("inputs", {}),
                outputs=each.get("outputs", {}),
                init_errors=tuple(each.get("initErrors", ())),
            )
            for each in document["deployment"].get("resources", ())
        }

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Any other command of the engine, which may fail."""
        return self._run(*arguments)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Any command of the engine, left running: the caller ends it."""
        return subprocess.Popen(
            ["pulumi", *arguments, "--non-interactive", "--stack", "test"],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            executable=shutil.which("pulumi", path=self._environment["PATH"]),
        )

    def _operate(self, verb: str, *arguments: str) -> Run:
        log = self.folder / "events.log"
        log.unlink(missing_ok=True)
        done = self._run(verb, "--non-interactive", "--stack", "test", "--event-log", str(log), *arguments)
        events = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return Run(
            ok=done.returncode == 0,
            steps=_steps(events),
            diagnostics=_diagnostics(events),
            output=done.stdout + done.stderr,
        )

    def _pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = self._run(*arguments)
        if done.returncode != 0:
            raise RuntimeError(f"pulumi {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=OPERATION_TIMEOUT_S,
            executable=shutil.which("pulumi", path=self._environment["PATH"]),
        )


def _steps(events: Sequence[Mapping[str, dict[str, object]]]) -> Mapping[str, tuple[Step, ...]]:
    found: dict[str, list[Step]] = {}
    for event in events:
        if "resourcePreEvent" not in event:
            continue
        metadata = event["resourcePreEvent"]["metadata"]
        assert isinstance(metadata, dict)
        if metadata["type"] == "pulumi:pulumi:Stack" or metadata["type"].startswith("pulumi:providers:"):
            continue
        step = Step(
            op=metadata["op"],
            keys=tuple(sorted(metadata.get("keys") or ())),
            diffs=tuple(sorted(metadata.get("diffs") or ())),
            detailed={
                path: each["diffKind"] for path, each in sorted((metadata.get("detailedDiff") or {}).items())
            },
        )
        found.setdefault(metadata["urn"].rsplit("::", 1)[-1], []).append(step)
    return {name: tuple(steps) for name, steps in found.items()}


def _diagnostics(events: Sequence[Mapping[str, dict[str, object]]]) -> tuple[str, ...]:
    return tuple(
        f"{str(each.get('urn', '')).rsplit('::', 1)[-1]}: {each.get('message', '')}"
        for each in (event["diagnosticEvent"] for event in events if "diagnosticEvent" in event)
        if each.get("severity") in ("error", "info#err", "warning")
    )
