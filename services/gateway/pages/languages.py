"""Which language a page speaks, and its catalogue of words."""

import gettext
from functools import cache
from pathlib import Path
from typing import Final

LANGUAGES: Final = {"en": "English", "ko": "한국어"}
DEFAULT_LANGUAGE: Final = "en"
LOCALE_DIRECTORY: Final = Path(__file__).parent.parent / "locale"
CATALOGUE: Final = "console"


def N_(text: str) -> str:  # noqa: N802  # the name by which catalogue tools know a marked text
    """Mark a text for the catalogue without translating it here."""
    return text


def choose_language(chosen: str | None, accepted: str) -> str:
    """Return the language chosen on the page, else the best one of an Accept-Language header."""
    if chosen in LANGUAGES:
        return str(chosen)
    wishes: list[tuple[float, int, str]] = []
    for order, part in enumerate(accepted.split(",")[:20]):
        name, _, parameter = part.strip().partition(";")
        code = name.split("-")[0].strip().lower()
        if code in LANGUAGES or code == "*":
            wishes.append((-_weight(parameter), order, code))
    for weight, _, code in sorted(wishes):
        if weight < 0:
            return DEFAULT_LANGUAGE if code == "*" else code
    return DEFAULT_LANGUAGE


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


@cache
def translations(language: str) -> gettext.NullTranslations:
    """Return the catalogue of a language; English is what the sources say themselves."""
    if language == DEFAULT_LANGUAGE:
        return gettext.NullTranslations()
    return gettext.translation(CATALOGUE, LOCALE_DIRECTORY, languages=[language])
