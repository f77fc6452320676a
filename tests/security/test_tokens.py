"""Tokens and keypairs have their shapes and never repeat."""

import re

from shared.security.tokens import (
    is_token,
    new_access_key,
    new_secret_key,
    new_token,
    token_hash,
)


def test_a_token_is_recognisable_and_only_a_token_is() -> None:
    token = new_token()
    assert is_token(token)
    for other in (token[:-1], token + "x", token.upper(), token[4:], f" {token}", f"{token}\n", ""):
        assert not is_token(other)


def test_access_and_secret_keys_have_their_lengths() -> None:
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", new_access_key())
    assert re.fullmatch(r"[A-Za-z0-9_-]{40}", new_secret_key())


def test_nothing_is_drawn_twice() -> None:
    for draw in (new_token, new_access_key, new_secret_key):
        assert len({draw() for _ in range(500)}) == 500


def test_equal_tokens_have_equal_hashes_and_others_others() -> None:
    token = new_token()
    assert token_hash(token) == token_hash(str(token))
    assert token_hash(token) != token_hash(new_token())
    assert token not in token_hash(token)
