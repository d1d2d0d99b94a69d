from __future__ import annotations

import pytest

from infra.errors import GadError
from infra.toolchain import debian
from infra.toolchain.debian import DebianPackage, is_debian, missing, offer, require
from infra.toolchain.progress import Reporter

ABSENT = DebianPackage("absent-package", "no-such-executable", "a test")


@pytest.mark.parametrize(
    ("os_release", "is_one"),
    [
        ("ID=debian\nVERSION_ID=12\n", True),
        ('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n', True),
        ('ID="linuxmint"\nID_LIKE="ubuntu debian"\n', True),
        ("ID=fedora\n", False),
        ("", False),
    ],
)
def test_debian_and_its_relatives(os_release: str, is_one: bool) -> None:
    assert is_debian(os_release) is is_one


def test_only_what_is_not_there_is_missing() -> None:
    present = DebianPackage("dash", "sh", "a test")
    assert missing([present, ABSENT]) == (ABSENT,)


def test_every_package_has_a_reason() -> None:
    packages = [*debian.ENGINE, *debian.ALWAYS, *debian.OFFLINE]
    assert [p.name for p in packages if not p.reason] == []


def test_without_root_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(debian, "is_debian", lambda _: True)
    with pytest.raises(GadError, match=r"not installed: no-such-executable \(a test\)") as caught:
        require([ABSENT], Reporter(quiet=True))
    assert caught.value.remedy == "sudo apt-get install absent-package"


def test_what_may_not_be_needed_is_only_mentioned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(debian, "is_debian", lambda _: True)
    offer([ABSENT], Reporter())
    assert "if it is needed: sudo apt-get install absent-package" in capsys.readouterr().err
