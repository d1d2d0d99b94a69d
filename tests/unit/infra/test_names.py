from __future__ import annotations

from infra.names import Names

NAMES = Names(stack="dev", prefix="gad-dev-2")


def test_every_name_carries_the_prefix() -> None:
    assert NAMES.container("api-blue") == "gad-dev-2-api-blue"
    assert NAMES.network("data") == "gad-dev-2-data"
    assert NAMES.volume("postgres") == "gad-dev-2-postgres-data"


def test_labels_are_complete_and_sorted() -> None:
    labels = NAMES.labels("postgres", "personal")
    assert list(labels.items()) == [
        ("gad.data-class", "personal"),
        ("gad.prefix", "gad-dev-2"),
        ("gad.role", "postgres"),
        ("gad.stack", "dev"),
    ]
