"""A plugin that brings a metric, and protocols that use it."""

from salcli import MetricSpec, ProtocolSpec, hookimpl


@hookimpl
def register_metrics():
    yield MetricSpec(
        "peak", "saliency at the highest fixation", "salcli_metric.peak:peak", "fixations"
    )


@hookimpl
def register_protocols():
    yield ProtocolSpec("peaks", "salcli_metric.protocol:PEAKS")
    yield ProtocolSpec("no-protocol", "salcli_metric.peak:peak")
