"""A checkout whose staging is a lab, or two; and what takes too long for each run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.operate.images.build import build_images
from infra.operate.images.progress import reporting
from tests.engine.lab.server import ROOT
from tests.engine.stack.checkout import Checkout

STACK = "staging"
LONG = pytest.mark.skipif(not os.environ.get("GAD_TEST_LONG"), reason="minutes; set GAD_TEST_LONG=1")


def staging_checkout(folder: Path, change: Callable[[dict[str, Any]], None]) -> Checkout:
    """A copy of this checkout in `folder`, its stack file changed, images locked, secrets made.

    The stack goes with the lab it is on.
    """
    with reporting() as reporter:
        build_images(ROOT, reporter, group="core")
    made = Checkout.copy(folder).of_stack(STACK)
    file = made.root / f"Pulumi.{STACK}.yaml"
    document = yaml.safe_load(file.read_text())
    change(document["config"])
    file.write_text(yaml.safe_dump(document))
    made.gad("images", "lock", "--stack", STACK, "--registry", "127.0.0.1:5000/gad").succeeded()
    made.gad("secrets", "init", STACK).succeeded()
    return made


def differences(checkout: Checkout) -> list[dict[str, str]]:
    """Those that `gad drift` names."""
    ran = checkout.gad("drift", STACK, "--json").ran
    said = json.loads(ran.out)
    assert ran.code == int(not said["ok"]), ran
    found: list[dict[str, str]] = said["differences"]
    return found


def of_lab(folder: Path) -> dict[str, Any]:
    """What `gad lab up` wrote for a stack file, out of the lab's own folder."""
    stated: dict[str, Any] = yaml.safe_load((folder / "stack.yaml").read_text())
    return stated
