"""What every offline resource provider shares: the wire, property maps, checks, diffs, failures.

A provider is a `Provider` subclass with a table of `Resource`s, one per type token, and an entry

    if __name__ == "__main__":
        serve(MyProvider(), sys.argv[1:])

A `Resource` states a `Schema` (the data table: types, defaults, what replaces) and implements

    create(call, inputs)              -> Created(id, state)
    read(call, id, inputs, state)     -> ReadBack(inputs, state) | None      (None: it is gone)
    update(call, id, change)          -> Updated(state)
    delete(call, id, inputs, state)   -> None

`check` (types, names, defaults), `diff` (`Schema` against a `Change`) and `planned` (the outputs of a
preview) have table-driven defaults that a resource may override. `create`, `update` and `delete` never run
in a preview. Property maps are plain dicts with the SDK's camelCase keys; a value that is not known yet is
`UNKNOWN`, a file is an `Asset` or `Archive`. Secrets need no care: what came in as a secret goes out as a
secret at the same path; further secret outputs are named in `Created.secrets`.

Failures: raise `infra.errors.GadError(fact, remedy=…)`; it reaches the user as one sentence. Raise
`InitFailed(id, state, reasons)` when the thing exists but is not as it should be: the engine records it
with its errors. Anything else is a bug and is shown with its traceback. A wait must use
`call.wait(seconds)`, which raises `Cancelled` as soon as the engine cancels.
"""

from __future__ import annotations

from .check import check_properties
from .diff import Change, Diff, Kind, diff_properties
from .failure import Cancelled, InitFailed
from .properties import UNKNOWN, Archive, Asset, Properties, Unknown, Value
from .resource import Call, Checked, Created, Failure, Provider, ReadBack, Resource, Updated
from .schema import (
    Property,
    Schema,
    boolean,
    integer,
    listing,
    mapping,
    obj,
    setting,
    string,
)
from .server import serve

__all__ = [
    "UNKNOWN",
    "Archive",
    "Asset",
    "Call",
    "Cancelled",
    "Change",
    "Checked",
    "Created",
    "Diff",
    "Failure",
    "InitFailed",
    "Kind",
    "Properties",
    "Property",
    "Provider",
    "ReadBack",
    "Resource",
    "Schema",
    "Unknown",
    "Updated",
    "Value",
    "boolean",
    "check_properties",
    "diff_properties",
    "integer",
    "listing",
    "mapping",
    "obj",
    "serve",
    "setting",
    "string",
]
