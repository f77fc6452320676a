"""What to do about a kernel's image before it is launched. Pure."""

from typing import Literal

from services.agents.node.runtime import LocalImage
from shared.contracts.kernels import AutoPull

Deed = Literal["use", "fetch", "refuse"]


def next_deed(rule: AutoPull, found: LocalImage | None, digest: str) -> Deed:
    """Return what to do about an image.

    `found` is what the node has under the name, None nothing. `digest` is what the image shall be,
    "" where that is not known; one that is not known on either side cannot differ.
    """
    if found is None:
        return "refuse" if rule == "none" else "fetch"
    differs = bool(digest and found.digest) and digest != found.digest
    return "fetch" if rule == "digest" and differs else "use"
