"""A copy of this checkout with a stack of its own, so that tests never touch a stack of the developer's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import docker
import yaml

ROOT = Path(__file__).resolve().parents[3]
STACK = "check"
LIMIT_S = 900  # of one command; a bare server to a whole stack is the longest


@dataclass(frozen=True)
class Ran:
    """What a command answered."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Checkout:
    """The files of this checkout at another place, with the stack `check` instead of `dev`."""

    root: Path
    stack: str = STACK

    @classmethod
    def copy(cls, root: Path) -> Checkout:
        """Copy what git would commit, share the venv and the images, and set the toolchain up."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in filter(None, listed.split("\0")):
            source, target = ROOT / name, root / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        (root / ".venv").symlink_to(ROOT / ".venv")
        (root / ".gad").mkdir()
        shutil.copy2(ROOT / ".gad" / "images.lock.json", root / ".gad")
        shutil.copy2(root / "config" / "dev.passphrase", root / "config" / f"{STACK}.passphrase")
        (root / "Pulumi.dev.yaml").rename(root / f"Pulumi.{STACK}.yaml")
        checkout = cls(root)
        checkout.gad("setup").succeeded()
        return checkout

    def of_stack(self, stack: str) -> Checkout:
        """The same files, for another of their stacks."""
        return Checkout(self.root, stack)

    @property
    def prefix(self) -> str:
        """The prefix its stack has claimed; on a server none is claimed, its name is enough there."""
        claimed = [c["prefix"] for c in self.claims() if c["stack"] == self.stack]
        return claimed[0] if claimed else f"gad-{self.stack}"

    def claims(self) -> list[dict[str, str]]:
        """What this checkout has claimed on this machine."""
        return [claim for claim in self._claims() if claim["checkout"] == str(self.root)]

    def _claims(self) -> list[dict[str, str]]:
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        claims: list[dict[str, str]] = json.loads((state / "grupo-gad" / "claims.json").read_text())["claims"]
        return claims

    def gad(self, *args: str, stdin: str = "") -> Command:
        """Run `gad` of this copy."""
        return Command.run([str(self.root / "bin" / "gad"), *args], self.root, self.environment(), stdin)

    def pulumi(self, *args: str) -> Command:
        """Run a plain `pulumi` as a person would after `eval "$(gad env STACK)"`."""
        command = ["pulumi", *args, "--stack", self.stack, "--non-interactive"]
        return Command.run(command, self.root, self.environment(), "")

    def environment(self) -> dict[str, str]:
        """What `eval "$(gad env STACK)"` gives; this process's own stack is forgotten."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PULUMI_", "GAD_"))}
        answer = subprocess.run(
            [str(self.root / "bin" / "gad"), "env", self.stack, "--json"],
            env=kept,
            cwd=self.root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        return {**kept, **json.loads(answer)["set"]}

    @property
    def stack_file(self) -> Path:
        """`Pulumi.check.yaml`, or that of another stack."""
        return self.root / f"Pulumi.{self.stack}.yaml"

    def edit(self, key: str, value: object) -> str:
        """Set one value of the stack file, `api.memory_mib` for example; return the file as it was."""
        before = self.stack_file.read_text()
        document = yaml.safe_load(before)
        section, *rest = key.split(".")
        node = document["config"]
        path = [f"grupo-gad:{section}", *rest]
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = value
        self.stack_file.write_text(yaml.safe_dump(document))
        return before

    def containers(self, client: docker.DockerClient) -> dict[str, str]:
        """Role to container id, of everything with the stack's label."""
        found = client.api.containers(all=True, filters={"label": f"gad.prefix={self.prefix}"})
        return {item["Labels"]["gad.role"]: item["Id"] for item in found}


@dataclass(frozen=True)
class Command:
    """A finished command."""

    line: str
    ran: Ran

    @classmethod
    def run(cls, command: list[str], cwd: Path, env: dict[str, str], stdin: str) -> Command:
        """Run to the end, however it ends."""
        done = subprocess.run(
            command,
            cwd=cwd,
            env=env,
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
            timeout=LIMIT_S,
        )
        return cls(" ".join(command), Ran(done.returncode, done.stdout, done.stderr))

    def succeeded(self) -> Ran:
        """Its answer, if it went well."""
        assert self.ran.code == 0, f"{self.line}\n{self.ran.out}\n{self.ran.err}"
        return self.ran

    def failed(self, code: int) -> Ran:
        """Its answer, if it failed as expected: two lines, no traceback."""
        assert self.ran.code == code, f"{self.line}\n{self.ran.out}\n{self.ran.err}"
        assert "Traceback" not in self.ran.err + self.ran.out
        return self.ran
