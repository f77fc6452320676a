"""The catalogues are what the sources say and what is compiled from them."""

import pytest

from services.gateway.locale.catalogues import collect, compiled, compiled_path, read
from services.gateway.pages.languages import DEFAULT_LANGUAGE, LANGUAGES, choose_language

TRANSLATED = [code for code in LANGUAGES if code != DEFAULT_LANGUAGE]


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_of_the_sources_is_translated_and_nothing_else(language):
    sources = {message.id for message in collect() if message.id}
    catalogue = read(language)
    texts = {message.id: message.string for message in catalogue if message.id}
    assert texts.keys() == sources
    assert [text for text, translated in texts.items() if not all(_forms(translated))] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_translation_fills_in_what_its_text_fills_in(language):
    catalogue = read(language)
    assert [str(error) for _, errors in catalogue.check() for error in errors] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_the_console_reads_is_compiled_from_what_people_edit(language):
    assert compiled_path(language).read_bytes() == compiled(read(language))


def test_the_reader_s_choice_comes_before_the_browser_s_wish():
    assert choose_language("ko", "en") == "ko"
    assert choose_language("xx", "ko;q=0.4, en;q=0.9") == "en"
    assert choose_language(None, "de, ko-KR;q=0.8, en;q=0.3") == "ko"
    assert choose_language(None, "de, fr;q=0.8") == "en"
    assert choose_language(None, "ko;q=nonsense, ;;,,") == "en"


def _forms(translated):
    return (translated,) if isinstance(translated, str) else translated
