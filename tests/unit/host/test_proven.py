"""What brings the old files back, run by a real shell; and when a file is as it shall be."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path

import pytest

from infra.host.deployer.text import authorized_keys, sudo_rule
from infra.host.file import FileState, Staged
from infra.host.proven import LoginFailedError, before, log_in, rollback_script

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUR"


def test_the_old_file_returns_and_the_daemon_reads_it(tmp_path: Path) -> None:
    old, new = (str(tmp_path / name) for name in ("it's", "fresh"))
    for path in (old, new):
        Path(path).write_text("new")
    Path(before(old)).write_text("old")
    script = rollback_script([old, new], undo=f"cat '{tmp_path}'/it*s >{tmp_path}/read")
    subprocess.run(["sh", "-c", script], check=True)
    left = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert left == {"it's": "old", "read": "old"}  # what was not there before is gone again


def state(text: str, *, mode: str = "600", owner: str = "root:root") -> FileState:
    return FileState(mode, owner, sha256(text.encode()).hexdigest())


@pytest.mark.parametrize(
    ("found", "met"),
    [
        (state("wanted"), True),
        (state("old"), False),
        (state("wanted", mode="644"), False),
        (state("wanted", owner="deploy:deploy"), False),
        (None, False),
    ],
)
def test_when_a_file_is_as_it_shall_be(found: FileState | None, met: bool) -> None:
    file = Staged(path="/etc/ssh/sshd_config", text="wanted", mode="600")
    assert file.is_met_by(found) is met


def test_a_login_runs_the_command_whole() -> None:
    assert log_in(["sh", "-c"], "printf", "%s|", "a b", "$HOME") == "a b|$HOME|"


def test_a_login_that_fails_says_why() -> None:
    with pytest.raises(LoginFailedError, match=r"^no way in$"):
        log_in(["sh", "-c", "echo no way in >&2; exit 255", "sh"], "true")


def test_keys_with_their_limits() -> None:
    limits = "no-agent-forwarding,no-port-forwarding,no-X11-forwarding"
    assert authorized_keys([KEY], come_from=[]) == f"{limits} {KEY}\n"
    networks = [ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")]
    assert authorized_keys([KEY], come_from=networks) == f'from="192.0.2.0/24,2001:db8::/32",{limits} {KEY}\n'


def test_the_sudo_rule_needs_no_password() -> None:
    assert sudo_rule("deploy") == "deploy ALL=(ALL:ALL) NOPASSWD: ALL\n"
