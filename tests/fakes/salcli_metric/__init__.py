"""A plugin that brings a metric and nothing else."""

from salcli import MetricSpec, hookimpl


@hookimpl
def register_metrics():
    yield MetricSpec(
        "peak", "saliency at the highest fixation", "salcli_metric.peak:peak", "fixations"
    )
