"""A power cut of the coordinator at each of its fault points: kill_control.py, with what was not synced lost."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import kill_control  # noqa: E402

LONG = True

if __name__ == "__main__":
    kill_control.main(folders=["coordinator"], prepare=kill_control.lose_unsynced)
