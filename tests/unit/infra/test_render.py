"""What containers read as their configuration, to the byte. A template's change is seen here first."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import tarfile
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from infra import render
from infra.render import Rendered

SNAPSHOTS = Path(__file__).parent / "snapshots"
SUBNET = IPv4Network("10.77.1.0/24")
UPSTREAMS = ("api-blue:8000", "api-green:8000")


def caddyfile(**changes: object) -> str:
    values = {
        "site": "localhost",
        "tls": "internal",
        "acme_email": None,
        "public_port": 8443,
        "hsts": False,
        "upstreams": UPSTREAMS,
        **changes,
    }
    (file,) = render.caddy_files(**values)  # type: ignore[arg-type]
    return file.text


def postgres(memory_mib: int = 512, max_connections: int = 50, *, tls: bool = False) -> tuple[Rendered, ...]:
    return render.postgres_files(
        memory_mib=memory_mib,
        max_connections=max_connections,
        subnet=SUBNET,
        roles=("gad_owner", "gad_app"),
        tls=tls,
    )


def setting(text: str, key: str) -> str:
    (value,) = re.findall(rf"^{key} = (.+)$", text, re.MULTILINE)
    return str(value)


RENDERED = {
    "postgresql.conf": lambda: postgres()[0].text,
    "pg_hba.conf": lambda: postgres()[1].text,
    "postgresql.conf.tls": lambda: postgres(tls=True)[0].text,
    "pg_hba.conf.tls": lambda: postgres(tls=True)[1].text,
    "redis.conf": lambda: render.redis_files(maxmemory_mib=64)[0].text,
    "Caddyfile.internal": caddyfile,
    "Caddyfile.acme": lambda: caddyfile(
        site="gad.test", tls="acme", acme_email="ops@gad.test", public_port=443, hsts=True
    ),
}


@pytest.mark.parametrize("name", RENDERED)
def test_a_rendered_file_is_the_snapshot(name: str) -> None:
    assert RENDERED[name]() == (SNAPSHOTS / name).read_text(encoding="utf-8")


def test_every_snapshot_is_compared() -> None:
    assert {path.name for path in SNAPSHOTS.iterdir()} == set(RENDERED)


@pytest.mark.parametrize(
    ("memory_mib", "connections", "expected"),
    [
        (256, 20, ("64MB", "192MB", "1638kB", "32MB", "256MB")),
        (512, 50, ("128MB", "384MB", "1310kB", "32MB", "512MB")),
        (512, 1000, ("128MB", "384MB", "1024kB", "32MB", "512MB")),  # work_mem is never below a MiB
        (4096, 100, ("1024MB", "3072MB", "5242kB", "256MB", "4096MB")),
        (65536, 100, ("16384MB", "49152MB", "83886kB", "2048MB", "4096MB")),
    ],
)
def test_postgres_is_tuned_by_its_memory(
    memory_mib: int, connections: int, expected: tuple[str, ...]
) -> None:
    text = postgres(memory_mib, connections)[0].text
    keys = ("shared_buffers", "effective_cache_size", "work_mem", "maintenance_work_mem", "max_wal_size")
    assert tuple(setting(text, key) for key in keys) == expected
    assert setting(text, "max_connections") == str(connections)


def test_only_named_roles_reach_the_database_and_only_from_its_network() -> None:
    lines = [line.split() for line in postgres()[1].text.splitlines() if line.startswith("host")]
    assert lines == [
        ["host", "gad", "gad_owner", "10.77.1.0/24", "scram-sha-256"],
        ["host", "gad", "gad_app", "10.77.1.0/24", "scram-sha-256"],
    ]


def test_with_tls_no_line_lets_clear_text_in() -> None:
    files = postgres(tls=True)
    lines = [line.split()[:3] for line in files[1].text.splitlines() if line.startswith("host")]
    assert lines == [["hostssl", "gad", "gad_owner"], ["hostssl", "gad", "gad_app"]]
    assert (setting(files[0].text, "ssl"), setting(files[0].text, "ssl_min_protocol_version")) == (
        "on",
        "'TLSv1.3'",
    )


def test_redis_accounts_hold_no_password_in_clear() -> None:
    password = "a-password-of-more-than-32-characters"
    text = render.redis_accounts(password)
    assert password not in text
    assert hashlib.sha256(password.encode()).hexdigest() in text
    assert text.splitlines()[0] == "user default off"
    assert text.splitlines()[1].startswith("user gad on #")
    assert len(text.splitlines()) == 2


@pytest.mark.parametrize("tls", ["internal", "acme"])
def test_both_slots_are_always_configured(tls: str) -> None:
    text = caddyfile(tls=tls, acme_email="ops@gad.test")
    assert re.findall(r"^\s*reverse_proxy (.*?)\s*\{$", text, re.MULTILINE) == [" ".join(UPSTREAMS)]
    assert "lb_policy first" in text


def test_braces_of_a_caddyfile_are_balanced() -> None:
    for text in (RENDERED["Caddyfile.internal"](), RENDERED["Caddyfile.acme"]()):
        assert text.count("{") == text.count("}")


def test_people_are_sent_to_the_port_they_can_reach() -> None:
    assert "redir https://localhost:8443{uri} 308" in caddyfile()
    assert "redir https://gad.test{uri} 308" in caddyfile(site="gad.test", public_port=443)
    assert 'Alt-Svc `h3=":8463"; ma=86400`' in caddyfile(public_port=8463)


def test_strict_transport_is_a_decision() -> None:
    assert "Strict-Transport-Security" not in caddyfile()
    assert "Strict-Transport-Security" in caddyfile(hsts=True)


def test_a_value_a_template_lacks_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="maxmemory_mib"):
        render._template("redis.conf.j2", tls=False)


FILES = {"b.conf": "dos\n", "a.conf": "uno: ñ\n"}


def test_an_archive_is_the_same_bytes_whoever_asks() -> None:
    assert render.archive(FILES) == render.archive(dict(reversed(FILES.items())))
    assert render.archive(FILES) != render.archive({**FILES, "b.conf": "tres\n"})


def test_an_archive_holds_exactly_the_files_readable_and_no_more() -> None:
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(render.archive(FILES)))) as tar:
        members = tar.getmembers()
        content = {member.name: tar.extractfile(member).read().decode() for member in members}  # type: ignore[union-attr]
    assert content == FILES
    assert [(m.name, m.mode, m.mtime, m.uid, m.isreg()) for m in members] == [
        ("a.conf", 0o444, 0, 0, True),
        ("b.conf", 0o444, 0, 0, True),
    ]


def test_a_revision_names_exactly_these_files() -> None:
    files = (Rendered("a", "1"), Rendered("b", "2"))
    name = render.revision(files)
    assert re.fullmatch("[0-9a-f]{12}", name)
    assert render.revision(tuple(reversed(files))) == name
    others = [
        (Rendered("a", "1"),),
        (Rendered("a", "1"), Rendered("b", "3")),
        (Rendered("a", "1"), Rendered("c", "2")),
        (Rendered("a", "2"), Rendered("b", "1")),
    ]
    assert [other for other in others if render.revision(other) == name] == []
