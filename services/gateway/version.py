"""What this build is."""

from typing import Final

VERSION: Final = "0.1.0"
API_VERSION: Final = "v1"
