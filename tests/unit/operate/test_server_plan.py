"""What a stack file asks of its server, and how each mistake in it is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import copyfile

import pytest
import yaml

from infra.errors import Exit, GadError
from infra.operate.server_plan import plan_of

ROOT = Path(__file__).resolve().parents[3]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ"
SERVER = {"kind": "existing", "address": "a.test", "port": 2222, "host_key": KEY}
HARDENING = {"os": "debian-13", "deploy_keys": [KEY]}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "config").mkdir()
    copyfile(ROOT / "config" / "controls.yaml", tmp_path / "config" / "controls.yaml")

    def write(server: Mapping[str, object], **sections: object) -> Path:
        config = {f"grupo-gad:{name}": value for name, value in {"server": server, **sections}.items()}
        (tmp_path / "Pulumi.try.yaml").write_text(yaml.safe_dump({"config": config}))
        return tmp_path

    return write


def test_a_server_as_it_is_to_be_and_as_it_was_handed_over(write: Write) -> None:
    asked = plan_of(write({**SERVER, "hardening": HARDENING}), "try")
    assert (asked.access.user, asked.access.port) == ("deploy", 2222)
    assert (asked.first.user, asked.first.port) == ("root", 22)
    assert asked.first.host_key == asked.access.host_key == KEY
    assert (asked.plan.ssh_port, asked.plan.deploy_user, asked.plan.deploy_keys) == (2222, "deploy", (KEY,))
    assert [(each.port, each.protocol) for each in asked.plan.open_ports] == [
        (80, "tcp"),
        (443, "tcp"),
        (443, "udp"),
    ]
    assert asked.plan.values.text("sshd_config.AddressFamily") == "any"


def test_what_is_stated_prevails(write: Write) -> None:
    hardening = {**HARDENING, "sshd_port": 22, "first_user": "debian", "first_port": 2022}
    root = write(
        {**SERVER, "user": "ops", "hardening": hardening}, proxy={"https_port": 8443, "http_port": 8080}
    )
    asked = plan_of(root, "try")
    assert (asked.plan.ssh_port, asked.plan.deploy_user) == (22, "ops")
    assert (asked.first.user, asked.first.port) == ("debian", 2022)
    assert [each.port for each in asked.plan.open_ports] == [8080, 8443, 8443]


@pytest.mark.parametrize(
    ("server", "fact"),
    [
        (SERVER, "Pulumi.try.yaml asks for no hardening of a server"),
        ({"kind": "local"}, "asks for no hardening"),
        ({"kind": "local", "hardening": HARDENING}, "hardening is for a server"),
        (
            {**SERVER, "hardening": {**HARDENING, "os": "alpine-3"}},
            "server.hardening.os: 'alpine-3' is not ",
        ),
        ({**SERVER, "hardening": {**HARDENING, "deploy_keys": []}}, "server.hardening.deploy_keys"),
        ({**SERVER, "hardening": {**HARDENING, "deploy_keys": ["x"]}}, "server.hardening.deploy_keys.0"),
        ({**SERVER, "user": "Root!", "hardening": HARDENING}, "server.user: "),
        ({**SERVER, "hardening": {**HARDENING, "frist_user": "a"}}, "server.hardening.frist_user"),
    ],
    ids=["none", "local", "local-hardened", "another-os", "no-key", "no-key-at-all", "account", "misspelt"],
)
def test_a_mistake_is_one_sentence(write: Write, server: Mapping[str, object], fact: str) -> None:
    with pytest.raises(GadError) as caught:
        plan_of(write(server), "try")
    assert fact in caught.value.fact
    assert "\n" not in caught.value.fact
    assert caught.value.exit_code == Exit.USAGE


DATA = {
    **{"address": "b.test", "host_key": KEY, "hardening": HARDENING},
    **{"private_address": "10.0.0.3", "app_address": "10.0.0.2"},
}


def test_two_servers_open_to_each_other_what_they_need(write: Write) -> None:
    root = write({**SERVER, "hardening": HARDENING}, data_server=DATA, network={"subnet": "10.88.0.0/22"})
    app, data = plan_of(root, "try"), plan_of(root, "try", "data")
    assert (app.access.address, data.access.address) == ("a.test", "b.test")
    assert (app.plan.roles, data.plan.roles) == (("app",), ("data",))
    assert [(each.port, each.come_from) for each in app.plan.open_ports] == [(80, ()), (443, ()), (443, ())]
    assert [(each.port, str(each.come_from[0])) for each in data.plan.open_ports] == [
        *((5432, "10.0.0.2/32"), (6379, "10.0.0.2/32"))
    ]
    (leading,), (closed,) = app.plan.confined, data.plan.confined
    assert (str(leading.subnet), str(leading.address), leading.ports) == (
        *("10.88.1.0/24", "10.0.0.3"),
        (5432, 6379),
    )
    assert (str(closed.subnet), closed.address) == ("10.88.3.0/24", None)


def test_a_mistake_about_the_second_server_names_it(write: Write) -> None:
    hardening = {**HARDENING, "os": "fedora-43"}
    root = write({**SERVER, "hardening": HARDENING}, data_server={**DATA, "hardening": hardening})
    with pytest.raises(GadError, match=r"data_server\.hardening\.os: 'fedora-43' is not supported; put deb"):
        plan_of(root, "try")


def test_a_key_that_is_none_is_not_shown(write: Write) -> None:
    hardening = {**HARDENING, "deploy_keys": ["-----BEGIN SOMETHING PRIVATE-----"]}
    root = write({**SERVER, "hardening": hardening})
    with pytest.raises(GadError, match="wanted is a line as in authorized_keys") as caught:
        plan_of(root, "try")
    assert "BEGIN" not in str(caught.value)
