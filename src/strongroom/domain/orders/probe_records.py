"""Records that configuration tests write: a job that would remove them is queued before they are written.

Whoever writes one removes it a moment later and takes the job back. If the process ends in between, the job does it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from strongroom.domain.configurations.model import Configuration
from strongroom.domain.jobs.model import ENDED, Job, JobState
from strongroom.domain.jobs.steps import Commit, Done, Ended, Failed, Step, Stumbled, new_job
from strongroom.domain.orders.configured import DnsConfigurations
from strongroom.domain.orders.dns import TxtRecord
from strongroom.domain.orders.faults import Side, fault_of, job_error
from strongroom.domain.orders.peers import dns_peer
from strongroom.domain.ports import Storage, Unit
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import Invalid, StrongroomError, Unavailable, Upstream
from strongroom.kernel.ids import ConfigurationId, JobId, new_uuid
from strongroom.kernel.value import value

PROBE_CLEANUP: Final = "public_cert.probe_cleanup"
"""Kind of the job."""
_LONGEST_TEST: Final = timedelta(minutes=10)
"""Nobody is testing any more after that."""
_AGAIN: Final = timedelta(hours=1)
_GIVEN_UP_AFTER: Final = timedelta(days=7)


@value
class ProbeRecords:
    """Sees to it that no record of a test stays behind."""

    storage: Storage
    clock: Clock
    dns: DnsConfigurations
    kind: str = PROBE_CLEANUP

    def expect(self, configuration: Configuration, record: TxtRecord) -> JobId:
        """Note a record that is about to be written; return what `settled` takes."""
        now = self.clock.now()
        job = new_job(
            PROBE_CLEANUP,
            dedupe_key=f"{PROBE_CLEANUP}:{new_uuid()}",
            now=now,
            run_at=now + _LONGEST_TEST,
            data={"configuration_id": configuration.id, "name": record.name, "value": record.value},
        )
        self.storage.write(lambda unit: unit.jobs.enqueue(job))
        return job.id

    def settled(self, job_id: JobId) -> None:
        """Note that the record is removed."""

        def commit(unit: Unit) -> None:
            job = unit.jobs.find(job_id)
            if job is not None and job.state not in ENDED:
                ended = replace(job, state=JobState.DONE, fence=job.fence + 1, updated_at=self.clock.now())
                unit.jobs.save(ended, fence=job.fence)

        self.storage.write(commit)

    def run(self, job: Job) -> Step:
        """Remove the record; for a week, whatever the provider says."""
        configuration_id = ConfigurationId(str(job.data["configuration_id"]))
        record = TxtRecord(name=str(job.data["name"]), value=str(job.data["value"]))
        configuration = self.storage.look(lambda unit: unit.configurations.find_by_id(configuration_id))
        if configuration is None:
            return Failed(
                "dns_records_left",
                f"The TXT record {record.name} of a test is left: its DNS configuration is deleted. Remove it by hand.",
            )
        try:
            self.dns.of(configuration).cleanup(record, None)
        except (Unavailable, Upstream, Invalid) as error:
            trouble = error
            return Commit(lambda _: self._again(job, trouble, configuration.name, record.name))
        return Done()

    def _again(self, job: Job, trouble: StrongroomError, configuration: str, record: str) -> Ended:
        now = self.clock.now()
        if job.created_at + _GIVEN_UP_AFTER <= now:
            return Failed(
                "dns_records_left",
                f"The TXT record {record} of a test could not be removed: {trouble.detail} Remove it by hand.",
            )
        fault = fault_of(trouble, side=Side.DNS, peer=dns_peer(configuration))
        return Stumbled(job_error(fault), now + max(_AGAIN, trouble.retry_after or timedelta()))
