"""Notifications to people, as the API takes them."""

from __future__ import annotations

from infra.client.operation import Answer, Body, Operation


class Notice(Body):
    """A message to those named (uuids)."""

    users: tuple[str, ...]
    text: str


class Accepted(Answer):
    """It is on its way to so many people."""

    recipients: int


NOTIFY = Operation(
    method="POST", path="/api/v1/notifications", answer=Accepted, status=202, body=Notice, is_once=True
)
