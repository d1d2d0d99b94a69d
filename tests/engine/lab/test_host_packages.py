"""Packages on a hardened server: what is gone and stays gone, how it stays current, who notices a change."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.engine.lab.hardened import VALUES, Runs, Server

pytestmark = pytest.mark.engine
control = pytest.mark.control
ABSENT = VALUES.under("absent")
INSTALLED = "dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n' | awk '/^ii/ {print $2}'"


@control("absent.*")
@pytest.mark.parametrize("name", [pytest.param(n, marks=control(f"absent.{n}")) for n in ABSENT])
def test_is_not_installed(runs: Runs, name: str) -> None:
    unwanted = set(VALUES.items(f"absent.{name}"))
    assert unwanted & set(runs.now["packages"].split()) == set()
    # No stock server has them, so that the next test shows that one that does loses it.
    assert "openssh-server" in runs.now["packages"].split()


@control("absent.*")
def test_what_somebody_installs_is_removed(server: Server) -> None:
    """A daemon of the list, as Debian ships it."""
    server.run("DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends rpcbind")
    assert "rpcbind" in server.run(INSTALLED).split()
    assert server.apply().changed == ("Packages | Remove what no server needs",)
    assert "rpcbind" not in server.run(INSTALLED).split()


@control("upgrades.packages", "integrity.packages")
def test_what_watches_is_installed(runs: Runs) -> None:
    wanted = {*VALUES.items("upgrades.packages"), *VALUES.items("integrity.packages")}
    assert wanted - set(runs.now["packages"].split()) == set()
    assert wanted - set(runs.stock["packages"].split()) != set()


def apt(text: str) -> dict[str, list[str]]:
    """`apt-config dump`: option → its values; one that is part of a list ends with `::`."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'^(\S+) "(.*)";$', text, flags=re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


@control("upgrades.every-days", "upgrades.clean-days", "upgrades.remove-unused", "upgrades.reboot")
def test_upgrades_run_by_themselves(runs: Runs) -> None:
    now, stock = apt(runs.now["apt"]), apt(runs.stock["apt"])
    wanted = {
        "APT::Periodic::Update-Package-Lists": [str(VALUES.number("upgrades.every-days"))],
        "APT::Periodic::Unattended-Upgrade": [str(VALUES.number("upgrades.every-days"))],
        "APT::Periodic::AutocleanInterval": [str(VALUES.number("upgrades.clean-days"))],
        "Unattended-Upgrade::Automatic-Reboot": [str(VALUES.flag("upgrades.reboot")).lower()],
        "Unattended-Upgrade::Remove-Unused-Dependencies": [
            str(VALUES.flag("upgrades.remove-unused")).lower()
        ],
    }
    assert {name: now.get(name) for name in wanted} == wanted
    assert {name: stock.get(name) for name in wanted} == dict.fromkeys(wanted)
    assert runs.now["apt timers"].split() == ["active"] * 2


@control("upgrades.origins")
def test_only_security_comes_by_itself(runs: Runs, server: Server) -> None:
    """The file, and how unattended-upgrades itself reads it: with the names of this release in it."""
    wanted = VALUES.table("upgrades.origins")["debian-13"]
    assert apt(runs.now["apt"])["Unattended-Upgrade::Origins-Pattern::"] == list(wanted)  # type: ignore[arg-type]
    said = server.run("unattended-upgrade --dry-run --debug 2>&1")
    allowed = next(line for line in said.splitlines() if "Allowed origins are:" in line)
    assert allowed.partition(": ")[2] == "origin=Debian,codename=trixie-security,label=Debian-Security"


@control("upgrades.restart")
def test_needrestart_restarts(server: Server) -> None:
    """Its own reading of all its files: they are Perl, and a broken one ends it."""
    script = (
        'our %nrconf; our $LOGPREF = ""; $nrconf{verbosity} = 0;'
        ' eval do { local(@ARGV, $/) = "/etc/needrestart/needrestart.conf"; <> };'
        " die $@ if $@; print $nrconf{restart}"
    )
    assert server.run(f"perl -e {shlex.quote(script)}") == VALUES.text("upgrades.restart")


@control("integrity.package-files")
def test_debsums_finds_a_changed_program(server: Server) -> None:
    assert server.run(". /etc/default/debsums; echo $CRON_CHECK").strip() == VALUES.text(
        "integrity.package-files"
    )
    program = "/usr/bin/tzselect"
    server.run(f"cp -a {program} /root/kept && echo '# by hand' >>{program}")
    found = server.run("sh /etc/cron.daily/debsums")
    server.run(f"cp -a /root/kept {program} && rm /root/kept")
    assert program in found


@control("integrity.hash", "integrity.paths", "integrity.except", "integrity.first-database")
def test_aide_tells_a_change_once(server: Server) -> None:
    night = "systemctl start gad-aide.service; systemctl show -P ExecMainStatus gad-aide.service"
    server.run(night)  # what other tests changed
    server.run("echo x >/usr/sbin/intruder; echo x >/usr/share/doc/harmless")
    # 1: something was added, of AIDE's bits.
    first = server.run(night).split()
    told = server.run("journalctl -u gad-aide.service -n 60 -o cat")
    second = server.run(night).split()
    server.run(f"rm /usr/sbin/intruder /usr/share/doc/harmless; {night}")
    server.run("systemctl reset-failed gad-aide.service")
    assert int(first[-1]) & 1 == 1
    assert ("/usr/sbin/intruder" in told, "/usr/share/doc/harmless" in told) == (True, False)
    assert second == ["0"]
    config = server.run("aide --config=/etc/aide/aide.conf --config-check && cat /etc/aide/aide.conf")
    assert f"+{VALUES.text('integrity.hash')}\n" in config
    assert [path for path in VALUES.items("integrity.paths") if f"\n{path} GAD\n" not in config] == []
    assert [path for path in VALUES.items("integrity.except") if f"\n!{path}\n" not in config] == []


@control("integrity.first-database")
def test_the_first_night_has_something_to_compare_with(runs: Runs) -> None:
    assert runs.now["aide"].splitlines()[0] == "600 root:root /var/lib/aide/aide.db"
    assert runs.stock["aide"] == ""


@control("integrity.at")
def test_aide_runs_each_night(server: Server) -> None:
    said = server.run("systemctl show -P TimersCalendar -P ActiveState gad-aide.timer")
    assert f"OnCalendar=*-*-* {VALUES.text('integrity.at')}" in said
    assert "active" in said.split()


@control("banner.warning", "banner.motd", "banner.mode")
def test_banners(runs: Runs) -> None:
    issue, net, motd = runs.now["banners"].split("--\n")[:3]
    assert " ".join(issue.split()) == VALUES.text("banner.warning")
    assert net == issue
    assert motd.strip() == VALUES.text("banner.motd")
    stock = runs.stock["banners"].split("--\n")
    assert "Debian" in stock[0]
    assert (stock[1] != net, stock[2] != motd) == (True, True)
    mode = VALUES.text("banner.mode")
    assert runs.now["banners"].split("--\n")[3].splitlines() == [f"{mode} root:root"] * 3


@control("banner.warning")
def test_the_warning_is_shown_before_a_login(server: Server) -> None:
    answer = server.ask("true")
    assert " ".join(VALUES.text("banner.warning").split()[:4]) in " ".join(answer.error.split())
