"""Many small tenants whose schedules are due in the same minute."""
import datetime
import json
import pathlib
import time

from . import rest
from .cluster import wait_for

ROWS = 20
DATASET = {"name": "rows", "file_type": "csv", "key_space": "crowd", "primary_key": ["serial"],
           "schema": {"type": "record", "name": "rows", "fields": [
               {"name": "serial", "type": "long"}, {"name": "text", "type": "string"}]}}


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def next_minute(seconds):
    """The first full minute that is at least so far away, and its schedule."""
    due = (int(time.time() + seconds) // 60 + 1) * 60
    when = time.gmtime(due)
    return due, f"{when.tm_min} {when.tm_hour} {when.tm_mday} {when.tm_mon} *"


class Crowd:
    def __init__(self, cluster, count):
        self.cluster, self.names = cluster, [f"crowd-{number:04d}" for number in range(count)]

    def apply(self, schedule):
        for name in self.names:
            dataset = {**DATASET, "table": name.replace("-", "_")}
            headers, body = rest.form(("agreement", "agreement.json", json.dumps({"client": name, "schedule": schedule}).encode()),
                                      ("dataset", "dataset.json", json.dumps(dataset).encode()))
            status, answer = rest.call(self.cluster, "PUT", f"/tenants/{name}", body, headers)
            assert status in (200, 201), answer

    def upload(self):
        body = ("serial,text\n" + "".join(f"{n},row {n}\n" for n in range(ROWS)) + "no,number\n").encode()
        for name in self.names:
            status, answer = rest.call(self.cluster, "POST", f"/upload-file/{name}?name=rows.csv", body, {"Content-Type": "text/csv"})
            assert status in (200, 201), answer

    def status(self):
        """The answer, and how long it took."""
        begun = time.monotonic()
        code, answer = rest.call(self.cluster, "GET", "/status")
        assert code == 200, answer
        return answer, time.monotonic() - begun

    def runs(self):
        return rest.call(self.cluster, "GET", f"/runs?limit={2 * len(self.names) + 10}")[1]

    def wait_complete(self, due, seconds):
        """Until each tenant has a finished run; seconds after `due` at which that was seen, and times of status."""
        took = []

        def complete():
            answer, seconds = self.status()
            took.append(seconds)
            busy = sum(answer["runs"].values())
            return busy == 0 and time.time() > due + 0.5
        wait_for("all runs are done", complete, due - time.time() + seconds)
        return time.time() - due, took

    def check(self):
        """One run each, every row accounted for."""
        runs = {run["tenant"]: run for run in self.runs() if run["files"]}
        assert sorted(runs) == self.names, set(self.names) - set(runs)
        for run in runs.values():
            assert run["state"] == "COMPLETED_WITH_REJECTS" and (run["delivered"], run["rejected"]) == (ROWS, 1), run
        for line in rest.call(self.cluster, "GET", f"/ledger?limit={2 * len(self.names)}")[1]:
            assert (line["read"], line["produced"], line["delivered"], line["in_flight"]) == (ROWS + 1, ROWS, ROWS, 0), line
        assert not self.cluster.runs_left()
        return runs

    def lateness(self):
        """Seconds from the time a run was due to when it began, for each."""
        return [moment(run["created_at"]) - moment(run["due"]) for run in self.runs() if run["due"] and run["tenant"] in self.names]

    def processes(self):
        """Children of the workers."""
        def children(pid):
            return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid for worker in self.cluster.workers for pid in children(worker.child.pid)]
