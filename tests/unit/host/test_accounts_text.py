"""Files about accounts: whole texts of what the controls say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from infra.host.accounts import text
from infra.host.controls import Values, load

ROOT = Path(__file__).resolve().parents[3]
VALUES = load(ROOT, today=datetime.now(UTC).date()).values_for("debian-13")


def lines(content: str) -> list[str]:
    return [line for line in content.splitlines() if not line.startswith("#")]


def test_login_defs_keeps_the_rest_of_debians() -> None:
    settings = dict(line.split("\t") for line in lines(text.login_defs(VALUES)))
    assert settings["UMASK"] == "027"
    assert settings["PASS_MAX_DAYS"] == "60"
    assert settings["USERGROUPS_ENAB"] == "yes"
    assert list(settings)[: len(text.LOGIN_DEFS)] == list(text.LOGIN_DEFS)


def test_a_flag_stands_alone_or_not_at_all() -> None:
    values = Values({"a.b": {"deny": 5, "audit": True, "silent": False}})
    assert lines(text.key_values(values, "a.b")) == ["deny = 5", "audit"]


def test_the_lock_stands_around_the_password() -> None:
    """pam-auth-update orders by priority, and pam_unix has 256."""
    priority = {
        name: int(line.split()[1])
        for name, profile in text.pam_profiles(VALUES).items()
        for line in profile.splitlines()
        if line.startswith("Priority:")
    }
    assert priority["gad-faillock-before"] > 256 > priority["gad-faillock-after"]
    assert 256 < priority["gad-pwhistory"] < 1024  # after pam_pwquality, which asks for the new password
    assert "remember=5 use_authtok" in text.pam_profiles(VALUES)["gad-pwhistory"]


def test_sudo() -> None:
    assert lines(text.sudo_defaults(VALUES)) == ["Defaults use_pty", 'Defaults logfile="/var/log/sudo.log"']


def test_su_is_for_the_group() -> None:
    assert "auth       required   pam_wheel.so use_uid group=gad-su" in lines(text.su(VALUES))


def test_the_profile() -> None:
    assert lines(text.profile(VALUES)) == [
        "umask 027",
        'if [ -z "${TMOUT-}" ]; then TMOUT=900; readonly TMOUT; export TMOUT; fi',
    ]
