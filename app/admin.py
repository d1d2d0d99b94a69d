"""`python -m app.admin create`: the first administrator. The password comes by stdin or prompt only."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys

from pydantic import SecretStr, ValidationError

from app.audit.models import Channel
from app.auth.passwords import hash_password
from app.command import one_connection, run
from app.errors import Code, Problem, StartError
from app.settings import Settings
from app.user import repository
from app.user.models import Level
from app.user.repository import UserRepository
from app.user.schemas import UserCreate
from app.user.service import NewUser, create_user
from app.user.vault import Vault


def read_password() -> str:
    """One line of stdin, or asked twice at a terminal. Raises StartError if the two differ."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Contraseña: ")
    if first != getpass.getpass("Otra vez: "):
        raise StartError("the two passwords differ", remedy="type the same password twice")
    return first


def checked(email: str, first_name: str, last_name: str, password: str) -> NewUser:
    """An administrator without a document number. Raises StartError with what is wrong."""
    try:
        # The document is a stand-in: everything else follows the API's own rules.
        body = UserCreate(
            email=email,
            first_name=first_name,
            last_name=last_name,
            dni="000000",
            password=SecretStr(password),
        )
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, part['loc'])) or 'password'}: {part['msg']}" for part in error.errors()]
        raise StartError("; ".join(wrong), remedy="see --help; a password has 12 to 128 characters") from None
    return NewUser(
        email=body.email,
        first_name=body.first_name,
        last_name=body.last_name,
        level=Level.ADMINISTRATOR,
        dni=None,
        phone=None,
        verified=True,
        password_hash=hash_password(password),
    )


async def create(settings: Settings, new: NewUser) -> str:
    """Create the account unless its e-mail exists. Raises StartError, Unavailable."""
    vault = Vault(kek=settings.kek.get_secret_value(), hmac_key=settings.hmac_key.get_secret_value())
    async with one_connection(settings, "gad-admin") as database:
        try:
            known = await repository.credentials(database, new.email)
            if known is not None:
                return _already(new.email, known["level"])
            async with database.transaction() as session:
                await create_user(UserRepository(session), vault, new, channel=Channel.CLI)
        except Problem as problem:
            if problem.code is Code.EMAIL_TAKEN:  # somebody was quicker
                return _already(new.email, None)
            raise
    return f"created administrator {new.email}"


def _already(email: str, level: int | None) -> str:
    if level is not None and level != Level.ADMINISTRATOR:
        raise StartError(
            f"{email} exists with level {level}, not {int(Level.ADMINISTRATOR)}",
            remedy="use another e-mail, or let an administrator change the level",
        )
    return f"{email} exists already; nothing was changed, its password neither"


def main(arguments: list[str]) -> int:
    """Exit code 0 the account exists, 1 the database is away, 2 usage, settings or password."""
    parser = argparse.ArgumentParser(prog="python -m app.admin", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    parser_create = commands.add_parser("create", help="create an administrator (level 3)")
    for name in ("--email", "--first-name", "--last-name"):
        parser_create.add_argument(name, required=True)
    given = parser.parse_args(arguments)

    def work(settings: Settings) -> int:
        new = checked(given.email, given.first_name, given.last_name, read_password())
        print(asyncio.run(create(settings, new)))
        return 0

    return run(work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
