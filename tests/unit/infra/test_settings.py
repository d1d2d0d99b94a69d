"""A mistake in a stack file is one sentence: the key, what is allowed, the nearest right one."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra import settings
from infra.claims import Claim
from infra.errors import Exit, GadError
from infra.operate import stack_file
from infra.tls_pair import make_pair
from tests.unit.infra.samples import (
    BLOCK,
    DIGESTS,
    REMOTE,
    SECRETS,
    TLS,
    TLS_SECRETS,
    sample_config,
    sample_settings,
    strong,
    without,
)

ROOT = Path(__file__).resolve().parents[3]
STACKS = ("dev", "staging", "production")
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ"


def refusal(config: Mapping[str, object]) -> GadError:
    with pytest.raises(GadError) as caught:
        settings.parse(config, source="Pulumi.dev.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"api.memory_mb": 256}, "api.memory_mb is no setting; did you mean api.memory_mib?"),
        ({"proxi": {}}, "proxi is no setting; did you mean proxy?"),
        ({"secrets.kekk": "x"}, "secrets.kekk is no setting; did you mean secrets.kek?"),
        ({"network.zzz": 1}, "network.zzz is no setting; allowed are subnet"),
        ({"api.memory_mib": "lots"}, "api.memory_mib: Input should be a valid integer"),
        ({"api.memory_mib": 64}, "api.memory_mib: Input should be greater than or equal to 128"),
        (
            {"api": 5},
            "api: must be a mapping of cpus, db_pool, log_level, memory_mib, pids, rate_limits, timezone",
        ),
        ({"api.log_level": "LOUD"}, "api.log_level: Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ({"api.cpus": "1.55"}, "api.cpus: '1.55' is not allowed; wanted: processors, such as \"0.5\""),
        ({"api.cpus": "0"}, "api.cpus: '0' is not allowed; wanted: processors, such as \"0.5\""),
        ({"api.cpus": "0.0"}, "api.cpus: '0.0' is not allowed; wanted: processors, such as \"0.5\""),
        ({"environment": "prod"}, "environment: Input should be 'dev', 'staging' or 'production'"),
        ({"server.port": 70000}, "server.port: Input should be less than or equal to 65535"),
        ({"server": {"kind": "existing"}}, "server: kind existing needs address and host_key"),
        (
            {"server.host_key": "ssh-ed25519 AAAA-replace-with-ssh-keyscan-output"},
            "server.host_key: 'ssh-ed25519 AAAA-replace-with-ssh-keyscan-output' is not allowed; "
            "wanted: its pinned public host key",
        ),
        ({"network": {"subnet": "10.1.0.0/24"}}, "network: subnet must be a /22, 10.1.0.0/24 is a /24"),
        ({"network": {"subnet": "10.1.1.0/22"}}, "network.subnet: Input is not a valid IPv4 network"),
        ({"images.app": "gad/app:1.2"}, "images.app: 'gad/app:1.2' is a tag; allowed is name@sha256:…"),
        ({"images.app": "gad/app"}, "images.app: 'gad/app' is no image digest"),
        ({"images.app": "app@sha256:abc"}, "images.app: 'app@sha256:abc' is no image digest"),
        ({"redis.maxmemory_mib": 100}, "redis: maxmemory_mib 100 leaves no headroom for saving; at most 96"),
        ({"proxy.tls": "acme"}, "proxy: tls acme needs acme_email"),
        (
            {"proxy.site": "https://gad.test"},
            "proxy.site: 'https://gad.test' is not allowed; wanted: the host name people open",
        ),
        ({"proxy.bind": "192.0.2.1"}, "proxy.bind 192.0.2.1 is not loopback"),
        ({"proxy.bind": "localhost"}, "proxy.bind: Input is not a valid IPv4 address"),
        ({"api.db_pool": 50}, "postgres.max_connections 50 is less than the 116"),
        ({"environment": "staging"}, "server.kind local is for dev"),
        ({**REMOTE, "images.source": "local"}, "images.source local is for dev"),
        ({"secrets.kek": "change-me"}, "secrets.kek: is a placeholder"),
        ({"secrets.jwt_secret": "your-secret-key-of-32-characters-or-more"}, "secrets.jwt_secret: is a plac"),
        ({"secrets.kek": "short"}, "secrets.kek: must be 32 to 128 characters of A-Z a-z 0-9 _ -"),
        ({"secrets.kek": f"{'a' * 40}@:/"}, "secrets.kek: must be 32 to 128 characters"),
        ({"secrets.kek": 7}, "secrets.kek: Input should be a valid string"),
    ],
)
def test_a_mistake_is_one_sentence(changes: Mapping[str, object], fact: str) -> None:
    error = refusal(sample_config(changes))
    assert error.fact.startswith(fact) or f": {fact}" in error.fact
    assert error.fact.endswith(" (Pulumi.dev.yaml)")
    assert "\n" not in error.fact
    assert error.exit_code == Exit.USAGE


@pytest.mark.parametrize("path", ["environment", "server", "images.source", "api.memory_mib", "proxy.site"])
def test_a_missing_key_is_named(path: str) -> None:
    assert refusal(without(path)).fact == f"{path} is missing (Pulumi.dev.yaml)"


@pytest.mark.parametrize("name", SECRETS)
def test_a_missing_secret_says_how_to_make_it(name: str) -> None:
    error = refusal(without(f"secrets.{name}"))
    assert error.fact == f"secrets.{name} is missing (Pulumi.dev.yaml)"
    assert error.remedy == "run `gad secrets init dev`, which creates strong ones"


def test_all_mistakes_are_named_at_once() -> None:
    error = refusal(sample_config({"api.memory_mb": 1, "redis.memory_mib": "x", "proxy.tls": "none"}))
    for path in ("api.memory_mb", "redis.memory_mib", "proxy.tls"):
        assert path in error.fact


def test_a_right_file_is_complete() -> None:
    complete = sample_settings()
    assert (complete.https_port, complete.http_port) == (8443, 8080)
    assert complete.prefix == "gad-dev"
    assert str(complete.subnet) == "10.77.0.0/22"
    assert complete.images == DIGESTS
    assert complete.host_dir == str(settings.ROOT / ".gad" / "dev" / "host")


def test_a_stated_digest_wins_over_a_built_one() -> None:
    stated = f"registry.test/app@sha256:{'1' * 64}"
    assert sample_settings({"images.app": stated}).images["app"] == stated


def test_a_server_has_its_own_names_ports_and_folder() -> None:
    remote = sample_settings(REMOTE)
    assert (remote.https_port, remote.http_port, remote.prefix) == (443, 80, "gad-staging")
    assert remote.host_dir == "/opt/grupogad/staging"
    assert str(remote.subnet) == "10.88.0.0/22"


def test_a_server_takes_no_block_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    file = settings.parse(sample_config(REMOTE), source="x")
    assert settings.block_of(file, stack="staging", checkout=tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"network": {}}, "network.subnet is missing (Pulumi.staging.yaml)"),
        (
            {"server.private_key_file": "/nowhere/key"},
            "server.private_key_file /nowhere/key does not exist (Pulumi.staging.yaml)",
        ),
    ],
)
def test_what_a_server_needs_is_named(changes: Mapping[str, object], fact: str) -> None:
    with pytest.raises(GadError) as refused:
        sample_settings({**REMOTE, **changes})
    assert refused.value.fact == fact
    assert refused.value.exit_code == Exit.USAGE


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [({}, "run `gad images build app`"), (REMOTE, "run `gad images lock --stack staging`")],
)
def test_an_image_without_a_digest_is_refused(changes: Mapping[str, object], remedy: str) -> None:
    file = settings.parse(
        sample_config({**changes, "images": {"source": "registry" if changes else "local"}}), source="x"
    )
    with pytest.raises(GadError, match=r"images\.app has no digest") as caught:
        settings.resolve(file, stack=file.environment, block=BLOCK, local_images={})
    assert caught.value.remedy == remedy


def test_a_registry_stack_never_takes_a_digest_built_here() -> None:
    file = settings.parse(sample_config({**REMOTE, "images": {"source": "registry"}}), source="x")
    with pytest.raises(GadError, match=r"images\.app has no digest"):
        settings.resolve(file, stack="staging", block=BLOCK, local_images=DIGESTS)


@pytest.mark.parametrize("ports", [{"https_port": 8080}, {"https_port": 9000, "http_port": 9000}])
def test_one_port_cannot_serve_both(ports: Mapping[str, int]) -> None:
    changes = {f"proxy.{key}": port for key, port in ports.items()}
    with pytest.raises(GadError, match=r"proxy\.https_port and proxy\.http_port are both"):
        sample_settings(changes)


def test_a_further_checkout_gets_its_own_block() -> None:
    file = settings.parse(sample_config(), source="x")
    block = Claim(index=2, stack="dev", checkout="/b", prefix="gad-dev-2")
    other = settings.resolve(file, stack="dev", block=block, local_images=DIGESTS)
    assert (other.https_port, other.http_port, str(other.subnet)) == (8463, 8100, "10.77.8.0/22")


# Secrets


def test_a_revision_changes_with_exactly_the_named_secrets() -> None:
    names = ("app_password", "jwt_secret")
    before = sample_settings().revision(*names)
    assert sample_settings().revision(*names) == before
    assert sample_settings().revision(*reversed(names)) == before
    changed = {
        name
        for name in SECRETS
        if sample_settings({f"secrets.{name}": strong("another")}).revision(*names) != before
    }
    assert changed == {*names, "revision_key"}  # keyed: another key is another name for all


def test_a_revision_reveals_nothing() -> None:
    complete = sample_settings()
    revision = complete.revision(*SECRETS)
    assert len(revision) == 12
    assert [name for name in SECRETS if revision in strong(name)] == []


def test_secrets_are_in_no_text_of_the_settings() -> None:
    complete = sample_settings()
    text = "".join([repr(complete), str(complete), complete.model_dump_json(), repr(complete.file.secrets)])
    assert [name for name in SECRETS if strong(name) in text] == []


def test_a_refused_secret_is_not_shown() -> None:
    value = "my-own-password-123-that-is-long-enough"
    error = refusal(sample_config({"secrets.kek": value, "secrets.extra": strong("extra")}))
    shown = "".join([str(error), error.remedy, *traceback.format_exception(error)])
    assert value not in shown
    assert strong("extra") not in shown


# PostgreSQL's certificate

NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"secrets.postgres_tls_key": None}, "postgres.tls needs secrets.postgres_tls_key"),
        ({"secrets.postgres_tls_certificate": None}, "postgres.tls needs secrets.postgres_tls_certificate"),
        (
            {"secrets.postgres_tls_key": make_pair("postgres", at=NOW).key},
            "secrets.postgres_tls_*: the key is not the certificate's",
        ),
    ],
)
def test_encryption_needs_a_usable_pair(changes: Mapping[str, object], fact: str) -> None:
    error = refusal(sample_config({**TLS, **changes}))
    assert error.fact == f"{fact} (Pulumi.dev.yaml)"
    assert error.remedy == "run `gad secrets init dev`, which creates strong ones"


def test_a_pair_near_its_end_is_refused_and_never_shown() -> None:
    pair = make_pair("postgres", at=NOW - timedelta(days=800))
    secrets = {"secrets.postgres_tls_key": pair.key, "secrets.postgres_tls_certificate": pair.certificate}
    error = refusal(sample_config({**TLS, **secrets}))
    assert error.fact.startswith("secrets.postgres_tls_*: the certificate ends on ")
    shown = "".join(traceback.format_exception(error))
    assert [line for line in pair.key.splitlines() if line in shown] == []


def test_without_encryption_nobody_asks_for_a_pair() -> None:
    complete = sample_settings({"secrets.postgres_tls_key": "anything"})
    assert complete.file.postgres.tls is False
    assert complete.revision("app_password") == sample_settings().revision("app_password")


def test_only_stacks_on_servers_are_encrypted_inside() -> None:
    found = {stack: settings.parse(committed(stack), source="x").postgres.tls for stack in STACKS}
    assert found == {"dev": False, "staging": True, "production": True}


# The committed stack files


def committed(stack: str) -> dict[str, object]:
    """A committed stack file, with generated secrets and its placeholders replaced."""
    values = stack_file.read(ROOT, stack)
    values["secrets"] = {**{name: strong(name) for name in SECRETS}, **TLS_SECRETS}
    server = values["server"]
    assert isinstance(server, dict)
    if "host_key" in server:
        hardening = {**server["hardening"], "deploy_keys": [HOST_KEY]}
        values["server"] = {**server, "host_key": HOST_KEY, "hardening": hardening}
    return values


@pytest.mark.parametrize("stack", STACKS)
def test_a_committed_stack_file_is_right(stack: str) -> None:
    file = settings.parse(committed(stack), source=f"Pulumi.{stack}.yaml")
    assert file.environment == stack
    resolved = settings.resolve(
        file.model_copy(update={"images": file.images.model_copy(update=dict(DIGESTS))}),
        stack=stack,
        block=BLOCK,
        local_images={},
    )
    assert resolved.images == DIGESTS


@pytest.mark.parametrize("stack", ["staging", "production"])
def test_what_a_person_must_still_set_is_named(stack: str) -> None:
    error = refusal(stack_file.read(ROOT, stack))
    assert "server.host_key: 'ssh-ed25519 AAAA-replace-with-ssh-keyscan-output' is not allowed" in error.fact
    assert "secrets is missing" in error.fact
    assert f"gad secrets init {stack}" in (ROOT / f"Pulumi.{stack}.yaml").read_text()


def test_only_dev_carries_secrets_and_only_encrypted() -> None:
    secrets = stack_file.read(ROOT, "dev")["secrets"]
    assert isinstance(secrets, dict)
    assert {name: list(value) for name, value in secrets.items()} == {name: ["secure"] for name in SECRETS}
    for stack in ("staging", "production"):
        assert "secrets" not in stack_file.read(ROOT, stack)


# The schema for editors


def test_the_committed_schema_is_the_models() -> None:
    text = (ROOT / "config" / "stack.schema.json").read_text(encoding="utf-8")
    assert text == settings.schema(), "write settings.schema() into config/stack.schema.json"


def misfits(
    schema: Mapping[str, object], node: Mapping[str, object], value: object, path: str
) -> Iterator[str]:
    """Keys of `value` that the schema does not know, and keys it demands that are not there."""
    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    if "$ref" in node:
        yield from misfits(schema, definitions[str(node["$ref"]).rsplit("/", 1)[1]], value, path)
        return
    properties, required = node.get("properties"), node.get("required", [])
    if not isinstance(properties, dict) or not isinstance(value, dict):
        return
    assert isinstance(required, list)
    for key, item in value.items():
        if key in properties:
            yield from misfits(schema, properties[key], item, f"{path}.{key}")
        else:
            yield f"{path}.{key} is unknown"
    yield from (f"{path}.{key} is missing" for key in required if key not in value)


@pytest.mark.parametrize("stack", STACKS)
def test_the_schema_knows_every_key_of_a_committed_stack_file(stack: str) -> None:
    schema = json.loads(settings.schema())
    document = {"config": {f"grupo-gad:{k}": v for k, v in stack_file.read(ROOT, stack).items()}}
    lacking = set() if stack == "dev" else {".config.grupo-gad:secrets is missing"}  # a person makes them
    assert set(misfits(schema, schema, document, "")) == lacking


def test_the_schema_refuses_what_the_models_refuse() -> None:
    schema = json.loads(settings.schema())
    config = sample_config({"api.memory_mb": 1})
    document = {"config": {f"grupo-gad:{k}": v for k, v in config.items() if k != "proxy"}}
    assert set(misfits(schema, schema, document, "")) == {
        ".config.grupo-gad:api.memory_mb is unknown",
        ".config.grupo-gad:proxy is missing",
    }
    assert schema["$defs"]["Api"]["additionalProperties"] is False
