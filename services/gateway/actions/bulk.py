"""Creating many users: row by row, the good ones kept, each bad one with its reasons."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from services.gateway.actions.bulk_rows import BulkUser, judge_row
from services.gateway.actions.users import CreateUserBody, create_command, default_projects
from services.gateway.gateway import Gateway
from services.gateway.http.problems import Refused
from shared.contracts.base import Meta
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import FieldError, Rejection
from shared.security.rules import check_password

AT_ONCE: Final = 4
PASSWORD_CHARS: Final = 16
_ALPHABET: Final = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789!#%+-=?@"
_UNIFORM: Final = 256 - 256 % len(_ALPHABET)


class RowResult(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one row came to; `password` is there once, and only where it was generated."""

    index: int
    email: str | None
    status: Literal["created", "failed"]
    user_id: str | UnsetType = UNSET
    access_key: str | UnsetType = UNSET
    password: str | UnsetType = UNSET
    errors: list[FieldError] | UnsetType = UNSET


class BulkResult(msgspec.Struct, kw_only=True):
    """What the rows came to, in their order."""

    results: list[RowResult]
    created: int
    failed: int


class Bulk(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk request with all that is needed to do any row of it, once or again.

    `key` and `digest` are the idempotency key from which each row's is derived; done again under
    them, a row gives the same user with the same password.
    """

    rows: list[Any]
    generate_passwords: bool
    meta: Meta
    key: str
    digest: str

    def row_key(self, index: int) -> CommandKey:
        """Return the idempotency key of one row."""
        return CommandKey(f"{self.key}#{index}", self.digest)


class RowsDone(msgspec.Struct, kw_only=True):
    """Rows that have been done, up to which position of the log, and who was away meanwhile."""

    results: list[RowResult]
    position: int
    away: Rejection | None


async def create_rows(
    gateway: Gateway, bulk: Bulk, first: int, last: int, twice: Mapping[int, FieldError]
) -> RowsDone:
    """Create the users of the rows from `first` to before `last`, a few at once.

    `twice` are the rows that repeat another of the whole request; see `bulk_rows.repeated`.
    """
    projects: dict[str, tuple[str, ...]] = {}
    room = asyncio.Semaphore(AT_ONCE)
    done = RowsDone(results=[], position=0, away=None)

    async def one(index: int) -> RowResult:
        async with room:
            return await _create_row(gateway, bulk, index, twice.get(index), projects, done)

    done.results = list(await asyncio.gather(*(one(index) for index in range(first, last))))
    return done


def summary(results: Sequence[RowResult]) -> BulkResult:
    """Return the answer of a bulk request."""
    created = sum(1 for result in results if result.status == "created")
    return BulkResult(results=list(results), created=created, failed=len(results) - created)


async def _create_row(
    gateway: Gateway,
    bulk: Bulk,
    index: int,
    twice: FieldError | None,
    projects: dict[str, tuple[str, ...]],
    done: RowsDone,
) -> RowResult:
    raw = bulk.rows[index]
    email = raw.get("email") if isinstance(raw, dict) else None
    email = email if isinstance(email, str) else None
    row = judge_row(raw)
    if twice is not None or not isinstance(row, BulkUser):
        errors = [twice] if twice is not None else list(row if isinstance(row, tuple) else ())
        return RowResult(index=index, email=email, status="failed", errors=errors)
    generated = isinstance(row.password, UnsetType) and bulk.generate_passwords
    if isinstance(row.password, UnsetType) and not generated:
        missing = FieldError("password", "required", "A password is needed.")
        return RowResult(index=index, email=email, status="failed", errors=[missing])
    body = _body(gateway, bulk, index, row)
    if row.projects is None and row.domain not in projects:
        projects[row.domain] = await default_projects(gateway, row.domain)
    command = create_command(
        gateway, body, tuple(row.projects) if row.projects is not None else projects[row.domain]
    )
    try:
        reply = await gateway.writes.submit(command, bulk.meta, bulk.row_key(index))
    except Refused as refused:
        if refused.rejection.kind == "unavailable":
            done.away = refused.rejection
        errors = _errors(refused.rejection)
        return RowResult(index=index, email=email, status="failed", errors=errors)
    done.position = max(done.position, reply.position)
    access_key = reply.result["access_key"]
    gateway.secrets.put(access_key, reply.result["sealed_secret_key"])
    return RowResult(
        index=index,
        email=email,
        status="created",
        user_id=reply.result["user_id"],
        access_key=access_key,
        password=body.password if generated else UNSET,
    )


def _body(gateway: Gateway, bulk: Bulk, index: int, row: BulkUser) -> CreateUserBody:
    fields = msgspec.structs.asdict(row)
    if isinstance(row.password, UnsetType):
        seed = gateway.keyring.fingerprint("bulk-password", f"{bulk.key}#{index}")
        fields["password"] = password_from(seed)
        fields["password_change_required"] = True
    return CreateUserBody(**fields)


def _errors(rejection: Rejection) -> list[FieldError]:
    if rejection.errors:
        return list(rejection.errors)
    field, _, taken = rejection.code.partition("_taken")
    named = field if not taken and field in {"email", "username"} else ""
    return [FieldError(named, rejection.code, rejection.message)]


def password_from(seed: str) -> str:
    """Return the password that belongs to a secret seed: it meets the rule for passwords."""
    for attempt in range(1_000):
        stream = hashlib.shake_256(f"{seed}\0{attempt}".encode()).digest(8 * PASSWORD_CHARS)
        letters = [_ALPHABET[byte % len(_ALPHABET)] for byte in stream if byte < _UNIFORM]
        password = "".join(letters[:PASSWORD_CHARS])
        if len(password) == PASSWORD_CHARS and check_password(password) is None:
            return password
    raise ValueError("no password can be drawn from this alphabet")
