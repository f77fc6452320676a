"""The images that a node offers beside its own userland, from a file in its data folder.

`images.json` gives labels to names: `{"lab/python:3": {"ai.backend.resource.min.cpu": "2"}}`. The
process runtime runs this machine's own programs under every name; what differs is what the labels
say, so a name stands for a kind of work and what it needs at least.
"""

from pathlib import Path
from typing import Final

import msgspec

from shared.kernel.image_labels import label_errors
from shared.runtime.settings import SettingsError

FILE: Final = "images.json"
NAME_MAX: Final = 255
IMAGES_MAX: Final = 1_000


def read_images(data: Path) -> dict[str, dict[str, str]]:
    """Return labels by image name, none without a file; raises `SettingsError`. Blocks."""
    path = data / FILE
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        images = msgspec.json.decode(raw, type=dict[str, dict[str, str]])
    except msgspec.DecodeError as problem:
        raise SettingsError(f"{path} is wrong: {problem}") from problem
    if len(images) > IMAGES_MAX:
        raise SettingsError(f"{path} names more than {IMAGES_MAX} images.")
    for name, labels in images.items():
        if not name.strip() or len(name) > NAME_MAX:
            raise SettingsError(f"{path}: a name has 1 to {NAME_MAX} characters.")
        if errors := label_errors(labels):
            told = "; ".join(f"{one.field}: {one.message}" for one in errors)
            raise SettingsError(f"{path}, image {name}: {told}")
    return images
