"""What a person's telephone does: it holds the seed and shows codes."""

from dataclasses import dataclass
from datetime import UTC, datetime

from shared.contracts.base import Accepted, Reply
from shared.contracts.users import BeginTotp, ConfirmTotp, LogIn
from shared.security.sealing import Keyring
from shared.security.totp import code_at, parse_seed, step_at
from shared.security.transport import open_totp_secret, seal_password
from tests.users.integration.harness import Users


@dataclass
class Phone:
    """An authenticator; `code()` is what it shows now, and `code(1)` what it shows next."""

    seed: bytes

    def code(self, ahead: int = 0) -> str:
        return code_at(self.seed, step_at(datetime.now(tz=UTC)) + ahead)

    @property
    def wrong(self) -> str:
        """A code that is none of those that would be let in now or soon."""
        shown = {self.code(ahead) for ahead in range(-3, 6)}
        return next(code for code in map("{:06}".format, range(10)) if code not in shown)


def phone_of(keyring: Keyring, user_id: str, begun: Reply) -> Phone:
    assert isinstance(begun, Accepted), begun
    return Phone(parse_seed(open_totp_secret(keyring, user_id, str(begun.result["sealed_secret"]))))


async def enrolled(users: Users, name: str) -> tuple[str, Phone]:
    """Create a user with one-time passwords switched on; no code that is shown now is used."""
    user_id = str((await users.created(name))["user_id"])
    phone = phone_of(users.keyring, user_id, await users.send(BeginTotp(user_id=user_id)))
    confirmed = await users.send(ConfirmTotp(user_id=user_id, code=phone.code()))
    assert isinstance(confirmed, Accepted), confirmed
    await time_passes(users, user_id)
    return user_id, phone


async def time_passes(users: Users, user_id: str) -> None:
    """Let the last code be one of long ago, as if somebody had waited."""
    await users.database.execute(
        "update totp_seeds set last_step = last_step - 10 where user_id = $1", user_id
    )


async def log_in(
    users: Users,
    name: str,
    code: str | None,
    password: str = "abcd123!",
) -> Reply:
    sealed = seal_password(users.keyring, password)
    return await users.send(LogIn(email=f"{name}@example.org", sealed_password=sealed, otp=code))
