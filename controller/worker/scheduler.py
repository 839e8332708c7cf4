"""The scheduler process: moves runs on, wakes workers again, drives remediation, sends notices to tenants.

It also judges what of plans that wait still follows from the files in force, sums up denied requests, deletes old
reports of alarms and old measurements, works out hours and days of measurements, wakes workers that collect them,
anchors the audit trail, and publishes its head once a day.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from controller.bootstrap import parts
from controller.models.errors import MinkaError
from controller.models.process import ProcessRole
from controller.models.settings import Settings
from controller.observe.presence import Presence
from controller.observe.rounds import Rounds
from controller.observe.watchdog import watched

#: Seconds between two sweeps; between two rounds of open alarms; between two rounds of notices to tenants; between two
#: rounds for alarms that outlived their roots, for denials to sum up, for silent devices, for reports to delete, and
#: whether the record is the newest; between two rounds for hours and days to work out, and for measurements to delete.
_SWEEP, _REMEDIATE, _NOTICES, _INCIDENTS, _DENIALS = 5.0, 1.0, 2.0, 5.0, 60.0
#: Seconds between two looks for plans that have to be judged by the network files in force.
_PLANS = 1.0
_HEARTBEATS, _REPORTS, _RECORD = 5.0, 10.0, 2.0
_MEASUREMENTS, _OLD_MEASUREMENTS = 5.0, 60.0
#: Seconds between two counts of the minutes that agreements lost.
_AGREEMENTS = 15.0
#: Seconds between two looks whether the day has a head of the audit trail.
_TRAIL = 60.0
#: Seconds between two queries for the version of rules, playbooks and KPIs that is in force.
_DEFINITIONS = 2.0
#: Seconds between two queries for stations whose performance data is due.
_COLLECTION = 5.0


async def schedule(settings: Settings, name: str, stop: asyncio.Event) -> None:
    """Work until ``stop``. Several schedulers may run: every decision is a compare-and-set.

    Raises:
        InputError: Settings name what is not there; nothing is started.
        StoreError: The database is unreachable, at the start.
    """
    async with parts(settings, ProcessRole.SCHEDULER) as made, watched(made.clock):
        await made.take_calls(ProcessRole.SCHEDULER)
        anchor = made.anchors()
        sweeper, remediator, notices = made.sweeper(), made.remediator(), made.notices()
        heartbeats, definitions = made.heartbeats(), made.definition_watch()
        rounds = Rounds(made.clock, made.observations)
        presence = Presence(
            made.loop_store,
            ProcessRole.SCHEDULER,
            name,
            sessions=made.sessions,
            late=lambda: rounds.late,
            observations=made.observations,
        )
        wake, loop = asyncio.Event(), asyncio.get_running_loop()
        wakeups = made.scheduler_wakeups(lambda: loop.call_soon_threadsafe(wake.set))
        async with presence.shown(made.clock), made.write_probe().kept_up():
            rounds.start("sweep", sweeper.sweep, _SWEEP)
            rounds.start("plans", made.validity().step, _PLANS)
            rounds.start("remediation", remediator.step, _REMEDIATE, wake)
            rounds.start("definitions", definitions.step, _DEFINITIONS)
            rounds.start("notices", notices.step, _NOTICES)
            rounds.start("incidents", made.settle_incidents, _INCIDENTS)
            rounds.start("agreements", made.count_agreements, _AGREEMENTS)
            rounds.start("denials", made.sum_up_denials, _DENIALS)
            rounds.start("heartbeats", heartbeats.step, _HEARTBEATS)
            rounds.start("reports", made.prune_reports, _REPORTS)
            rounds.start("measurements", made.work_out_measurements, _MEASUREMENTS)
            rounds.start("old measurements", made.retire_measurements, _OLD_MEASUREMENTS)
            rounds.start("collection", made.collection_schedule().step, _COLLECTION)
            rounds.start("record", made.judge_record, _RECORD)
            rounds.start("anchors", anchor, settings.anchor_interval)
            rounds.start("trail", made.publish_trail, _TRAIL)
            await stop.wait()
            await asyncio.to_thread(wakeups.close)
            await rounds.stop()
            await remediator.settle()
            await notices.settle()
            with suppress(MinkaError):  # the first anchor after the next start covers the same rows
                await anchor()
