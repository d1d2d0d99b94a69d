"""The variables with which a plain `pulumi` works on one stack of a checkout. Nothing in them is secret."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from infra.toolchain.cache import cache_root
from infra.toolchain.shims import bin_folder, offline_home

CHECKOUT = "GAD_CHECKOUT"
STACK = "PULUMI_STACK"
HOME = "PULUMI_HOME"
BACKEND = "PULUMI_BACKEND_URL"
PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105 - the name of the variable
PASSPHRASE_FILE = "PULUMI_CONFIG_PASSPHRASE_FILE"  # noqa: S105


def environment(root: Path, stack: str, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """What to set for `stack`, on top of `base` (this process's variables). Creates the folders it names.

    A backend, a Pulumi home or a passphrase that the caller has set already stays, with these exceptions:
    what an earlier `gad env` of any checkout or stack set is replaced; offline plugins have a home of their
    own; a stack whose passphrase is committed (`config/<stack>.passphrase`, public on purpose) uses that one.
    """
    variables = _without_ours(os.environ if base is None else base)
    state = _state(root)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    chosen = {
        "PATH": os.pathsep.join([str(bin_folder(root)), variables.get("PATH", os.defpath)]),
        CHECKOUT: str(root),
        STACK: stack,
        BACKEND: variables.get(BACKEND) or f"file://{state}",
        HOME: str(offline_home(root) if offline_home(root).is_dir() else pulumi_home(variables)),
        # An update notice is noise where versions are pinned, and a wait where nothing is reachable.
        "PULUMI_SKIP_UPDATE_CHECK": "1",
    }
    if passphrase := passphrase_file(root, stack, variables):
        chosen[PASSPHRASE_FILE] = str(passphrase)
    return chosen


def superseded(root: Path, stack: str, base: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Variables to remove, because Pulumi would prefer them or they belong to another stack.

    Pulumi prefers a passphrase in the environment, even an empty one, to the file.
    """
    variables = os.environ if base is None else base
    chosen = environment(root, stack, variables)
    stale = [PASSPHRASE_FILE] if PASSPHRASE_FILE in variables and PASSPHRASE_FILE not in chosen else []
    if PASSPHRASE in variables and _committed(root, stack).is_file():
        stale.append(PASSPHRASE)
    return tuple(stale)


def process_environment(root: Path, stack: str) -> dict[str, str]:
    """The whole environment for a child process that works on `stack`."""
    gone = superseded(root, stack)
    kept = {name: value for name, value in os.environ.items() if name not in gone}
    return {**kept, **environment(root, stack)}


def passphrase_file(root: Path, stack: str, base: Mapping[str, str]) -> Path | None:
    """The file that opens the stack's secrets; None when the caller's own variables do."""
    if _committed(root, stack).is_file():
        return _committed(root, stack)
    if PASSPHRASE in base or base.get(PASSPHRASE_FILE):
        return None
    return _private(root, stack)


def pulumi_home(base: Mapping[str, str] | None = None) -> Path:
    """Where official plugins are: the owner's PULUMI_HOME when set, else a folder of this project's cache.

    There they are shared by all checkouts, and kept apart from the owner's ~/.pulumi: neither
    `pulumi plugin rm` there nor a login there can break a stack here.
    """
    variables = os.environ if base is None else base
    return Path(variables.get(HOME) or cache_root(dict(variables)) / "pulumi-home")


def _without_ours(base: Mapping[str, str]) -> dict[str, str]:
    """`base` as it was before an earlier `gad env`: those values were never the owner's wish."""
    if CHECKOUT not in base:
        return dict(base)
    root, stack = Path(base[CHECKOUT]), base.get(STACK, "")
    ours = {
        HOME: {str(offline_home(root))},
        BACKEND: {f"file://{_state(root)}"},
        PASSPHRASE_FILE: {str(_committed(root, stack)), str(_private(root, stack))},
    }
    kept = {name: value for name, value in base.items() if value not in ours.get(name, ())}
    folders = base.get("PATH", os.defpath).split(os.pathsep)
    kept["PATH"] = os.pathsep.join(folder for folder in folders if folder != str(bin_folder(root)))
    return kept


def _state(root: Path) -> Path:
    return root / ".gad" / "state"


def _committed(root: Path, stack: str) -> Path:
    return root / "config" / f"{stack}.passphrase"


def _private(root: Path, stack: str) -> Path:
    return root / ".gad" / f"{stack}.passphrase"
