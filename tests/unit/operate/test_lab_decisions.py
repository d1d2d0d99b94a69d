"""What a lab is made of, decided without an engine."""

from __future__ import annotations

import io
import itertools
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from infra.cli import lab as lab_command
from infra.cli.root import main
from infra.errors import Exit, GadError
from infra.operate import lab, lab_engine
from infra.operate.lab import KeyPair, Lab, LabName
from infra.settings import Proxy, Server

NAME = LabName("demo", Path("/srv/one"))
LOGIN = KeyPair("login private\n", "ssh-ed25519 AAAAlogin")
HOST = KeyPair("host private\n", "ssh-ed25519 AAAAhost")


@pytest.mark.parametrize("name", ["a", "demo", "a-1", "a" * 32])
def test_a_name_that_is_one(name: str) -> None:
    assert lab.lab_name(name, Path("/srv")).name == name


@pytest.mark.parametrize("name", ["", "Demo", "1a", "-a", "a-", "a_b", "../x", "a b", "a" * 33, "a\n"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(GadError, match="cannot be the name of a lab") as caught:
        lab.lab_name(name, Path("/srv"))
    assert caught.value.exit_code == Exit.USAGE


def test_two_checkouts_with_a_lab_of_one_name_do_not_clash() -> None:
    other = LabName("demo", Path("/srv/two"))
    assert {NAME.prefix, NAME.volume} & {other.prefix, other.volume} == set()
    assert NAME.labels["gad.lab.checkout"] != other.labels["gad.lab.checkout"]
    assert LabName("demo", Path("/srv/one")).prefix == NAME.prefix


def test_a_port_that_was_asked_for_is_the_only_one_tried() -> None:
    assert list(lab.candidates(2222, {2222})) == [2222]


def test_ports_of_the_other_labs_are_passed_over_even_if_these_are_stopped() -> None:
    assert list(itertools.islice(lab.candidates(None, {2222, 2224}), 3)) == [2223, 2225, 2226]
    assert len(list(lab.candidates(None, ()))) == 100


def test_what_goes_in_is_for_root_only_and_the_registry_is_at_its_port() -> None:
    with tarfile.open(fileobj=io.BytesIO(lab.files_inside(LOGIN, HOST, 5001))) as archive:
        files = {member.name: (member.mode, member.linkname) for member in archive}
        text = {m.name: archive.extractfile(m).read().decode() for m in archive if m.isfile()}  # type: ignore[union-attr]
    unit = "etc/systemd/system/sockets.target.wants/gad-registry@5001.socket"
    assert files == {
        "root/.ssh/authorized_keys": (0o600, ""),
        "etc/ssh/ssh_host_ed25519_key": (0o600, ""),
        "etc/ssh/ssh_host_ed25519_key.pub": (0o644, ""),
        unit: (0o644, "/etc/systemd/system/gad-registry@.socket"),
    }
    assert text["root/.ssh/authorized_keys"] == "ssh-ed25519 AAAAlogin\n"
    assert text["etc/ssh/ssh_host_ed25519_key"] == "host private\n"
    assert "login private" not in "".join(text.values())


def test_what_stays_outside_pins_the_host_and_never_has_its_private_key() -> None:
    files = lab.files_outside(NAME, 2222, LOGIN, HOST)
    assert lab.pinned(files["known_hosts"]) == HOST.public
    assert files["known_hosts"].startswith("[127.0.0.1]:2222 ")
    assert "host private" not in "".join(files.values())
    assert "StrictHostKeyChecking yes" in files["ssh_config"]


def test_the_snippet_is_what_a_stack_file_takes() -> None:
    made = Lab(name=NAME, state="running", port=2222, address="10.0.0.2", host_key=HOST.public)
    stack_file = yaml.safe_load("config:\n" + lab.snippet(NAME, 2222, login=LOGIN.public, host=HOST.public))
    server = Server.model_validate(stack_file["config"]["grupo-gad:server"])
    assert server.access == replace(made.access, user="deploy")
    assert server.hardening is not None
    assert server.hardening.deploy_keys == (LOGIN.public,)
    first, asked = server.hardening, made.access
    assert (first.first_user, first.first_port) == (asked.user, asked.port)
    proxy = Proxy.model_validate(stack_file["config"]["grupo-gad:proxy"])
    assert (proxy.https_port, proxy.http_port, str(proxy.bind)) == (3222, 4222, "0.0.0.0")  # noqa: S104


@pytest.mark.parametrize("text", ["", "\n", "[127.0.0.1]:2222 ssh-ed25519"])
def test_a_broken_known_hosts_pins_nothing(text: str) -> None:
    assert lab.pinned(text) is None


def test_a_lab_without_its_files_is_not_reached_unpinned() -> None:
    lost = Lab(name=NAME, state="running", port=2222, address=None, host_key=None)
    with pytest.raises(GadError, match="keys of lab demo are no longer in"):
        _ = lost.access


def test_a_key_does_not_show_in_a_traceback() -> None:
    assert "PRIVATE" in lab.make_key().private
    assert "PRIVATE" not in repr(lab.make_key())
    assert lab.make_key() != lab.make_key()


@pytest.mark.parametrize(
    ("known", "remedy"), [([], "make it with `gad lab up demo`"), (["one", "two"], "there are: one, two")]
)
def test_a_lab_that_is_not_there(known: list[str], remedy: str) -> None:
    error = lab_engine.unknown("demo", known)
    assert (error.exit_code, error.remedy) == (Exit.USAGE, remedy)


def test_down_asks_and_no_is_no(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    monkeypatch.setattr("infra.operate.lab_engine.down", lambda *_: pytest.fail("removed"))
    assert main(["lab", "down", "demo"]) == Exit.REFUSED
    assert "nothing was removed" in capsys.readouterr().err


def test_completion_offers_the_labs_that_there_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("demo", "drill", "other"):
        (tmp_path / ".gad/lab" / name).mkdir(parents=True)
        (tmp_path / ".gad/lab" / name / "known_hosts").touch()
    monkeypatch.setattr(lab_command, "ROOT", tmp_path)
    assert lab_command.complete_lab("d") == ["demo", "drill"]
