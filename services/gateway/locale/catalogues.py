"""Keeps the catalogues in step with the sources: `python -m services.gateway.locale.catalogues`.

Collects every text of the templates and pages, merges new ones into each `.po` (untranslated), and
compiles the `.mo` that the console reads. A test fails while either is out of step. Needs Babel,
which is a tool of development only.
"""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from services.gateway.pages.languages import CATALOGUE, DEFAULT_LANGUAGE, LANGUAGES

GATEWAY_DIRECTORY: Final = Path(__file__).parent.parent
METHODS: Final = [("pages/**.py", "python"), ("templates/**.html", "jinja2")]
KEYWORDS: Final = {"_": None, "N_": None, "gettext": None, "_n": (1, 2), "ngettext": (1, 2)}
UNDATED: Final = datetime(2026, 1, 1, tzinfo=UTC)  # git knows when; a date here is only noise
HEADER: Final = "# Quartermaster's console. Translated texts stay short: they stand in tables."
OPTIONS: Final = {"templates/**.html": {"trimmed": "true", "silent": "false"}}


def collect() -> Catalog:
    """Return every text that the sources mark, with where it stands."""
    found = Catalog(charset="utf-8", creation_date=UNDATED, revision_date=UNDATED)
    for file, _, message, comments, context in extract_from_dir(
        GATEWAY_DIRECTORY, method_map=METHODS, options_map=OPTIONS, keywords=KEYWORDS
    ):
        # Only the file is kept: line numbers would change the catalogue with every edit.
        found.add(message, locations=[(file, 1)], auto_comments=comments, context=context)
    return found


def source_path(language: str) -> Path:
    """Return the catalogue that people edit."""
    return GATEWAY_DIRECTORY / "locale" / language / "LC_MESSAGES" / f"{CATALOGUE}.po"


def compiled_path(language: str) -> Path:
    """Return the catalogue that the console reads."""
    return source_path(language).with_suffix(".mo")


def read(language: str) -> Catalog:
    """Return a language's catalogue; an empty one where there is none yet."""
    path = source_path(language)
    if not path.exists():
        return Catalog(locale=language, charset="utf-8", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def compiled(catalogue: Catalog) -> bytes:
    """Return the compiled form of a catalogue; fuzzy translations are left out."""
    output = io.BytesIO()
    write_mo(output, catalogue)
    return output.getvalue()


def main() -> None:
    """Merge the sources' texts into every catalogue and compile it."""
    template = collect()
    for language in LANGUAGES:
        if language == DEFAULT_LANGUAGE:
            continue
        catalogue = read(language)
        catalogue.update(template, no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        catalogue.header_comment = HEADER
        catalogue.project, catalogue.version = "Quartermaster", "1"
        catalogue.msgid_bugs_address = catalogue.last_translator = catalogue.language_team = "-"
        catalogue.revision_date = UNDATED
        path = source_path(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, catalogue, width=100, omit_header=False, sort_output=True)
        compiled_path(language).write_bytes(compiled(catalogue))


if __name__ == "__main__":
    main()
