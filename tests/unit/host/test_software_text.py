"""Files of apt, needrestart, AIDE and debsums, and the banners, as wholes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.errors import GadError
from infra.host.banners import text as banners
from infra.host.controls import Values, load
from infra.host.software.text import aide, aide_script, aide_timer, debsums, needrestart, upgrades

ROOT = Path(__file__).resolve().parents[3]
CONTROLS = load(ROOT, today=datetime.now(UTC).date())
VALUES = CONTROLS.values_for("debian-13")


def changed(**values: object) -> Values:
    return Values.model_validate({**VALUES.root, **values})


@pytest.mark.parametrize(
    ("system", "origin"),
    [
        ("debian-13", "origin=Debian,codename=${distro_codename}-security,label=Debian-Security"),
        ("ubuntu-24.04", "origin=Ubuntu,archive=${distro_codename}-security,label=Ubuntu"),
    ],
)
def test_only_security_is_upgraded(system: str, origin: str) -> None:
    lines = upgrades(VALUES, system).splitlines()  # type: ignore[arg-type]
    begin, end = lines.index("Unattended-Upgrade::Origins-Pattern {"), lines.index("};")
    assert lines[begin + 1 : end] == [f'    "{origin}";']
    # What the package and Ubuntu bring is emptied before: a list of apt.conf only grows.
    assert lines.index("#clear Unattended-Upgrade::Origins-Pattern;") < begin
    assert "#clear Unattended-Upgrade::Allowed-Origins;" in lines


def test_a_system_without_origins_is_refused() -> None:
    with pytest.raises(GadError, match=r"upgrades\.origins names none for debian-13"):
        upgrades(changed(**{"upgrades.origins": {"ubuntu-24.04": ["x"]}}), "debian-13")


def test_how_upgrades_run() -> None:
    assert {
        'APT::Periodic::Update-Package-Lists "1";',
        'APT::Periodic::Unattended-Upgrade "1";',
        'APT::Periodic::AutocleanInterval "7";',
        'Unattended-Upgrade::Automatic-Reboot "false";',
        'Unattended-Upgrade::Remove-Unused-Dependencies "true";',
    } <= set(upgrades(VALUES, "debian-13").splitlines())
    assert 'Automatic-Reboot "true"' in upgrades(changed(**{"upgrades.reboot": True}), "debian-13")


def test_services_are_restarted() -> None:
    assert "$nrconf{restart} = 'a';\n" in needrestart(VALUES)


def test_debsums_runs_each_day() -> None:
    assert debsums(VALUES).splitlines()[1:] == ["CRON_CHECK=daily"]


def test_what_aide_compares() -> None:
    lines = aide(VALUES).splitlines()
    (group,) = (line for line in lines if line.startswith("GAD = "))
    assert group.endswith("+sha512")
    assert [line for line in lines if line.startswith("/")] == [
        f"{path} GAD" for path in VALUES.items("integrity.paths")
    ]
    assert "!/etc/mtab$" in lines


def test_a_night_that_failed_keeps_the_database() -> None:
    """AIDE ends with 14 and more where it could not compare."""
    lines = aide_script().splitlines()
    assert lines[0] == "#!/bin/sh"
    assert lines.index("[ $code -le 7 ] || exit $code") < lines.index(
        "mv -f /var/lib/aide/aide.db.new /var/lib/aide/aide.db"
    )


def test_the_hour_of_aide() -> None:
    assert "OnCalendar=*-*-* 03:40:00" in aide_timer(VALUES).splitlines()


def test_the_warning_says_nothing_about_the_system() -> None:
    said = banners.warning(VALUES)
    assert max(map(len, said.splitlines())) <= 79
    assert " ".join(said.split()) == VALUES.text("banner.warning")
    with pytest.raises(GadError, match=r"banner\.warning has a backslash"):
        banners.warning(changed(**{"banner.warning": r"this is \s"}))


def test_an_empty_motd_is_an_empty_file() -> None:
    assert banners.motd(VALUES) == ""
    assert banners.motd(changed(**{"banner.motd": "Welcome."})) == "Welcome.\n"
