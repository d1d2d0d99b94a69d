"""The engine and the folder of the stacks; what already runs in containers goes on while they change."""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra.api.command import StringCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import operation
from pyinfra.context import host
from pyinfra.operations import files, systemd

from infra.host import packages, proven
from infra.host.controls import Values
from infra.host.docker import text
from infra.host.file import FileStateFact, Staged
from infra.host.plan import HostPlan
from infra.host.step import step

DAEMON_JSON = "/etc/docker/daemon.json"
GROUP = "docker"
RELOAD_S = 10  # a daemon reads its file anew within a second; a busy machine gets time


@step("Docker", serves=("docker.*", "daemon_json.*"))
def install_engine(plan: HostPlan, values: Values) -> None:
    """The engine as the controls want it, for the deploy user and nobody else."""
    wanted = [
        name
        for control in ("packages", "client-packages")
        if control in values.under("docker")  # each system has its own
        for name in values.items(f"docker.{control}")
    ]
    packages.present(name="Install it", packages=wanted)
    files.directory(
        name="Folder of its configuration",
        path="/etc/docker",
        user="root",
        group="root",
        mode=values.text("docker.folder-mode"),
    )
    daemon_json(
        name="Write daemon.json",
        text=text.daemon_json(values),
        mode=values.text("docker.config-mode"),
    )
    systemd.service(name="Keep it on", service="docker.service", running=True, enabled=True)
    if values.flag("docker.deployer-only"):
        members(name="Only the deploy user in its group", group=GROUP, accounts=(plan.deploy_user,))


@step("Projects", serves=("projects.*",))
def prepare_folder(plan: HostPlan, values: Values) -> None:
    """Where the stacks keep their files."""
    files.directory(
        name="Folder of the stacks",
        path=plan.base_dir,
        user=plan.deploy_user,
        group=plan.deploy_user,
        mode=values.text("projects.mode"),
    )


@operation()
def daemon_json(text: str, mode: str) -> Generator[StringCommand, None, None]:
    """The daemon's whole configuration, judged by the daemon; if it does not start, the old one returns.

    The running daemon reads the new file first, before it restarts: live-restore it takes over without a
    restart, so containers outlive it even where that was off so far.
    """
    file = Staged(path=DAEMON_JSON, text=text, mode=mode)
    if file.is_met_by(host.get_fact(FileStateFact, path=file.path)):
        return
    path, new = shlex.quote(file.path), shlex.quote(file.candidate)
    # Attempts that failed just now do not count against this one.
    restart = "systemctl reset-failed docker.service; systemctl restart docker.service"
    yield file.write()
    yield StringCommand(f"dockerd --validate --config-file={new} || {{ rm -f {new}; exit 1; }}")
    yield StringCommand(
        f"{proven.keep([file.path])}; mv -f {new} {path}; "
        "if systemctl --quiet is-active docker.service; then systemctl reload docker.service; "
        f"timeout {RELOAD_S} sh -c 'until docker info -f {{{{.LiveRestoreEnabled}}}} | grep -q true; "
        "do sleep 0.2; done'; fi; "
        f"{restart} || {{ {proven.rollback_script([file.path], undo=restart)}; exit 1; }}"
    )
    yield StringCommand(f"rm -f {shlex.quote(proven.before(file.path))}")


class Members(FactBase[tuple[str, ...]]):
    """The accounts in a group, sorted; none if there is no such group."""

    def command(self, group: str) -> str:
        """`docker:x:102:deploy,guest`, or nothing."""
        return f"getent group {shlex.quote(group)} || true"

    @staticmethod
    def default() -> tuple[str, ...]:
        """Of a group that is not there yet."""
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        """Read what the command printed."""
        return tuple(sorted(filter(None, output[0].split(":")[3].split(","))))


@operation()
def members(group: str, accounts: tuple[str, ...]) -> Generator[StringCommand, None, None]:
    """Exactly these accounts are in a group."""
    if host.get_fact(Members, group=group) != tuple(sorted(accounts)):
        yield StringCommand(f"gpasswd -M {shlex.quote(','.join(accounts))} {shlex.quote(group)}")
