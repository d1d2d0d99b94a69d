"""The steps from a backup to a migration, run by hand on a running stack, with images of one step more."""

from __future__ import annotations

import io
import os
import secrets
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path, PurePosixPath
from typing import Any

import docker

from infra.migrator import SECRETS
from infra.names import Names, part_of
from infra.steps.backup import backup
from infra.steps.gate import Migrator
from infra.steps.rehearsal import Before, Scratch, StoreCopy
from tests.engine.stack.checkout import Checkout, Ran

REVISION = "trial"
OWN = {"GAD_LIVE_SLOT_FILE", "GAD_PORT", "GAD_PRIVATE_PORT", "GAD_SLOT"}  # of a slot, not of its version
DEADLINE_S = 60.0  # the machine is shared


def until(what: str, is_so: object, deadline_s: float = DEADLINE_S) -> None:
    """Wait until `is_so()`; `what` is said if that never comes."""
    assert callable(is_so)
    end = time.monotonic() + deadline_s
    while not is_so():
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.05)


def sh(script: str, stdin: str, cwd: Path, *, first: Path | None = None) -> Ran:
    """To the end, as the command's provider runs it; `first`: a folder before the others of PATH."""
    with start(script, stdin, cwd, first=first) as process:
        out, err = process.communicate(timeout=300)
    return Ran(process.returncode, out, err)


def start(script: str, stdin: str, cwd: Path, *, first: Path | None = None) -> subprocess.Popen[str]:
    """A script at work, in a process group of its own."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env={**os.environ, "PATH": f"{first}:{os.environ['PATH']}" if first else os.environ["PATH"]},
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write(stdin)
    process.stdin.close()
    process.stdin = None  # communicate() would write there
    return process


@dataclass(frozen=True)
class Gate:
    """A running stack, and what its steps are made of."""

    checkout: Checkout
    client: docker.DockerClient

    @property
    def names(self) -> Names:
        return Names(stack=self.checkout.stack, prefix=self.checkout.prefix)

    @property
    def live(self) -> dict[str, Any]:
        """The slot in rotation, as the engine has it."""
        folder = self._mounted("api-blue", "/run/gad/release")
        return self._inspect(f"api-{(Path(folder) / 'live').read_text().strip()}")

    def migrator(self, image: str) -> Migrator:
        parent = PurePosixPath(self._mounted("api-blue", SECRETS)).parents[1] / "migration"
        newest = max(Path(parent).iterdir(), key=lambda each: each.stat().st_mtime)
        return Migrator(
            names=self.names,
            image=image,
            envs={"GAD_MIGRATION_URL_FILE": f"{SECRETS}/migration_url"},
            secrets_dir=str(newest),
            hosts={},
        )

    @property
    def scratch(self) -> Scratch:
        live = self.live
        envs = dict(each.split("=", 1) for each in live["Config"]["Env"])
        data = self.client.networks.get(self.names.network("data")).attrs["IPAM"]["Config"][0]["Subnet"]
        return Scratch(
            subnet=str(part_of(IPv4Network(data).supernet(new_prefix=22), "store")),
            postgres=self._store("postgres"),
            redis=self._store("redis"),
            before=Before(
                image=live["Config"]["Image"],
                envs={k: v for k, v in envs.items() if k.startswith("GAD_") and k not in OWN},
                secrets_dir=self._mounted("api-blue", SECRETS),
                memory_mib=256,
            ),
        )

    def backup(self, directory: Path, *, image: str = "f" * 64, first: Path | None = None) -> Ran:
        """Take a dump for the release of an image with that digest; three are kept."""
        script = backup(container=self.names.container("postgres"), directory=str(directory), keep=3)
        return sh(script, f"attempt app@sha256:{image}", self.checkout.root, first=first)

    def sh(self, script: str, stdin: str) -> Ran:
        return sh(script, stdin, self.checkout.root)

    def sql(self, statement: str) -> str:
        """What PostgreSQL answers to its superuser."""
        status, said = self._postgres.exec_run(self._psql(statement))
        assert status == 0, said
        return str(said.decode().strip())

    @contextmanager
    def holding(self, statement: str) -> Iterator[None]:
        """A transaction that has executed `statement`, open for as long as it is needed."""
        name = f"gad-test-{secrets.token_hex(4)}"
        words = self._psql(f"BEGIN; {statement}; SELECT pg_sleep(300)")
        self._postgres.exec_run(words, detach=True, environment={"PGAPPNAME": name})
        asleep = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'"  # noqa: S608
        until(statement, lambda: self.sql(f"{asleep} AND wait_event = 'PgSleep'") == "1")
        try:
            yield
        finally:
            self.end(name)

    def end(self, application: str) -> None:
        """End the sessions of that name; there must be one."""
        one = f"application_name = '{application}'"
        ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {one}"  # noqa: S608
        until(f"{application} is at work", lambda: "t" in self.sql(ended))

    @contextmanager
    def image(self, *statements: str) -> Iterator[str]:
        """The live image with a step more, by id; the step itself is undone by whoever runs it."""
        before = self.sql("SELECT version_num FROM alembic_version")
        step = (
            f"from alembic import op\n\nrevision = {REVISION!r}\ndown_revision = {before!r}\n"
            f"branch_labels = None\ndepends_on = None\n\n\ndef upgrade():\n"
            + "".join(f"    op.execute({each!r})\n" for each in statements)
        )
        parent = self.client.images.get(self.live["Config"]["Image"]).id
        recipe = f"FROM {parent}\nCOPY trial.py /srv/gad/app/migrations/versions/trial.py\n"
        context = _tar({"Dockerfile": recipe, "trial.py": step})
        tag = f"gad-test-trial:{secrets.token_hex(4)}"
        image, _ = self.client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True)
        try:
            yield str(image.id)
        finally:
            self.client.images.remove(tag, force=True)

    def left(self) -> list[str]:
        """What is on the engine of a rehearsal."""
        labels = {"label": [f"gad.prefix={self.names.prefix}", "gad.role=scratch"]}
        containers = [each["Names"][0] for each in self.client.api.containers(all=True, filters=labels)]
        return [*containers, *(each["Name"] for each in self.client.api.networks(filters=labels))]

    def real(self) -> dict[str, str]:
        """Role to id of the stack's containers, and its volumes by name."""
        labels = {"label": [f"gad.prefix={self.names.prefix}"]}
        volumes = self.client.api.volumes(filters=labels)["Volumes"] or []
        return self.checkout.containers(self.client) | {v["Name"]: v["Mountpoint"] for v in volumes}

    def copies(self) -> set[str]:
        """The volumes of a rehearsal's stores; they have no name by which they would be found later."""
        labels = {"label": [f"gad.prefix={self.names.prefix}", "gad.role=scratch"]}
        found = self.client.api.containers(all=True, filters=labels)
        return {m["Name"] for each in found for m in each["Mounts"] if m["Type"] == "volume"}

    def volumes(self) -> set[str]:
        """Every volume of the engine."""
        return {each["Name"] for each in self.client.api.volumes()["Volumes"] or []}

    @property
    def _postgres(self) -> Any:
        return self.client.containers.get(self.names.container("postgres"))

    def _psql(self, statement: str) -> list[str]:
        return ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "gad", "-c", statement]

    def _inspect(self, role: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.api.inspect_container(self.names.container(role))
        return found

    def _mounted(self, role: str, target: str) -> str:
        mounts = self._inspect(role)["Mounts"]
        return next(str(each["Source"]) for each in mounts if each["Destination"] == target)

    def _store(self, role: str) -> StoreCopy:
        found = self._inspect(role)
        return StoreCopy(
            image=found["Config"]["Image"],
            config_dir=self._mounted(role, f"/etc/gad/{role}"),
            secrets_dir=self._mounted(role, SECRETS),
            memory_mib=found["HostConfig"]["Memory"] // 1024**2,
        )


def _tar(files: dict[str, str]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    buffer.seek(0)
    return buffer
