"""The measurement job that Minka makes on a station (TS 28.622 PerfMetricJob, module _3gpp-common-measurements). Pure.

Others may have jobs of their own there, which are read, but neither reported nor changed.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller.models.facts import MeasurementFact
from controller.nrm import namespaces as ns
from controller.nrm.profiles.values import integer
from controller.nrm.schema import LeafSpec, NodeSpec
from controller.nrm.tree import LeafName, Value

#: Feature of the managed element's module; without it, it accepts no jobs.
MEASUREMENT_FEATURE = "MeasurementsUnderManagedElement"
#: Id of our job.
JOB = "minka"
#: A job carries no service, so its administrative state is ordinary configuration, like that of the AlarmList.
MEASUREMENT_JOB = NodeSpec(
    "PerfMetricJob",
    ns.MANAGED_ELEMENT,
    leaves=(
        LeafSpec("administrativeState", default="UNLOCKED", label="administrative state"),
        LeafSpec("operationalState", state=True),
        LeafSpec("jobId"),
        LeafSpec("performanceMetrics", leaf_list=True, unordered=True, label="metrics"),
        LeafSpec("granularityPeriod", normalise=integer, label="granularity period s"),
        LeafSpec("objectInstances", leaf_list=True),
        LeafSpec("rootObjectInstances", leaf_list=True),
        LeafSpec("fileReportingPeriod", normalise=integer, label="file reporting period min"),
        LeafSpec("fileLocation"),
        LeafSpec("streamTarget"),
    ),
    feature=MEASUREMENT_FEATURE,
    self_made=True,
    watches=True,
    label="measurement job",
)


def job_leaves(fact: MeasurementFact, families: Iterable[str]) -> dict[LeafName, Value]:
    """Leaves of our job: it measures families of counters, and writes a file for each period."""
    return {
        "performanceMetrics": tuple(sorted({*families, *fact.metrics})),
        "granularityPeriod": str(fact.seconds),
        "fileReportingPeriod": str(fact.seconds // 60),
    }
