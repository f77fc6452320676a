"""What the embedded node enforces on this machine, as the node itself says when it opens."""

import json
import re
from typing import Any, Final

from deploy.embedded.child import Output

OPENED: Final = b'"node_open"'
# the network is no boundary of the embedded node on any machine: nothing to tell about this one
NAMES: Final = {
    "filesystem": "file system",
    "user": "users",
    "memory": "memory",
    "cpu": "processor time",
    "pids": "number of processes",
}
LEVELS: Final = {"not_enforced": "not enforced", "best_effort": "only in part"}
_FIRST_CLAUSE: Final = re.compile(r"^[^:;]*?(?=[:;]|\.(?:\s|$)|$)")


class IsolationWatch:
    """Passes the node's lines on and remembers what the last start said of isolation."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self.shortfall = ""  # in words for people; empty while nothing is missing

    def write(self, line: bytes) -> None:
        """Take one line with its line end."""
        self._output.write(line)
        if OPENED in line:
            self.shortfall = shortfall(line)


def shortfall(line: bytes) -> str:
    """Return what a `node_open` line tells of boundaries that do not hold, empty for none."""
    try:
        said: dict[str, Any] = json.loads(line)
    except ValueError:  # logs for a developer's eyes are no JSON
        return ""
    isolation = said.get("isolation") or {}
    parts = [
        f"{' and '.join(names)} {words}"
        for level, words in LEVELS.items()
        if (names := [name for key, name in NAMES.items() if isolation.get(key) == level])
    ]
    if not parts:
        return ""
    why = "; ".join(_clause(text) for text in said.get("obstacles") or [])
    return ", ".join(parts) + (f" ({why})" if why else "")


def _clause(text: str) -> str:
    """Return what comes before the details of a sentence."""
    found = _FIRST_CLAUSE.match(text)
    return found.group().strip() if found else text
