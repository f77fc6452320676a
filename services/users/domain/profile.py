"""The rules for what a person is called: every field that breaks one is named."""

import re
import unicodedata
from collections.abc import Iterator

from msgspec import UNSET, UnsetType

from shared.contracts.users import ChangeUser, CreateUser
from shared.kernel.rejections import FieldError

EMAIL_MAX = 64
NAME_MAX = 64
DESCRIPTION_MAX = 500
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,63}@"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*",
    re.ASCII,
)


def normal_email(email: str) -> str:
    """Return the form under which two spellings of an e-mail address are the same."""
    return unicodedata.normalize("NFKC", email).strip().casefold()


def normal_username(username: str) -> str:
    """Return the form under which two spellings of a user name are the same."""
    return unicodedata.normalize("NFKC", username).strip().casefold()


def profile_errors(command: CreateUser) -> Iterator[FieldError]:
    """Yield what is wrong with the texts of a new user."""
    if len(command.email) > EMAIL_MAX:
        yield FieldError("email", "too_long", f"An e-mail address has at most {EMAIL_MAX}.")
    elif not _EMAIL.fullmatch(command.email) or _odd_dots(command.email):
        yield FieldError("email", "not_an_email", "This is not an e-mail address.")
    yield from text_errors(command)


def text_errors(command: CreateUser | ChangeUser) -> Iterator[FieldError]:
    """Yield what is wrong with the names and the description, as far as they are given."""
    yield from _name("username", command.username, required=True)
    yield from _name("full_name", command.full_name, required=False)
    if command.description is UNSET:
        return
    if len(command.description) > DESCRIPTION_MAX:
        text = f"A description has at most {DESCRIPTION_MAX} characters."
        yield FieldError("description", "too_long", text)
    elif not command.description.replace("\n", "").replace("\t", "").isprintable():
        text = "A description holds no control characters."
        yield FieldError("description", "control_character", text)


def _odd_dots(email: str) -> bool:
    local = email.partition("@")[0]
    return local.startswith(".") or local.endswith(".") or ".." in local


def _name(field: str, text: str | UnsetType, *, required: bool) -> Iterator[FieldError]:
    if text is UNSET:
        return
    label = field.replace("_", " ")
    if len(text) > NAME_MAX:
        yield FieldError(field, "too_long", f"A {label} has at most {NAME_MAX} characters.")
    elif not text.isprintable():
        yield FieldError(field, "control_character", f"A {label} holds no control characters.")
    elif text != text.strip():
        yield FieldError(field, "spaces", f"A {label} neither begins nor ends with a space.")
    elif required and not text:
        yield FieldError(field, "required", f"A {label} is needed.")
