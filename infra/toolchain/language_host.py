"""`pulumi-language-python` where the official one cannot be downloaded.

Serves the engine's LanguageRuntime: runs Python programs and Python plugins (policy packs, dynamic
providers). Code generation, packing and linking are left out: the engine is answered "unimplemented".
"""

# ruff: noqa: ARG002 - the signatures are the service's own
from __future__ import annotations

import json
import platform
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import language_pb2 as language
from pulumi.runtime.proto import language_pb2_grpc, plugin_pb2

from infra.errors import GadError
from infra.toolchain.children import Children
from infra.toolchain.interpreter import find_interpreter
from infra.toolchain.program import EXPLAINED
from infra.toolchain.serving import serve

PROGRAM = Path(__file__).with_name("program.py")


def program_command(python: Path, engine: str, request: language.RunRequest) -> list[str]:
    """The command line that runs the program of `request`; configuration is not on it."""
    info = request.info
    return [
        str(python),
        "-u",  # what the program prints belongs between the resources it made
        "-P",  # our folder holds packages named like other people's
        str(PROGRAM),
        f"--project={request.project}",
        f"--stack={request.stack}",
        f"--organization={request.organization}",
        f"--root_directory={info.root_directory}",
        f"--monitor={request.monitor_address}",
        f"--engine={engine}",
        f"--parallel={request.parallel}",
        f"--dry_run={'true' if request.dryRun else 'false'}",
        f"--pwd={request.pwd or info.program_directory}",
        "--",
        str(Path(info.program_directory) / (info.entry_point or ".")),
        *request.args,
    ]


def program_config(request: language.RunRequest) -> bytes:
    """What the program reads from standard input: configuration and the names of its secret keys."""
    return json.dumps({"config": dict(request.config), "secret_keys": [*request.configSecretKeys]}).encode()


def run_result(exit_code: int) -> language.RunResponse:
    """What the engine is told: nothing, "already explained", or the code."""
    if exit_code == 0:
        return language.RunResponse()
    if exit_code == EXPLAINED:
        return language.RunResponse(bail=True)
    if exit_code < 0:
        return language.RunResponse(error=f"Program was ended by signal {-exit_code}")
    return language.RunResponse(error=f"Program exited with non-zero exit code: {exit_code}")


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Programs and plugins run as child processes in the host's own process group, which the engine ends."""

    def __init__(self, engine: str, children: Children) -> None:
        self._engine = engine
        self._children = children

    def Handshake(
        self, request: language.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> language.LanguageHandshakeResponse:
        """Learn the engine's address."""
        self._engine = request.engine_address
        return language.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """No version: the host belongs to this checkout."""
        return plugin_pb2.PluginInfo()

    def GetRequiredPlugins(
        self, request: language.GetRequiredPluginsRequest, context: grpc.ServicerContext
    ) -> language.GetRequiredPluginsResponse:
        """Nothing to download: the engine finds its plugins on PATH when resources ask for them."""
        return language.GetRequiredPluginsResponse()

    def GetRequiredPackages(
        self, request: language.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language.GetRequiredPackagesResponse:
        """Nothing to download: the engine finds its plugins on PATH when resources ask for them."""
        return language.GetRequiredPackagesResponse()

    def GetProgramDependencies(
        self, request: language.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> language.GetProgramDependenciesResponse:
        """Left to requirements/, where they have hashes."""
        return language.GetProgramDependenciesResponse()

    def RuntimeOptionsPrompts(
        self, request: language.RuntimeOptionsRequest, context: grpc.ServicerContext
    ) -> language.RuntimeOptionsResponse:
        """Nothing to ask: the project's options are written down."""
        return language.RuntimeOptionsResponse()

    def About(self, request: language.AboutRequest, context: grpc.ServicerContext) -> language.AboutResponse:
        """The Python that programs run with."""
        python = self._interpreter(request.info, context)
        return language.AboutResponse(executable=str(python), version=platform.python_version())

    def InstallDependencies(
        self, request: language.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language.InstallDependenciesResponse]:
        """Installs nothing: dependencies are locked and installed by `make setup`."""
        yield language.InstallDependenciesResponse(stderr=b"Dependencies are installed by `make setup`.\n")

    def Run(self, request: language.RunRequest, context: grpc.ServicerContext) -> language.RunResponse:
        """Run the program to its end; the engine cancelling the call ends it."""
        try:
            python = find_interpreter(Path(request.info.root_directory), _options(request.info))
        except GadError as error:
            return language.RunResponse(error=str(error))
        with self._children.start(
            program_command(python, self._engine, request), stdin=subprocess.PIPE, cwd=request.pwd or None
        ) as child:
            context.add_callback(child.terminate)
            child.communicate(program_config(request))
        return run_result(child.returncode)

    def RunPlugin(
        self, request: language.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language.RunPluginResponse]:
        """Run a Python folder as a plugin, streaming what it prints; ends with its exit code."""
        python = self._interpreter(request.info, context)
        target = Path(request.info.program_directory) / (request.info.entry_point or ".")
        with self._children.start(
            [str(python), "-u", str(target), *request.args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=request.pwd or None,
            env=dict(entry.split("=", 1) for entry in request.env) or None,
        ) as child:
            context.add_callback(child.terminate)
            assert child.stdout is not None  # noqa: S101 - asked for above
            assert child.stderr is not None  # noqa: S101
            for name, chunk in _interleave(stdout=child.stdout, stderr=child.stderr):
                if name == "stdout":
                    yield language.RunPluginResponse(stdout=chunk)
                else:
                    yield language.RunPluginResponse(stderr=chunk)
            yield language.RunPluginResponse(exitcode=child.wait())

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """End every program and plugin at once."""
        self._children.end()
        return empty_pb2.Empty()

    def _interpreter(self, info: language.ProgramInfo, context: grpc.ServicerContext) -> Path:
        try:
            return find_interpreter(Path(info.root_directory), _options(info))
        except GadError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))


def _options(info: language.ProgramInfo) -> dict[str, object]:
    options: dict[str, object] = json_format.MessageToDict(info.options)
    return options


def _interleave(**streams: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """What arrives on either stream, as it arrives, until both are closed."""
    arrived: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()

    def read(name: str, stream: IO[bytes]) -> None:
        while chunk := stream.read1(65536):  # type: ignore[attr-defined]
            arrived.put((name, chunk))
        arrived.put((name, b""))

    for name, stream in streams.items():
        threading.Thread(target=read, args=(name, stream), daemon=True).start()
    still_open = len(streams)
    while still_open:
        name, chunk = arrived.get()
        if chunk:
            yield name, chunk
        else:
            still_open -= 1


def main() -> int:
    """Serve the engine whose address is the last argument, until it says stop or is gone."""
    children = Children()
    host = LanguageHost(sys.argv[-1] if len(sys.argv) > 1 else "", children)
    return serve(
        lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server), children.end
    )


if __name__ == "__main__":
    sys.exit(main())
