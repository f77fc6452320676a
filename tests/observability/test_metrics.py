"""Metrics are defined once and rendered for Prometheus."""

import pytest

from shared.observability import metrics


def test_a_counter_is_rendered_with_its_labels() -> None:
    metrics.counter("test_things_total", "Things.", ("kind",)).labels("a").inc(2)
    assert b'qm_test_things_total{kind="a"} 2.0' in metrics.render()


def test_asking_twice_gives_the_same_metric() -> None:
    first = metrics.gauge("test_lag_events", "Lag.")
    assert metrics.gauge("test_lag_events", "Lag.") is first


def test_a_metric_cannot_be_defined_otherwise_again() -> None:
    metrics.histogram("test_wait_seconds", "Waits.")
    with pytest.raises(TypeError, match="otherwise"):
        metrics.counter("test_wait_seconds", "Waits.")
    with pytest.raises(TypeError, match="otherwise"):
        metrics.histogram("test_wait_seconds", "Waits.", ("kind",))


def test_the_process_itself_is_measured() -> None:
    assert b"process_resident_memory_bytes" in metrics.render()
