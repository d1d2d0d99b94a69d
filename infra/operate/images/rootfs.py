"""The root file system that the base image starts from: pulled by digest, or bootstrapped."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import docker
from docker.errors import APIError, ImageNotFound

from infra.errors import GadError
from infra.operate.images.catalogue import Bootstrap, Root
from infra.operate.images.engine import explained
from infra.operate.images.progress import Reporter
from infra.toolchain.cache import cache_root, locked

KEYRING = Path("/usr/share/keyrings/debian-archive-trixie-stable.gpg")


def possible_sources(root: Root) -> tuple[str, str]:
    """The two starting points, as they enter the input hash of the base image: upstream, bootstrap."""
    return root.upstream, root.bootstrap.recipe


def provide(client: docker.DockerClient, root: Root, reporter: Reporter) -> tuple[str, str]:
    """(source, image) to build the base from; `source` is one of `possible_sources`.

    Upstream by digest if it is here or can be pulled, else the bootstrapped one. Says which.
    Raises GadError if neither can be had.
    """
    try:
        client.images.get(root.upstream)
    except ImageNotFound:
        reporter.step("base", f"pulling {root.upstream[:40]}…")
        repository, _, digest = root.upstream.partition("@")
        try:
            client.images.pull(repository, tag=digest)
        except APIError as error:
            reporter.say(f"base: {repository} cannot be pulled ({_reason(error)}), so bootstrapped")
            return root.bootstrap.recipe, _bootstrapped(client, root.bootstrap, reporter)
    reporter.say(f"base: from {root.upstream[:60]}…")
    return root.upstream, root.upstream


def _reason(error: APIError) -> str:
    text = str(error.explanation or error)
    return "no such host" if "no such host" in text else text.rsplit(": ", 1)[-1]


def _bootstrapped(client: docker.DockerClient, bootstrap: Bootstrap, reporter: Reporter) -> str:
    key = hashlib.sha256(bootstrap.recipe.encode()).hexdigest()[:16]
    archive = cache_root() / "rootfs" / f"{bootstrap.suite}-{key}.tar"
    with locked(archive.with_suffix(".lock"), lambda: reporter.step("base", "waiting for another bootstrap")):
        if not archive.exists():
            reporter.step("base", bootstrap.title)
            _run_mmdebstrap(bootstrap, archive)
    with archive.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    name = f"gad/rootfs:{sha256[:16]}"
    try:
        client.images.get(name)
    except ImageNotFound:
        with explained("importing the root file system"):
            client.api.import_image(
                str(archive),
                repository="gad/rootfs",
                tag=sha256[:16],
                changes=[f"LABEL gad.image.rootfs={sha256}"],
            )
    return name


def _run_mmdebstrap(bootstrap: Bootstrap, archive: Path) -> None:
    if shutil.which("mmdebstrap") is None or not KEYRING.exists():
        raise GadError(
            "no image registry can be reached, and bootstrapping Debian 13 needs mmdebstrap and "
            "Debian's keyring",
            remedy="apt-get install mmdebstrap debian-archive-keyring (or `gad setup`), then build again",
        )
    archive.parent.mkdir(parents=True, exist_ok=True)
    staged = archive.with_suffix(".new.tar")  # ours alone: the caller holds the lock
    command = [
        "mmdebstrap",
        f"--variant={bootstrap.variant}",
        f"--include={','.join(bootstrap.include)}",
        *(f'--customize-hook=rm -f "$1"{path}' for path in bootstrap.strip),
        bootstrap.suite,
        str(staged),
    ]
    # One date for every file of the archive; package files carry older dates of their own.
    done = subprocess.run(
        command,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1735689600"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        staged.unlink(missing_ok=True)
        last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no output"
        raise GadError(
            f"mmdebstrap could not bootstrap {bootstrap.suite}: {last}",
            remedy="check that Debian's package archive is reachable, then build again",
        )
    staged.replace(archive)
