"""Counts again what a server reported, from what happened to each number alone.

It reads a folder with the file that was imported, each number's events and state and all periods as the server tells
them, and the reports with their files. It knows the rules from the law's side, and nothing of how the server counts.

    python3 tests/month/recount.py FOLDER
"""

import csv
import datetime
import json
import pathlib
import sys
from collections import Counter, defaultdict

US = {"919", "540", "703"}
CANADA = {"416"}
TOLL_FREE = {"800"}
NOWHERE = {"500"}
# A number that was given up rests for at least so many whole days before somebody new has it, by 47 CFR 52.15(f)(1)(ii),
LEAST = 45
# and for at most so many: a toll-free one, one of an account that is a business, any other.
MOST_TOLL_FREE, MOST_BUSINESS, MOST = 120, 365, 90
# What is held for somebody counts as reserved for so many days.
RESERVED_DAYS = 180
CATEGORIES = ["assigned", "intermediate", "reserved", "aging", "administrative", "available"]


class Wrong(Exception):
    """The server and this program disagree."""


def same(what, ours, theirs):
    if ours != theirs:
        if isinstance(ours, dict) and isinstance(theirs, dict):
            keys = [key for key in sorted({*ours, *theirs}, key=str) if ours.get(key) != theirs.get(key)]
            ours, theirs = [(key, ours.get(key)) for key in keys[:5]], [(key, theirs.get(key)) for key in keys[:5]]
        raise Wrong(f"{what}: counted again it is {ours}, the server says {theirs}")


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def millis(instant):
    return round(datetime.datetime.fromisoformat(instant.replace("Z", "+00:00")).timestamp() * 1000)


def instant(ms):
    """Returns what a detail tells in milliseconds as the instants of events are written."""
    at = datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


def day_after(day, days):
    return (datetime.date.fromisoformat(day) + datetime.timedelta(days=days)).isoformat()


def went_at(event):
    """Returns when what an event tells was so. A number went to another carrier when it went, whenever that is told."""
    return min(event["at"], instant(event["detail"]["at"])) if event["kind"] == "ported_out" else event["at"]


class Departure:
    """A time when a number left service. `why` says why it is no permanent disconnect of a known day, if it is none."""

    def __init__(self, day, position, account, why=None):
        self.day, self.position, self.account, self.why = day, position, account, why


class Number:
    """A number as it was imported, and its events, oldest first."""

    def __init__(self, row, imported_at):
        self.number = row["number"]
        self.state = row["state"]
        self.account = row["account"] or row["former_account"]
        self.ported_in = row["ported_in"] == "true"
        self.imported_at = imported_at
        self.events = []

    def at(self, instant, position):
        """Returns what it was at an instant, by the events up to a position: state, since when, account, ported in."""
        state, since, account, ported_in = self.state, self.imported_at, self.account, self.ported_in
        for event in self.events:
            if went_at(event) <= instant and int(event["position"]) <= position:
                if event["kind"] == "restored":
                    ported_in = event["detail"].get("ported_in", False)
                if event["before"] != event["after"] or event["kind"] == "restored":
                    since = went_at(event)
                state, account = event["after"], event["account"]
        return state, since, account, ported_in

    def departures(self, position):
        """Returns each time it left service.

        It is a permanent disconnect if its account gave it up. It is none if that account has it back before anybody else
        had it, and none if the number went to another carrier: it went with its subscriber, who still has it.
        """
        found, last = [], None  # `last`: the newest one, while nothing has settled what it was
        if self.state == "Aging":
            last = Departure(self.imported_at[:10], 0, self.account, "no_date")
            found.append(last)
        account = self.account
        for event in self.events:
            if int(event["position"]) > position:
                break
            kind, before, after = event["kind"], event["before"], event["after"]
            here = event["position"]
            if kind in ("disconnected", "purged") and before == "InService":
                last = Departure(event["at"][:10], here, account)
                found.append(last)
            elif kind == "ported_out" and before == "InService":
                last = Departure(went_at(event)[:10], here, account, "ported_out")
                found.append(last)
            elif kind == "ported_out":
                if last:
                    last.why = "ported_out"
                last = None
            elif after == "InService" and before in ("Aging", "Removed"):
                if last and last.account == event["account"]:
                    last.why = "reconnected"
                last = None
            elif kind == "restored" and after == "Aging":
                if not last or last.account != event["account"]:
                    last = Departure(event["at"][:10], here, event["account"], "no_date")
                    found.append(last)
            elif before != after and after != "Removed" or kind == "released":
                last = None
            account = event["account"]
        return found

    def why(self):
        """Returns why it is reported by nobody here, if it is not."""
        code = self.number[2:5]
        if not self.number.startswith("+1") or code in CANADA:
            return "not_us"
        if code in TOLL_FREE | NOWHERE:
            return "not_geographic"
        return None if code in US else "unknown_npa"


def month_of(day):
    year, month, of_month = int(day[:4]), int(day[5:7]), int(day[8:10])
    if of_month > 14:
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return f"{year:04}-{month:02}"


def month_before(month):
    return month_of(day_after(f"{month}-01", -31))


def knew(report, one):
    """Returns whether a report could have a departure: by its last day, and told by its position."""
    return month_of(one.day) <= report["period"] and int(one.position) <= int(report["as_of"])


def disconnects(numbers, report, known, submitted, listed, others):
    """Returns the rows of a report, what it leaves out, and what it lists if it leaves it out. `known`: the months whose
    reports were submitted. `submitted`: the rows of earlier months. `listed`: what the reports of other months list.
    `others`: the accounts that report their own numbers."""
    rows, left_out, lists = {}, {}, set()
    # It lists what no other report lists, from the first month on that leads to its own without a gap.
    first = report["period"]
    while month_before(first) in known:
        first = month_before(first)
    for number in numbers.values():
        reasons = []
        for one in number.departures(int(report["as_of"])):
            if month_of(one.day) > report["period"]:
                continue
            why = one.why
            if why not in ("reconnected", "ported_out"):
                why = number.why() or ("other_reporter" if one.account in others else why)
            reasons.append((one, why))
        mine = [(one, why) for one, why in reasons
                if knew(report, one) and month_of(one.day) >= first
                and (number.number, one.position) not in listed]
        lists.update((number.number, one.position) for one, _ in mine)
        own = [why for _, why in mine if why]
        lasting = [(one.day, one.position) for one, why in reasons if why is None]
        if lasting and (number.number, lasting[-1][1]) not in submitted:
            rows[number.number] = lasting[-1]
            continue
        if own:
            left_out[number.number] = own[-1]
    return rows, left_out, lists


def check_disconnects(numbers, reports, others):
    submitted, listed, reasons = {}, {}, Counter()
    for report in reports:
        period = report["period"]
        earlier = set().union(*(rows for month, rows in submitted.items() if month < period))
        elsewhere = set().union(*(lists for month, lists in listed.items() if month != period))
        rows, left_out, lists = disconnects(numbers, report, listed.keys() - {period}, earlier, elsewhere, others)
        reasons.update(left_out.values())
        text = "CompanyID,TN,DisconnectDate,BatchID\r\n" + "".join(
            f"{report['company']},{number[2:]},{rows[number][0]},\r\n" for number in sorted(rows))
        files = list(report["contents"].values())
        same(f"the file of {report['id']}", [text] if rows else [], files)
        same(f"what {report['id']} leaves out", left_out, {one["number"]: one["why"] for one in report["left_out"]})
        same(f"the counts of {report['id']}", (len(rows), len(left_out)),
             (report["counts"]["rows"], report["counts"]["left_out"]))
        if report["confirmed_at"]:
            listed[period] = lists
            submitted[period] = {(number, position) for number, (_, position) in rows.items()}
    return sum(report["counts"]["rows"] for report in reports), reasons


def category(state, since, account, kinds, at):
    if state == "InService" or state == "Protected" and kinds[account] != "end-user":
        return "assigned" if kinds[account] == "end-user" else "intermediate"
    if state in ("Reserved", "Protected"):
        return "reserved" if millis(at) - millis(since) <= RESERVED_DAYS * 86_400_000 else "available"
    return {"Aging": "aging", "Available": "available", "Administrative": "administrative"}[state]


def check_use(numbers, reports, kinds):
    for report in reports:
        counts = defaultdict(Counter)
        for number in numbers.values():
            state, since, account, ported_in = number.at(report["at"], int(report["position"]))
            if state != "Removed" and not ported_in and number.number[:2] == "+1" and number.number[2:5] in US:
                digits = number.number[2:]
                what = category(state, since, account, kinds, report["at"])
                counts[digits[:3], digits[3:6], digits[6]][what] += 1
        contents = next(text for name, text in report["contents"].items() if name.endswith(".csv"))
        told = {}
        for row in csv.DictReader(contents.splitlines()):
            columns = ["Assigned", "Intermediate", "Reserved", "Aging", "Admin", "Available"]
            told[row["NPA"], row["NXX"], row["X"]] = Counter(
                {name: int(row[column]) for name, column in zip(CATEGORIES, columns) if int(row[column])})
            same("a line's total", sum(int(row[column]) for column in columns), int(row["Total"]))
        same(f"the use of numbers in {report['id']}", dict(counts), told)
        sums = sum(counts.values(), Counter())
        same(f"the sums of {report['id']}", {name: sums[name] for name in CATEGORIES},
             {name: report["counts"][name] for name in CATEGORIES})


def check_periods(numbers, periods):
    """A bill goes by what was known on its day: by when an event was written down, even if a number had gone before."""
    for number in numbers.values():
        ours = []
        payer = number.account if number.state == "InService" else None
        if payer:
            ours.append({"account": payer, "from": number.imported_at, "until": None})
        for event in number.events:
            now = event["account"] if event["after"] == "InService" else None
            if now != payer:
                if payer:
                    ours[-1]["until"] = event["at"]
                    if ours[-1]["from"] == event["at"]:
                        ours.pop()  # it came and went in the same millisecond
                if now and ours and (ours[-1]["account"], ours[-1]["until"]) == (now, event["at"]):
                    ours[-1]["until"] = None
                elif now:
                    ours.append({"account": now, "from": event["at"], "until": None})
                payer = now
        same(f"the periods of {number.number}", ours, periods[number.number])


def check_rests(numbers, classes):
    """What was given up rests for as long as the law says, then goes where it belongs, and until then to nobody new."""
    for number in numbers.values():
        if not number.number.startswith("+1"):
            continue
        given_up = until = kept = None  # the day and the account; the end of its rest; whether an operator keeps it
        leaves, ported_in = False, number.ported_in
        for event in number.events:
            kind, day, detail = event["kind"], event["at"][:10], event["detail"]
            what = f"{kind} of {number.number} at {event['at']}"
            if kind == "disconnected":
                given_up, until, kept = (day, event["account"]), instant(detail["hold"]["release_at"]), None
                leaves = detail.get("leaves")
                most = MOST_BUSINESS if classes[event["account"]] == "business" else MOST
                most = MOST_TOLL_FREE if number.number[2:5] in TOLL_FREE else most
                first, last = day_after(day, LEAST + 1), day_after(day, most + 1)
                same(f"the hold of the {what}", True, first <= until[:10] <= last)
            elif kind in ("extended", "shortened"):
                until = instant(detail["release_at"])
                lawful = not given_up or until[:10] >= day_after(given_up[0], LEAST + 1)
                same(f"the floor after the {what}", True, lawful)
            elif kind in ("kept", "unkept"):
                kept = kind == "kept"
            elif kind == "released":
                same(f"the rest before the {what}", (True, None), (not until or until <= event["at"], kept or None))
                same(f"what leaves by the {what}", bool(ported_in or leaves), event["after"] == "Removed")
            elif event["after"] in ("InService", "Reserved") and event["before"] != event["after"]:
                if given_up and event["account"] != given_up[1]:
                    same(f"the days before the {what}", True, day >= day_after(given_up[0], LEAST + 1))
                given_up = until = kept = None
            if kind == "ported_out":
                given_up = until = kept = None  # with its subscriber
            if kind == "restored":
                ported_in = detail.get("ported_in", False)


def main(folder):
    told = json.loads((folder / "told.json").read_text(encoding="utf-8"))
    with open(folder / "numbers.csv", encoding="utf-8") as file:
        numbers = {row["number"]: Number(row, told["imported_at"]) for row in csv.DictReader(file)}
    periods, states = defaultdict(list), {}
    with open(folder / "periods.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            one = {"account": row["account"], "from": row["from"], "until": row["until"] or None}
            periods[row["number"]].append(one)
    for life in lines(folder / "lives.jsonl"):
        number = life["number"]
        numbers[number].events, states[number] = life["events"], life["state"]
        if "history" in life:
            same(f"the history of {number}", life["events"], life["history"])
            same(f"the periods of {number}", periods[number], life["periods"])
    same("the numbers", set(numbers), set(states))
    ours = {one.number: one.at("9999", sys.maxsize)[0] for one in numbers.values()}
    same("the states", ours, states)
    check_periods(numbers, periods)
    check_rests(numbers, told["classes"])
    others = set(told["reporting_themselves"])
    rows, reasons = check_disconnects(numbers, [one for one in told["reports"] if one["kind"] == "rnd"], others)
    check_use(numbers, [report for report in told["reports"] if report["kind"] == "nruf"], told["kinds"])
    kinds = Counter(event["kind"] for one in numbers.values() for event in one.events)
    if not rows or not kinds["ported_out"]:
        raise Wrong("nothing was reported or ported out, so nothing was shown")
    left_out = ", ".join(f"{count} {why}" for why, count in sorted(reasons.items()))
    print(f"{len(numbers)} numbers, {sum(kinds.values())} events, {kinds['ported_out']} port-outs, "
          f"{rows} reported disconnects (left out: {left_out}): all agree")


if __name__ == "__main__":
    try:
        main(pathlib.Path(sys.argv[1]))
    except Wrong as wrong:
        sys.exit(f"error: {wrong}")
