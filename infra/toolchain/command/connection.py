"""Reaching an SSH server: tries, host key, credentials, and the way through a proxy."""

from __future__ import annotations

import base64
import binascii
import io
import itertools
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import paramiko
from paramiko.agent import AgentSSH
from paramiko.pkey import UnknownKeyType

from infra.errors import GadError
from infra.toolchain.command.model import Connection, Endpoint
from infra.toolchain.plugin import Call

# Seconds before the first retry, the factor for each further one and the longest pause: the engine's own
# retry defaults (sdk/go/common/util/retry), which the official provider uses.
FIRST_PAUSE_S = 0.1
PAUSE_FACTOR = 1.5
LONGEST_PAUSE_S = 5.0
# Seconds between two signs of life on an idle session: firewalls forget silent ones, often after minutes.
KEEPALIVE_S = 30

# What one try can fail with; anything else is a bug.
_REACHING = (OSError, EOFError, paramiko.SSHException)
_T = TypeVar("_T")


class HostKeyMismatchError(paramiko.SSHException):
    """The server is not the one that was named."""


class _SocketAgent(AgentSSH):
    """An agent at a path of our choice; paramiko's own takes only the one in the environment."""

    def __init__(self, path: str) -> None:
        super().__init__()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(path)
        self._connect(connection)  # type: ignore[attr-defined] # there, but not in the stubs


def parse_host_key(text: str) -> paramiko.PKey:
    """The key in a line like `ssh-ed25519 AAAA… comment`. Raises GadError."""
    words = text.split()
    for kind, blob in itertools.pairwise(words):
        try:
            return paramiko.PKey.from_type_string(kind, base64.b64decode(blob, validate=True))
        except (paramiko.SSHException, UnknownKeyType, binascii.Error, ValueError):
            continue
    raise GadError(
        "connection.hostKey holds no public key",
        remedy="give the server's line of ssh-keyscan: type, then key (ssh-ed25519 AAAA…)",
    )


def parse_private_key(text: str, password: str | None) -> paramiko.PKey:
    """The private key in `text` (PEM or OpenSSH). Raises GadError, without repeating any of it."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text), password)
        except paramiko.PasswordRequiredException:
            raise GadError(
                "ssh: connection.privateKey is encrypted", remedy="set connection.privateKeyPassword"
            ) from None
        except (paramiko.SSHException, ValueError, IndexError, TypeError, binascii.Error):
            continue
    raise GadError(
        "ssh: no key found in connection.privateKey",
        remedy="give an unbroken Ed25519, ECDSA or RSA private key, and the right privateKeyPassword",
    )


@contextmanager
def connect(connection: Connection, call: Call) -> Iterator[paramiko.Transport]:
    """A session with the server, closed afterwards. Raises GadError after `dialErrorLimit` failed tries."""
    keys = _Credentials(connection)
    if connection.proxy is None:
        transport = _retry(connection, call, "", lambda: _open(connection, keys, _dial(connection)))
        try:
            yield transport
        finally:
            transport.close()
        return
    proxy, proxy_keys = connection.proxy, _Credentials(connection.proxy)
    bridge = _retry(proxy, call, "proxy: ", lambda: _open(proxy, proxy_keys, _dial(proxy)))
    try:
        transport = _retry(
            connection,
            call,
            "from proxy: ",
            lambda: _open(
                connection,
                keys,
                bridge.open_channel(
                    "direct-tcpip",
                    (connection.host, connection.port),
                    ("127.0.0.1", 0),
                    timeout=connection.per_dial_timeout or None,
                ),
            ),
        )
        try:
            yield transport
        finally:
            transport.close()
    finally:
        bridge.close()


class _Credentials:
    """What is wrong with them shows before the first try: no number of tries would repair it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.host_key = parse_host_key(endpoint.host_key) if endpoint.host_key is not None else None
        self.private_key = (
            parse_private_key(endpoint.private_key, endpoint.private_key_password)
            if endpoint.private_key is not None
            else None
        )


def _retry(endpoint: Endpoint, call: Call, way: str, attempt: Callable[[], _T]) -> _T:
    failed, pause = 0, FIRST_PAUSE_S
    where = f"{endpoint.host}:{endpoint.port}"
    while True:
        try:
            return attempt()
        except _REACHING as error:
            failed += 1
            if 0 <= endpoint.dial_error_limit <= failed:
                raise GadError(
                    f"{way}after {failed} failed attempts: {_describe(error, where)}", remedy=_remedy(error)
                ) from error
            limit = endpoint.dial_error_limit if endpoint.dial_error_limit >= 0 else "inf"
            call.log("status", f"Dial {where} {failed}/{limit} failed: retrying")
        call.wait(pause, where)
        pause = min(pause * PAUSE_FACTOR, LONGEST_PAUSE_S)


def _describe(error: Exception, where: str) -> str:
    if isinstance(error, HostKeyMismatchError):
        return f"ssh: handshake failed: ssh: host key mismatch ({where}: {error})"
    if isinstance(error, paramiko.AuthenticationException):
        return f"ssh: handshake failed: ssh: unable to authenticate at {where}: {error}"
    if isinstance(error, paramiko.SSHException | EOFError):
        return f"ssh: handshake failed: {where}: {error or 'the server hung up'}"
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {where}: connect: connection refused"
    if isinstance(error, TimeoutError):
        return f"dial tcp {where}: i/o timeout"
    return f"dial tcp {where}: {error}"


def _remedy(error: Exception) -> str:
    if isinstance(error, HostKeyMismatchError):
        return "find out who answers there before you change connection.hostKey"
    if isinstance(error, paramiko.AuthenticationException):
        return "check connection.user, privateKey and password"
    return "check connection.host and port, and that sshd runs there"


def _dial(endpoint: Endpoint) -> socket.socket:
    return socket.create_connection((endpoint.host, endpoint.port), timeout=endpoint.per_dial_timeout or None)


def _open(
    endpoint: Endpoint, credentials: _Credentials, line: socket.socket | paramiko.Channel
) -> paramiko.Transport:
    """Handshake, host key, then credentials: nothing secret is sent to a server that is not the named one."""
    transport = paramiko.Transport(line)
    try:
        wanted = credentials.host_key
        if wanted is not None:
            options = transport.get_security_options()
            offered = [kind for kind in options.key_types if _matches(kind, wanted.get_name())]
            options.key_types = offered or options.key_types
        _handshake(transport, endpoint, wanted)
        _authenticate(transport, endpoint, credentials)
        transport.set_keepalive(KEEPALIVE_S)
    except BaseException:
        transport.close()
        raise
    return transport


def _handshake(transport: paramiko.Transport, endpoint: Endpoint, wanted: paramiko.PKey | None) -> None:
    try:
        transport.start_client(timeout=endpoint.per_dial_timeout or None)
    except paramiko.SSHException as error:
        if wanted is not None and "host key" in str(error):
            raise HostKeyMismatchError(f"it has no {wanted.get_name()} key") from error
        raise
    if wanted is None:
        return
    shown = transport.get_remote_server_key()
    if shown.asbytes() != wanted.asbytes():
        raise HostKeyMismatchError(f"it shows {shown.fingerprint}, not {wanted.fingerprint}")


def _matches(algorithm: str, kind: str) -> bool:
    # An RSA key signs under several names.
    return algorithm == kind or (kind == "ssh-rsa" and algorithm.startswith("rsa-sha2-"))


def _authenticate(transport: paramiko.Transport, endpoint: Endpoint, credentials: _Credentials) -> None:
    """Try what was given, in the official order: private key, password, agent."""
    failed: paramiko.SSHException = paramiko.AuthenticationException("no credentials were given")
    for attempt in _attempts(transport, endpoint, credentials):
        try:
            attempt()
        except paramiko.AuthenticationException as error:
            failed = error
        if transport.is_authenticated():
            return
    raise failed


def _attempts(
    transport: paramiko.Transport, endpoint: Endpoint, credentials: _Credentials
) -> Iterator[Callable[[], object]]:
    user = endpoint.user
    if credentials.private_key is not None:
        yield partial(transport.auth_publickey, user, credentials.private_key)
    if endpoint.password is not None:
        # Falls back to keyboard-interactive where the server wants that.
        yield partial(transport.auth_password, user, endpoint.password)
    agent = endpoint.agent_socket_path or os.environ.get("SSH_AUTH_SOCK")
    if agent:
        for held in _SocketAgent(agent).get_keys():
            yield partial(transport.auth_publickey, user, held)
