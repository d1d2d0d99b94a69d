"""One running stack for all releases. They have the machine alone: a loaded one drops requests by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.stack.checkout import STACK, Checkout
from tests.engine.stack.conftest import checkout, client, core_images

__all__ = ["checkout", "client", "core_images"]


@pytest.fixture(scope="module")
def released(checkout: Checkout) -> Iterator[Checkout]:
    """The running stack; after the module's tests it is what its file says."""
    yield checkout
    checkout.gad("up", STACK, "--no-verify").succeeded()


@pytest.fixture
def stack(released: Checkout) -> Iterator[Checkout]:
    """The same, whose stack file is put back. What is live stays: a release begins from anything."""
    before = released.stack_file.read_text()
    yield released
    released.stack_file.write_text(before)
