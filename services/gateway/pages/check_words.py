"""What the console says about what may end a session by itself, in the reader's language."""

import gettext
from collections.abc import Mapping
from typing import Any, Final

from services.gateway.pages.languages import N_
from services.gateway.pages.words import Words

CHECKS: Final[Mapping[str, str]] = {
    "session_lifetime": N_("When its lifetime is over"),
    "network_timeout": N_("When nobody uses it"),
    "utilization": N_("When it uses too little"),
}
MEASURED: Final[Mapping[str, str]] = {
    "cpu": N_("CPU"),
    "mem": N_("Memory"),
    "gpu": N_("Accelerators"),
    "gpu_mem": N_("Accelerator memory"),
}


class CheckWords:
    """The sentences and names of one language."""

    def __init__(self, catalogue: gettext.NullTranslations) -> None:
        self._ = catalogue.gettext
        self._words = Words(catalogue)

    def name(self, check: Mapping[str, Any]) -> str:
        """Name a check; an unknown one names itself."""
        code = str(check["check"])
        return self._(CHECKS[code]) if code in CHECKS else code

    def outlook(self, check: Mapping[str, Any]) -> str:
        """Say how far off the end is, or why there is none in sight."""
        _ = self._
        if check["ends_at"] is not None:
            return _("in %(length)s") % {"length": self._words.duration(check["remaining_s"] or 0)}
        if check["detail"]["judged_from"] is None:
            return _("Not measured yet")
        return _("Not as things are")

    def measured(self, check: Mapping[str, Any]) -> list[str]:
        """Say how much of what it was given a session uses, beside what it should."""
        _ = self._
        detail = check["detail"]
        return [
            _("%(name)s %(share)s %%, at least %(least)s %%")
            % {
                "name": _(MEASURED[name]) if name in MEASURED else name,
                "share": f"{detail['measured_percent'][name]:.1f}",
                "least": least,
            }
            for name, least in detail["thresholds_percent"].items()
            if name in detail["measured_percent"]
        ]
