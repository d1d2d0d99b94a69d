"""Accounts on a hardened server: what a password must be, what guessing does, who becomes whom."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.lab.hardened import VALUES, Runs, Server

pytestmark = pytest.mark.engine
control = pytest.mark.control
GUEST, GOOD = "guest", "Correct-Horse-9-Battery"  # pragma: allowlist secret


@pytest.fixture
def guest(server: Server) -> Iterator[str]:
    """A person with a password, who may use sudo with it; gone after the test."""
    server.run(f"useradd -m -s /bin/bash -G sudo {GUEST} && echo '{GUEST}:{GOOD}' | chpasswd")
    yield GUEST
    server.run(f"faillock --user {GUEST} --reset; userdel -rf {GUEST} 2>/dev/null; true")


def fails(server: Server, command: str) -> bool:
    return server.run(f"{command} >/dev/null 2>&1 && echo done || echo failed") == "failed\n"


@control("accounts.login-defs")
def test_login_defs_is_what_a_new_account_gets(server: Server, guest: str) -> None:
    demanded = VALUES.table("accounts.login-defs")
    lines = [line.split() for line in server.run("cat /etc/login.defs").splitlines() if line[0] != "#"]
    stated = {line[0]: line[1] for line in lines}
    assert {name: stated[name] for name in demanded} == {name: str(value) for name, value in demanded.items()}
    _, password, _, least, most, warn, *_ = server.run(f"getent shadow {guest}").split(":")
    ages = [str(demanded[f"PASS_{name}"]) for name in ("MIN_DAYS", "MAX_DAYS", "WARN_AGE")]
    assert [least, most, warn] == ages
    assert password.startswith("$y$")  # yescrypt


@control("accounts.login-defs", "accounts.idle-seconds")
def test_a_login_shell_closes_its_files_and_itself(server: Server, guest: str) -> None:
    said = server.run(f"runuser -l {guest} -c 'umask; echo $TMOUT; unset TMOUT; echo $TMOUT' 2>/dev/null")
    idle = str(VALUES.number("accounts.idle-seconds"))
    assert said.split() == ["0027", idle, idle]


@control("accounts.password-quality")
@pytest.mark.parametrize("bad", ["short-1A", "onlylowercaseletters", "Aaaaaaaa-1111111111"])
def test_a_bad_password_is_refused(server: Server, guest: str, bad: str) -> None:
    assert fails(server, f"echo '{guest}:{bad}' | chpasswd")
    assert not fails(server, f"echo '{guest}:{GOOD}-2' | chpasswd")
    stated = [line for line in server.run("cat /etc/security/pwquality.conf").splitlines() if line[0] != "#"]
    assert stated == ["minlen = 14", "minclass = 4", "maxrepeat = 3", "dictcheck = 1", "enforce_for_root"]


@control("accounts.password-history")
def test_old_passwords_are_remembered(server: Server, guest: str) -> None:
    remember = VALUES.number("accounts.password-history")
    lines = server.run("grep pam_pwhistory.so /etc/pam.d/common-password").splitlines()
    module = ["pam_pwhistory.so", f"remember={remember}", "use_authtok"]
    assert [line.split() for line in lines] == [["password", "requisite", *module]]
    server.run(f"echo '{guest}:{GOOD}-2' | chpasswd")
    assert server.run(f"grep -c ^{guest}: /etc/security/opasswd") == "1\n"


def sudo_with(password: str) -> str:
    return f"echo '{password}' | runuser -u {GUEST} -- sudo -k -S true"


@control("accounts.failed-passwords")
def test_guessing_locks_for_a_while_and_keys_go_on(server: Server, guest: str) -> None:
    rule = VALUES.table("accounts.failed-passwords")
    assert not fails(server, sudo_with(GOOD))
    for _ in range(int(str(rule["deny"]))):
        assert fails(server, sudo_with("wrong"))
    assert fails(server, sudo_with(GOOD))
    stated = server.run("grep -v '^#' /etc/security/faillock.conf").splitlines()
    assert stated == ["deny = 5", "fail_interval = 900", "unlock_time = 600", "audit", "silent"]
    server.run(f"faillock --user {guest} --reset")
    assert not fails(server, sudo_with(GOOD))


@control("accounts.hashes-in-shadow")
def test_a_hash_in_passwd_is_hidden(server: Server, guest: str) -> None:
    server.run(f"sed -i 's|^{guest}:x:|{guest}:$y$j9T$abc:|' /etc/passwd")
    assert server.apply().changed == ("Passwords | Hide hashes",)
    assert server.run(f"getent passwd {guest} | cut -d: -f2") == "x\n"


@control("accounts.system-shell")
def test_a_daemons_account_is_closed(server: Server) -> None:
    server.run("useradd -r -s /bin/bash daemonic && usermod -p '$y$j9T$abc' daemonic")
    assert server.apply().changed == ("Accounts | Close the daemons' accounts",)
    shell = server.run("getent passwd daemonic | cut -d: -f7").strip()
    password = server.run("getent shadow daemonic | cut -d: -f2")
    server.run("userdel daemonic")
    assert (shell, password[0]) == (VALUES.text("accounts.system-shell"), "!")


@control("accounts.unique-ids")
def test_a_second_root_is_named(server: Server) -> None:
    server.run("useradd -o -u 0 -M toor")
    error = server.refusal(server.plan())
    server.run("sed -i '/^toor:/d' /etc/passwd /etc/shadow; groupdel toor; true")
    assert error is not None
    assert "Accounts | Look for accounts that share a uid: one uid for root, toor" in error.fact


@control("accounts.root-locked")
def test_root_has_no_password(server: Server) -> None:
    server.run("usermod -p '$y$j9T$abc' root")
    assert server.apply().changed == ("Accounts | Lock root's password",)
    assert server.run("getent shadow root | cut -d: -f2 | cut -c1") == "!\n"


@control("accounts.rescue-shell")
@pytest.mark.parametrize("unit", ["rescue", "emergency"])
def test_a_broken_machine_can_be_repaired(server: Server, unit: str) -> None:
    assert "SYSTEMD_SULOGIN_FORCE=1" in server.run(f"systemctl show -P Environment {unit}.service")


@control("accounts.su-group")
def test_su_is_for_a_group_with_nobody_in_it(server: Server, guest: str) -> None:
    group = VALUES.text("accounts.su-group")
    become = f"echo '{GOOD}' | runuser -u {guest} -- su -c true {guest}"
    assert server.run(f"getent group {group} | cut -d: -f4") == "\n"
    assert fails(server, become)
    server.run(f"usermod -aG {group} {guest}")
    assert not fails(server, become)


@control("accounts.sudo-pty", "accounts.sudo-log")
def test_sudo_writes_down_what_was_done(server: Server, runs: Runs) -> None:
    log = VALUES.text("accounts.sudo-log")
    server.run("echo marked-by-a-test")
    assert "marked-by-a-test" in server.run(f"tail -5 {log}").replace("\n", " ")
    assert server.run(f"stat -c '%a %U' {log}") == "600 root\n"
    defaults = server.run("sudo -l -U deploy")
    assert "use_pty" in defaults
    assert "logfile=" in defaults
    assert "logfile=" not in runs.stock["sudo"]
    assert not fails(server, "logrotate -d /etc/logrotate.d/gad-sudo")
