"""Write the generated contracts: `python -m shared.contracts [directory]`."""

import json
import sys
from pathlib import Path

from shared.contracts.asyncapi import document, schemas
from shared.contracts.catalog import SPEAKING


def render() -> dict[str, str]:
    """Return the text of every generated file by its path below the contracts directory."""
    files: dict[str, str] = {}
    for vocabulary in SPEAKING:
        name = vocabulary.service
        files[f"{name}.asyncapi.json"] = json.dumps(document(vocabulary), indent=2) + "\n"
        files[f"{name}.schemas.json"] = json.dumps(schemas(vocabulary), indent=2) + "\n"
    return files


def main(directory: Path) -> None:
    """Write every file; what is already right is written again with the same text."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in render().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/contracts"))
