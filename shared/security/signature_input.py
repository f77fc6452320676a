"""The strict reader of RFC 9421 headers: it takes the canonical form of one signature only.

Everything that the structured-field grammar would allow but nobody needs (several signatures,
parameters on components, odd spacing, other types) is refused, so that two readers can never
understand the same header differently.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from shared.kernel.rejections import Rejection

MAX_INPUT_CHARACTERS: Final = 2048
MAX_SIGNATURE_CHARACTERS: Final = 256
MAX_COMPONENTS: Final = 32
ALGORITHM: Final = "hmac-sha256"
DERIVED: Final = frozenset({"@method", "@authority", "@path", "@query"})
_UNSIGNABLE: Final = frozenset({"signature", "signature-input"})
_PARAMETERS: Final = frozenset({"created", "expires", "nonce", "keyid", "alg"})
_REQUIRED: Final = ("created", "nonce", "keyid", "alg")

_INPUT = re.compile(
    r"(?P<label>[a-z*][a-z0-9_.*-]{0,63})="
    r"(?P<params>\((?P<components>[^()]*)\)(?P<rest>;[\x20-\x7e]*))",
    re.ASCII,
)
_COMPONENTS = re.compile(
    r"\"[a-z0-9@_.!#$%&'*+^`|~-]+\"(?: \"[a-z0-9@_.!#$%&'*+^`|~-]+\")*", re.ASCII
)
_PARAMETER = re.compile(
    r";([a-z]{1,16})=(?:(\d{1,15})|\"([\x20-\x21\x23-\x5b\x5d-\x7e]{1,128})\")", re.ASCII
)
_SIGNATURE = re.compile(
    r"(?P<label>[a-z*][a-z0-9_.*-]{0,63})=:(?P<mac>[A-Za-z0-9+/]{43}=):", re.ASCII
)
_NONCE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{8,128}", re.ASCII)


class SignatureInput(NamedTuple):
    """What a request says about its own signature; nothing of it is proven yet."""

    label: str
    components: tuple[str, ...]
    created: int
    expires: int | None
    nonce: str
    keyid: str
    params: str
    mac: str


def malformed(message: str) -> Rejection:
    """Return the refusal of a signature that cannot be read."""
    return Rejection(kind="unauthenticated", code="signature_malformed", message=message)


def read_signature(
    input_header: str | None, signature_header: str | None
) -> SignatureInput | Rejection:
    """Read the `Signature-Input` and `Signature` headers, or say what is wrong with them."""
    if not input_header or not signature_header:
        return malformed("A signed request has the headers Signature-Input and Signature.")
    if len(input_header) > MAX_INPUT_CHARACTERS or len(signature_header) > MAX_SIGNATURE_CHARACTERS:
        return malformed("The signature headers are too long.")
    said = _INPUT.fullmatch(input_header)
    mac = _SIGNATURE.fullmatch(signature_header)
    if said is None or mac is None or said["label"] != mac["label"]:
        return malformed("The signature headers do not hold exactly one signature in plain form.")
    components = _read_components(said["components"])
    if isinstance(components, Rejection):
        return components
    return _read_parameters(said, components, mac["mac"])


@lru_cache(maxsize=1024)
def _read_components(text: str) -> tuple[str, ...] | Rejection:
    """Read the list of covered components; a client sends the same one with every request."""
    if not _COMPONENTS.fullmatch(text):
        return malformed("The covered components are not a plain list of names.")
    components = tuple(part[1:-1] for part in text.split(" "))
    if len(set(components)) != len(components):
        return malformed("A component is covered twice.")
    if len(components) > MAX_COMPONENTS:
        return malformed(f"More than {MAX_COMPONENTS} components are covered.")
    for name in components:
        if (name.startswith("@") and name not in DERIVED) or name in _UNSIGNABLE:
            return malformed(f'The component "{name[:64]}" cannot be covered here.')
    return components


def _read_parameters(
    said: re.Match[str], components: tuple[str, ...], mac: str
) -> SignatureInput | Rejection:
    numbers: dict[str, int] = {}
    texts: dict[str, str] = {}
    rest, position = said["rest"], 0
    while position < len(rest):
        match = _PARAMETER.match(rest, position)
        if match is None:
            return malformed("The parameters of the signature cannot be read.")
        position = match.end()
        name, number, text = match.groups()
        if name not in _PARAMETERS or name in numbers or name in texts:
            return malformed(f"The parameter '{name}' is unknown or given twice.")
        if (number is None) is (name in {"created", "expires"}):
            return malformed(f"The parameter '{name}' has the wrong type.")
        if number is None:
            texts[name] = text
        else:
            numbers[name] = int(number)
    for name in _REQUIRED:
        if name not in numbers and name not in texts:
            return malformed(f"The parameter '{name}' is missing.")
    if texts["alg"] != ALGORITHM:
        return Rejection(
            kind="unauthenticated",
            code="signature_algorithm",
            message=f"Requests are signed with {ALGORITHM}.",
        )
    if not _NONCE.fullmatch(texts["nonce"]):
        return malformed("A nonce has 8 to 128 visible characters.")
    return SignatureInput(
        label=said["label"],
        components=components,
        created=numbers["created"],
        expires=numbers.get("expires"),
        nonce=texts["nonce"],
        keyid=texts["keyid"],
        params=said["params"],
        mac=mac,
    )
