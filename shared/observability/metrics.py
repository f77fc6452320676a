"""Prometheus metrics: one registry a process, every name begins with `qm_`.

    _handled = counter("commands_total", "Commands by type and outcome.", ("type", "outcome"))
    _handled.labels("CreateUser", "accepted").inc()

Asking twice for the same name gives the same metric, so a module may define its own at import and
a test may build a service twice. Label values come from closed sets (types, service names), never
from ids or users.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
REGISTRY: Final = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)
_known: dict[str, Counter | Gauge | Histogram] = {}


def counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
    """Return the counter `qm_<name>`; by convention `name` ends in `_total`."""
    return _known_or(Counter, name, labels) or _keep(
        name, Counter(f"qm_{name}", text, labels, registry=REGISTRY)
    )


def gauge(name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
    """Return the gauge `qm_<name>`; the unit ends the name (`_seconds`, `_bytes`, `_events`)."""
    return _known_or(Gauge, name, labels) or _keep(
        name, Gauge(f"qm_{name}", text, labels, registry=REGISTRY)
    )


def histogram(
    name: str, text: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS
) -> Histogram:
    """Return the histogram `qm_<name>`, of seconds unless the name says otherwise."""
    return _known_or(Histogram, name, labels) or _keep(
        name, Histogram(f"qm_{name}", text, labels, buckets=buckets, registry=REGISTRY)
    )


def render() -> bytes:
    """Return the body of `/metrics`; its media type is `CONTENT_TYPE`."""
    return generate_latest(REGISTRY)


def _known_or(kind: type[_Metric], name: str, labels: Sequence[str]) -> _Metric | None:
    metric = _known.get(name)
    if metric is None:
        return None
    if not isinstance(metric, kind) or tuple(metric._labelnames) != tuple(labels):  # noqa: SLF001  # there is no public way to ask
        raise TypeError(f"the metric {name} was defined otherwise before")
    return metric


def _keep(name: str, metric: _Metric) -> _Metric:
    _known[name] = metric
    return metric
