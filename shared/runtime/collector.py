"""The garbage collector of a process that lives long and makes much at a time."""

import gc
from typing import Final

# By default it looks at everything that is young after each 700 new objects. A batch makes tens of
# thousands that reference counts free, and what was loaded or folded at the start never goes:
# measured on the scheduler, looking at all that took a quarter to a third of the time.
YOUNG_MAX: Final = 50_000


def calm() -> None:
    """Leave alone what there is now, and look less often at what comes. Call it when settled."""
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, 20, 100)
