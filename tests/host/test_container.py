"""Each container is what was declared, as the engine holds it."""

from __future__ import annotations

import pytest
from engine import Engine, Running

from infra.operate.outputs import ContainerDeclared, StackOutputs

SUBJECT = "stack"
MIB = 1024**2


def test_exactly_the_declared_containers_exist(engine: Engine, outputs: StackOutputs) -> None:
    """Exactly the declared containers carry the stack's label.

    Remedy: `gad adopt` or `gad clean --orphans` for one too many, `gad up` for a missing one.
    """
    assert sorted(each["Names"][0].lstrip("/") for each in engine.containers) == sorted(
        declared.name for declared in outputs.containers.values()
    )


def test_runs_healthy(running: Running) -> None:
    """Runs, and its own health check says healthy.

    Remedy: `docker logs` of the container says why; `gad up` replaces what is gone.
    """
    assert running.inspect["State"]["Health"]["Status"] == "healthy"


def test_runs_the_declared_digest(running: Running, declared: ContainerDeclared) -> None:
    """Runs the declared image, by digest.

    Remedy: `gad up` replaces a container that was started by hand from another image.
    """
    assert running.config["Image"] == declared.image
    assert [digest for digest in running.image["RepoDigests"] if digest == declared.image] == [declared.image]


def test_user_is_declared(running: Running, declared: ContainerDeclared) -> None:
    """Runs as its declared numeric user, which is not root.

    Remedy: `gad up`; the uid of each image is fixed in its component.
    """
    assert running.config["User"] == f"{declared.uid}:{declared.uid}"
    assert declared.uid > 0


def test_root_is_read_only(running: Running) -> None:
    """Its root file system is declared read-only.

    Remedy: `gad up` replaces a container that was started by hand.
    """
    assert running.host_config["ReadonlyRootfs"] is True


def test_capabilities_are_dropped(running: Running) -> None:
    """All capabilities are dropped and none is added.

    Remedy: `gad up` replaces a container that was started by hand.
    """
    assert (running.host_config["CapDrop"], running.host_config["CapAdd"] or []) == (["ALL"], [])


def test_no_new_privileges(running: Running) -> None:
    """No new privileges, and neither seccomp nor AppArmor is switched off.

    Remedy: `gad up` replaces a container that was started by hand.
    """
    assert running.host_config["SecurityOpt"] == ["no-new-privileges:true"]


def test_nothing_is_shared_with_the_host(running: Running) -> None:
    """Not privileged, no devices, no namespace of the host or of another container.

    Remedy: `gad up` replaces a container that was started by hand.
    """
    host = running.host_config
    shared = {
        "privileged": host["Privileged"],
        "devices": host["Devices"] or [],
        "device rules": host["DeviceCgroupRules"] or [],
        "pid": host["PidMode"],
        "uts": host["UTSMode"],
        "userns": host["UsernsMode"],
        "ipc": host["IpcMode"],
        "volumes from": host["VolumesFrom"] or [],
        "links": host["Links"] or [],
        "groups": host["GroupAdd"] or [],
        "publish all": host["PublishAllPorts"],
    }
    assert shared == {
        "privileged": False,
        "devices": [],
        "device rules": [],
        "pid": "",
        "uts": "",
        "userns": "",
        "ipc": "private",
        "volumes from": [],
        "links": [],
        "groups": [],
        "publish all": False,
    }


def test_memory_is_limited(running: Running, declared: ContainerDeclared) -> None:
    """Memory is limited as declared, with no swap on top.

    Remedy: `gad up` sets the limit back.
    """
    host = running.host_config
    assert (host["Memory"] // MIB, host["MemorySwap"] // MIB) == (declared.memory_mib, declared.memory_mib)


def test_cpu_is_limited(running: Running, declared: ContainerDeclared) -> None:
    """CPU is limited as declared.

    Remedy: `gad up` sets the limit back.
    """
    assert running.host_config["NanoCpus"] == round(float(declared.cpus) * 1e9)


def test_processes_are_limited(running: Running, declared: ContainerDeclared) -> None:
    """The number of processes is limited as declared.

    Remedy: `docker update --pids-limit`, or `gad up` after removing the container.
    """
    assert running.host_config["PidsLimit"] == declared.pids


def test_networks_are_declared(running: Running, declared: ContainerDeclared, role: str) -> None:
    """Is on exactly its networks, by its role's name.

    Remedy: `docker network disconnect` what was connected by hand, or `gad up`.
    """
    own_id = running.inspect["Id"][:12]
    networks = running.inspect["NetworkSettings"]["Networks"]
    aliases = {name: [a for a in each["Aliases"] or [] if a != own_id] for name, each in networks.items()}
    assert aliases == {name: [role] for name in declared.networks}


def test_mounts_are_declared(running: Running, declared: ContainerDeclared) -> None:
    """Has exactly its mounts, from where and as writable as declared.

    Remedy: `gad up` replaces a container that was started by hand.
    """
    assert sorted(
        (each["Type"], each.get("Name") or each["Source"], each["Destination"], each["RW"])
        for each in running.inspect["Mounts"]
    ) == sorted((mount.kind, mount.source, mount.target, not mount.read_only) for mount in declared.mounts)


def test_environment_is_declared(running: Running, declared: ContainerDeclared) -> None:
    """Its environment is the image's and the declared one, nothing else.

    Remedy: `gad up` replaces a container that was started by hand.
    """
    expected = _variables(running.image["Config"]["Env"] or []) | _variables(declared.envs)
    found = _variables(running.config["Env"] or [])
    # Values are not shown: one that was set by hand may be a secret.
    assert sorted(found) == sorted(expected)
    assert [name for name in sorted(found) if found[name] != expected[name]] == []


def _variables(env: list[str] | tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, _, value in (each.partition("=") for each in env)}


def test_labels_are_declared(running: Running, declared: ContainerDeclared) -> None:
    """Its labels are the image's and the declared ones: stack, role and data class among them.

    Remedy: `gad up` replaces a container that was started by hand.
    """
    assert running.config["Labels"] == {**(running.image["Config"]["Labels"] or {}), **declared.labels}
    assert set(declared.labels) - {"gad.attempt"} == {"gad.data-class", "gad.prefix", "gad.role", "gad.stack"}


def test_has_a_health_check(running: Running) -> None:
    """Has a health check with its own interval, timeout and retries.

    Remedy: state the probe in its component; without one it counts as healthy before it can answer.
    """
    check = running.config["Healthcheck"]
    assert check["Test"][0] in {"CMD", "CMD-SHELL"}
    assert [key for key in ("Interval", "Timeout", "Retries", "StartPeriod") if check[key] <= 0] == []


def test_log_is_rotated(running: Running) -> None:
    """Its log is kept in three files of 10 MB at most.

    Remedy: `gad up` replaces a container that was started by hand.
    """
    assert running.host_config["LogConfig"] == {
        "Type": "json-file",
        "Config": {"max-file": "3", "max-size": "10m"},
    }


def test_restarts(running: Running) -> None:
    """Starts again after a crash or a reboot, unless a person stopped it.

    Remedy: `gad up` sets the policy back.
    """
    assert running.host_config["RestartPolicy"] == {"Name": "unless-stopped", "MaximumRetryCount": 0}


def test_init_reaps(running: Running) -> None:
    """Has an init process, which reaps children and passes signals on.

    Remedy: `gad up` replaces a container that was started by hand.
    """
    assert running.host_config["Init"] is True


def test_was_not_killed_for_memory(running: Running) -> None:
    """Was not killed for lack of memory.

    Remedy: raise its memory_mib in the stack file.
    """
    assert running.inspect["State"]["OOMKilled"] is False


@pytest.mark.parametrize("option", ["noexec", "nosuid", "nodev"])
def test_tmpfs_is_confined(running: Running, option: str) -> None:
    """Its writable memory file systems are limited in size and closed to programs, setuid and devices.

    Remedy: `gad up` replaces a container that was started by hand.
    """
    tmpfs = {target: options.split(",") for target, options in running.host_config["Tmpfs"].items()}
    assert [target for target, options in tmpfs.items() if option not in options] == []
    assert [target for target, options in tmpfs.items() if "size=64m" not in options] == []
    assert "/tmp" in tmpfs  # noqa: S108
