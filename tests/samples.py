#!/usr/bin/env python3
"""The sample tenants are what tenants/README.md says: samples as generated, programs that keep every row and say what is wrong."""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import oracle  # noqa: E402

TENANTS = pathlib.Path(__file__).resolve().parents[1] / "tenants"
ROWS = {"a": 2000, "b": 1000}


def generated(tenant, rows):
    command = [TENANTS / "generate.py", tenant, "--rows", str(rows), "--seed", "1"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def run_program(tenant, files):
    """Exit status, standard error, and what lies in out/ afterwards."""
    with tempfile.TemporaryDirectory() as base:
        folder = pathlib.Path(base) / f"client_{tenant}"
        for name in ("in", "out"):
            (folder / name).mkdir(parents=True)
        for name, content in files.items():
            if content is None:
                os.mkfifo(folder / "in" / name)
            else:
                (folder / "in" / name).write_bytes(content)
        done = subprocess.run([TENANTS / f"client_{tenant}/program/run"], capture_output=True, text=True, timeout=60,
                              env={"SOURCE_PATH": base, "CLIENT_ID": f"client_{tenant}"})
        return done.returncode, done.stderr, {f.name: f.read_bytes() for f in (folder / "out").iterdir()}


def check_samples():
    for tenant, rows in ROWS.items():
        sample = TENANTS / f"client_{tenant}/sample.csv"
        assert sample.read_bytes() == generated(tenant, rows), f"{sample} is not what the generator prints"
        expected = oracle.read(TENANTS / f"client_{tenant}/dataset.json", [sample])
        assert expected.good == rows and expected.rejected == 0, vars(expected)
        assert len(expected.rows) < rows, "no key is repeated"
        assert max(expected.occurrences.values()) == 1, "a row is there twice"
        assert f"{len(expected.rows):,} primary keys" in (TENANTS / "README.md").read_text()


def check_programs_keep_samples():
    for tenant in ROWS:
        sample = (TENANTS / f"client_{tenant}/sample.csv").read_bytes()
        status, _, out = run_program(tenant, {"one.csv": sample, ".two": sample})
        assert status == 0 and out == {"one.csv": sample, ".two": sample}, (tenant, status, out.keys())
        assert run_program(tenant, {}) == (0, "", {})


def check_cleaning():
    given = b'\xef\xbb\xbfA,B\r\n 1 ,\t x y\r\n\r\n"a,\r\nb",\xff\r\n"3",4,5'
    status, error, out = run_program("a", {"x.csv": given})
    assert status == 0, error
    assert out["x.csv"] == b'A,B\n1,x y\n"a,\r\nb",\xff\n3,4,5\n', out


def check_bad_input_is_told():
    status, error, _ = run_program("a", {"x.csv": b'A,B\n1,"open\n2,3\n'})
    assert status == 1 and "cannot clean: x.csv line 3" in error, error
    status, error, _ = run_program("a", {"x.csv": b"A,B\r1,2\r"})
    assert status == 1 and "cannot clean: x.csv line 1" in error, error
    for tenant in ROWS:
        status, error, _ = run_program(tenant, {"pipe": None})
        assert status == 1 and "pipe is not a plain file" in error, error


if __name__ == "__main__":
    check_samples()
    check_programs_keep_samples()
    check_cleaning()
    check_bad_input_is_told()
    print("samples and programs of both tenants are as described")
