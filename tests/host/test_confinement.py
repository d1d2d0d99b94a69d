"""What the declared limits do in effect, seen from inside each container."""

from __future__ import annotations

from engine import Process, Running

from infra.operate.outputs import ContainerDeclared

SECCOMP_FILTER = 2  # proc_pid_status(5)
PERIOD_US = 100_000  # what the engine turns --cpus into


def test_processes_have_no_rights(running: Running, declared: ContainerDeclared) -> None:
    """Every process runs as the declared user, without any capability, confined by seccomp.

    Remedy: `gad up` replaces a container that was started by hand; an image must not switch users.
    """
    expected = Process(
        uids=frozenset({declared.uid}),
        capabilities=frozenset({0}),
        no_new_privileges=1,
        seccomp=SECCOMP_FILTER,
    )
    assert set(running.look.processes) == {expected}


def test_exec_is_the_user_too(running: Running, declared: ContainerDeclared) -> None:
    """A command run in it is the declared user and group.

    Remedy: `gad up` replaces a container that was started by hand.
    """
    assert running.look.sections["uid"] == [str(declared.uid), str(declared.uid)]


def test_root_cannot_be_written(running: Running) -> None:
    """A write into its root file system fails because that is read-only.

    Remedy: `gad up` replaces a container that was started by hand.
    """
    answer = " ".join(running.look.sections["write"])
    assert answer.rpartition(":")[2].strip() == "Read-only file system"


def test_only_declared_places_are_writable(running: Running, declared: ContainerDeclared) -> None:
    """Exactly its volumes and memory file systems are writable.

    Remedy: `docker inspect` shows where a further mount comes from; `gad up` after removing the container.
    """
    kernel = ("/proc", "/sys", "/dev")
    writable = [
        each.target
        for each in running.look.filesystems
        if "rw" in each.options and not each.target.startswith(kernel)
    ]
    volumes = [mount.target for mount in declared.mounts if not mount.read_only]
    assert sorted(writable) == sorted([*volumes, *running.host_config["Tmpfs"]])


def test_process_limit_is_in_effect(running: Running, declared: ContainerDeclared) -> None:
    """The kernel holds the declared limit of processes.

    Remedy: `docker update --pids-limit`, or `gad up` after removing the container.
    """
    assert running.look.sections["pids"] == [str(declared.pids)]


def test_memory_limit_is_in_effect(running: Running, declared: ContainerDeclared) -> None:
    """The kernel holds the declared limit of memory.

    Remedy: `gad up` sets the limit back.
    """
    assert running.look.sections["memory"] == [str(declared.memory_mib * 1024**2)]


def test_cpu_limit_is_in_effect(running: Running, declared: ContainerDeclared) -> None:
    """The kernel holds the declared limit of CPU.

    Remedy: `gad up` sets the limit back.
    """
    assert running.look.sections["cpu"] == [f"{round(float(declared.cpus) * PERIOD_US)} {PERIOD_US}"]


def test_engine_socket_is_out_of_reach(running: Running) -> None:
    """Neither Docker's nor containerd's socket is inside.

    Remedy: remove the container: whoever reaches that socket is root on the host. Then `gad up`.
    """
    assert running.look.sections.get("sockets", []) == []
