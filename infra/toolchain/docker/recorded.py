"""The part of the outputs that is nothing but the inputs."""

from __future__ import annotations

from collections.abc import Mapping

from infra.toolchain.plugin import Properties, Value
from infra.toolchain.plugin.schema import DEFAULTS


def outputs_of(inputs: Mapping[str, Value]) -> Properties:
    """`inputs` as outputs: without the lists of defaults that the inputs carry at each level."""
    return {key: _plain(value) for key, value in inputs.items() if key != DEFAULTS}


def _plain(value: Value) -> Value:
    if isinstance(value, dict):
        return outputs_of(value)
    return [_plain(each) for each in value] if isinstance(value, list) else value
