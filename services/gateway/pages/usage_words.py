"""What the console says about what a session uses, in the reader's language."""

import gettext
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from services.gateway.pages.figures import amount, as_bytes
from services.gateway.pages.languages import N_
from services.gateway.pages.words import Words

WHY: Final[Mapping[str, str]] = {
    "not_running": N_("It does not run yet."),
    "over": N_("It is over; its use was measured while it ran."),
    "not_measured": N_("Its agent has told nothing of late; it comes with the next heartbeat."),
}


class Meter(NamedTuple):
    """One bar: how much of how much, in words, and the part in per cent."""

    title: str
    percent: int
    used: str
    total: str
    about: str = ""


class UsageWords:
    """The sentences and names of one language."""

    def __init__(self, catalogue: gettext.NullTranslations) -> None:
        self._ = catalogue.gettext
        self._words = Words(catalogue)

    def why(self, why: Mapping[str, Any]) -> str:
        """Say why there are no figures."""
        code = why["code"]
        return self._(WHY[code]) if code in WHY else str(why["message"])

    def meters(self, stats: Mapping[str, Any]) -> list[Meter]:
        """Return a bar for everything that was measured and given."""
        found = [
            self._meter(name, stats[name])
            for name in ("cpu", "mem")
            if stats[name]["percent"] is not None
        ]
        for number, device in enumerate(stats["devices"], start=1):
            found += self._device(number, device)
        return found

    def _meter(self, name: str, figures: Mapping[str, Any]) -> Meter:
        used = f"{figures['used']:.2f}" if name == "cpu" else amount(figures["used"], name)
        total = amount(f"{figures['allotted']:g}" if name == "cpu" else figures["allotted"], name)
        return Meter(self._words.slot_name(name), int(figures["percent"]), used, total)

    def _device(self, number: int, device: Mapping[str, Any]) -> list[Meter]:
        title = f"{self._words.slot_name(device['slot'])} {number}"
        about = f"{device['agent_id']} {device['id']}"
        found = []
        if device["utilisation"] is not None:
            percent = int(device["utilisation"])
            found.append(Meter(title, percent, f"{percent} %", "", about))
        used, total = device["mem_used"], device["mem_total"]
        if used is not None and total:
            name = self._("%(device)s, memory") % {"device": title}
            share = int(100 * used / total)
            found.append(Meter(name, share, as_bytes(used), as_bytes(total), about))
        return found

    def facts(self, stats: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return what has no ceiling: processes, and what went to and from storage."""
        _ = self._
        found: list[tuple[str, str]] = []
        if stats["pids"] is not None:
            found.append((_("Processes"), str(stats["pids"])))
        told = (
            (_("Memory at most"), stats["mem"]["peak"]),
            (_("Read"), stats["io"]["read"]),
            (_("Written"), stats["io"]["written"]),
        )
        return [*found, *((title, as_bytes(value)) for title, value in told if value is not None)]
