"""What a run of pyinfra reports, whole or broken off, and how the server is named to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.errors import Exit, GadError
from infra.host.controls import Values
from infra.host.plan import HostPlan
from infra.operate import host, host_failure
from infra.ssh import SshAccess

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUR"
ACCESS = SshAccess(
    address="192.0.2.7", port=2222, user="deploy", host_key="ssh-ed25519 AAAAHOST", private_key_file=None
)
PLAN = HostPlan(
    os="debian-13", deploy_user="deploy", deploy_keys=(KEY,), ssh_port=22, open_ports=(), values=Values({})
)


def operation(name: str, **hosts: list[str]) -> dict[str, object]:
    empty = {"success": [], "no_change": [], "error": []}
    return {"names": [name], "op_hash": "x", **empty, **hosts}


def planned(name: str, *, change: bool, conditional: bool = False) -> dict[str, object]:
    return {
        "names": [name],
        "hosts_with_change": ["a"] if change else [],
        "hosts_with_conditional_change": ["a"] if conditional else [],
    }


def test_what_changed_is_told_by_name() -> None:
    printed = json.dumps(
        {
            "plan": [],
            "results": {
                "operations": [operation("Write", success=["a"]), operation("Keep", no_change=["a"])]
            },
        }
    )
    assert host.result(printed, dry=False) == host.HostResult(dry=False, operations=2, changed=("Write",))


def test_a_dry_run_tells_what_differs() -> None:
    plan = [planned("Write", change=True), planned("Reload", change=False, conditional=True)]
    printed = json.dumps({"plan": plan, "results": None})
    assert host.result(printed, dry=True) == host.HostResult(
        dry=True, operations=2, changed=("Write",), conditional=("Reload",)
    )


@pytest.mark.parametrize("printed", ["", "{}", '{"plan": [], "results": {}}'])
def test_another_form_is_no_result(printed: str) -> None:
    with pytest.raises(GadError, match="pyinfra reports in another form"):
        host.result(printed, dry=False)


LOG = """--> Connecting to hosts...
    [192.0.2.7] Connected
--> Starting operation: Deploy user | Account
    [192.0.2.7] Success
--> Starting operation: SSH server | Write sshd_config
    [192.0.2.7] /etc/ssh/sshd_config.candidate: line 3: Bad configuration option: Prot
    [192.0.2.7] /etc/ssh/sshd_config.candidate: terminating, 1 bad option
    [192.0.2.7] Error: executed 2 commands

--> pyinfra error: No hosts remaining!
"""


def test_a_failed_operation_is_named_with_its_reason() -> None:
    error = host_failure.failure(LOG, "192.0.2.7")
    assert error.fact == (
        "192.0.2.7: SSH server | Write sshd_config: /etc/ssh/sshd_config.candidate: line 3: "
        "Bad configuration option: Prot /etc/ssh/sshd_config.candidate: terminating, 1 bad option"
    )
    assert error.remedy == (
        "correct the cause, then run it again: it goes on from there "
        "(1 operations before it had changed something and stay)"
    )


def test_a_failure_before_all_operations_changed_nothing() -> None:
    error = host_failure.failure(
        "--> Loading config...\n--> pyinfra error: this server is debian-12\n", "192.0.2.7"
    )
    assert error.fact.startswith("192.0.2.7 was not changed: ")
    assert error.fact.endswith("this server is debian-12")


@pytest.mark.parametrize("began", [False, True], ids=["while it is asked", "while it is changed"])
def test_a_connection_that_ended_is_the_reason_and_not_what_was_said_before(*, began: bool) -> None:
    """The lines of a question that was cut off look like those of one that failed."""
    start = "--> Starting operation: Write\n" if began else ""
    cut = "[192.0.2.7] mac umac-64\n[192.0.2.7] Error: could not load fact: Algorithms \n\n"
    end = "--> Disconnecting from hosts...\n--> the connection ended, or the server did\n"
    error = host_failure.failure(f"{start}{cut}{end}--> pyinfra error: No hosts remaining!\n", "192.0.2.7")
    assert error.fact == (
        f"192.0.2.7{': Write' if began else ' was not changed'}: the connection ended, or the server did"
    )
    assert error.remedy.startswith("see whether it is up and reached from here")


@pytest.mark.parametrize(("port", "name"), [(22, "192.0.2.7"), (2222, "[192.0.2.7]:2222")])
def test_a_known_host_is_named_as_a_client_looks_for_it(port: int, name: str) -> None:
    access = SshAccess(**{**vars(ACCESS), "port": port})
    assert host.known_hosts_line(access) == f"{name} ssh-ed25519 AAAAHOST\n"


def test_a_fresh_login_shares_no_connection() -> None:
    login = " ".join(host.fresh_login(ACCESS, port=22))
    assert "-o ControlPath=none" in login
    assert "-o StrictHostKeyChecking=yes" in login
    assert login.endswith("-p 22 deploy@192.0.2.7")


@pytest.mark.parametrize(
    ("access", "first", "fact"),
    [
        ({"user": "root"}, None, "root signs in, but the plan's deploy user is deploy"),
        ({"host_key": "ssh-rsa AAAAHOST"}, None, "is none of Ed25519"),
        ({}, {"host_key": "ssh-ed25519 AAAAOTHER"}, "are not the same server with the same key"),
    ],
)
def test_what_would_lock_us_out_is_refused(
    access: dict[str, str], first: dict[str, str] | None, fact: str, tmp_path: Path
) -> None:
    way = SshAccess(**{**vars(ACCESS), **access})
    handed_over = None if first is None else SshAccess(**{**vars(ACCESS), **first})
    with pytest.raises(GadError, match=fact) as caught:
        host.apply(tmp_path, way, PLAN, first=handed_over)
    assert caught.value.exit_code == Exit.USAGE


@pytest.mark.parametrize(
    ("said", "fact", "remedy"),
    [
        (
            "W: old\n[a] E: Failed to fetch http://mirror/x\n[a] E: Unable to fetch",
            "E: Failed to fetch",
            "mirror",
        ),
        ("[a] head: error writing 'x': No space left on device", "head: error", "make room there"),
        (
            "[a] E: Unable to acquire the lock, is another process using it?",
            "E: Unable to acquire",
            "other apt",
        ),
        ("[a] Command socket/SSH error: OSError('Socket is closed')", "the connection ended", "is up"),
        (
            "Error: could not load fact: File\nTraceback (most recent call last):\n  File x\nError: y",
            "the connection ended",
            "is up",
        ),
    ],
)
def test_each_cause_has_its_remedy(said: str, fact: str, remedy: str) -> None:
    error = host_failure.failure(f"--> Starting operation: Write\n{said}\n--> Disconnecting", "192.0.2.7")
    assert error.fact.startswith(f"192.0.2.7: Write: {fact}")
    assert "Traceback" not in error.fact
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("answers", "remedy"),
    [
        (
            ["Permission denied (publickey).", "Permission denied (publickey)."],
            "check address, port, host key",
        ),
        (
            ["connect to host: Connection refused", "no answer within 30 s"],
            "a firewall lets port 2222 through",
        ),
        (["sudo: a password is required", "Permission denied"], "let deploy become root without a password"),
        (["bash: line 1: sudo: command not found", "Permission denied"], "install sudo there"),
        (["x\nHost key verification failed."], "compare `ssh-keyscan` with the console"),
    ],
)
def test_what_each_way_in_answered_decides_what_to_do(answers: list[str], remedy: str) -> None:
    error = host_failure.refused([(ACCESS, answer) for answer in answers])
    assert "192.0.2.7" in error.fact
    assert "\n" not in error.fact
    assert remedy in error.remedy
