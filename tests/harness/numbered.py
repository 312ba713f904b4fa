"""A tenant whose rows carry serial numbers: uploads without end, and an independent verdict on what became of them."""
import collections
import json
import random
import sqlite3
import time
import urllib.error
import urllib.request

from . import checks, oracle

PROGRAM = """#!/bin/sh
set -e
cd "$SOURCE_PATH/$CLIENT_ID"
sleep 0.$(($$ % 5))
cp in/* out/
"""
FINAL = ("COMPLETED", "COMPLETED_WITH_REJECTS", "SKIPPED", "CANCELLED")
DATASET = "rows"


class Numbered:
    def __init__(self, cluster, folder, name, program, schedule, partitions, sinks, seed):
        self.cluster, self.name, self.rng = cluster, name, random.Random(f"{seed} {name}")
        self.folder = folder / name
        self.files, self.rows, self.problem = [], 0, None
        self.sinks = [f"sink-{number}" for number in range(sinks)]
        self.folder.mkdir()
        (self.folder / "files").mkdir()
        self.agreement = {
            "client": name, "schedule": schedule, "attempts": 100,
            "resources": {"requests": {"memory": "16Mi", "cpu": "100m"}, "limits": {"memory": "512Mi", "cpu": "500m"}},
            "sinks": [{"name": sink, "class": "sqlite", "table": sink.replace("-", "_")} for sink in self.sinks]}
        (self.folder / "agreement.json").write_text(json.dumps(self.agreement))
        self.dataset = {
            "name": DATASET, "file_type": "csv", "key_space": name.replace("-", "_"), "topic.partitions": partitions,
            "schema": {"type": "record", "name": "numbered", "fields": [
                {"name": "serial", "type": "long"}, {"name": "key", "type": "int"}, {"name": "text", "type": ["null", "string"]}]},
            "primary_key": ["key"]}
        (self.folder / "dataset.json").write_text(json.dumps(self.dataset))
        if program:
            (self.folder / "program").mkdir()
            run = self.folder / "program/run"
            run.write_text(PROGRAM)
            run.chmod(0o755)

    def apply(self):
        self.cluster.cli("tenant", "apply", self.folder)

    # --- uploads ---

    def write_file(self):
        """Names grow, so that the order of names is the order of uploads."""
        path = self.folder / "files" / f"{len(self.files):06d}.csv"
        count = self.rng.choice((0, 1, 50, 200, 2000))
        with open(path, "w", encoding="utf-8") as out:
            out.write("serial,key,text\n")
            for serial in range(self.rows, self.rows + count):
                key = "not-a-number" if self.rng.random() < 0.01 else self.rng.randrange(2000)
                out.write(f'{serial},{key},"row {serial}, číslo\n{self.rng.randrange(1000)}"\n')
        self.rows += count
        return path

    def upload(self, path):
        """Until it is accepted: the same Idempotency-Key each time makes it one upload. False: not this time."""
        request = urllib.request.Request(f"{self.cluster.url}/upload-file/{self.name}?name={path.name}", data=path.read_bytes(),
                                         headers={"Idempotency-Key": f"upload-{path.name}", "Content-Type": "text/csv"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status in (200, 201)
        except urllib.error.HTTPError as refused:
            if refused.code >= 500:
                return False
            raise AssertionError(f"{path.name}: {refused.code} {refused.read().decode()}") from refused
        except OSError:
            return False

    def ask(self):
        """Something that people ask for; whether it is answered or refused makes no difference to the rows."""
        what = self.rng.random()
        if what < 0.5:
            self.cluster.try_cli("run", "now", self.name)
        elif what < 0.55:
            runs = self.show("run", "list", self.name, "--limit", 1)
            if runs:
                self.cluster.try_cli("run", "cancel", self.name, runs[0]["run_id"])
        elif what < 0.57:
            self.agreement["data_retention_period_days"] = self.rng.randrange(5, 50)
            (self.folder / "agreement.json").write_text(json.dumps(self.agreement))
            self.cluster.try_cli("tenant", "apply", self.folder)

    def work(self, stop):
        """Uploads, and what people ask for; until told to stop and the last file has been accepted."""
        try:
            while not stop.is_set():
                path = self.write_file()
                deadline = time.monotonic() + 120
                while not self.upload(path):
                    assert time.monotonic() < deadline, f"{self.name}: {path.name} is not accepted within 120 s"
                    time.sleep(0.2)
                self.files.append(path)
                self.ask()
                stop.wait(self.rng.uniform(0.1, 1.5))
        except BaseException as problem:  # noqa: BLE001 - told by check()
            self.problem = problem

    def check(self):
        if self.problem is not None:
            raise self.problem

    # --- the end ---

    def show(self, *words):
        done = self.cluster.try_cli(*words, "--output", "json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def settled(self):
        self.check()
        runs = self.show("run", "list", self.name)
        if runs is None or any(run["state"] not in FINAL for run in runs):
            failed = [run for run in runs or [] if run["state"] in ("FAILED", "ABANDONED")]
            assert not failed, failed
            return False
        if list((self.cluster.staging / "tenants" / self.name / "in").iterdir()):
            self.cluster.try_cli("run", "now", self.name)
            return False
        return True

    def verdict(self):
        self.expected = oracle.read(self.folder / "dataset.json", self.files)
        self.stores_equal()
        self.serials_once()
        self.ledger_exact()

    def stores_equal(self):
        store = self.cluster.data / "store" / self.name / f"{self.expected.key_space}.db"
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as db:
            for sink in self.sinks:
                table = sink.replace("-", "_")
                stored = {(row[1],): row for row in db.execute(f"SELECT serial, key, text FROM {table}")}
                assert stored == self.expected.rows, f"{self.name}.{table}: " + checks.difference(self.expected.rows, stored)

    def serials_once(self):
        topic = f"{self.name}.{DATASET}"
        found = collections.Counter(record["values"]["serial"]
                                    for record in checks.topic_records(self.cluster, self.name, topic, self.dataset["schema"]))
        found.update(int(letter["raw"].split(",")[0]) for letter in checks.dead_letters(self.cluster, self.name, topic))
        twice = [serial for serial, count in found.items() if count > 1]
        missing = [serial for serial in range(self.rows) if serial not in found]
        assert not twice and not missing and len(found) == self.rows, (
            f"{topic}: {len(twice)} serials twice {twice[:5]}, {len(missing)} missing {missing[:5]}, {len(found)} of {self.rows}")

    def ledger_exact(self):
        expected = self.expected
        for sink in self.sinks:
            sums = checks.ledger_sums(self.cluster, self.name, sink)
            wanted = {"read": expected.read, "filtered": 0, "rejected_source": expected.rejected, "produced": expected.good,
                      "delivered": expected.good, "rejected_sink": 0, "abandoned": 0, "in_flight": 0}
            assert dict(sums) == wanted, f"ledger of {self.name}, {sink}: {dict(sums)}, counted: {wanted}"
