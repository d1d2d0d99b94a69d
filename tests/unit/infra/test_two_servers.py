"""A stack on two servers: what is where, who reaches what, and what the stack file must say."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Mapping

import pytest

from infra import stack
from infra.errors import GadError
from infra.operate.outputs import read_outputs
from infra.release import Attempt
from infra.ssh import SshAccess
from tests.unit.infra.graph import CONTAINER, IMAGE, NETWORK, VOLUME, Graph, Node, record
from tests.unit.infra.samples import REDIS_PAIR, TWO, sample_settings

# The SDK imports its own deprecated resource along with the ones for a server.
pytestmark = pytest.mark.filterwarnings("ignore:This resource is deprecated:DeprecationWarning")

NOW = Attempt(id="1", by="ana@desk")
ON_DATA = {
    *("postgres-server", "postgres-data", "redis-server", "redis-data", "data-network-store"),
    *("data-images-postgres", "data-images-redis"),
}
COMMANDS_ON_DATA = {
    *("postgres-server-pids", "redis-server-pids", "postgres-config-write", "redis-config-write"),
    *("secrets-postgres-write", "secrets-redis-write", "backup-take"),
}


def build(changes: Mapping[str, object] | None = None) -> Graph:
    settings = sample_settings({**TWO, **(changes or {})})
    return record(lambda: stack.build(settings, None, NOW), stack="staging")


@pytest.fixture(scope="module")
def two() -> Graph:
    return build()


def text_of(node: Node, name: str) -> str:
    """A file in what a command writes."""
    packed = node.inputs["stdin"]
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(getattr(packed, "value", packed)))) as tar:
        found = tar.extractfile(name)
        assert found is not None
        return found.read().decode()


def test_each_thing_is_on_its_server(two: Graph) -> None:
    engines = {
        node.name: (node.urn, node.inputs["host"])
        for node in two.nodes
        if node.type == "pulumi:providers:docker"
    }
    assert {name: host for name, (_, host) in engines.items()} == {
        "server": "ssh://deploy@staging.test:2222",
        "data-server": "ssh://deploy@data.test:22",
    }
    asked = two.of_type(CONTAINER, NETWORK, VOLUME, IMAGE)
    on_data = {n.name for n in asked if n.provider.rsplit("::", 1)[0] == engines["data-server"][0]}
    assert on_data == ON_DATA
    assert len(asked) - len(on_data) == 3 + 3 + 1 + 2  # proxy and slots, their networks, a volume, two images
    remote = [node for node in two.commands if node.type == "command:remote:Command"]
    addresses = {node.name: node.inputs["connection"].value["host"] for node in remote}
    assert {name for name, address in addresses.items() if address == "data.test"} == COMMANDS_ON_DATA


def test_both_are_made_ready_first_and_neither_waits_for_the_other(two: Graph) -> None:
    app, data = two.named("host-ready"), two.named("data-host-ready")
    assert app.inputs["create"].endswith("gad host apply staging --role app")
    assert data.inputs["create"].endswith("gad host apply staging --role data")
    assert app.urn not in data.dependencies
    assert data.urn not in app.dependencies
    early = [n.name for n in two.commands if n.name in COMMANDS_ON_DATA and data.urn not in n.dependencies]
    assert early == []


@pytest.mark.parametrize(
    "change", [{"data_server.private_address": "10.0.0.4"}, {"data_server.app_address": "10.0.0.5"}]
)
def test_an_address_between_them_concerns_both(two: Graph, change: Mapping[str, object]) -> None:
    changed = build(change).changed_since(two)
    assert {"host-ready", "data-host-ready"} <= changed


def test_data_listens_at_its_private_address_only(two: Graph) -> None:
    ports = {
        node.name: [(p["ip"], p["external"], p["internal"], p["protocol"]) for p in node.inputs["ports"]]
        for node in two.containers
    }
    assert ports["postgres-server"] == [("10.0.0.3", 5432, 5432, "tcp")]
    assert ports["redis-server"] == [("10.0.0.3", 6379, 6379, "tcp")]
    publish = sorted(name for name, found in ports.items() if found)
    assert publish == ["postgres-server", "proxy-server", "redis-server"]


def test_the_application_knows_data_by_the_names_of_their_certificates(two: Graph) -> None:
    hosts = [{"host": "postgres", "ip": "10.0.0.3"}, {"host": "redis", "ip": "10.0.0.3"}]
    for slot in ("api-blue-server", "api-green-server"):
        assert two.named(slot).inputs["hosts"] == hosts
    migrate = two.named("migration-run").inputs["create"]
    assert "--add-host=postgres:10.0.0.3 --add-host=redis:10.0.0.3" in migrate
    api = two.named("secrets-api-write")
    assert text_of(api, "database_url").partition("?")[2].startswith("sslmode=verify-full&")
    url = text_of(api, "redis_url")
    assert url.startswith("rediss://gad:")
    assert url.endswith(
        "@redis:6379/0?ssl_cert_reqs=required&ssl_check_hostname=true"
        "&ssl_ca_certs=/run/gad/secrets/redis_ca.crt"
    )
    assert text_of(api, "redis_ca.crt") == REDIS_PAIR.certificate
    assert text_of(two.named("secrets-redis-write"), "server.key") == REDIS_PAIR.key


def test_nothing_answers_in_clear_and_only_the_other_server_may_ask(two: Graph) -> None:
    redis = text_of(two.named("redis-config-write"), "redis.conf").splitlines()
    assert ("port 0" in redis, "tls-port 6379" in redis, "port 6379" in redis) == (True, True, False)
    rules = text_of(two.named("postgres-config-write"), "pg_hba.conf").splitlines()
    network = [line.split() for line in rules if line.startswith("host")]
    assert [(line[0], line[3]) for line in network] == [("hostssl", "10.0.0.2/32")] * 2


def test_networks_do_not_meet(two: Graph) -> None:
    found = {
        node.name: (node.inputs["internal"], node.inputs["ipamConfigs"][0]["subnet"])
        for node in two.of_type(NETWORK)
    }
    assert found == {
        "network-edge": (True, "10.88.0.0/24"),
        "network-data": (False, "10.88.1.0/24"),
        "network-egress": (False, "10.88.2.0/24"),
        "data-network-store": (False, "10.88.3.0/24"),
    }


def test_another_address_is_a_release(two: Graph) -> None:
    recorded = stack.parse_recorded(two.named("release-record").inputs["stdin"])
    settings = sample_settings({**TWO, "data_server.private_address": "10.0.0.4"})
    changed = record(lambda: stack.build(settings, recorded, NOW), stack="staging").changed_since(two)
    assert {"api-green-server", "release-route"} <= changed
    assert "api-blue-server" not in changed


def test_what_was_declared_is_read_back(two: Graph) -> None:
    outputs = read_outputs("any", dict(two.named("declared").registered))
    assert isinstance(outputs.data_server, SshAccess)
    assert {role: outputs.server_of(role).address for role in outputs.containers} == {  # type: ignore[union-attr]
        **dict.fromkeys(("api-blue", "api-green", "proxy"), "staging.test"),
        **dict.fromkeys(("postgres", "redis"), "data.test"),
    }
    assert outputs.redis_tls is True
    assert outputs.data_hosts == {"postgres": "10.0.0.3", "redis": "10.0.0.3"}


def test_a_stack_on_one_server_says_nothing_of_a_second() -> None:
    one = record(lambda: stack.build(sample_settings(), None, NOW))
    text = json.dumps([dict(node.inputs) for node in one.nodes], default=str)
    assert [word for word in ("hosts", "redis_tls", "data_server", "--role") if word in text] == []
    registered = one.named("declared").registered
    assert {"data_server", "redis_tls"} & registered.keys() == set()


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"postgres.tls": False}, "data_server needs postgres.tls: nothing in clear leaves a server"),
        ({"redis.tls": False}, "data_server needs redis.tls"),
        ({"data_server.hardening": None}, "only a hardened data server is closed to others"),
        ({"data_server.kind": "local", "data_server.hardening": None}, "kind local is for server"),
        ({"data_server.app_address": "10.0.0.3"}, "private_address and app_address are both 10.0.0.3"),
        ({"data_server.private_address": "127.0.0.1"}, "is no address between two servers"),
        ({"data_server.address": "staging.test", "data_server.port": 2222}, "is the same machine as server"),
        ({"server.hardening": None}, "data_server needs server.hardening"),
    ],
    ids=["postgres-clear", "redis-clear", "bare", "local", "same", "loopback", "one-machine", "app-bare"],
)
def test_what_would_be_open_is_refused(changes: Mapping[str, object], fact: str) -> None:
    with pytest.raises(GadError) as caught:
        sample_settings({**TWO, **changes})
    assert fact in caught.value.fact
