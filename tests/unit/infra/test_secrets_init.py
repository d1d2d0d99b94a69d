"""What `gad secrets init` decides before the engine is asked for anything."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.errors import Exit, GadError
from infra.operate import secrets
from infra.operate.pulumi import Pulumi
from infra.settings import SECRET, is_placeholder
from infra.tls_pair import make_pair


def stack(root: Path, content: str) -> Pulumi:
    (root / "Pulumi.staging.yaml").write_text(content)
    return Pulumi(root, "staging")


def test_every_made_value_passes_as_a_secret() -> None:
    made = [secrets._strong() for _ in range(500)]
    assert [value for value in made if not SECRET.match(value) or is_placeholder(value)] == []
    assert [
        value for value in made if not value[0].isalnum()
    ] == []  # an argument must not look like an option
    assert len(set(made)) == len(made)


def test_an_unlucky_value_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter(["-" + "a" * 42, "todo" + "a" * 39, "b" * 43])
    monkeypatch.setattr(secrets.random, "token_urlsafe", lambda _: next(draws))
    assert secrets._strong() == "b" * 43


@pytest.mark.parametrize(
    ("values", "asks"),
    [({}, False), ({"postgres": None}, False), ({"postgres": {}}, False)]
    + [({"postgres": {"tls": tls}}, asks) for tls, asks in [(True, True), ("true", True), (False, False)]],
)
def test_only_a_stack_that_asks_for_tls_gets_a_pair(values: dict[str, object], asks: bool) -> None:
    assert secrets.asks_tls(values, "postgres") is asks
    assert secrets.asks_tls(values, "redis") is False


@pytest.mark.parametrize(("age_days", "usable"), [(0, True), (794, True), (796, False), (900, False)])
def test_a_pair_is_made_anew_before_it_ends(age_days: int, usable: bool) -> None:
    now = datetime.now(UTC)
    pair = make_pair("postgres", at=now - timedelta(days=age_days))
    assert secrets.is_usable(pair, "postgres", at=now) is usable
    assert secrets.is_usable(pair, "redis", at=now) is False
    assert secrets.is_usable(None, "postgres", at=now) is False


@pytest.mark.parametrize("value", ["hunter2", "{secure: v1:x, note: y}", "{value: x}", "[v1:x]"])
def test_a_value_in_clear_is_refused_without_being_shown(tmp_path: Path, value: str) -> None:
    engine = stack(tmp_path, f"config:\n  grupo-gad:secrets:\n    kek: {value}\n")
    with pytest.raises(GadError) as caught:
        secrets.init(engine)
    assert caught.value.fact == "secrets.kek stands in clear (Pulumi.staging.yaml)"
    assert caught.value.exit_code == Exit.REFUSED
    assert "hunter2" not in str(caught.value)
    assert not (tmp_path / ".gad").exists()


def test_secrets_that_are_no_mapping_are_refused(tmp_path: Path) -> None:
    engine = stack(tmp_path, "config:\n  grupo-gad:secrets: [a]\n")
    with pytest.raises(GadError, match=r"secrets is no mapping \(Pulumi.staging.yaml\)"):
        secrets.init(engine)


def test_the_passphrase_is_for_its_owner_only_and_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    engine = stack(tmp_path, "")
    secrets._ensure_passphrase(engine)
    file = tmp_path / ".gad" / "staging.passphrase"
    first = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(first.strip()) >= 43
    secrets._ensure_passphrase(engine)
    assert file.read_text() == first


def test_a_passphrase_that_the_caller_has_set_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "mine")
    secrets._ensure_passphrase(stack(tmp_path, ""))
    assert list((tmp_path / ".gad").rglob("*.passphrase")) == []
