"""What brings the old files back, run by a real shell; and when a file is as it shall be."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path

import pytest
from pyinfra.api.command import StringCommand

from infra.host.deployer.text import authorized_keys, sudo_rule
from infra.host.file import FileState, Staged
from infra.host.proven import LoginFailedError, before, log_in, rollback_script
from infra.host.room import lacking

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


def test_a_disk_with_too_little_room_is_named_with_both_numbers() -> None:
    assert lacking({"/": 1000, "/var": 40}, 100) == "/var has 40 MiB free, this run needs 100 MiB"
    assert lacking({"/": 100}, 100) is None


def run(command: StringCommand) -> int:
    """What a command that is sent ends with here."""
    sent = str(command.connector_arguments["_stdin"])
    done = subprocess.run(["sh", "-c", command.get_raw_value()], input=sent, text=True, check=False)
    return done.returncode


def test_a_candidate_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    who = pwd.getpwuid(os.getuid()).pw_name
    group = grp.getgrgid(os.getgid()).gr_name
    path = tmp_path / "new folder" / "it's"
    file = Staged(path=str(path), text="no end of line", mode="640", owner=f"{who}:{group}")
    assert run(file.write()) == 0
    candidate = Path(file.candidate)
    assert (candidate.read_text(), candidate.stat().st_mode & 0o777) == ("no end of line", 0o640)
    command = file.write()
    command.connector_arguments["_stdin"] = "no en"  # the connection ends meanwhile
    assert run(command) != 0
    assert not candidate.exists()
