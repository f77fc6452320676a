"""How the tests are shared between workers (`-n 2 --dist loadscope`).

A file stays together on one worker. All that starts whole installations or a browser is one unit,
begun first: side by side they would only take each other's processor.
"""

from typing import Final

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]  # it has no types
from xdist.scheduler.loadscope import LoadScopeScheduling  # type: ignore[import-untyped]

INSTALLATION: Final = "installation"
_HEAVY: Final = ("tests/e2e/", "tests/faults/", "tests/console/", "tests/cli/")
_HEAVY_FILES: Final = ("tests/deploy/test_installation.py",)


def unit_of(node_id: str) -> str:
    """Return the unit of work that a test belongs to."""
    path = node_id.partition("::")[0]
    return INSTALLATION if path.startswith(_HEAVY) or path in _HEAVY_FILES else path


class ByUnit(LoadScopeScheduling):  # type: ignore[misc]  # as above
    """Gives out whole units in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByUnit | None:
    """Schedule by unit when asked to keep scopes together."""
    if config.getvalue("dist") != "loadscope":
        return None
    config.option.loadscopereorder = False
    return ByUnit(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest unit begin first; the order stays as it is otherwise."""
    items.sort(key=lambda item: unit_of(item.nodeid) != INSTALLATION)
