"""What every page handler is given: the gateway's parts, the templates, the files."""

from typing import NamedTuple

from services.gateway.gateway import Gateway
from services.gateway.pages.assets import Assets
from services.gateway.pages.rendering import Renderer


class Console(NamedTuple):
    """The console's parts, made once."""

    gateway: Gateway
    renderer: Renderer
    assets: Assets
