"""Properties of everything a stack declares, read off the wire. Lists are exact: `all` of nothing is true."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from graphlib import TopologicalSorter

import pytest

from app.settings import known_variables
from infra import desired, stack
from infra.claims import Claim
from infra.components.container import REPLACING
from infra.desired import FORM
from infra.errors import GadError
from infra.operate.outputs import read_outputs
from infra.release import Attempt, Recorded
from infra.settings import RateLimits, Secrets
from infra.tls_pair import make_pair
from tests.unit.infra.graph import (
    CONTAINER,
    IMAGE,
    LOCAL_COMMAND,
    NETWORK,
    REMOTE_COMMAND,
    VOLUME,
    Graph,
    Node,
    Secret,
    in_clear,
    record,
)
from tests.unit.infra.samples import OTHER_APP, PAIR, REMOTE, TLS, sample_settings, strong

CONTAINERS = ["api-blue-server", "api-green-server", "postgres-server", "proxy-server", "redis-server"]
NOW, LATER = Attempt(id="1", by="ana@desk"), Attempt(id="2", by="ana@desk")
STEPS = {f"release-{step}" for step in ("park", "smoke", "route", "bake", "record")}
MIGRATION = {"backup-take", *(f"migration-{step}" for step in ("gate", "lint", "rehearsal", "run"))}
RELEASE = STEPS | {"api-green-server", "api-green-server-pids"}  # the new container's id
DIGEST = re.compile(r"^[^@\s]+@sha256:[0-9a-f]{64}$")

# The SDK imports its own deprecated resource along with the ones for a server.
pytestmark = pytest.mark.filterwarnings("ignore:This resource is deprecated:DeprecationWarning")


def build(
    changes: Mapping[str, object] | None = None, recorded: Recorded | None = None, attempt: Attempt = NOW
) -> Graph:
    return record(lambda: stack.build(sample_settings(changes), recorded, attempt))


@pytest.fixture(scope="module")
def first() -> Graph:
    """The first update of the sample stack."""
    return build()


def recorded_by(graph: Graph) -> Recorded:
    """What the next update will find, once this one has finished."""
    return stack.parse_recorded(graph.named("release-record").inputs["stdin"])


@pytest.fixture(scope="module")
def released(first: Graph) -> Recorded:
    """What the first update records."""
    return recorded_by(first)


@pytest.fixture(scope="module")
def steady(released: Recorded) -> Graph:
    """A second update with nothing to do."""
    return build(recorded=released)


def facts(graph: Graph, *keys: str) -> dict[str, object]:
    """Of each container, one input (reached by these keys)."""
    found: dict[str, object] = {}
    for node in graph.containers:
        value: object = node.inputs
        for key in keys:
            assert isinstance(value, Mapping), f"{node.name} has no {'.'.join(keys)}"
            value = value.get(key)
        found[node.name] = value
    return found


def same(value: object) -> dict[str, object]:
    """The value that every container has."""
    return dict.fromkeys(CONTAINERS, value)


def labels(node: Node) -> dict[str, str]:
    return {entry["label"]: entry["value"] for entry in node.inputs["labels"]}


def short(graph: Graph, urns: frozenset[str]) -> set[str]:
    names = {node.urn: node.name for node in graph.nodes}
    return {names[urn] for urn in urns}


def test_the_containers_of_a_stack(first: Graph) -> None:
    assert sorted(node.name for node in first.containers) == CONTAINERS
    assert facts(first, "name") == {name: f"gad-dev-{name.removesuffix('-server')}" for name in CONTAINERS}


def test_every_container_and_image_is_a_digest(first: Graph) -> None:
    images = [node.inputs["image"] for node in first.containers]
    pulled = [node.inputs["name"] for node in first.of_type(IMAGE)]
    assert [image for image in (*images, *pulled) if not DIGEST.match(image)] == []
    assert set(images) == set(pulled)
    assert {node.name: node.inputs["keepLocally"] for node in first.of_type(IMAGE)} == dict.fromkeys(
        ["images-app", "images-caddy", "images-postgres", "images-redis"], True
    )


def test_no_container_runs_as_root_or_as_another(first: Graph) -> None:
    assert facts(first, "user") == {
        "api-blue-server": "10073:10073",
        "api-green-server": "10073:10073",
        "postgres-server": "10070:10070",
        "proxy-server": "10072:10072",
        "redis-server": "10071:10071",
    }


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("readOnly",), True),
        (("capabilities",), {"drops": ["ALL"]}),
        (("securityOpts",), ["no-new-privileges:true"]),
        (("privileged",), None),
        (("networkMode",), None),
        (("pidMode",), None),
        (("init",), True),
        (("restart",), "unless-stopped"),
        (("mustRun",), True),
        (("logDriver",), "json-file"),
        (("logOpts",), {"max-file": "3", "max-size": "10m"}),
        (("healthcheck", "retries"), 3),
        (("ulimits",), [{"hard": 16384, "name": "nofile", "soft": 16384}]),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_the_form_all_containers_share(first: Graph, keys: tuple[str, ...], expected: object) -> None:
    assert facts(first, *keys) == same(expected)


def test_the_update_waits_for_all_but_the_slots_which_a_step_tries(first: Graph) -> None:
    assert facts(first, "wait") == same(True) | {"api-blue-server": False, "api-green-server": False}


def test_limits_are_the_settings(first: Graph) -> None:
    memory = {
        "api-blue-server": 256,
        "api-green-server": 256,
        "postgres-server": 512,
        "proxy-server": 256,
        "redis-server": 128,
    }
    assert facts(first, "memory") == memory
    assert facts(first, "memorySwap") == memory  # no swap: the limit is the limit
    assert facts(first, "cpus") == {**same("1.0"), "redis-server": "0.5"}


def test_the_proxy_collects_garbage_rarely_and_within_its_memory(first: Graph) -> None:
    assert first.named("proxy-server").inputs["envs"] == ["GOGC=400", "GOMEMLIMIT=192MiB"]
    large = build({"proxy.memory_mib": 512}).named("proxy-server")
    assert large.inputs["envs"] == ["GOGC=400", "GOMEMLIMIT=384MiB"]


def test_every_container_gets_its_process_limit(first: Graph) -> None:
    limits = {"api-blue": 128, "api-green": 128, "postgres": 256, "proxy": 128, "redis": 64}
    for name, pids in limits.items():
        command = first.named(f"{name}-server-pids")
        assert command.inputs["create"].startswith(f"docker update --pids-limit {pids} {name}-server-")
        assert short(first, command.dependencies) == {f"{name}-server"}


def test_a_start_may_take_as_long_as_its_probe_is_patient(first: Graph) -> None:
    for node in first.containers:
        health = node.inputs["healthcheck"]
        start, every, each = (
            int(health[k].removesuffix("s")) for k in ("startPeriod", "interval", "timeout")
        )
        assert health["tests"][0] == "CMD", node.name
        assert len(health["tests"]) > 1, node.name
        assert node.inputs["waitTimeout"] > start + health["retries"] * (every + each), node.name


def test_every_container_may_finish_what_it_does(first: Graph) -> None:
    assert facts(first, "destroyGraceSeconds") == {
        "api-blue-server": 30,
        "api-green-server": 30,
        "postgres-server": 60,
        "proxy-server": 15,
        "redis-server": 30,
    }


def test_replacement_is_always_stated(first: Graph) -> None:
    assert {node.name: node.delete_before_replace for node in first.containers} == same(True)
    for node in first.containers:
        assert {"healthcheck", "init", "tmpfs", "cpuPeriod", "cpuQuota"} <= set(node.replace_on_changes)
        assert node.ignore_changes == (), node.name
    assert {node.name: node.delete_before_replace for node in first.of_type(NETWORK)} == {
        "network-data": True,
        "network-edge": True,
        "network-egress": True,
    }


def test_labels_say_whose_a_thing_is_and_what_it_can_see(first: Graph) -> None:
    seen = {
        node.name: (labels(node)["gad.role"], labels(node)["gad.data-class"])
        for node in first.of_type(CONTAINER, NETWORK, VOLUME)
    }
    assert seen == {
        "api-blue-server": ("api-blue", "personal"),
        "api-green-server": ("api-green", "personal"),
        "postgres-server": ("postgres", "personal"),
        "postgres-data": ("postgres", "personal"),
        "redis-server": ("redis", "internal"),
        "redis-data": ("redis", "internal"),
        "proxy-server": ("proxy", "internal"),
        "proxy-data": ("proxy", "internal"),
        "network-data": ("data", "none"),
        "network-edge": ("edge", "none"),
        "network-egress": ("egress", "none"),
    }
    for node in first.of_type(CONTAINER, NETWORK, VOLUME):
        assert labels(node)["gad.stack"] == "dev"
        assert labels(node)["gad.prefix"] == "gad-dev"


def test_only_the_proxy_publishes_ports_and_says_where(first: Graph) -> None:
    ports = [
        {"external": 8080, "internal": 8080, "ip": "127.0.0.1", "protocol": "tcp"},
        {"external": 8443, "internal": 8443, "ip": "127.0.0.1", "protocol": "tcp"},
        {"external": 8443, "internal": 8443, "ip": "127.0.0.1", "protocol": "udp"},
    ]
    assert facts(first, "ports") == {**same([]), "proxy-server": ports}


def test_who_can_speak_to_whom(first: Graph) -> None:
    networks = {
        node.name: [(n["name"], n["aliases"]) for n in node.inputs["networksAdvanced"]]
        for node in first.containers
    }
    assert networks == {
        "api-blue-server": [("gad-dev-data", ["api-blue"]), ("gad-dev-edge", ["api-blue"])],
        "api-green-server": [("gad-dev-data", ["api-green"]), ("gad-dev-edge", ["api-green"])],
        "postgres-server": [("gad-dev-data", ["postgres"])],
        "redis-server": [("gad-dev-data", ["redis"])],
        "proxy-server": [("gad-dev-edge", ["proxy"]), ("gad-dev-egress", ["proxy"])],
    }
    assert {node.inputs["name"]: node.inputs["internal"] for node in first.of_type(NETWORK)} == {
        "gad-dev-data": True,
        "gad-dev-edge": True,
        "gad-dev-egress": False,
    }
    # A network that is named, not referenced: only a stated dependency makes it exist before.
    for node in first.containers:
        needed = {f"network-{n['name'].removeprefix('gad-dev-')}" for n in node.inputs["networksAdvanced"]}
        assert needed <= short(first, node.dependencies), node.name


def test_addresses_of_networks_are_fixed(first: Graph) -> None:
    assert {node.inputs["name"]: node.inputs["ipamConfigs"] for node in first.of_type(NETWORK)} == {
        "gad-dev-edge": [{"gateway": "10.77.0.1", "subnet": "10.77.0.0/24"}],
        "gad-dev-data": [{"gateway": "10.77.1.1", "subnet": "10.77.1.0/24"}],
        "gad-dev-egress": [{"gateway": "10.77.2.1", "subnet": "10.77.2.0/24"}],
    }


def test_data_outlives_a_mistake(first: Graph) -> None:
    assert {(n.name, n.inputs["name"], n.protect, n.retain_on_delete) for n in first.of_type(VOLUME)} == {
        ("postgres-data", "gad-dev-postgres-data", True, True),
        ("proxy-data", "gad-dev-proxy-data", True, True),
        ("redis-data", "gad-dev-redis-data", True, True),
    }


def test_only_data_can_be_written(first: Graph) -> None:
    writable = {
        (node.name, mount["source"], mount["target"])
        for node in first.containers
        for mount in node.inputs["mounts"]
        if not mount["readOnly"]
    }
    assert writable == {
        ("postgres-server", "gad-dev-postgres-data", "/var/lib/postgresql"),
        ("redis-server", "gad-dev-redis-data", "/var/lib/redis"),
        ("proxy-server", "gad-dev-proxy-data", "/data"),
    }
    for node in first.containers:
        for options in node.inputs["tmpfs"].values():
            assert {"noexec", "nosuid", "nodev"} <= set(options.split(",")), node.name


def test_every_container_waits_for_what_it_mounts(first: Graph) -> None:
    waits = {node.name: short(first, node.dependencies) for node in first.containers}
    assert {"postgres-data", "postgres-config-write", "secrets-postgres-write"} <= waits["postgres-server"]
    assert {"redis-data", "redis-config-write", "secrets-redis-write"} <= waits["redis-server"]
    assert {"proxy-data", "proxy-config-write"} <= waits["proxy-server"]
    for slot in ("api-blue-server", "api-green-server"):
        assert {"release-make", "secrets-api-write", "migration-run", "redis-server"} <= waits[slot]
    assert {"postgres-server", "secrets-migration-write", "images-app"} <= short(
        first, first.named("migration-run").dependencies
    )
    assert {"api-blue-server", "api-green-server", "proxy-server", "release-park"} <= short(
        first, first.named("release-smoke").dependencies
    )


def test_no_secret_is_in_clear_anywhere(first: Graph) -> None:
    values = [strong(name) for name in Secrets.model_fields]
    encoded = [base64.b64encode(value.encode()).decode().rstrip("=") for value in values]
    text = "\n".join(
        [
            *(part for node in first.nodes for part in in_clear([node.inputs, node.registered])),
            *in_clear(first.outputs),
        ]
    )
    assert [leak for leak in (*values, *encoded) if leak in text] == []
    # Inside an archive a value is shifted: unpack whatever could be one.
    for part in re.findall(r"[A-Za-z0-9+/]{200,}={0,2}", text):
        assert b"leak-" not in base64.b64decode(part + "=" * (-len(part) % 4))


def test_secret_files_travel_as_secret_input_and_leave_no_output(first: Graph) -> None:
    writers = {
        node.name: (type(node.inputs["stdin"]), node.inputs["logging"], node.secret_outputs)
        for node in first.commands
        if node.name.startswith("secrets-")
    }
    assert writers == dict.fromkeys(
        ["secrets-api-write", "secrets-migration-write", "secrets-postgres-write", "secrets-redis-write"],
        (Secret, "none", ("stdout", "stderr")),
    )
    others = {node.name for node in first.nodes if node.name not in writers}
    assert {n.name for n in first.nodes if n.name in others and _has_secret(n.inputs)} == set()


def _has_secret(value: object) -> bool:
    match value:
        case Secret():
            return True
        case Mapping():
            return any(_has_secret(item) for item in value.values())
        case list():
            return any(_has_secret(item) for item in value)
        case _:
            return False


def test_no_environment_variable_is_a_secret(first: Graph) -> None:
    for node in first.containers:
        for variable in node.inputs.get("envs", []):
            key, _, value = variable.partition("=")
            assert not re.search("PASSWORD|SECRET|KEY|KEK|URL", key) or value.startswith("/run/gad/secrets/")


def test_the_api_is_told_the_limits_that_the_stack_file_states() -> None:
    assert [key for key, _ in desired.desired_slot(sample_settings()).envs if "RATE" in key] == []
    stated = sample_settings({"api": {"memory_mib": 256, "rate_limits": {"admin": 900, "auth": 20}}})
    told = dict(desired.desired_slot(stated).envs)
    assert {key: value for key, value in told.items() if "RATE" in key} == {
        "GAD_RATE_ADMIN": "900",
        "GAD_RATE_AUTH": "20",
    }
    assert set(told) <= known_variables()
    assert {f"GAD_RATE_{name.upper()}" for name in RateLimits.model_fields} == {
        variable for variable in known_variables() if variable.startswith("GAD_RATE_")
    }


def test_every_docker_resource_names_its_engine(first: Graph) -> None:
    (engine,) = [node for node in first.nodes if node.type == "pulumi:providers:docker"]
    asked = first.of_type(CONTAINER, NETWORK, VOLUME, IMAGE)
    assert len(asked) == 5 + 3 + 3 + 4
    assert {node.provider.rsplit("::", 1)[0] for node in asked} == {engine.urn}


def test_the_graph_has_an_order(first: Graph) -> None:
    known = {node.urn for node in first.nodes}
    graph = {node.urn: {urn for urn in node.dependencies if urn in known} for node in first.nodes}
    order = [urn.rsplit("::", 1)[-1] for urn in TopologicalSorter(graph).static_order()]  # raises on a cycle
    chain = ["postgres-server", "migration-run", "release-park", "api-blue-server", "release-smoke"]
    chain += ["release-route", "release-bake", "release-record"]
    assert sorted(chain, key=order.index) == chain


def test_the_same_settings_give_the_same_graph(first: Graph) -> None:
    assert build() == first


def test_an_update_without_a_change_touches_nothing(first: Graph, steady: Graph) -> None:
    assert steady.changed_since(first) == set()
    assert recorded_by(steady) == recorded_by(first)


def test_a_new_image_touches_the_idle_slot_and_never_the_live_one(steady: Graph, released: Recorded) -> None:
    update = build({"images.app": OTHER_APP}, released)
    assert update.changed_since(steady) == {
        "images-app",
        *MIGRATION,
        *RELEASE,
    }
    assert update.named("api-blue-server").inputs == steady.named("api-blue-server").inputs
    assert recorded_by(update).live == "green"
    assert update.outputs == {"url": "https://localhost:8443", "live": "green", "image": OTHER_APP}


def test_the_live_slot_is_not_replaced_whatever_changes(released: Recorded) -> None:
    update = build({"images.app": OTHER_APP}, released)
    ignored = set(update.named("api-blue-server").ignore_changes)
    assert {
        "image",
        "envs",
        "mounts",
        "labels",
        "healthcheck",
        "tmpfs",
        "user",
        "networksAdvanced",
    } <= ignored
    assert not ignored & {"memory", "memorySwap", "restart", "mustRun", "wait"}  # these are mended in place
    assert update.named("api-green-server").ignore_changes == ()


def test_the_way_back_is_a_flip(released: Recorded) -> None:
    forward = build({"images.app": OTHER_APP}, released)
    back = build(recorded=recorded_by(forward))
    assert back.changed_since(forward) == STEPS | {"images-app"}
    assert recorded_by(back).live == "blue"


def test_a_release_that_failed_half_way_leaves_nothing_behind_when_it_is_taken_back(
    steady: Graph, released: Recorded
) -> None:
    """The idle slot holds the failed image while the record still names the old one."""
    failed = build({"images.app": OTHER_APP}, released)
    back = build(recorded=released)
    assert back.named("api-green-server").inputs["image"] == steady.named("api-green-server").inputs["image"]
    assert "api-green-server" in back.changed_since(failed)
    assert "api-blue-server" not in back.changed_since(failed)


def test_an_idle_slot_of_an_older_form_stays_as_it_is(steady: Graph, released: Recorded) -> None:
    older = released.model_copy(update={"green": released.green.model_copy(update={"form": FORM - 1})})
    assert "envs" in build(recorded=older).named("api-green-server").ignore_changes
    assert steady.named("api-green-server").ignore_changes == ()


def test_a_setting_of_the_api_is_a_release(steady: Graph, released: Recorded) -> None:
    update = build({"api.memory_mib": 384}, released)
    assert update.changed_since(steady) == RELEASE


@pytest.mark.parametrize(
    ("secret", "readers"),
    [
        ("superuser_password", {"secrets-postgres-write", "postgres-server", "postgres-server-pids"}),
        (
            "owner_password",
            {
                *("secrets-postgres-write", "postgres-server", "postgres-server-pids"),
                "secrets-migration-write",
            },
        ),
        (
            "app_password",
            {
                *("secrets-postgres-write", "postgres-server", "postgres-server-pids"),
                *RELEASE,
                "secrets-api-write",
            },
        ),
        (
            "redis_password",
            {
                *("secrets-redis-write", "redis-server", "redis-server-pids"),
                *RELEASE,
                "secrets-api-write",
            },
        ),
        *((name, RELEASE | {"secrets-api-write"}) for name in ("jwt_secret", "hmac_key", "kek")),
    ],
)
def test_a_secret_touches_exactly_its_readers(
    steady: Graph, released: Recorded, secret: str, readers: set[str]
) -> None:
    update = build({f"secrets.{secret}": strong("another")}, released)
    assert update.changed_since(steady) == readers


# Encrypted inside


@pytest.fixture(scope="module")
def encrypted(released: Recorded) -> Graph:
    """The sample stack, told to encrypt its database's connections."""
    return build(TLS, released)


def files_of(graph: Graph, reader: str) -> dict[str, str]:
    """The secret files of a reader, as its host will have them."""
    packed = base64.b64decode(graph.named(f"secrets-{reader}-write").inputs["stdin"].value)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return {member.name: tar.extractfile(member).read().decode() for member in tar}  # type: ignore[union-attr]


def test_without_encryption_no_reader_has_a_certificate(first: Graph) -> None:
    assert {reader: sorted(files_of(first, reader)) for reader in desired.READERS} == {
        "postgres": ["app_password", "owner_password", "superuser_password"],
        "redis": ["users.acl"],
        "migration": ["migration_url"],
        "api": ["database_url", "hmac_key", "jwt_secret", "kek", "redis_url"],
    }
    assert files_of(first, "api")["database_url"].endswith("@postgres:5432/gad")
    assert first.named("declared").registered["postgres_tls"] is False


def test_each_reader_gets_its_part_of_the_pair(encrypted: Graph) -> None:
    assert {reader: sorted(files_of(encrypted, reader)) for reader in desired.READERS} == {
        "postgres": ["app_password", "owner_password", "server.crt", "server.key", "superuser_password"],
        "redis": ["users.acl"],
        "migration": ["migration_url", "postgres_ca.crt"],
        "api": ["database_url", "hmac_key", "jwt_secret", "kek", "postgres_ca.crt", "redis_url"],
    }
    server = files_of(encrypted, "postgres")
    assert (server["server.key"], server["server.crt"]) == (PAIR.key, PAIR.certificate)
    for reader, url in (("migration", "migration_url"), ("api", "database_url")):
        files = files_of(encrypted, reader)
        assert files["postgres_ca.crt"] == PAIR.certificate
        assert files[url].endswith(
            "@postgres:5432/gad?sslmode=verify-full&sslrootcert=/run/gad/secrets/postgres_ca.crt"
        )
    assert encrypted.named("declared").registered["postgres_tls"] is True


def test_the_private_key_is_in_clear_nowhere(encrypted: Graph) -> None:
    text = "\n".join(part for node in encrypted.nodes for part in in_clear([node.inputs, node.registered]))
    lines = PAIR.key.splitlines()[1:-1]
    assert len(lines) == 3
    assert [line for line in lines if line in text] == []


def test_encryption_touches_the_database_and_who_speaks_to_it(steady: Graph, encrypted: Graph) -> None:
    assert encrypted.changed_since(steady) == {
        *("postgres-config-write", "secrets-postgres-write", "postgres-server", "postgres-server-pids"),
        "secrets-migration-write",
        *RELEASE,
        "secrets-api-write",
    }


def test_another_pair_touches_its_readers(encrypted: Graph, released: Recorded) -> None:
    pair = make_pair("postgres", at=datetime.now(UTC))
    another = {"secrets.postgres_tls_key": pair.key, "secrets.postgres_tls_certificate": pair.certificate}
    assert build({**TLS, **another}, released, LATER).changed_since(encrypted) == {
        *("secrets-postgres-write", "postgres-server", "postgres-server-pids"),
        "secrets-migration-write",
        *RELEASE,
        "secrets-api-write",
    }


def test_another_site_touches_the_proxy_and_what_the_api_knows_of_it(
    steady: Graph, released: Recorded
) -> None:
    update = build({"proxy.site": "gad.test"}, released)
    assert update.changed_since(steady) == {
        *("proxy-config-write", "proxy-server", "proxy-server-pids"),
        *RELEASE,
    }


def test_database_memory_touches_the_database_only(steady: Graph, released: Recorded) -> None:
    update = build({"postgres.memory_mib": 1024}, released)
    assert update.changed_since(steady) == {
        *("postgres-config-write", "postgres-server", "postgres-server-pids"),
    }


def test_two_checkouts_share_no_name_port_or_address(first: Graph) -> None:
    block = Claim(index=1, stack="dev", checkout="/other", prefix="gad-dev-2")
    second = record(lambda: stack.build(sample_settings(block=block), None, NOW))
    for taken in (_names, _ports, _subnets):
        assert len(taken(first)) == len(taken(second)) > 0
        assert taken(first) & taken(second) == set()


def _names(graph: Graph) -> set[str]:
    return {node.inputs["name"] for node in graph.of_type(CONTAINER, NETWORK, VOLUME)}


def _ports(graph: Graph) -> set[int]:
    return {port["external"] for node in graph.containers for port in node.inputs["ports"]}


def _subnets(graph: Graph) -> set[str]:
    return {entry["subnet"] for node in graph.of_type(NETWORK) for entry in node.inputs["ipamConfigs"]}


def test_a_server_is_reached_over_ssh_with_its_key_pinned() -> None:
    remote = record(lambda: stack.build(sample_settings(REMOTE), None, NOW), stack="staging")
    (engine,) = [node for node in remote.nodes if node.type == "pulumi:providers:docker"]
    assert engine.inputs["host"] == "ssh://deploy@staging.test:2222"
    key = REMOTE["server"]["host_key"]  # type: ignore[index]
    assert f"KnownHostsCommand=/usr/bin/env echo %H {key}" in json.dumps(engine.inputs["sshOpts"])
    here = [node.name for node in remote.commands if node.type == LOCAL_COMMAND]
    assert here == ["migration-lint"]  # what judges a migration is installed beside gad
    there = remote.of_type(REMOTE_COMMAND)
    assert {node.inputs["connection"].value["hostKey"] for node in there} == {key}
    assert [p["ip"] for p in remote.named("proxy-server").inputs["ports"]] == ["192.0.2.10"] * 3
    assert [p["external"] for p in remote.named("proxy-server").inputs["ports"]] == [80, 443, 443]
    assert remote.outputs["url"] == "https://staging.test"


def test_a_bare_server_is_made_ready_before_anything_is_on_it() -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ"
    hardening = {"os": "debian-13", "deploy_keys": [key]}
    server = {**REMOTE["server"], "hardening": hardening}  # type: ignore[dict-item]
    made = record(
        lambda: stack.build(sample_settings({**REMOTE, "server": server}), None, NOW), stack="staging"
    )
    ready = made.named("host-ready")
    assert ready.inputs["create"].endswith("exec bin/gad host apply staging")
    (engine,) = [node for node in made.nodes if node.type == "pulumi:providers:docker"]
    remote = [node for node in made.commands if node.type == "command:remote:Command"]
    assert len(remote) >= 6
    assert [node.name for node in (engine, *remote) if ready.urn not in node.dependencies] == []
    # Another demand, another revision; where its private key lies is this machine's business.
    revisions = {
        json.dumps(changed.named("host-ready").inputs["triggers"])
        for changes in ({}, {"port": 22}, {"hardening": {**hardening, "first_port": 23}})
        for changed in [
            record(
                lambda changes=changes: stack.build(  # type: ignore[misc]
                    sample_settings({**REMOTE, "server": {**server, **changes}}), None, NOW
                ),
                stack="staging",
            )
        ]
    }
    assert len(revisions) == 3


def test_what_was_declared_is_kept_for_verification(first: Graph, released: Recorded) -> None:
    facts = first.named("declared").registered
    assert sorted(facts["containers"]) == ["api-blue", "api-green", "postgres", "proxy", "redis"]
    for role, declared in facts["containers"].items():
        inputs = first.named(f"{role}-server").inputs
        assert declared["name"] == inputs["name"]
        assert declared["image"] == inputs["image"]
        assert f"{declared['uid']}:{declared['uid']}" == inputs["user"]
        assert declared["memory_mib"] == inputs["memory"]
        assert declared["envs"] == inputs.get("envs", [])
        assert declared["networks"] == sorted(n["name"] for n in inputs["networksAdvanced"])
        assert len(declared["ports"]) == len(inputs["ports"])
    assert facts["url"] == "https://localhost:8443"
    assert facts["networks"]["egress"] == {
        "name": "gad-dev-egress",
        "internal": False,
        "subnet": "10.77.2.0/24",
    }
    assert stack.parse_recorded(json.dumps(facts["release"])) == released


@pytest.mark.parametrize(("changes", "address"), [({}, "127.0.0.1"), (REMOTE, "staging.test")])
def test_what_was_declared_is_read_back(changes: Mapping[str, object], address: str) -> None:
    """As the engine keeps it, which drops what is None."""
    graph = build(changes)
    assert read_outputs("any", dict(graph.named("declared").registered)).address == address


def test_people_read_three_lines(first: Graph) -> None:
    image = sample_settings().images["app"]
    assert first.outputs == {"url": "https://localhost:8443", "live": "blue", "image": image}


def test_the_last_release_is_what_its_last_step_recorded(first: Graph, released: Recorded) -> None:
    def ask(state: Mapping[str, object]) -> object:
        return record(lambda: stack.last_release("dev"), state=state).outputs

    before_the_end = {urn: kept for urn, kept in first.state.items() if not urn.endswith("release-record")}
    assert ask({}) is None
    assert ask(before_the_end) is None
    assert ask(first.state) == released


@pytest.mark.parametrize("damage", ["", "{}", '{"live": "red"}', '"blue"'])
def test_a_damaged_record_is_refused(damage: str) -> None:
    with pytest.raises(GadError, match="the recorded release is not readable"):
        stack.parse_recorded(damage)


# The slot's form under each FORM. Add a line when you raise FORM; never change one.
FORMS = {
    1: "160f31218c9163e1",  # pragma: allowlist secret
    2: "78c31fceec8a075e",  # pragma: allowlist secret
}


def test_another_form_of_a_slot_is_a_release(first: Graph) -> None:
    """The live slot keeps its form: without a new FORM, a changed one would never reach anyone."""
    wanted = desired.desired_slot(sample_settings())
    inputs = first.named("api-blue-server").inputs
    form = {key: inputs.get(key) for key in REPLACING if key not in ("image", "cpus", "name")}
    form["envs"] = sorted(set(inputs["envs"]) - {f"{key}={value}" for key, value in wanted.envs})
    form["mounts"] = [{**mount, "source": ""} for mount in inputs["mounts"]]
    form["labels"] = sorted(entry["label"] for entry in inputs["labels"])
    form["networksAdvanced"] = [n["name"].removeprefix("gad-dev-") for n in inputs["networksAdvanced"]]
    digest = hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()[:16]
    form_now = max(FORM, max(FORMS) + 1)
    assert FORMS.get(FORM) == digest, (
        f"the form of the API's container has changed: FORM in infra/desired.py must be {form_now}, "
        f'so that it reaches people by a release, and FORMS in this file needs {form_now}: "{digest}",'
    )
