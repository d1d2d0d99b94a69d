"""Why a server could not be reached, in one sentence, whatever `ssh` said."""

from __future__ import annotations

import pytest

from infra.operate.server import refusal
from infra.ssh import SshAccess

SERVER = SshAccess(
    address="gad.example",
    port=22,
    user="deploy",
    host_key="ssh-ed25519 AAAA",
    private_key_file="~/.ssh/gad",
)


@pytest.mark.parametrize(
    ("complaint", "fact", "remedy"),
    [
        ("Host key verification failed.", "shows another host key than server.host_key", "who answers there"),
        (
            "deploy@gad.example: Permission denied (publickey).",
            "refuses ~/.ssh/gad for account deploy",
            "server.private_key_file",
        ),
        ("bash: line 1: docker: command not found", "has no Docker client", "install it there"),
        ("sh: 1: docker: not found", "has no Docker client", "install it there"),
        (
            "permission denied while trying to connect to the Docker daemon socket",
            "Docker does not answer on server gad.example (port 22): permission denied while",
            "sign in as deploy",
        ),
        ("", "Docker does not answer on server gad.example (port 22): no reason given", "docker version"),
    ],
)
def test_a_refusal_is_explained(complaint: str, fact: str, remedy: str) -> None:
    error = refusal(complaint, SERVER)
    assert fact in error.fact
    assert error.fact.count("gad.example (port 22)") == 1
    assert remedy in error.remedy
