"""Templates to HTML: one environment a language, strict about names, everything escaped."""

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from services.gateway.pages import figures
from services.gateway.pages.assets import HTMX_CONFIG, Assets
from services.gateway.pages.check_words import CheckWords
from services.gateway.pages.languages import LANGUAGES, translations
from services.gateway.pages.usage_words import UsageWords
from services.gateway.pages.words import Words, at, is_exact

# what the words of a language say, by the names of filters
SPOKEN: Final = (
    "label",
    "adjustment",
    "isolation_name",
    "slot_name",
    "outcome",
    "reason",
    "violation",
    "steps",
    "ago",
    "load_facts",
)
TEMPLATE_DIRECTORY: Final = Path(__file__).parent.parent / "templates"


class Renderer:
    """Renders the console's templates in each of its languages."""

    def __init__(self, assets: Assets) -> None:
        self._environments = {code: _environment(code, assets) for code in LANGUAGES}

    def render(self, language: str, template: str, context: dict[str, Any]) -> str:
        """Render one template; an unknown name in it is an error, not an empty string."""
        return self._environments[language].get_template(template).render(context)


def _environment(language: str, assets: Assets) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE_DIRECTORY),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    catalogue = translations(language)
    environment.install_gettext_translations(catalogue, newstyle=True)  # type: ignore[attr-defined]  # added by the extension
    words, usage, checks = Words(catalogue), UsageWords(catalogue), CheckWords(catalogue)
    environment.filters |= {name: getattr(words, name) for name in SPOKEN} | {
        "tone": figures.tone,
        "bytes": figures.as_bytes,
        "amount": figures.amount,
        "slot": figures.slot,
        "share": figures.share,
        "level": figures.level,
        "command_line": figures.command_line,
        "accelerators": figures.accelerators,
        "url": lambda listing, **changes: listing.url(**changes),
        "at": at,
        "is_exact": is_exact,
        "check_name": checks.name,
        "check_outlook": checks.outlook,
        "check_measured": checks.measured,
        "why_unmeasured": usage.why,
        "meters": usage.meters,
        "usage_facts": usage.facts,
    }
    environment.globals |= {
        "asset": assets.url,
        "htmx_config": Markup(HTMX_CONFIG),  # noqa: S704  # a constant of ours
        "live_statuses": (
            "PENDING",
            "SCHEDULED",
            "PREPARING",
            "RUNNING",
            "RESTARTING",
            "TERMINATING",
        ),
    }
    return environment
