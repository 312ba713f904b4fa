"""The random-kill soak, short: tests/soak.py with 25 kills."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import soak  # noqa: E402

if __name__ == "__main__":
    soak.main(["--kills", "25", "--minutes", "0.5"])
