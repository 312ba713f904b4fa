"""Our due times against croniter's, over a year in eight zones.

Two comparisons. First what the fields mean: croniter tells every matching minute of the year by a clock without zone, and
the rules of docs/agreement.md ("time_zone") turn it into due times, by Python's own zone data. Nothing may differ. Then
croniter with the zone: it has rules of its own for the days on which the clock is changed, so there, and only there, it may
differ: the times nearest to a change. Each difference is named by the rule below that explains it.
"""
import collections
import datetime
import os
import pathlib
import subprocess
import sys
import zoneinfo

try:
    import croniter
except ImportError:  # a Python that is not Debian's: python3-croniter belongs to that one
    if sys.executable == "/usr/bin/python3":
        raise
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIMES = pathlib.Path(os.environ.get("MR_BUILD", ROOT / "build/asan")) / "coordinator/cron_times"
UTC = datetime.timezone.utc

ZONES = [  # and the year: one in which something happens
    ("Europe/Helsinki", 2026),
    ("America/New_York", 2026),
    ("Australia/Lord_Howe", 2026),  # half an hour
    ("America/Santiago", 2026),     # changes at midnight
    ("Africa/Casablanca", 2026),    # back and forth for Ramadan
    ("Asia/Kolkata", 2026),         # never
    ("America/Sao_Paulo", 2018),    # a gap at 0:00
    ("Pacific/Apia", 2011),         # 2011-12-30 did not happen
]
SCHEDULES = [
    "0 * * * *", "30 * * * *", "15 */2 * * *", "*/30 1-3 * * *", "20/25 2 * * *",
    "0 0 * * *", "30 0 * * *", "30 1 * * *", "45 1 * * *", "15 2 * * *", "30 2 * * *", "30 3 * * *", "0 12 * * *",
    "0,30 2 * * *", "0 1,2,3 * * *", "10-50/20 0-4 * * *",
    "30 2 * * SUN", "0 6 * * mon-fri", "0 0 29 2 *", "0 0 31 * *", "0 12 1,15 * *", "0 0 13 * 5", "0 0 */2 * 1",
    "15 4 * JAN-MAR,oct *", "0 9 1-7 * 1", "5 0 * 12 7", "@hourly", "@daily", "@weekly", "@monthly", "@yearly",
]
# What the two take for different things. croniter's answer for the first is ours for the second.
READ_DIFFERENTLY = {
    # Kubernetes: a day field that is written out restricts the day, so either field is enough; croniter: all days are `*`.
    "0 0 1-31 * 1": "0 0 * * 1",
}


def year_of(year):
    return datetime.datetime(year, 1, 1), datetime.datetime(year + 1, 1, 1)


def seconds(local, zone, fold=0):
    return int(local.replace(tzinfo=zone, fold=fold).timestamp())


def ours(lines):
    """Due times for lines of (zone, from, until, schedule)."""
    text = "".join(f"{zone}\t{begin}\t{end}\t{schedule}\n" for zone, begin, end, schedule in lines)
    done = subprocess.run([TIMES], input=text, capture_output=True, text=True, check=True)
    return [[int(time) for time in line.split()] for line in done.stdout.splitlines()]


def iterate(schedule, begin, end, get):
    times, at = [], croniter.croniter(schedule, begin)
    while (time := at.get_next(datetime.datetime)) < end:
        times.append(get(time))
    return times


def by_the_clock(schedule, year):
    begin, end = year_of(year)
    return iterate(schedule, begin - datetime.timedelta(seconds=1), end, lambda time: time)


def expected(local_times, schedule, zone):
    """The rules of docs/agreement.md."""
    fields = schedule.split()
    wildcard = schedule == "@hourly" or (not schedule.startswith("@") and (fields[0][0] == "*" or fields[1][0] == "*"))
    due = set()
    for local in local_times:
        first, second = seconds(local, zone), seconds(local, zone, fold=1)
        if first > second:  # jumped over: that shows in the wrong order
            if not wildcard:
                due.add(gap_end(second, first, zone))
        else:
            due.add(first)
            if wildcard:
                due.add(second)
    return sorted(due)


def gap_end(early, late, zone):
    """The moment of the change between the two."""
    offset = datetime.datetime.fromtimestamp(early, zone).utcoffset()
    while late - early > 1:
        middle = (early + late) // 2
        if datetime.datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            early = middle
        else:
            late = middle
    return late


def changes(zone, year):
    """(moment, seconds by which the clock jumps) of the year."""
    begin, end = (int(at.replace(tzinfo=UTC).timestamp()) for at in year_of(year))
    found = []
    for at in range(begin - 86400, end + 86400, 3600):
        before, after = (datetime.datetime.fromtimestamp(time, zone).utcoffset() for time in (at, at + 3600))
        if before != after:
            found.append((gap_end(at, at + 3600, zone), int((after - before).total_seconds())))
    return found


def compare_fields():
    checked = 0
    clock = {(schedule, year): by_the_clock(schedule, year)
             for schedule in [*SCHEDULES, *READ_DIFFERENTLY] for year in {year for _, year in ZONES}}
    for name, year in ZONES:
        zone = zoneinfo.ZoneInfo(name)
        begin, end = (seconds(at, zone) for at in year_of(year))
        pairs = [(schedule, schedule) for schedule in SCHEDULES] + list(READ_DIFFERENTLY.items())
        for (theirs, schedule), due in zip(pairs, ours([(name, begin - 1, end - 1, mine) for _, mine in pairs])):
            wanted = expected(clock[theirs, year], theirs, zone)
            assert due == wanted, f"{schedule} in {name}: {sorted(set(due) ^ set(wanted))[:5]}"
            checked += len(due)
    for theirs, mine in READ_DIFFERENTLY.items():
        as_written, = ours([("UTC", 1767225599, 1798761599, theirs)])
        as_read, = ours([("UTC", 1767225599, 1798761599, mine)])
        assert as_written != as_read, f"{theirs} is read as croniter reads it: no difference is left to explain"
    return checked


def explain(time, only_ours, due_times, moments):
    """The rule that explains why just one of the two has this time; None: nothing does."""
    for moment, jump in moments:
        after = [due for due in due_times if due >= moment]
        if jump > 0 and time == moment and only_ours:
            return "a time in the gap is due right after it; croniter: an hour later, or not at all"
        if jump < 0 and moment <= time < moment - jump:
            return "in the repeated hour wildcards are due again, fixed times are not; croniter: by neither rule"
        if after and moment - 86400 < time and abs(time - after[0]) <= abs(jump):
            return "croniter's first time after the change is off by it"
    return None


def compare_zones():
    differences, equal = collections.Counter(), 0
    for name, year in ZONES:
        zone = zoneinfo.ZoneInfo(name)
        begin, end = year_of(year)
        moments = changes(zone, year)
        for schedule in ("0 0 * * *", "30 2 * * *", "0 12 * * *", "0 6 * * mon-fri", "15 4 * JAN-MAR,oct *", "0 * * * *"):
            theirs = set(iterate(schedule, (begin - datetime.timedelta(seconds=1)).replace(tzinfo=zone),
                                 end.replace(tzinfo=zone), lambda time: int(time.timestamp())))
            last = seconds(end, zone) - 1
            known = ours([(name, seconds(begin, zone) - 1, last + 40 * 86400, schedule)])[0]
            mine = {time for time in known if time <= last}
            for time in mine ^ theirs:
                why = explain(time, time in mine, known, moments)
                assert why, f"{schedule} in {name}: {time} is only {'ours' if time in mine else 'croniter'}'s"
                differences[name, why] += 1
            equal += len(mine & theirs)
    return equal, differences


def main():
    print(f"{compare_fields()} due times follow from croniter's fields and our rules")
    equal, differences = compare_zones()
    print(f"{equal} due times are croniter's as well; differences, all next to a change of the clock:")
    for (zone, why), count in sorted(differences.items()):
        print(f"  {zone:<20} {count:4}  {why}")


if __name__ == "__main__":
    main()
