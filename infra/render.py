"""Templates to text. Pure: the same values give the same bytes, and a hash that names them."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).resolve().parents[1] / "config" / "templates"


@dataclass(frozen=True)
class Rendered:
    """A file of a container: where it lies in its directory, and what it says."""

    path: str
    text: str

    @property
    def sha256(self) -> str:
        """Hash of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  (configuration files, no markup)
        keep_trailing_newline=True,
        trim_blocks=False,
    )


def _template(name: str, **values: object) -> str:
    return _environment().get_template(name).render(**values)


def revision(files: tuple[Rendered, ...]) -> str:
    """A name for these files that changes with any byte of them (12 hexadecimal digits)."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda f: f.path):
        digest.update(f"{file.path}\0{file.sha256}\n".encode())
    return digest.hexdigest()[:12]


def archive(files: Mapping[str, str]) -> str:
    """The files as a tar archive in base64: the same bytes for the same files, whoever asks when."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, text in sorted(files.items()):
            content = text.encode()
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.mtime = len(content), 0o444, 0
            tar.addfile(entry, io.BytesIO(content))
    return base64.b64encode(buffer.getvalue()).decode()


def postgres_files(
    *, memory_mib: int, max_connections: int, subnet: IPv4Network, roles: tuple[str, ...], tls: bool
) -> tuple[Rendered, ...]:
    """postgresql.conf and pg_hba.conf for a container of `memory_mib`; with `tls`, clear text is refused.

    A quarter of memory for shared buffers and three quarters as the planner's cache are the
    PostgreSQL manual's own starting points (Resource Consumption; Query Planning). work_mem assumes
    a quarter of memory for all connections at once, each sorting twice.
    """
    return (
        Rendered(
            "postgresql.conf",
            _template(
                "postgresql.conf.j2",
                memory_mib=memory_mib,
                max_connections=max_connections,
                shared_buffers_mib=memory_mib // 4,
                effective_cache_mib=memory_mib * 3 // 4,
                work_mem_kib=max(1024, memory_mib * 1024 // 4 // max_connections // 2),
                maintenance_work_mem_mib=max(32, min(2048, memory_mib // 16)),
                max_wal_mib=max(256, min(4096, memory_mib)),
                tls=tls,
            ),
        ),
        Rendered("pg_hba.conf", _template("pg_hba.conf.j2", subnet=subnet, roles=roles, tls=tls)),
    )


def redis_files(*, maxmemory_mib: int, tls: bool = False) -> tuple[Rendered, ...]:
    """redis.conf; its accounts are in a secret file. With `tls` nothing listens for clear text."""
    return (Rendered("redis.conf", _template("redis.conf.j2", maxmemory_mib=maxmemory_mib, tls=tls)),)


def redis_accounts(password: str) -> str:
    """users.acl: the default account is off, `gad` needs its password and may not administer.

    The password is stored as its SHA-256, as Redis does itself on `ACL SAVE`.
    """
    digest = hashlib.sha256(password.encode()).hexdigest()
    return f"user default off\nuser gad on #{digest} ~gad:* &gad:* +@all -@admin -@dangerous +info\n"


def caddy_files(
    *, site: str, tls: str, acme_email: str | None, public_port: int, hsts: bool, upstreams: tuple[str, ...]
) -> tuple[Rendered, ...]:
    """Caddyfile with both slots as upstreams; `public_port` is the one people type."""
    authority = site if public_port == 443 else f"{site}:{public_port}"
    text = _template(
        "Caddyfile.j2",
        site=site,
        tls=tls,
        acme_email=acme_email,
        authority=authority,
        public_port=public_port,
        hsts=hsts,
        upstreams=upstreams,
    )
    return (Rendered("Caddyfile", text),)
