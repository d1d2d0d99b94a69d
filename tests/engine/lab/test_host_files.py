"""Files of a hardened server: modes, owners, setuid, what is not there, where a shell looks."""

from __future__ import annotations

import pytest

from infra.host.files.text import TABLES
from tests.engine.lab.hardened import DEPLOYER, VALUES, Runs, Server

pytestmark = pytest.mark.engine
control = pytest.mark.control
MODES = {**{p: s for table in TABLES for p, s in VALUES.table(table).items()}}
STOCK = {path for path in MODES if "cron" not in path}  # Debian's own are as wanted
NO_SETUID = VALUES.items("files.no-setuid")


def states(text: str) -> dict[str, str]:
    """Path → mode and owner, of `stat`."""
    return dict(line.split(" ", 1) for line in text.splitlines())


@control("files.shadow", "files.passwd", "files.cron")
@pytest.mark.parametrize("path", MODES)
def test_mode_and_owner(runs: Runs, path: str) -> None:
    assert states(runs.now["files"]).get(path, MODES[path]) == MODES[path]
    assert (states(runs.stock["files"]).get(path) == MODES[path]) is (path in STOCK)


@control("files.log")
def test_log_folder(runs: Runs) -> None:
    wanted = VALUES.table("files.log")["debian-13"]
    assert states(runs.now["files"])["/var/log"] == wanted


@control("files.shadow", "files.passwd", "files.cron", "files.log")
def test_a_mode_that_somebody_changed_comes_back(server: Server) -> None:
    server.run("chmod 644 /etc/shadow; chmod 666 /etc/passwd; chmod 777 /var/log; chown deploy /etc/cron.d")
    assert server.apply().changed == ("Files | Modes and owners",)
    found = states(server.run("stat -c '%n %a %U:%G' /etc/shadow /etc/passwd /var/log /etc/cron.d"))
    assert found == {
        "/etc/shadow": "640 root:shadow",
        "/etc/passwd": "644 root:root",
        "/var/log": VALUES.table("files.log")["debian-13"],
        "/etc/cron.d": "700 root:root",
    }


@control("files.cron")
def test_jobs_still_run(server: Server) -> None:
    """cron reads what only root can."""
    server.run("systemctl restart cron.service")
    assert server.run("systemctl is-active cron.service") == "active\n"
    log = server.run("journalctl -u cron.service -n 20 -o cat")
    assert "Permission denied" not in log


@control("files.no-setuid")
def test_no_setuid(runs: Runs) -> None:
    """All setuid and setgid programs of the server, against linux-baseline's list."""
    assert set(runs.now["setuid"].split()) & set(NO_SETUID) == set()
    assert set(runs.stock["setuid"].split()) & set(NO_SETUID) == {"/usr/lib/openssh/ssh-keysign"}
    assert "/usr/bin/sudo" in runs.now["setuid"].split()


@control("files.no-setuid")
def test_a_package_does_not_bring_setuid_back(server: Server) -> None:
    server.run(
        "apt-get -qq update && DEBIAN_FRONTEND=noninteractive"
        " apt-get -qq -y install --reinstall openssh-client >/dev/null"
    )
    assert server.run("stat -c '%a %U:%G' /usr/lib/openssh/ssh-keysign") == "755 root:root\n"
    server.run("chmod 4755 /usr/lib/openssh/ssh-keysign")
    assert server.apply().changed == ("Files | Take setuid away",)
    assert server.run("stat -c '%a' /usr/lib/openssh/ssh-keysign") == "755\n"


@control("files.absent", "files.absent-names")
def test_what_lets_others_in_is_removed(server: Server) -> None:
    files = ["/root/.netrc", f"/home/{DEPLOYER}/.rhosts", *VALUES.items("files.absent")]
    server.run(f"touch {' '.join(files)}")
    assert server.apply().changed == ("Files | Remove files that let others in",)
    left = server.run(r"find / -xdev -maxdepth 3 \( -name .rhosts -o -name .netrc -o -name '*hosts.equiv' \)")
    assert left == ""


@control("files.relative-path")
def test_a_shell_does_not_look_where_it_is(server: Server) -> None:
    """A login shell whose environment says so, and the login itself."""
    login = server.run("cd /root && PATH=.:/usr/bin:/bin: bash -c '. /etc/profile; echo $PATH'")
    itself = server.run("echo $PATH")
    assert [part for each in (login, itself) for part in each.strip().split(":") if part[:1] != "/"] == []
    name = "/etc/profile.d/zz-gad-path.sh"
    raw = server.run(f"PATH=.:/usr/bin:/bin:; . {name}; echo $PATH")
    assert raw == "/usr/bin:/bin\n"
