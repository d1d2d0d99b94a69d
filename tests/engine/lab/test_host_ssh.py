"""SSH on a hardened server: what sshd and ssh have in effect, who comes in, and that nobody is locked out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from infra.host.controls import Scalar, Value
from infra.host.proven import arm
from tests.engine.lab.hardened import DEPLOYER, VALUES, Runs, Server, eventually

pytestmark = pytest.mark.engine
control = pytest.mark.control
SSHD, SSH = VALUES.under("sshd_config"), VALUES.under("ssh_config")
COMMAS = {"CASignatureAlgorithms", "Ciphers", "HostKeyAlgorithms", "KexAlgorithms", "MACs"}
# What Debian states as we do, so that no stock server can fail it.
STOCK = {"KbdInteractiveAuthentication", "UsePAM", "PrintMotd"}
# Where the daemon says it in other words than its file: directive → what `sshd -T` prints.
SAID = {
    "Port": ["22"],
    "ListenAddress": ["0.0.0.0:22", "[::]:22"],
    "LoginGraceTime": ["30"],
    "Subsystem": ["sftp internal-sftp -f AUTHPRIV -l INFO"],
}


def word(value: Scalar) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def expected(name: str, value: Value) -> list[str]:
    """The lines of a control in `sshd -T` or `ssh -G`, sorted."""
    assert not isinstance(value, dict)
    words = [word(each) for each in value] if isinstance(value, tuple) else [word(value)]  # type: ignore[arg-type]
    return sorted(SAID.get(name, [",".join(words)] if name in COMMAS else words))


def stated(text: str, name: str) -> list[str]:
    """The values of a directive in a file or in what the daemon prints, sorted."""
    pairs = (line.split(None, 1) for line in text.splitlines() if line.strip() and line.strip()[0] != "#")
    return sorted(pair[1].strip() for pair in pairs if len(pair) == 2 and pair[0].lower() == name.lower())


@control("sshd_config.*")
@pytest.mark.parametrize("name", [pytest.param(n, marks=control(f"sshd_config.{n}")) for n in SSHD])
def test_server_directive(runs: Runs, name: str) -> None:
    wanted = expected(name, SSHD[name])
    assert stated(runs.now["sshd"], name) == wanted
    assert stated(runs.now["sshd_config"], name) != []
    # The stock server fails this test: another value, or one that its file leaves to the daemon.
    stock = (stated(runs.stock["sshd_config"], name) != [], stated(runs.stock["sshd"], name) == wanted)
    assert (stock == (True, True)) is (name in STOCK)


@control("ssh_config.*")
@pytest.mark.parametrize("name", [pytest.param(n, marks=control(f"ssh_config.{n}")) for n in SSH])
def test_client_directive(runs: Runs, name: str) -> None:
    wanted = {**{n: expected(n, v) for n, v in SSH.items()}, "StrictHostKeyChecking": ["ask"]}[name]
    said = [{"true": "yes", "false": "no"}.get(value, value) for value in stated(runs.now["ssh"], name)]
    assert said == wanted
    assert stated(runs.now["ssh_config"], name) != []
    stock = (stated(runs.stock["ssh_config"], name) != [], stated(runs.stock["ssh"], name) == wanted)
    assert (stock == (True, True)) is (name == "HashKnownHosts")


def modes(text: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in text.splitlines())


@control("ssh.folder-mode", "ssh.server-config-mode", "ssh.client-config-mode")
def test_modes(runs: Runs) -> None:
    found = modes(runs.now["stat"])
    assert found["/etc/ssh"] == f"{VALUES.text('ssh.folder-mode')} root:root"
    assert found["/etc/ssh/sshd_config"] == f"{VALUES.text('ssh.server-config-mode')} root:root"
    assert found["/etc/ssh/ssh_config"] == f"{VALUES.text('ssh.client-config-mode')} root:root"
    assert modes(runs.stock["stat"])["/etc/ssh/sshd_config"] == "644 root:root"


@control("ssh.rsa-bits")
def test_the_rsa_key_is_long_and_the_pinned_key_stays(runs: Runs) -> None:
    bits = {line.split()[-1]: line.split()[:2] for line in runs.now["host keys"].splitlines()}
    before = {line.split()[-1]: line.split()[:2] for line in runs.stock["host keys"].splitlines()}
    assert int(bits["(RSA)"][0]) == VALUES.number("ssh.rsa-bits")
    assert int(before["(RSA)"][0]) < VALUES.number("ssh.rsa-bits")
    assert bits["(ED25519)"] == before["(ED25519)"]


@control("ssh.moduli-bits")
def test_no_short_group(runs: Runs) -> None:
    sizes, before = (
        [int(line.split()[1]) for line in text.splitlines()]
        for text in (runs.now["moduli"], runs.stock["moduli"])
    )
    assert min(sizes) >= VALUES.number("ssh.moduli-bits") > min(before)
    assert len(sizes) == len(before) - 1


@control("ssh.server-options")
def test_no_option_on_the_command_line(server: Server) -> None:
    stock = "/etc/default/ssh"
    server.run(f"echo 'SSHD_OPTS=\"-o LogLevel=QUIET\"' >{stock} && systemctl restart ssh")
    assert "LogLevel=QUIET" in server.run("tr '\\0' ' ' < /proc/$(systemctl show -P MainPID ssh)/cmdline")
    assert server.apply().changed == ("SSH server | Write the options of its command line and prove a login",)
    assert "-o" not in server.run("tr '\\0' ' ' < /proc/$(systemctl show -P MainPID ssh)/cmdline").split()


@control("ssh.socket-activation")
def test_no_socket_activation(server: Server) -> None:
    server.run("systemctl enable -q ssh.socket")
    assert server.apply().changed == ("SSH server | Socket activation",)
    assert server.run("systemctl is-enabled ssh.socket || true") == "disabled\n"


@control("ssh.obsolete-directives")
def test_no_obsolete_directive(runs: Runs) -> None:
    both = runs.now["sshd_config"] + runs.now["ssh_config"]
    assert {n: stated(both, n) for n in VALUES.items("ssh.obsolete-directives")} == {
        n: [] for n in VALUES.items("ssh.obsolete-directives")
    }


@control("deployer.key-only", "deployer.password-age")
def test_the_deployer_has_no_password_that_could_expire(runs: Runs) -> None:
    _, password, _, least, most, _, inactive, end, _ = runs.now["shadow"].strip().split(":")
    assert password[0] in "!*"
    assert (least, most, inactive, end) == ("0", "", "", "")


@control("deployer.sudo")
def test_the_deployer_is_root_without_a_password(runs: Runs) -> None:
    assert f"(ALL : ALL) {VALUES.text('deployer.sudo')}: ALL" in runs.now["sudo"]


def test_root_does_not_come_in(server: Server) -> None:
    answer = server.ask("true", access=server.as_user("root"))
    assert (answer.code, "Permission denied (publickey)" in answer.error) == (255, True)


def test_nobody_is_asked_for_a_password(server: Server) -> None:
    ways = ("-o", "PreferredAuthentications=none,password,keyboard-interactive")
    answer = eventually(
        lambda: server.ask("true", options=ways), until=lambda said: "Permission denied" in said.error
    )
    assert "Permission denied (publickey)" in answer.error


def test_an_account_outside_the_group_does_not_come_in(server: Server) -> None:
    server.run(
        "useradd -m guest && install -d -o guest -m 700 /home/guest/.ssh && "
        f"install -o guest -m 600 /home/{DEPLOYER}/.ssh/authorized_keys /home/guest/.ssh/"
    )
    answer = eventually(
        lambda: server.ask("true", access=server.as_user("guest")),
        until=lambda said: "Permission denied" in said.error,
    )
    server.run("userdel -r guest 2>/dev/null")
    assert "Permission denied (publickey)" in answer.error


SSHD_CONFIG, RELOAD = "/etc/ssh/sshd_config", "systemctl reload ssh.service"
CONFIG = "sha256sum /etc/ssh/sshd_config /home/deploy/.ssh/authorized_keys /etc/default/ssh; ls /etc/ssh"
TIMERS = "systemctl list-units --all --plain --no-legend 'gad-*-rollback.*'"


@pytest.fixture
def unchanged(server: Server) -> Iterator[None]:
    """After the test the same configuration is in force, nothing is left over, and one can sign in."""
    before = (server.run(CONFIG), server.run("sshd -T | sort"))
    yield
    assert (server.run(CONFIG), server.run("sshd -T | sort")) == before
    assert server.run(TIMERS) == ""
    assert server.apply().changed == ()


def failed(server: Server, **changes: object) -> str:
    """What a run with a changed plan says; it must fail."""
    error = server.refusal(server.plan(**changes))
    assert error is not None
    return error.fact


@pytest.mark.usefixtures("unchanged")
def test_a_file_that_sshd_refuses_is_not_installed(server: Server) -> None:
    fact = failed(server, values={"sshd_config.MaxStartups": "many"})
    assert "SSH server | Write sshd_config and prove a login" in fact
    assert "MaxStartups" in fact


@pytest.mark.usefixtures("unchanged")
def test_a_file_that_locks_us_out_is_taken_back(server: Server) -> None:
    fact = failed(server, values={"sshd_config.DenyUsers": DEPLOYER})
    assert "no fresh login after the change, the old files return" in fact
    assert "Permission denied (publickey)" in fact


@pytest.mark.usefixtures("unchanged")
def test_a_port_that_nobody_reaches_is_taken_back(server: Server) -> None:
    """The lab publishes port 22 only, as a firewall without a hole would."""
    assert "no fresh login after the change, the old files return" in failed(server, ssh_port=2022)


@pytest.mark.usefixtures("unchanged")
def test_keys_that_do_not_open_are_taken_back(server: Server) -> None:
    fact = failed(server, deploy_from=("192.0.2.0/24",))
    assert "Deploy user | Write its keys and its sudo rule, and prove a login" in fact
    assert "no fresh login after the change, the old files return" in fact


@pytest.mark.usefixtures("unchanged")
def test_a_change_that_nobody_proves_is_taken_back_by_the_timer(server: Server) -> None:
    """We are gone: nobody disarms it. The time is shorter than the real one, the command is the same."""
    armed = arm([SSHD_CONFIG], unit="gad-sshd-rollback", undo=RELOAD, after_s=5)
    closed = f"(cat {SSHD_CONFIG}; echo DenyUsers {DEPLOYER}) >/run/closed"
    server.run(f"{closed}; {armed} && install -m 600 /run/closed {SSHD_CONFIG} && {RELOAD}")
    answer = server.ask("true")
    assert answer.code == 255
    back = eventually(lambda: server.ask("true"), until=lambda said: said.code == 0)
    assert back.code == 0


def test_a_change_that_was_never_proven_is_proven_by_the_next_run(server: Server) -> None:
    """An earlier run ended between change and proof: the file is right, and the timer would undo it."""
    server.run(arm([SSHD_CONFIG], unit="gad-sshd-rollback", undo=RELOAD))
    assert "gad-sshd-rollback.timer" in server.run(TIMERS)
    assert server.apply().changed == ("SSH server | Write sshd_config and prove a login",)
    assert server.run(TIMERS) == ""


def test_the_port_moves_and_moves_back(server: Server) -> None:
    """By the lab's own address, where each port is reached. One change: root is not let in meanwhile."""
    address = server.run("ip -4 -o addr show dev eth0").split()[3].split("/")[0]
    old, new = (replace(server.access, address=address, port=port) for port in (22, 2022))
    there = replace(server, access=new, first=old)
    back = replace(server, access=old, first=new)
    moved = (
        "Firewall | Let SSH move",
        "SSH server | Write sshd_config and prove a login",
        "Firewall | Load the rules and prove a login",
    )
    try:
        assert there.apply(there.plan(ssh_port=2022)).changed == moved
        assert [there.ask("true").code, back.ask("true").code] == [0, 255]
    finally:  # else every other test finds a closed port
        returned = back.apply().changed
    assert returned == moved
    assert [there.ask("true").code, back.ask("true").code] == [255, 0]
