"""Answers whose form the engine prescribes: diffs, failures, and failures that leave something behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import grpc
from google.protobuf import any_pb2
from pulumi.runtime.proto import provider_pb2, status_pb2

from .diff import Diff, Kind
from .failure import InitFailed
from .properties import Path, Properties, to_struct

_KIND: Mapping[tuple[Kind, bool], provider_pb2.PropertyDiff.Kind.ValueType] = {
    (Kind.ADD, False): provider_pb2.PropertyDiff.ADD,
    (Kind.ADD, True): provider_pb2.PropertyDiff.ADD_REPLACE,
    (Kind.UPDATE, False): provider_pb2.PropertyDiff.UPDATE,
    (Kind.UPDATE, True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
    (Kind.DELETE, False): provider_pb2.PropertyDiff.DELETE,
    (Kind.DELETE, True): provider_pb2.PropertyDiff.DELETE_REPLACE,
}


def diff_response(diff: Diff) -> provider_pb2.DiffResponse:
    """The engine's form of a diff."""
    some = provider_pb2.DiffResponse.DIFF_SOME if diff.paths else provider_pb2.DiffResponse.DIFF_NONE
    return provider_pb2.DiffResponse(
        changes=some,
        diffs=diff.keys,
        replaces=diff.replace_keys if diff.names_replace_keys else (),
        deleteBeforeReplace=diff.delete_before_replace,
        hasDetailedDiff=True,
        detailedDiff={
            path: provider_pb2.PropertyDiff(kind=_KIND[kind, path in diff.replaces])
            for path, kind in diff.paths.items()
        },
    )


def abort(
    context: grpc.ServicerContext, sentence: str, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN
) -> NoReturn:
    """Fail the call with one sentence."""
    context.abort(code, sentence)
    raise AssertionError  # abort never returns; its stub does not say so


def abort_init(
    context: grpc.ServicerContext, failed: InitFailed, secrets: frozenset[Path], inputs: Properties
) -> NoReturn:
    """Fail so that the engine records what exists, with the reasons why it is not well."""
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=failed.id,
            properties=to_struct(failed.state, secrets),
            reasons=failed.reasons,
            inputs=to_struct(inputs, secrets),
        )
    )
    code = grpc.StatusCode.UNKNOWN
    status = status_pb2.Status(code=int(code.value[0]), message=str(failed), details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    abort(context, str(failed), code)
