"""A complete stack file and what this machine adds to it; tests change one value at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from infra import settings
from infra.claims import Claim
from infra.settings import Secrets, Settings

DIGESTS: Mapping[str, str] = {
    name: f"127.0.0.1:5000/gad/{name}@sha256:{hashlib.sha256(name.encode()).hexdigest()}"
    for name in settings.IMAGES
}
OTHER_APP = f"127.0.0.1:5000/gad/app@sha256:{'0' * 64}"
BLOCK = Claim(index=0, stack="dev", checkout="/checkout", prefix="gad-dev")


def strong(name: str) -> str:
    """A value that passes as a secret, recognisable wherever it leaks to."""
    return f"leak-{hashlib.sha256(name.encode()).hexdigest()[:40]}"


def sample_config(changes: Mapping[str, object] | None = None) -> dict[str, object]:
    """The dev stack file with secrets; a change is `section.key` (or a section) to its new value."""
    config: dict[str, object] = {
        "environment": "dev",
        "server": {"kind": "local"},
        "images": {"source": "local"},
        "postgres": {"memory_mib": 512},
        "redis": {"memory_mib": 128, "maxmemory_mib": 64},
        "api": {"memory_mib": 256},
        "proxy": {"site": "localhost", "tls": "internal"},
        "secrets": {name: strong(name) for name in Secrets.model_fields},
    }
    for path, value in (changes or {}).items():
        section, _, key = path.partition(".")
        part = config.get(section, {})
        config[section] = {**part, key: value} if key and isinstance(part, dict) else value
    return config


def without(path: str) -> dict[str, object]:
    """The sample without one key."""
    config = sample_config()
    section, _, key = path.partition(".")
    part = config.pop(section)
    rest = {k: v for k, v in part.items() if k != key} if key and isinstance(part, dict) else None
    return config if rest is None else {**config, section: rest}


REMOTE: Mapping[str, object] = {
    "environment": "staging",
    "server": {
        "kind": "existing",
        "address": "staging.test",
        "port": 2222,
        "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ",
    },
    "images": {"source": "registry", **DIGESTS},
    "proxy": {"site": "staging.test", "tls": "acme", "acme_email": "ops@staging.test", "bind": "192.0.2.10"},
}


def sample_settings(changes: Mapping[str, object] | None = None, block: Claim = BLOCK) -> Settings:
    """The whole sample stack, as its program would see it."""
    file = settings.parse(sample_config(changes), source="Pulumi.dev.yaml")
    return settings.resolve(file, stack=file.environment, block=block, local_images=DIGESTS)
