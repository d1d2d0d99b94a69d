"""The kernel of a hardened server: parameters, blocked modules, no core dumps.

A lab is a container: it sets parameters of its network and no others. Those are proven by the files that
systemd reads, and by value where the tests of a real server run; `source` in the evidence says which.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from infra.host.kernel.facts import CpuFlaws, differing
from infra.host.kernel.text import parameters
from tests.engine.lab.hardened import RESTART_DOCKER, VALUES, Runs, Server

pytestmark = pytest.mark.engine
control = pytest.mark.control
WANTED = VALUES.under("sysctl")
FILE_ONLY = {"net.core.bpf_jit_harden", "net.bridge.bridge-nf-call-iptables"}
BY_VALUE = [key for key in WANTED if key.startswith("net.") and key not in FILE_ONLY]
BY_FILE = [key for key in WANTED if key not in BY_VALUE]
# What the kernel or this machine's engine sets as we do, so that no stock server can fail it.
STOCK = {
    *("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding", "net.ipv4.tcp_timestamps"),
    *("net.ipv4.icmp_ignore_bogus_error_responses", "net.ipv4.icmp_echo_ignore_broadcasts"),
    *("net.ipv4.tcp_syncookies", "net.ipv4.conf.all.shared_media", "net.ipv4.conf.default.shared_media"),
    *("net.ipv4.conf.all.accept_source_route", "net.ipv4.conf.all.accept_redirects"),
    *("net.ipv6.conf.all.accept_source_route", "net.ipv6.conf.default.accept_source_route"),
}


def pairs(text: str) -> dict[str, str]:
    """Lines of `key = value`: of `sysctl -a`, or of files in the order in which they are read."""
    lines = (line.partition("=") for line in text.splitlines() if line.lstrip()[:1] not in ("#", ";"))
    return {key.strip().removeprefix("-"): " ".join(value.split()) for key, sep, value in lines if sep}


@control("sysctl.*")
@pytest.mark.parametrize("key", [pytest.param(k, marks=control(f"sysctl.{k}")) for k in BY_VALUE])
def test_parameter_by_value(runs: Runs, key: str, record_property: Callable[[str, object], None]) -> None:
    record_property("source", "value")
    wanted = str(WANTED[key])
    assert pairs(runs.now["parameters"])[key] == wanted
    assert pairs(runs.now["sysctl.d"])[key] == wanted  # after a restart too
    assert (pairs(runs.stock["parameters"])[key] == wanted) is (key in STOCK)


@control("sysctl.*")
@pytest.mark.parametrize("key", [pytest.param(k, marks=control(f"sysctl.{k}")) for k in BY_FILE])
def test_parameter_by_file(runs: Runs, key: str, record_property: Callable[[str, object], None]) -> None:
    record_property("source", "file")
    assert pairs(runs.now["sysctl.d"])[key] == str(WANTED[key])
    assert pairs(runs.stock["sysctl.d"]).get(key) != str(WANTED[key])


@control("sysctl.*")
def test_only_what_cannot_be_set_here_is_proven_by_its_file(runs: Runs) -> None:
    """Otherwise the evidence would claim less than what is known."""
    settable = set(runs.now["settable parameters"].split())
    # Of the machine's bridges, which a lab sees and must not change.
    assert {key for key in BY_FILE if key in settable} <= {"net.bridge.bridge-nf-call-iptables"}
    assert set(BY_VALUE) - settable == set()


@control("kernel.modules-disabled")
def test_modules_can_be_loaded(runs: Runs) -> None:
    assert parameters(VALUES) == {key: str(value) for key, value in WANTED.items()}
    assert pairs(runs.now["sysctl.d"]).get("kernel.modules_disabled", "0") == "0"
    assert pairs(runs.now["parameters"]).get("kernel.modules_disabled", "0") == "0"


@control("kernel.overruled-files")
def test_no_later_file_weakens_ours(server: Server) -> None:
    """Ubuntu's file, as its procps ships it."""
    name = VALUES.items("kernel.overruled-files")[0]
    script = (
        f"echo 'fs.protected_fifos = 1' >/usr/lib/sysctl.d/{name};"
        f" /usr/lib/systemd/systemd-sysctl --cat-config; rm /usr/lib/sysctl.d/{name}"
    )
    assert pairs(server.run(script))["fs.protected_fifos"] == "2"


@control("sysctl.*")
def test_a_parameter_that_somebody_set_comes_back(server: Server) -> None:
    server.run("sysctl -qw net.ipv4.conf.all.send_redirects=1 net.ipv4.conf.default.accept_redirects=1")
    assert server.apply().changed == ("Kernel parameters | Set kernel parameters",)
    assert server.run(differing(parameters(VALUES))) == ""


@control("sysctl.*")
def test_parameters_outlive_forwarding_and_the_engine(server: Server) -> None:
    """Forwarding that goes off and on puts redirects back; our files in their order set them again."""
    server.run("sysctl -qw net.ipv4.ip_forward=0")
    assert "net.ipv4.conf.all.accept_redirects 1" in server.run(differing(parameters(VALUES))).splitlines()
    server.run("/usr/lib/systemd/systemd-sysctl")
    assert server.run(differing(parameters(VALUES))) == ""
    server.run(RESTART_DOCKER)
    assert server.run(differing(parameters(VALUES))) == ""


@control(
    "kernel.blocked-modules",
    "kernel.blocked-without-efi",
    "kernel.blocked-without-snap",
    "kernel.needed-modules",
)
def test_blocked_modules(runs: Runs) -> None:
    """By modprobe's own reading of all its files. A lab never boots by EFI and has no snapd."""
    topics = ("blocked-modules", "blocked-without-efi", "blocked-without-snap")
    wanted = {name.replace("-", "_") for each in topics for name in VALUES.items(f"kernel.{each}")}
    now, stock = (set(text.splitlines()) for text in (runs.now["modprobe"], runs.stock["modprobe"]))
    assert {f"install {name} /bin/true" for name in wanted} - now == set()
    assert {f"blacklist {name}" for name in wanted} - now == set()
    assert {line for line in stock if line.startswith("install ")} == set()
    assert wanted & set(VALUES.items("kernel.needed-modules")) == set()
    assert {line for line in now if line.startswith("install ")} == {
        f"install {name} /bin/true" for name in wanted
    }


@control("kernel.core-limit", "kernel.core-storage")
def test_no_core_dump(runs: Runs, server: Server) -> None:
    """The limit of a login, which nobody but root lifts; and what a collector would keep."""
    assert runs.now["core limit"].split() == [str(VALUES.number("kernel.core-limit"))] * 2
    assert runs.stock["core limit"].split() != [str(VALUES.number("kernel.core-limit"))] * 2
    config = pairs(server.run("cat /etc/systemd/coredump.conf.d/*"))
    assert (config["Storage"], config["ProcessSizeMax"]) == (VALUES.text("kernel.core-storage"), "0")
    crashed = server.run("cd /root && rm -f core*; sh -c 'kill -SEGV $$'; ls -A /root; true")
    assert [name for name in crashed.split() if name.startswith("core")] == []


@control("kernel.cpu-flaws", "kernel.no-execute")
def test_flaws_of_the_processor_are_seen(server: Server) -> None:
    """The deploy warns of the same that linux-baseline fails on, read another way."""
    said = server.run("cd /sys/devices/system/cpu/vulnerabilities && grep -H . *").splitlines()
    flags = server.run("grep -m1 ^flags /proc/cpuinfo || echo nx").split()
    open_to = {line.partition(":")[0] for line in said if "vulnerable" in line.partition(":")[2].lower()}
    assert len(said) >= 5
    assert set(server.run(CpuFlaws().command()).split()) == open_to | ({"nx"} - set(flags))
