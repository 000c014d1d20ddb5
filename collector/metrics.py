"""The collector's figures for Prometheus.

Owns names and meaning of the metrics; where they are served is the API's. Labels name stations and
devices, never people.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as MetricSource
from sqlalchemy.orm import Session

from collector.connections import ConnectionStatus, LinkState
from collector.reports import CollectorReport, collector_reports, connection_counts
from collector.runtime import Collector, CollectorStatus

LABELS = ("device", "station")
ConnectionCounts = Mapping[tuple[str, LinkState], int]


class CollectorMetrics(MetricSource):
    """Reads the collector's status when it is scraped; nothing is counted twice in memory."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        status = self._collector.status()
        yield from _connections(status.connections)
        yield from _spool(status)
        dial_in = self._collector.dial_in
        yield CounterMetricFamily(
            "sunledger_dial_in_refused",
            "calls of DTUs that were refused",
            value=dial_in.refusals if dial_in is not None else 0,
        )
        session = GaugeMetricFamily(
            "sunledger_broker_connected", "1 while the session with the broker stands", labels=["broker"]
        )
        for broker, one in status.sessions:
            session.add_metric([broker], 1.0 if one.connected else 0.0)
        yield session


def _connections(statuses: tuple[ConnectionStatus, ...]) -> Iterator[Metric]:
    good = GaugeMetricFamily("sunledger_device_good", "1 while the device answers", labels=LABELS)
    last = GaugeMetricFamily(
        "sunledger_device_last_good_timestamp_seconds", "time of the last good answer", labels=LABELS
    )
    latency = GaugeMetricFamily("sunledger_device_poll_seconds", "time of the last good poll", labels=LABELS)
    polls = CounterMetricFamily("sunledger_device_polls", "polls begun", labels=LABELS)
    missed = CounterMetricFamily("sunledger_device_missed_polls", "polls without a sample", labels=LABELS)
    skipped = CounterMetricFamily(
        "sunledger_device_skipped_polls", "polls skipped because the line was busy", labels=LABELS
    )
    volume = GaugeMetricFamily("sunledger_device_bytes_today", "bytes exchanged today", labels=LABELS)
    requests = GaugeMetricFamily("sunledger_device_requests_today", "requests sent today", labels=LABELS)
    crowded = GaugeMetricFamily(
        "sunledger_device_oversubscribed", "1 while the line has more than it can ask", labels=LABELS
    )
    capped = GaugeMetricFamily(
        "sunledger_device_capped", "1 while the line has reached the cap of the day", labels=LABELS
    )
    for one in statuses:
        names = [one.link.device_id, one.link.station_id]
        good.add_metric(names, 1.0 if one.state is LinkState.GOOD else 0.0)
        if one.last_good_at is not None:
            last.add_metric(names, one.last_good_at.timestamp())
        if one.latency_ms is not None:
            latency.add_metric(names, one.latency_ms / 1000)
        polls.add_metric(names, one.polls)
        missed.add_metric(names, one.missed)
        skipped.add_metric(names, one.skipped)
        volume.add_metric(names, one.bytes_exchanged)
        requests.add_metric(names, one.requests)
        crowded.add_metric(names, 1.0 if one.state is LinkState.OVERSUBSCRIBED else 0.0)
        capped.add_metric(names, 1.0 if one.state is LinkState.CAPPED else 0.0)
    yield from (good, last, latency, polls, missed, skipped, volume, requests, crowded, capped)


def _spool(status: CollectorStatus) -> Iterator[Metric]:
    balance = status.balance
    samples = CounterMetricFamily("sunledger_spool_samples", "where samples have gone", labels=["fate"])
    for fate in ("published", "stored", "duplicates", "quarantined", "dropped"):
        samples.add_metric([fate], getattr(balance, fate))
    yield samples
    yield GaugeMetricFamily(
        "sunledger_spool_waiting_samples", "samples waiting for the store", value=balance.waiting
    )
    yield GaugeMetricFamily("sunledger_spool_bytes", "payload kept in the spool", value=status.spool_bytes)
    yield GaugeMetricFamily(
        "sunledger_spool_imbalance", "samples unaccounted for, always 0", value=balance.difference
    )
    yield CounterMetricFamily(
        "sunledger_collector_overflowed_samples", "lost while the disk was full", value=status.overflowed
    )
    yield GaugeMetricFamily(
        "sunledger_store_stuck", "1 while the store takes nothing", value=1.0 if status.drain.stuck else 0.0
    )


class _Reported(MetricSource):
    """What the collectors have reported, each under its own name."""

    def __init__(self, reports: Sequence[CollectorReport], counts: ConnectionCounts, now: datetime) -> None:
        self._reports, self._counts, self._now = reports, counts, now

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        alive = GaugeMetricFamily(
            "sunledger_collector_up", "1 while the collector reports", labels=["collector"]
        )
        last = GaugeMetricFamily(
            "sunledger_collector_last_report_timestamp_seconds",
            "time of the collector's last report",
            labels=["collector"],
        )
        connections = GaugeMetricFamily(
            "sunledger_collector_connections",
            "connections by state, as the collector last reported them",
            labels=["collector", "state"],
        )
        for one in self._reports:
            alive.add_metric([one.name], 0.0 if one.is_silent(self._now) else 1.0)
            last.add_metric([one.name], one.at.timestamp())
        for (name, state), count in sorted(self._counts.items()):
            connections.add_metric([name, state], count)
        yield from (alive, last, connections)


def reported(session: Session, now: datetime) -> CollectorRegistry:
    """Return a Prometheus registry with what all collectors have reported, wherever they run."""
    made = CollectorRegistry(auto_describe=False)
    made.register(_Reported(collector_reports(session), connection_counts(session), now))
    return made


def registry(collector: Collector) -> CollectorRegistry:
    """Return a Prometheus registry with the collector's metrics, for the API to serve."""
    made = CollectorRegistry(auto_describe=False)
    made.register(CollectorMetrics(collector))
    return made
