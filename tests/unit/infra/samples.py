"""A complete stack file and what this machine adds to it; tests change one value at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

from infra import settings
from infra.claims import Claim
from infra.settings import Secrets, Settings
from infra.tls_pair import make_pair

DIGESTS: Mapping[str, str] = {
    name: f"127.0.0.1:5000/gad/{name}@sha256:{hashlib.sha256(name.encode()).hexdigest()}"
    for name in settings.IMAGES
}
OTHER_APP = f"127.0.0.1:5000/gad/app@sha256:{'0' * 64}"
SECRETS = tuple(name for name, field in Secrets.model_fields.items() if field.is_required())
PAIR = make_pair("postgres", at=datetime.now(UTC))
TLS_SECRETS: Mapping[str, object] = {
    "postgres_tls_key": PAIR.key,
    "postgres_tls_certificate": PAIR.certificate,
}
TLS: Mapping[str, object] = {
    "postgres.tls": True,
    **{f"secrets.{name}": value for name, value in TLS_SECRETS.items()},
}
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
        "secrets": {name: strong(name) for name in SECRETS},
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
    "network": {"subnet": "10.88.0.0/22"},
    "images": {"source": "registry", **DIGESTS},
    "proxy": {"site": "staging.test", "tls": "acme", "acme_email": "ops@staging.test", "bind": "192.0.2.10"},
}


REDIS_PAIR = make_pair("redis", at=datetime.now(UTC))
_HARDENING: Mapping[str, object] = {
    "os": "debian-13",
    "deploy_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ"],
}
TWO: Mapping[str, object] = {
    **REMOTE,
    "server": {**REMOTE["server"], "hardening": _HARDENING},  # type: ignore[dict-item]
    "data_server": {
        "address": "data.test",
        "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK",
        "hardening": _HARDENING,
        "private_address": "10.0.0.3",
        "app_address": "10.0.0.2",
    },
    **TLS,
    "redis.tls": True,
    "secrets.redis_tls_key": REDIS_PAIR.key,
    "secrets.redis_tls_certificate": REDIS_PAIR.certificate,
}


def sample_settings(changes: Mapping[str, object] | None = None, block: Claim = BLOCK) -> Settings:
    """The whole sample stack, as its program would see it."""
    file = settings.parse(sample_config(changes), source="Pulumi.dev.yaml")
    given = block if file.server.kind == "local" else None
    return settings.resolve(file, stack=file.environment, block=given, local_images=DIGESTS)
