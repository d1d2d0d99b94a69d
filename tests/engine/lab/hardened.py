"""A lab server brought to its plan, and how it is asked what is in effect: as the deploy user, over SSH."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from infra.errors import GadError
from infra.host.controls import Values, load
from infra.host.plan import HostPlan
from infra.operate import host
from infra.operate.host import HostResult
from infra.operate.verify import Report, ServerUnderTest, verify_server
from infra.ssh import SshAccess

ROOT = Path(__file__).resolve().parents[3]
CONTROLS = load(ROOT, today=datetime.now(UTC).date())
VALUES = CONTROLS.values_for("debian-13")
DEPLOYER = "deploy"
OPEN_PORTS = tuple(
    {"port": port, "protocol": protocol} for port, protocol in ((80, "tcp"), (443, "tcp"), (443, "udp"))
)
# sshd refuses a source for a while after failed logins, which the tests provoke (PerSourcePenalties).
PATIENCE_S = 90
# systemd refuses a fourth start within a minute.
RESTART_DOCKER = "systemctl reset-failed docker && systemctl restart docker"
T = TypeVar("T")


def eventually(ask: Callable[[], T], *, until: Callable[[T], bool]) -> T:
    """What `ask` says once it is as wanted; its last word if that does not come."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        said = ask()
        if until(said) or time.monotonic() > deadline:
            return said
        time.sleep(1)


@dataclass(frozen=True)
class Answer:
    """What a command on the server said."""

    code: int
    text: str
    error: str


@dataclass(frozen=True)
class Server:
    """A server with its way in for the deploy user and the one it was handed over with."""

    access: SshAccess
    first: SshAccess
    public_key: str

    def plan(self, **changes: object) -> HostPlan:
        """The plan of these tests; `values` in it are added to the controls'."""
        values = changes.pop("values", {})
        assert isinstance(values, Mapping)
        whole = {
            "os": "debian-13",
            "deploy_user": DEPLOYER,
            "deploy_keys": (self.public_key,),
            "ssh_port": 22,
            "open_ports": OPEN_PORTS,
            "values": Values({**VALUES.root, **values}),
            **changes,
        }
        return HostPlan.model_validate(whole)

    def apply(self, plan: HostPlan | None = None, *, dry: bool = False) -> HostResult:
        """One run. Raises GadError."""
        return host.apply(ROOT, self.access, plan or self.plan(), first=self.first, dry=dry)

    def refusal(self, plan: HostPlan) -> GadError | None:
        """Why a run failed; None if it did not."""
        try:
            self.apply(plan)
        except GadError as error:
            return error
        return None

    def ask(self, command: str, *, access: SshAccess | None = None, options: tuple[str, ...] = ()) -> Answer:
        """Run a shell command by a fresh login, as root; `options` of `ssh` prevail over the usual ones."""
        way = access or self.access
        login = host.fresh_login(way, port=way.port)
        become = "sh -c" if way.user == "root" else "sudo -n sh -c"
        done = subprocess.run(
            [login[0], *options, *login[1:], f"{become} {shlex.quote(command)}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def run(self, command: str) -> str:
        """What a command that must succeed printed; waits until a login is accepted again."""
        answer = eventually(lambda: self.ask(command), until=lambda said: said.code != 255)
        assert answer.code == 0, (command, answer)
        return answer.text

    def as_user(self, user: str) -> SshAccess:
        """The same server by another account, with the same key."""
        return replace(self.access, user=user)


@dataclass(frozen=True)
class Runs:
    """A server before and after: what it said as it was handed over, and what each run reported."""

    server: Server
    stock: Mapping[str, str]  # name of an inspection → what it printed
    now: Mapping[str, str]
    stock_report: Report  # what `gad host verify` said of it as it was handed over
    first: HostResult
    second: HostResult
    dry: HostResult


# Collected at once, before and after; a topic adds what it looks at.
INSPECTIONS: Mapping[str, str] = {
    "sshd": "sshd -T -C user=deploy,host=client.example,addr=192.0.2.1",
    "sshd_config": "cat /etc/ssh/sshd_config",
    "ssh": "ssh -G server.example",
    "ssh_config": "cat /etc/ssh/ssh_config",
    "stat": "stat -c '%n %a %U:%G' /etc/ssh /etc/ssh/sshd_config /etc/ssh/ssh_config /etc/ssh/moduli",
    "host keys": "for key in /etc/ssh/ssh_host_*_key; do ssh-keygen -lf $key; done",
    "moduli": "awk '!/^#/ {print $5}' /etc/ssh/moduli | sort -n | uniq -c",
    "sshd options": "cat /etc/default/ssh; tr '\\0' ' ' < /proc/$(systemctl show -P MainPID ssh)/cmdline",
    "ssh.socket": "systemctl is-enabled ssh.socket || true; systemctl is-active ssh.socket || true",
    "shadow": "getent shadow deploy || true",
    "sudo": "sudo -l -U deploy || true",
    "firewall": "nft list table inet gad || true",
    "docker": "docker info --format '{{json .}}' || true",
    "daemon.json": "cat /etc/docker/daemon.json || true",
    "docker files": "stat -c '%n %a %U:%G' /etc/docker /etc/docker/daemon.json /opt/grupogad || true",
    "packages": "dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n' | awk '/^ii/ {print $2}'",
    "apt": "apt-config dump",
    "apt timers": "systemctl is-active apt-daily.timer apt-daily-upgrade.timer || true",
    "aide": "stat -c '%a %U:%G %n' /var/lib/aide/aide.db || true",
    "auditd": "cat /etc/audit/auditd.conf || true",
    "audit rules": "cat /etc/audit/audit.rules || true",
    "journald": "systemd-analyze cat-config systemd/journald.conf",
    "log units": "systemctl is-enabled auditd acct sysstat sysstat-collect.timer systemd-timesyncd || true",
    "clock": "systemd-analyze cat-config systemd/timesyncd.conf; timedatectl show -P Timezone",
    "banners": "cd /etc; for file in issue issue.net motd; do cat $file; echo --; done;"
    " stat -c '%a %U:%G' issue issue.net motd",
    "parameters": "sysctl -a 2>/dev/null",
    "settable parameters": "find /proc/sys -type f -writable -printf '%P\\n' | tr / .",
    "sysctl.d": "/usr/lib/systemd/systemd-sysctl --cat-config",
    "modprobe": "modprobe -c 2>/dev/null",
    "core limit": "ulimit -Sc; ulimit -Hc",
    "files": "stat -c '%n %a %U:%G' /etc/*shadow* /etc/passwd* /etc/group* /etc/cron* /var/log",
    "setuid": "find / -xdev -type f -perm /6000",
    "mounts": "findmnt -rno TARGET,VFS-OPTIONS",
}


def inspect(server: Server, access: SshAccess) -> dict[str, str]:
    """What the server says to each inspection."""
    return {name: server.ask(command, access=access).text for name, command in INSPECTIONS.items()}


def harden(server: Server) -> Runs:
    """Look at it as it is, run twice and once dry, look again."""
    stock = inspect(server, server.first)
    untouched = verify_server(ROOT, "lab", ServerUnderTest(access=server.first, plan=server.plan()))
    first, second = server.apply(), server.apply()
    dry = server.apply(dry=True)
    return Runs(server, stock, inspect(server, server.access), untouched, first, second, dry)
