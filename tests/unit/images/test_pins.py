from __future__ import annotations

import pytest

from infra.errors import GadError
from infra.operate.images.pins import pin

DIGESTS = {"app": f"r.example/gad/app@sha256:{'a' * 64}", "redis": f"r.example/gad/redis@sha256:{'b' * 64}"}
STACK = f"""\
# The stack of the district.
config:
  grupo-gad:environment: staging

  grupo-gad:images:   # always digests
    source: registry
    app: r.example/gad/app@sha256:{"0" * 64}  # release 12
    caddy: r.example/gad/caddy@sha256:{"c" * 64}
    # redis follows

  grupo-gad:redis:
    app: not an image
"""


def test_only_the_lines_of_the_images_change() -> None:
    assert pin(STACK, DIGESTS, source="x").splitlines() == [
        *STACK.splitlines()[:6],
        f"    app: {DIGESTS['app']}  # release 12",
        STACK.splitlines()[7],
        f"    redis: {DIGESTS['redis']}",
        *STACK.splitlines()[8:],
    ]


def test_pinning_twice_changes_nothing() -> None:
    once = pin(STACK, DIGESTS, source="x")
    assert pin(once, DIGESTS, source="x") == once


def test_a_block_at_the_end_of_the_file_is_filled() -> None:
    text = "config:\n  grupo-gad:images:\n    source: registry\n"
    assert pin(text, DIGESTS, source="x") == text + "".join(f"    {n}: {d}\n" for n, d in DIGESTS.items())


def test_an_empty_block_is_filled() -> None:
    text = "config:\n  grupo-gad:images:\n  grupo-gad:environment: dev\n"
    assert pin(text, {"app": DIGESTS["app"]}, source="x").splitlines()[2] == f"    app: {DIGESTS['app']}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config:\n  grupo-gad:environment: dev\n", "has no block grupo-gad:images"),
        ("config:\n  grupo-gad:images: {source: registry}\n", "has no block grupo-gad:images"),
        ("config:\n  grupo-gad:images:\n    app: |\n      text\n", "cannot be edited line by line"),
        ("other:\n  grupo-gad:images:\n    app: x\n", "cannot be edited line by line"),
    ],
)
def test_a_form_that_lines_cannot_follow_is_refused(text: str, said: str) -> None:
    with pytest.raises(GadError, match=said):
        pin(text, DIGESTS, source="Pulumi.staging.yaml")
