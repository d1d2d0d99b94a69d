"""What the engine holds beside what the state knows: unknown, and of that, what is merely unfinished."""

from __future__ import annotations

from infra.operate.owned import TOKENS, Kind, Owned, interrupted, scratch, unknown
from infra.operate.pulumi import Deployment, Operation, Resource


def item(kind: Kind, role: str, *, id: str | None = None) -> Owned:
    return Owned(kind=kind, name=f"gad-dev-{role}", id=id or f"{kind}-{role}", role=role)


def known(thing: Owned) -> Resource:
    return Resource(urn=f"urn:…::{thing.role}", type=TOKENS[thing.kind], id=thing.id)


def begun(thing: Owned, verb: str = "creating") -> Operation:
    resource = Resource(urn=f"urn:…::{thing.role}", type=TOKENS[thing.kind], inputs={"name": thing.name})
    return Operation(resource=resource, type=verb)


BLUE, NET, DATA = item("container", "api-blue"), item("network", "data"), item("volume", "postgres")


def test_what_the_state_has_is_known() -> None:
    deployment = Deployment(resources=(known(BLUE), known(NET), known(DATA)))
    assert unknown([BLUE, NET, DATA], deployment) == ()


def test_without_a_state_all_is_unknown() -> None:
    assert unknown([BLUE, NET, DATA], Deployment()) == (BLUE, NET, DATA)


def test_the_same_name_under_another_id_is_unknown() -> None:
    twin = item("container", "api-blue", id="other")
    assert unknown([twin], Deployment(resources=(known(BLUE),))) == (twin,)


def test_the_same_id_of_another_kind_is_unknown() -> None:
    network = item("network", "x", id=BLUE.id)
    assert unknown([network], Deployment(resources=(known(BLUE),))) == (network,)


def test_a_migration_is_never_unknown() -> None:
    """It is no resource: it runs inside a command and goes by itself."""
    assert unknown([item("container", "migration")], Deployment()) == ()


def test_the_copy_of_a_rehearsal_is_never_unknown_and_may_go() -> None:
    copy, network = item("container", "scratch"), item("network", "scratch")
    held = [BLUE, NET, DATA, copy, network]
    assert unknown(held, Deployment()) == (BLUE, NET, DATA)
    assert scratch(held) == (copy, network)


def test_what_an_update_had_begun_is_unfinished() -> None:
    deployment = Deployment(resources=(known(NET),), pending_operations=(begun(BLUE), begun(DATA)))
    assert interrupted([BLUE, NET, DATA], deployment) == (BLUE, DATA)


def test_only_a_creation_can_have_made_something() -> None:
    deployment = Deployment(pending_operations=(begun(BLUE, "deleting"), begun(NET, "updating")))
    assert interrupted([BLUE, NET], deployment) == ()


def test_another_kind_of_the_same_name_was_not_begun() -> None:
    network = item("network", "api-blue")
    assert interrupted([network], Deployment(pending_operations=(begun(BLUE),))) == ()
