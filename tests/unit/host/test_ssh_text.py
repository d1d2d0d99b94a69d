"""sshd_config and ssh_config: whole files, of what the controls say and this OpenSSH can do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.host.controls import Values, load
from infra.host.ssh.text import UnsupportedError, options, ssh_config, sshd_config

ROOT = Path(__file__).resolve().parents[3]
VALUES = load(ROOT, today=datetime.now(UTC).date()).values_for("debian-13")
# Of OpenSSH 10.0 (Debian 13) and 9.6 (Ubuntu 24.04), as far as the controls name them.
KEX_9_6 = frozenset(
    [
        *("sntrup761x25519-sha512@openssh.com", "curve25519-sha256", "curve25519-sha256@libssh.org"),
        *("diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512"),
        "diffie-hellman-group-exchange-sha256",
    ]
)
OTHERS = {
    "cipher": frozenset(VALUES.items("sshd_config.Ciphers")),
    "mac": frozenset(VALUES.items("sshd_config.MACs")),
    "key-sig": frozenset(VALUES.items("sshd_config.HostKeyAlgorithms")),
}
OPENSSH_9_6 = {"kex": KEX_9_6, **OTHERS}
OPENSSH_10_0 = {"kex": KEX_9_6 | {"mlkem768x25519-sha256", "sntrup761x25519-sha512"}, **OTHERS}


def sshd(*, root_login: bool = False) -> list[str]:
    return sshd_config(VALUES, port=2222, supported=OPENSSH_10_0, root_login=root_login).splitlines()


def test_every_control_is_a_directive() -> None:
    directives = list(dict.fromkeys(line.split()[0] for line in sshd()[1:]))
    assert directives == list(VALUES.under("sshd_config"))


def test_words_of_the_daemon() -> None:
    assert {
        *("Port 2222", "PermitRootLogin no", "PubkeyAuthentication yes", "MaxAuthTries 2"),
        *("ListenAddress 0.0.0.0", "ListenAddress ::", "AcceptEnv LANG LC_*", "AllowGroups gad-login"),
        "HostKeyAlgorithms ssh-ed25519,rsa-sha2-512,rsa-sha2-256",
    } <= set(sshd())


def test_nothing_beside_the_file_has_a_say() -> None:
    assert [line for line in sshd() if line.lower().startswith(("include", "match"))] == []


def test_root_keeps_a_key_until_the_end() -> None:
    opened, closed = sshd(root_login=True), sshd()
    assert [pair for pair in zip(closed, opened, strict=True) if pair[0] != pair[1]] == [
        ("PermitRootLogin no", "PermitRootLogin prohibit-password"),
        ("AllowGroups gad-login", "AllowGroups gad-login root"),
    ]


def kex(text: str) -> list[str]:
    return next(line for line in text.split("\n") if "KexAlgorithms" in line).split()[1].split(",")


def test_lists_are_what_this_openssh_knows_in_the_order_of_the_policy() -> None:
    newer = kex(sshd_config(VALUES, port=22, supported=OPENSSH_10_0, root_login=False))
    older = kex(sshd_config(VALUES, port=22, supported=OPENSSH_9_6, root_login=False))
    assert newer[:3] == [
        *("mlkem768x25519-sha256", "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com")
    ]
    assert older == newer[2:]
    assert kex(ssh_config(VALUES, supported=OPENSSH_9_6)) == older


def test_a_list_that_nothing_is_left_of_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="KexAlgorithms: this OpenSSH knows none of mlkem"):
        sshd_config(VALUES, port=22, supported={**OPENSSH_10_0, "kex": frozenset()}, root_login=False)


def test_an_obsolete_directive_is_refused() -> None:
    values = Values({**VALUES.root, "sshd_config.Protocol": 2})
    with pytest.raises(UnsupportedError, match="Protocol: no OpenSSH of today takes it"):
        sshd_config(values, port=22, supported=OPENSSH_10_0, root_login=False)


def test_the_client_for_every_host() -> None:
    head, host, *lines = ssh_config(VALUES, supported=OPENSSH_10_0).splitlines()
    assert (head[0], host) == ("#", "Host *")
    assert "    ForwardAgent no" in lines
    assert "    StrictHostKeyChecking ask" in lines


def test_no_options_leave_debians_file_as_it_is() -> None:
    assert options(VALUES).endswith("\nSSHD_OPTS=\n")
