"""What the provider says to the engine while it works."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

_SEVERITY: Mapping[str, engine_pb2.LogSeverity.ValueType] = {
    "debug": engine_pb2.DEBUG,
    "info": engine_pb2.INFO,
    "status": engine_pb2.INFO,
    "warning": engine_pb2.WARNING,
    "error": engine_pb2.ERROR,
}


class EngineLog:
    """The engine's log, once its address is known; before that, nothing is said."""

    def __init__(self, address: str | None) -> None:
        self._stub: engine_pb2_grpc.EngineStub | None = None
        if address:
            self.connect(address)

    def connect(self, address: str) -> None:
        """Log to the engine at `address` (host:port)."""
        self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def write(self, severity: str, message: str, urn: str = "") -> None:
        """One line for the resource `urn`; `status` is shown only while it runs. A gone engine takes none."""
        if self._stub is None:
            return
        try:
            self._stub.Log(
                engine_pb2.LogRequest(
                    severity=_SEVERITY[severity], message=message, urn=urn, ephemeral=severity == "status"
                ),
                timeout=5,
            )
        except grpc.RpcError as error:
            logging.getLogger(__name__).debug("the engine took no log: %s", error)
