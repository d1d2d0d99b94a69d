"""What a run of the migration program by hand is, and what becomes of its failures."""

from __future__ import annotations

import shlex

import pytest

from infra.operate.outputs import ContainerDeclared, MountDeclared, NetworkDeclared, StackOutputs
from infra.operate.schema import refusal, script

IMAGE = "127.0.0.1:5000/gad/app@sha256:" + "1" * 64


def outputs() -> StackOutputs:
    """A stack whose files are in a folder with a space."""
    mount = MountDeclared(
        source="/srv/my stack/secrets/api/462d", target="/run/gad/secrets", kind="bind", read_only=True
    )
    api = ContainerDeclared(
        name="gad-dev-api-blue",
        image=IMAGE,
        uid=10073,
        labels={},
        networks=(),
        mounts=(mount,),
        envs=(),
        ports=(),
        memory_mib=256,
        cpus="1.0",
        pids=64,
    )
    return StackOutputs.model_construct(
        stack="dev",
        prefix="gad-dev",
        containers={"api-blue": api},
        networks={
            "data": NetworkDeclared(name="gad-dev-data", internal=True, subnet="10.99.0.0/24")  # type: ignore[arg-type]
        },
        images={"app": IMAGE},
        release=type("Live", (), {"live": "blue"})(),
    )


def test_it_is_the_container_of_an_update_with_another_name() -> None:
    first, second = script(outputs(), "check", "ab12").splitlines()
    assert (
        first
        == "secrets='/srv/my stack/secrets/migration'/$(ls -1t '/srv/my stack/secrets/migration' | head -n 1)"
    )
    words = shlex.split(second)
    assert words[:4] == ["exec", "docker", "run", "--rm"]
    assert words[-4:] == ["python", "-m", "app.migrate", "check"]
    assert {"--name=gad-dev-db-ab12", "--network=gad-dev-data", "--read-only", "--cap-drop=ALL", IMAGE} < set(
        words
    )
    assert "--mount=type=bind,source=$secrets,target=/run/gad/secrets,readonly" in words
    assert "--label=gad.role=migration" in words


def test_no_secret_is_in_the_words() -> None:
    assert [word for word in shlex.split(script(outputs(), "upgrade", "x")) if word.startswith("--env")] == [
        "--env=GAD_MIGRATION_URL_FILE=/run/gad/secrets/migration_url"  # pragma: allowlist secret
    ]


@pytest.mark.parametrize(
    ("status", "said", "fact", "remedy", "code"),
    [
        (
            1,
            "error: a lock was not free within 1 s\nremedy: run it again\n",
            "a lock was not free",
            "run it",
            1,
        ),
        (
            2,
            "error: GAD_MIGRATION_URL is not set\nremedy: correct it\n",
            "GAD_MIGRATION_URL",
            "correct it",
            2,
        ),
        (
            125,
            "docker: no such network: gad-dev-data\n",
            "cannot be reached: no such network",
            "gad up dev",
            1,
        ),
        (137, "", "the migration ended with status 137: no reason given", "gad status dev", 1),
        (
            1,
            "Traceback (most recent call last):\nValueError: x\n",
            "status 1: ValueError: x",
            "gad status",
            1,
        ),
    ],
)
def test_a_failure_is_one_sentence(status: int, said: str, fact: str, remedy: str, code: int) -> None:
    error = refusal("dev", status, said)
    assert fact in error.fact
    assert remedy in error.remedy
    assert error.exit_code == code
