"""Reads what is written for launchd and Windows, and reckons when it runs.

    read.py plist|task FIRST_DAY DAYS

Takes the file on standard input and prints JSON: what is run, and every minute of the days at which
it is started. The rules are those of launchd.plist(5) and of Task Scheduler's schema.
"""

import calendar
import datetime
import json
import plistlib
import sys
import xml.etree.ElementTree

NAMESPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]


def weekday(day):
    return day.isoweekday() % 7


def plist(data, days):
    read = plistlib.loads(data, fmt=plistlib.FMT_XML)
    times = set()
    for entry in read.get("StartCalendarInterval", []):
        unknown = set(entry) - {"Minute", "Hour", "Day", "Weekday", "Month"}
        assert not unknown and not {"Day", "Weekday"} <= set(entry), entry
        for day in days:
            if entry.get("Month", day.month) != day.month:
                continue
            if entry.get("Day", day.day) != day.day:
                continue
            if entry.get("Weekday", weekday(day)) != weekday(day):
                continue
            for hour in [entry["Hour"]] if "Hour" in entry else range(24):
                for minute in [entry["Minute"]] if "Minute" in entry else range(60):
                    times.add(datetime.datetime.combine(day, datetime.time(hour, minute)))
    return read, times


def names(element, path):
    return [child.tag.removeprefix(NAMESPACE) for child in element.find(path.format(NAMESPACE))]


def runs_on(trigger, day):
    month_length = calendar.monthrange(day.year, day.month)[1]
    kind = next(child for child in trigger if child.tag.startswith(NAMESPACE + "ScheduleBy"))
    name = kind.tag.removeprefix(NAMESPACE)
    if name == "ScheduleByDay":
        return True
    if name == "ScheduleByWeek":
        return WEEKDAYS[weekday(day)] in names(kind, "{}DaysOfWeek")
    if calendar.month_name[day.month] not in names(kind, "{}Months"):
        return False
    if name == "ScheduleByMonth":
        listed = [child.text for child in kind.find(NAMESPACE + "DaysOfMonth")]
        return str(day.day) in listed or ("Last" in listed and day.day == month_length)
    assert name == "ScheduleByMonthDayOfWeek"
    weeks = [child.text for child in kind.find(NAMESPACE + "Weeks")]
    in_week = str((day.day - 1) // 7 + 1) in weeks or ("Last" in weeks and day.day + 7 > month_length)
    return in_week and WEEKDAYS[weekday(day)] in names(kind, "{}DaysOfWeek")


def minutes(text):
    assert text.startswith("PT") and text.endswith("M"), text
    return int(text[2:-1])


def task(data, days):
    assert data.startswith(b"\xff\xfe"), "no mark of UTF-16"
    read = xml.etree.ElementTree.fromstring(data)
    times = set()
    for trigger in read.iter(NAMESPACE + "CalendarTrigger"):
        start = datetime.datetime.fromisoformat(trigger.findtext(NAMESPACE + "StartBoundary")).time()
        repetition = trigger.find(NAMESPACE + "Repetition")
        offsets = [0]
        if repetition is not None:
            every = minutes(repetition.findtext(NAMESPACE + "Interval"))
            offsets = range(0, minutes(repetition.findtext(NAMESPACE + "Duration")) + 1, every)
        for day in days:
            if runs_on(trigger, day):
                begin = datetime.datetime.combine(day, start)
                times.update(begin + datetime.timedelta(minutes=offset) for offset in offsets)
    action = read.find(f"{NAMESPACE}Actions/{NAMESPACE}Exec")
    return [action.findtext(NAMESPACE + "Command"), action.findtext(NAMESPACE + "Arguments")], times


def main():
    kind, first, count = sys.argv[1:]
    first = datetime.date.fromisoformat(first)
    days = [first + datetime.timedelta(days=day) for day in range(int(count))]
    what, times = {"plist": plist, "task": task}[kind](sys.stdin.buffer.read(), days)
    times = [time.isoformat(timespec="minutes") for time in sorted(times)]
    json.dump({"what": what, "times": times}, sys.stdout)


main()
