"""Where a stack's things are, out of its file alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from infra import claims
from infra.errors import Exit, GadError
from infra.operate.place import Place, place_of
from infra.ssh import SshAccess

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ"


@pytest.fixture(autouse=True)
def _own_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def write(root: Path, server: dict[str, object]) -> None:
    text = yaml.safe_dump({"config": {"grupo-gad:server": server}})
    (root / "Pulumi.staging.yaml").write_text(text, encoding="utf-8")


def test_a_server_is_its_own_place(tmp_path: Path) -> None:
    write(tmp_path, {"kind": "existing", "address": "gad.example", "host_key": KEY, "base_dir": "/srv/gad"})
    server = SshAccess(address="gad.example", port=22, user="deploy", host_key=KEY, private_key_file=None)
    assert place_of(tmp_path, "staging") == Place(server, "gad-staging", "/srv/gad/staging")
    assert not claims.claims_file().exists()


def test_this_machine_gives_a_prefix(tmp_path: Path) -> None:
    write(tmp_path, {"kind": "local"})
    place = place_of(tmp_path, "staging")
    assert (place.server, place.prefix) == (None, "gad-staging")
    assert claims.claims_file().exists()


@pytest.mark.parametrize(
    ("server", "fact"),
    [
        ({"kind": "existing", "host_key": KEY}, "server: kind existing needs address"),
        (
            {"kind": "existing", "address": "a", "host_key": KEY, "base_dir": "/"},
            "server.base_dir: String should match pattern",
        ),
        (
            {"kind": "existing", "address": "a", "host_key": KEY, "base_dir": "/srv/../etc"},
            "server.base_dir: String should match pattern",
        ),
        ({"kind": "distant"}, "server.kind: Input should be"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, server: dict[str, object], fact: str) -> None:
    write(tmp_path, server)
    with pytest.raises(GadError) as refused:
        place_of(tmp_path, "staging")
    assert refused.value.fact.startswith(fact)
    assert refused.value.exit_code == Exit.USAGE
