"""Files of sysctl, modprobe, limits and systemd-coredump as wholes, and what finds a difference."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.errors import GadError
from infra.host.controls import Values, load
from infra.host.kernel import facts
from infra.host.kernel.text import HEAD, coredump, limits, modprobe, parameters, sysctl

ROOT = Path(__file__).resolve().parents[3]
VALUES = load(ROOT, today=datetime.now(UTC).date()).values_for("debian-13")
# What stops containers when it is blocked or has the other value.
DOCKER = ("overlay", "br_netfilter", "nf_tables", "nf_conntrack", "veth", "xt_conntrack")


def changed(**values: object) -> Values:
    return Values.model_validate({**VALUES.root, **values})


def test_every_control_is_a_line() -> None:
    lines = sysctl(VALUES).removeprefix(HEAD).splitlines()
    assert lines == [f"-{key} = {value}" for key, value in VALUES.under("sysctl").items()]
    assert len(lines) >= 50


def test_forwarding_is_on_and_comes_first() -> None:
    """Its change puts redirects back to what a router or a host has."""
    assert list(parameters(VALUES).items())[:3] == [
        ("net.ipv4.ip_forward", "1"),
        ("net.ipv4.conf.all.forwarding", "1"),
        ("net.ipv6.conf.all.forwarding", "1"),
    ]


def test_the_kernel_takes_no_0_for_locked_modules() -> None:
    assert "modules_disabled" not in sysctl(VALUES)
    locked = changed(**{"kernel.modules-disabled": True})
    assert sysctl(locked).splitlines()[-1] == "-kernel.modules_disabled = 1"


def test_a_parameter_is_a_number_or_a_text() -> None:
    with pytest.raises(GadError, match=r"sysctl.kernel.sysrq is False, wanted is a number or a text"):
        sysctl(changed(**{"sysctl.kernel.sysrq": False}))


@pytest.mark.parametrize(
    ("efi", "snap", "left"),
    [
        (False, False, {"vfat", "squashfs"}),
        (True, False, {"squashfs"}),
        (False, True, {"vfat"}),
        (True, True, set()),
    ],
)
def test_what_a_machine_boots_from_is_not_blocked(efi: bool, snap: bool, left: set[str]) -> None:
    lines = modprobe(VALUES, efi=efi, snap=snap).removeprefix(HEAD).splitlines()
    blocked = {*VALUES.items("kernel.blocked-modules"), *left}
    assert {line for line in lines if line.startswith("install")} == {
        f"install {name} /bin/true" for name in blocked
    }
    assert {line for line in lines if line.startswith("blacklist")} == {
        f"blacklist {name}" for name in blocked
    }
    assert len(lines) == 2 * len(blocked)


@pytest.mark.parametrize("name", DOCKER)
def test_what_docker_needs_cannot_be_blocked(name: str) -> None:
    with pytest.raises(GadError, match=f"{name}: blocked, but Docker needs it"):
        modprobe(changed(**{"kernel.blocked-modules": (name,)}), efi=False, snap=False)


def test_nobody_dumps_a_core() -> None:
    assert limits(VALUES).removeprefix(HEAD).splitlines() == [
        "* soft core 0",
        "* hard core 0",
        "root soft core 0",
        "root hard core 0",
    ]
    assert coredump(VALUES).removeprefix(HEAD) == "[Coredump]\nStorage=none\nProcessSizeMax=0\n"
    kept = coredump(changed(**{"kernel.core-storage": "external"}))
    assert kept.removeprefix(HEAD) == "[Coredump]\nStorage=external\n"


def shell(script: str) -> list[str]:
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.splitlines()


def test_a_parameter_that_differs_is_found(tmp_path: Path) -> None:
    """Words with a tab between them are the same as with a space; what is missing is not settable."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "same").write_text("1\t2\n")
    (tmp_path / "net" / "other").write_text("a\tb\n")
    wanted = {"net.same": "1 2", "net.other": "2", "net.missing": "3"}
    found = shell(facts.differing(wanted).replace("/proc/sys", str(tmp_path)))
    assert facts.Differing().process(found) == {"net.other": "a b"}
    assert facts.Differing.default() == {}


def test_a_flaw_of_the_processor_is_found(tmp_path: Path) -> None:
    for name, text in {
        "mds": "Vulnerable: no microcode",
        "l1tf": "Not affected",
        "tsa": "vulnerable",
    }.items():
        (tmp_path / name).write_text(f"{text}\n")
    command = facts.CpuFlaws().command().replace(facts.CPU, str(tmp_path))
    for flags, nx in (("flags : fpu nx lm", set()), ("flags : fpu lm", {"nx"}), ("Features : fp", set())):
        (tmp_path / "cpuinfo").write_text(f"{flags}\n")
        found = shell(command.replace("/proc/cpuinfo", str(tmp_path / "cpuinfo")))
        assert facts.CpuFlaws().process(found) - {"cpuinfo"} == {"mds", "tsa", *nx}
    assert facts.CpuFlaws.default() == frozenset()
