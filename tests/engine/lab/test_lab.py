"""A lab on the real engine: what a person finds on it, and what it may not do to the machine around."""

from __future__ import annotations

import json
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from infra.errors import Exit, GadError
from infra.image_lock import read_lock
from infra.operate import lab, lab_engine
from infra.operate.lab import Lab, LabName
from tests.engine.lab.server import ROOT, on, said

pytestmark = pytest.mark.engine

GAD = ROOT / "bin" / "gad"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def test_it_is_a_bare_debian_13_that_systemd_runs(machine: Lab) -> None:
    assert said(machine, "systemctl is-system-running; ps -p 1 -o comm=").split() == ["running", "systemd"]
    assert said(machine, ". /etc/os-release; echo $ID $VERSION_ID") == "debian 13"
    assert said(machine, "whoami; hostname").split() == ["root", machine.name.name]
    assert said(machine, "stat -c %a /usr/bin/sudo; python3 -c 'print(40 + 2)'").split() == ["4755", "42"]


def test_nothing_of_it_is_hardened(machine: Lab) -> None:
    # What the package ships, and no more: the image has no opinion on a server's settings.
    assert said(machine, "find /etc/ssh/sshd_config.d /etc/sysctl.d /etc/sudoers.d -name '*.conf'") == ""
    assert said(machine, "sshd -T | grep -c '^passwordauthentication yes$'") == "1"
    assert said(machine, "dpkg -V openssh-server sudo passwd systemd login") == ""


def test_the_image_holds_no_key_and_no_docker(client: docker.DockerClient) -> None:
    digest = read_lock(ROOT).require("lab").digest
    search = [
        "/",
        "-xdev",
        "-name",
        "authorized_keys",
        "-o",
        "-name",
        "ssh_host_*",
        "-o",
        "-name",
        "docker*d",
    ]
    container = client.containers.create(digest, search, entrypoint=["find"])
    try:
        container.start()
        assert container.wait(timeout=30)["StatusCode"] == 0
        assert container.logs().decode() == ""
    finally:
        container.remove(force=True)


def test_it_has_the_rights_that_were_proven_and_no_more(client: docker.DockerClient, machine: Lab) -> None:
    container = client.containers.get(machine.name.prefix)
    host = container.attrs["HostConfig"]
    assert host["Privileged"] is False
    assert sorted(name.removeprefix("CAP_") for name in host["CapAdd"]) == [
        *("AUDIT_CONTROL", "DAC_READ_SEARCH", "IPC_LOCK", "MKNOD", "NET_ADMIN", "NET_RAW", "SYSLOG"),
        *("SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_PTRACE"),
    ]
    assert (host["CgroupnsMode"], host["PidMode"], host["IpcMode"]) == ("private", "", "private")
    web = {str(machine.port + 1000): ["tcp", "udp"], str(machine.port + 2000): ["tcp"]}
    assert host["PortBindings"] == {
        "22/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(machine.port)}],
        **{f"{n}/{p}": [{"HostIp": "127.0.0.1", "HostPort": n}] for n, each in web.items() for p in each},
    }
    assert [mount["Destination"] for mount in container.attrs["Mounts"]] == ["/var/lib/docker"]


def test_settings_of_its_network_are_its_own(machine: Lab) -> None:
    name = "net/ipv4/conf/all/log_martians"
    around = Path("/proc/sys", name).read_text().strip()
    other = "0" if around == "1" else "1"
    assert said(machine, f"echo {other} > /proc/sys/{name}; cat /proc/sys/{name}") == other
    assert Path("/proc/sys", name).read_text().strip() == around


def test_it_has_ipv6_as_a_server_has(machine: Lab) -> None:
    assert said(machine, "cat /proc/sys/net/ipv6/conf/{all,default,lo}/disable_ipv6").split() == ["0"] * 3


@pytest.mark.parametrize("setting", ["vm/swappiness", "kernel/core_pattern", "fs/file-max"])
def test_settings_of_the_machine_around_are_closed(machine: Lab, setting: str) -> None:
    same = said(machine, f"cat /proc/sys/{setting}")
    assert on(machine, f"echo '{same}' > /proc/sys/{setting}").returncode != 0


def test_the_local_registry_has_its_own_name_there(machine: Lab) -> None:
    """By the digest that a stack file names, from 127.0.0.1, so that nothing in it depends on the place."""
    digest = read_lock(ROOT).require("redis").digest
    host, _, path = digest.partition("/")
    assert host == "127.0.0.1:5000"
    name, _, sha256 = path.partition("@")
    script = (
        "import urllib.request as u; r = u.Request("
        f"'http://{host}/v2/{name}/manifests/{sha256}', headers={{'Accept': '{MANIFEST}'}});"
        "print(u.urlopen(r, timeout=10).headers['Docker-Content-Digest'])"
    )
    assert said(machine, f'python3 -c "{script}"') == sha256


def test_another_host_key_is_refused(machine: Lab) -> None:
    stranger = replace(machine, host_key=lab.make_key().public)
    refused = on(stranger, "true")
    assert refused.returncode == 255
    assert "Host key verification failed" in refused.stderr


def test_another_key_does_not_open_it(machine: Lab, tmp_path: Path) -> None:
    other = LabName(machine.name.name, tmp_path)
    other.folder.mkdir(parents=True)
    key = other.folder / "id_ed25519"
    key.touch(mode=0o600)
    key.write_text(lab.make_key().private)
    refused = on(replace(machine, name=other), "true")
    assert refused.returncode == 255
    assert "Permission denied (publickey" in refused.stderr


def test_its_files_are_its_owner_s_and_ssh_takes_them(machine: Lab) -> None:
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in machine.name.folder.iterdir()}
    assert set(files) == {"id_ed25519", "id_ed25519.pub", "known_hosts", "stack.yaml", "ssh_config"}
    assert set(files.values()) == {0o600}
    assert stat.S_IMODE(machine.name.folder.stat().st_mode) == 0o700
    config = machine.name.folder / "ssh_config"
    done = subprocess.run(
        ["ssh", "-F", str(config), "-o", "BatchMode=yes", machine.name.name, "id -un"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "root\n"


def test_list_shows_it_to_its_checkout_and_to_no_other(machine: Lab, tmp_path: Path) -> None:
    listed = subprocess.run([GAD, "lab", "list", "--json"], capture_output=True, text=True, check=True)
    rows = {row["name"]: row for row in json.loads(listed.stdout)}
    assert rows[machine.name.name] == dict(machine.row)
    assert lab_engine.labs(tmp_path) == []
    with pytest.raises(GadError, match=f"no lab of this checkout is called {machine.name.name}"):
        lab_engine.down(tmp_path, machine.name.name)
    assert said(machine, "echo still there") == "still there"


def test_up_again_changes_nothing(client: docker.DockerClient, machine: Lab) -> None:
    before = client.containers.get(machine.name.prefix).attrs["State"]["StartedAt"]
    assert lab_engine.up(ROOT, machine.name.name, print) == machine
    assert client.containers.get(machine.name.prefix).attrs["State"]["StartedAt"] == before


def test_a_lab_does_not_move_to_another_port(machine: Lab) -> None:
    with pytest.raises(GadError, match=f"has SSH at port {machine.port}") as caught:
        lab_engine.up(ROOT, machine.name.name, print, ssh_port=machine.port + 1)
    assert caught.value.exit_code == Exit.USAGE
