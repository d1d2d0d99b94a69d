"""The one kind of failure a person is told about; everything else is a bug and keeps its traceback."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of `gad`, the same for every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    DIFFERENT = 3
    REFUSED = 4
    INTERRUPTED = 130


class GadError(Exception):
    """An expected failure: `fact` names the key, file or host, `remedy` says what to do next."""

    def __init__(self, fact: str, *, remedy: str, exit_code: Exit = Exit.FAILED) -> None:
        super().__init__(fact)
        self.fact = fact
        self.remedy = remedy
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.fact}\nremedy: {self.remedy}"
