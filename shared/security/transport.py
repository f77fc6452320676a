"""Secrets on their way between the gateway and a service: who seals and who opens agree here.

| what | sealed by | opened by | where |
|---|---|---|---|
| a password | gateway | users | `sealed_password` and the like, in commands |
| a secret key | users | gateway | `sealed_secret_key` of CreateUser, GetKeypairSecrets |
| a bearer token | users | gateway | `sealed_token` of LogIn |
| a seed of one-time passwords | users | gateway | `sealed_secret` of BeginTotp |
| a person's key | users | gateway | GetPersonKeys (see `persons`) |

Each is bound to what it belongs to. All raise SealBroken when a value does not open.
"""

from typing import Final

from shared.contracts.base import Sealed
from shared.security.sealing import Keyring

TRANSPORT: Final = "transport"


def seal_password(keyring: Keyring, password: str) -> Sealed:
    """Seal a password that somebody typed, for the users service."""
    return keyring.seal(TRANSPORT, password, context="password")


def open_password(keyring: Keyring, sealed: Sealed) -> str:
    """Open what `seal_password` made."""
    return keyring.open_text(TRANSPORT, sealed, context="password")


def seal_secret_key(keyring: Keyring, access_key: str, secret_key: str) -> Sealed:
    """Seal the secret of a keypair, for the gateway."""
    return keyring.seal(TRANSPORT, secret_key, context=f"keypair {access_key}")


def open_secret_key(keyring: Keyring, access_key: str, sealed: Sealed) -> str:
    """Open what `seal_secret_key` made."""
    return keyring.open_text(TRANSPORT, sealed, context=f"keypair {access_key}")


def seal_token(keyring: Keyring, login_id: str, token: str) -> Sealed:
    """Seal a new bearer token, for the gateway."""
    return keyring.seal(TRANSPORT, token, context=f"login {login_id}")


def open_token(keyring: Keyring, login_id: str, sealed: Sealed) -> str:
    """Open what `seal_token` made."""
    return keyring.open_text(TRANSPORT, sealed, context=f"login {login_id}")


def seal_totp_secret(keyring: Keyring, user_id: str, rendered_seed: str) -> Sealed:
    """Seal a new seed of one-time passwords (base32), for the gateway."""
    return keyring.seal(TRANSPORT, rendered_seed, context=f"totp {user_id}")


def open_totp_secret(keyring: Keyring, user_id: str, sealed: Sealed) -> str:
    """Open what `seal_totp_secret` made."""
    return keyring.open_text(TRANSPORT, sealed, context=f"totp {user_id}")
