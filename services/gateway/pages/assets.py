"""Style sheets and scripts: ours and htmx's, read once, served here, addressed by content."""

import gzip
import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

OWN_DIRECTORY: Final = Path(__file__).parent.parent / "static"
VENDOR_PACKAGE: Final = "js_lib_htmx"
VENDOR_FILES: Final = ("htmx.min.js",)
PREFIX: Final = "/static"
CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HTMX_CONFIG: Final = json.dumps(
    {
        "allowEval": False,
        "allowScriptTags": False,
        "includeIndicatorStyles": False,
        "selfRequestsOnly": True,
        "historyCacheSize": 0,
        "refreshOnHistoryMiss": True,
        # A refusal carries the form with what was wrong: it is shown, whatever its status.
        "responseHandling": [{"code": "204", "swap": False}, {"code": "...", "swap": True}],
    }
)


class Asset(NamedTuple):
    """One file as it is served; `path` changes whenever its content does."""

    path: str
    content: bytes
    gzipped: bytes
    content_type: str


class Assets:
    """Every file that a page may ask for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._by_name = {name: _asset(name, content) for name, content in files.items()}
        self._by_path = {asset.path: asset for asset in self._by_name.values()}

    def url(self, name: str) -> str:
        """Return the address of a file; raises KeyError for one that does not exist."""
        return self._by_name[name].path

    def find(self, path: str) -> Asset | None:
        """Return the file at an address, of exactly the content that the address names."""
        return self._by_path.get(path)


def load_assets() -> Assets:
    """Read all files; raises RuntimeError when htmx's package is not installed."""
    files = {path.name: path.read_bytes() for path in OWN_DIRECTORY.iterdir() if path.is_file()}
    vendor = vendor_directory()
    files |= {name: (vendor / name).read_bytes() for name in VENDOR_FILES}
    return Assets(files)


def vendor_directory() -> Path:
    """Return where the installed package keeps htmx, without importing it."""
    spec = find_spec(VENDOR_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"the package '{VENDOR_PACKAGE}' is not installed; the console needs it")
    return Path(next(iter(spec.submodule_search_locations))) / "static" / "htmx"


def _asset(name: str, content: bytes) -> Asset:
    digest = hashlib.sha256(content).hexdigest()[:16]
    kind = CONTENT_TYPES[Path(name).suffix]
    return Asset(f"{PREFIX}/{digest}/{name}", content, gzip.compress(content, mtime=0), kind)
