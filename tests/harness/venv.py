"""Programs of the test's virtual environment (tests/requirements.txt)."""
import functools
import pathlib
import subprocess

from .cluster import ROOT


@functools.cache
def folder():
    done = subprocess.run([ROOT / "tests/venv.sh"], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(done.stdout.strip())


def program(name):
    return folder() / "bin" / name
