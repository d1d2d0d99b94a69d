"""The container that runs `python -m app.migrate` once, whoever starts it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

UID = 10073
SECRETS = "/run/gad/secrets"
_CONFINED = (
    f"--user={UID}:{UID}",
    *("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true"),
    *("--memory=256m", "--memory-swap=256m", "--cpus=1.0", "--pids-limit=64", "--init"),
    f"--tmpfs=/tmp:rw,noexec,nosuid,nodev,size=16m,mode=0700,uid={UID},gid={UID}",
)


def docker_run(
    *,
    name: str,
    network: str,
    secrets_dir: str,
    labels: Mapping[str, str],
    envs: Mapping[str, str],
    image: str,
    command: str,
    hosts: Mapping[str, str] | None = None,
) -> list[str]:
    """The words that start it; it is removed when it ends, and its exit status is the program's.

    `secrets_dir`: the folder on the engine's host with the owner's connection and nothing else. `hosts`: name
    to address of what is on another server.
    """
    options = [
        *("--rm", f"--name={name}", f"--network={network}"),
        *_CONFINED,
        f"--mount=type=bind,source={secrets_dir},target={SECRETS},readonly",
        *(f"--add-host={each}:{address}" for each, address in sorted((hosts or {}).items())),
        *(f"--label={key}={value}" for key, value in sorted(labels.items())),
        *(f"--env={key}={value}" for key, value in sorted(envs.items())),
    ]
    return ["docker", "run", *options, image, "python", "-m", "app.migrate", command]


def docker_sql(image: str) -> list[str]:
    """The words that print all steps of an image as SQL: nobody is reached, no secret is given."""
    return [
        "docker",
        "run",
        "--rm",
        "--network=none",
        *_CONFINED,
        image,
        "python",
        "-m",
        "app.migrate",
        "sql",
    ]
