"""Faults of a run on a hardened server: one sentence each, the way in stays, and the next run completes."""

from __future__ import annotations

import base64
import pickle
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from infra.errors import Exit, GadError
from infra.host import packages
from infra.host.proven import arm
from infra.operate import host_failure, lab_engine
from infra.operate.lab import LABEL_LAB
from tests.engine.lab.hardened import DEPLOYER, ROOT, Server, eventually
from tests.engine.lab.staging import LONG

pytestmark = pytest.mark.engine
KEYS = "Deploy user | Write its keys and its sudo rule, and prove a login"
ACCT = ("Accounting | Install acct and sysstat", "Accounting | Write how long acct keeps")
SSHD_CONFIG = "/etc/ssh/sshd_config"
MOTD = "Banners | Write /etc/motd"
HOLD = (
    "import fcntl, time; held = open('/var/lib/dpkg/lock-frontend', 'w'); "
    "fcntl.lockf(held, fcntl.LOCK_EX); time.sleep(60)"
)
# Away with its archive, so that it must be fetched again.
PURGE = "DEBIAN_FRONTEND=noninteractive apt-get -qq -y purge acct && apt-get clean"
NEW = "DEBIAN_FRONTEND=noninteractive apt-get -qq update && cd /root && apt-get -qq download acct"
CUT = (
    "table inet cut { chain new { type filter hook input priority -300; tcp dport 22 ct state new drop; }; }"
)


@pytest.fixture
def container(server: Server, client: docker.DockerClient) -> Container:
    """The server's console: what reaches it when SSH or sudo do not."""
    (found,) = (each for each in lab_engine.labs(ROOT) if each.port == server.access.port)
    return client.containers.get(found.name.prefix)


def console(container: Container, script: str) -> str:
    done = container.exec_run(["sh", "-c", script])
    assert done.exit_code == 0, (script, done.output)
    assert isinstance(done.output, bytes)
    return done.output.decode()


def key(folder: Path, name: str) -> tuple[str, str]:
    """A new key: path of its private and text of its public half."""
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)
    return str(path), path.with_suffix(".pub").read_text().strip()


def told(error: GadError | None) -> str:
    """The sentence of a failure: one line, with the server's address, a remedy, and nothing of Python."""
    assert error is not None
    assert error.exit_code == Exit.FAILED
    assert error.fact.startswith(("127.0.0.1", "server 127.0.0.1"))
    assert "\n" not in error.fact
    assert "Traceback" not in error.fact
    assert len(error.fact) < 600
    return f"{error.fact} / {error.remedy}"


def completes(server: Server, *changed: str) -> None:
    """The next run does what is left and nothing else; so it finds nothing of the tests before."""
    server.run("true")  # waits until sshd forgives the failures of a test
    assert server.apply().changed == changed


def test_a_key_that_opens_nothing(server: Server, tmp_path: Path) -> None:
    private, public = key(tmp_path, "other")
    stranger = replace(server, access=replace(server.access, private_key_file=private), public_key=public)
    stranger = replace(stranger, first=replace(stranger.access, user="root"))
    said = told(stranger.refusal(stranger.plan()))
    assert "deploy on port" in said
    assert "Permission denied (publickey)" in said
    assert "check address, port, host key and private key" in said


def test_a_server_that_shows_another_key_is_sent_nothing(server: Server, tmp_path: Path) -> None:
    _, public = key(tmp_path, "other")
    access = replace(server.access, host_key=public)
    other = replace(server, access=access, first=replace(access, user="root"))
    count = "journalctl -u ssh --since -1h -o cat | grep -c '^Accepted publickey'"
    before = int(server.run(count))
    said = told(other.refusal(other.plan()))
    assert "shows another host key than server.host_key" in said
    assert "compare `ssh-keyscan` with the console" in said
    assert int(server.run(count)) == before + 1  # this question itself


def test_a_port_where_nobody_listens(server: Server) -> None:
    access = replace(server.access, port=1)
    closed = replace(server, access=access, first=replace(access, user="root"))
    said = told(closed.refusal(closed.plan()))
    assert "deploy on port 1: " in said
    assert "Connection refused" in said
    assert "a firewall lets port 1 through" in said


def test_sudo_that_wants_a_password(server: Server, container: Container) -> None:
    rule = f"/etc/sudoers.d/{DEPLOYER}"
    server.run(f"usermod -p '$y$j9T$abc' {DEPLOYER}; cp -p {rule} /root/rule; sed -i 's/NOPASSWD: //' {rule}")
    try:
        said = told(server.refusal(server.plan()))
    finally:
        console(container, f"cp -p /root/rule {rule} && rm /root/rule && usermod --lock {DEPLOYER}")
    assert "sudo: a password is required" in said
    assert f"let {DEPLOYER} become root without a password" in said


def test_a_server_without_sudo(server: Server, container: Container) -> None:
    console(container, "mv /usr/bin/sudo /usr/bin/sudo.away")
    try:
        said = told(server.refusal(server.plan()))
    finally:
        console(container, "mv /usr/bin/sudo.away /usr/bin/sudo")
    assert "sudo: command not found" in said
    assert "install sudo there" in said


@contextmanager
def little_room(server: Server, folder: str, size: str) -> Iterator[None]:
    """The folder on a disk of its own, of that size."""
    server.run(f"mount -t tmpfs -o size={size} full {folder}")
    try:
        yield
    finally:
        server.run(f"umount {folder}")


def test_a_full_disk(server: Server) -> None:
    """Told before anything is done where too little is free; met half way, it leaves no half file."""
    server.run("echo by hand >>/etc/motd")
    with little_room(server, "/var/cache/apt", "20m"):
        said = told(server.refusal(server.plan()))
        assert server.apply(dry=True).changed == (MOTD,)  # to look needs no room
    assert "was not changed: " in said
    assert "/var/cache/apt has 20 MiB free, this run needs 100 MiB" in said
    assert "make room there" in said
    folder = "/etc/modprobe.d"
    with little_room(server, folder, "4k"):
        server.run(f"head -c 4096 /dev/zero >{folder}/filler")
        said = told(server.refusal(server.plan()))
        left = server.run(f"ls -A {folder}")
    assert "Kernel modules | Write blocked modules: " in said
    assert "No space left on device" in said
    assert "make room there" in said
    assert left == "filler\n"
    completes(server, MOTD)


def test_packages_that_cannot_be_had(server: Server) -> None:
    """A lock that another holds, a mirror that nobody reaches, a disk that is full while one is unpacked."""
    server.run(f"{PURGE}; systemd-run -q --collect --unit=held python3 -c {shlex.quote(HOLD)}; sleep 1")
    impatient = packages.APT.replace(f"Timeout={packages.LOCK_S}", "Timeout=1")
    answer = server.ask(f"{impatient} install --no-install-recommends acct")
    server.run("systemctl stop held")
    said = told(host_failure.failure(f"--> Starting operation: {ACCT[0]}\n{answer.error}", "127.0.0.1"))
    assert "/var/lib/dpkg/lock-frontend" in said
    assert "wait until the other apt or dpkg there ends" in said

    broken = "/etc/apt/apt.conf.d/zz-fault"
    server.run(f"echo 'Acquire::http::Proxy \"http://127.0.0.1:9\";' >{broken}")
    try:
        said = told(server.refusal(server.plan()))
    finally:
        server.run(f"rm {broken}")
    assert f"{ACCT[0]}: E: Failed to fetch" in said
    assert "see whether the server reaches its package mirror" in said

    with little_room(server, "/usr/share/doc", "4k"):
        server.run("cat /dev/zero >/usr/share/doc/x || :")
        said = told(server.refusal(server.plan()))
    assert f"{ACCT[0]}: " in said
    assert "No space left on device" in said
    completes(server, *ACCT)
    assert server.run("dpkg --audit") == ""


@LONG
def test_a_package_that_somebody_left_half_installed(server: Server) -> None:
    server.run(f"{PURGE}; {NEW} && dpkg --unpack acct_*.deb && rm acct_*.deb")
    assert "acct" in server.run("dpkg --audit")
    completes(server, *ACCT)
    assert server.run("dpkg --audit") == ""


@LONG
def test_another_apt_is_waited_for(server: Server) -> None:
    server.run(f"{PURGE}; systemd-run -q --collect --unit=held python3 -c {shlex.quote(HOLD)}")
    completes(server, *ACCT)


RUN = "import base64, pickle, sys; pickle.loads(base64.b64decode(sys.argv[1])).apply()"


@contextmanager
def running(server: Server) -> Iterator[subprocess.Popen[str]]:
    """A run in a process of its own, which is killed at the end."""
    packed = base64.b64encode(pickle.dumps(server)).decode()
    with subprocess.Popen(
        [sys.executable, "-c", RUN, packed], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def children(process: subprocess.Popen[str]) -> list[Path]:
    """/proc of what it has started."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [Path("/proc", each) for each in listed]


def is_pyinfra(process: Path) -> bool:
    try:
        return b"pyinfra" in (process / "cmdline").read_bytes()
    except OSError:  # gone meanwhile
        return False


def await_deploy(process: subprocess.Popen[str], container: Container) -> None:
    """Until pyinfra, and not the question whether the server is reached, has its connection."""
    pyinfra = eventually(lambda: [*map(is_pyinfra, children(process))], until=any)
    session = "pgrep -fc '[s]shd-session: deploy@notty' || true"
    there = eventually(lambda: console(container, session).strip(), until=lambda said: said != "0")
    assert (any(pyinfra), there) == (True, "1")


def armed(container: Container) -> str:
    return console(container, "systemctl is-active gad-deployer-rollback.timer || true").strip()


def test_a_run_that_is_killed_between_the_change_and_its_proof(server: Server, container: Container) -> None:
    """The proof cannot come, because no new connection does; then the run dies, and pyinfra with it."""
    server.run(f"echo '# by hand' >>/home/{DEPLOYER}/.ssh/authorized_keys")
    with running(server) as process:
        await_deploy(process, container)
        console(container, f"echo {shlex.quote(CUT)} | nft -f -")
        try:
            state = eventually(lambda: armed(container), until=lambda said: said == "active")
            time.sleep(2)  # it is reloaded, and the proof is tried
            started = [each for each in children(process) if is_pyinfra(each)]
            process.kill()
            process.wait()
            gone = eventually(lambda: [*map(is_pyinfra, started)], until=lambda said: not any(said))
            time.sleep(12)  # until the last `ssh` of the proof has given up: it would disarm the timer
        finally:
            console(container, "nft delete table inet cut")
    assert (state, len(started), any(gone)) == ("active", 1, False)
    assert server.ask("true").code == 0
    completes(server, KEYS)
    assert armed(container) == "inactive"


@pytest.mark.parametrize("after_s", [0, 3], ids=["while it is asked", "while it is changed"])
def test_a_server_that_restarts_in_the_middle(server: Server, container: Container, after_s: float) -> None:
    server.run("echo by hand >>/etc/motd")
    with running(server) as process:
        await_deploy(process, container)
        time.sleep(after_s)
        container.restart(timeout=0)
        assert process.stderr is not None
        said = process.stderr.read().splitlines()
    assert said[-2].endswith("the connection ended, or the server did")
    assert "see whether it is up and reached from here" in said[-1]
    lab_engine.up(ROOT, container.labels[LABEL_LAB], print)
    assert server.run("true") == ""
    completes(server, MOTD)


def test_a_change_that_nobody_proved_before_the_server_restarted(
    server: Server, container: Container
) -> None:
    """Nobody can sign in, and who could take it back is gone: the timer outlives the restart."""
    take_back = arm([SSHD_CONFIG], unit="gad-sshd-rollback", undo="systemctl reload ssh.service", after_s=20)
    closed = f"(cat {SSHD_CONFIG}; echo DenyUsers {DEPLOYER}) >/run/closed"
    server.run(f"{closed}; {take_back} && install -m 600 /run/closed {SSHD_CONFIG}")
    container.restart(timeout=0)
    lab_engine.up(ROOT, container.labels[LABEL_LAB], print)
    assert server.ask("true").code == 255
    assert eventually(lambda: server.ask("true"), until=lambda said: said.code == 0).code == 0


def test_nothing_is_left(server: Server) -> None:
    """Of all faults above."""
    assert server.apply(dry=True).changed == ()
    assert server.run("find /etc /home -name '*.candidate' -o -name '*.before' -o -name '*-rollback.*'") == ""
