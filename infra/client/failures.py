"""What a call may end with besides its answer."""

from __future__ import annotations


class ClientError(Exception):
    """No usable answer came; the message names the request."""


class NotServed(ClientError):
    """The server was busy or not there, in each of the attempts."""


class Unexpected(ClientError):
    """Something answered that is not this API, or another version of it."""


class Refused(ClientError):
    """The API said no. `code` is for decisions, `detail` for people, `request_id` finds it in the log."""

    def __init__(self, doing: str, *, status: int, code: str, detail: str, request_id: str) -> None:
        super().__init__(f"{doing} was refused: {status} {code} ({detail})")
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
