"""Counts again what a server reported, from what happened to each number alone.

It reads a folder with the file that was imported, each number's events, periods and state as the server tells them, and
the reports with their files. It knows the rules from the law's side, and nothing of how the server counts.

    python3 tests/month/recount.py FOLDER
"""

import csv
import json
import pathlib
import sys
from collections import Counter, defaultdict

US = {"919", "540", "703"}
CANADA = {"416"}
TOLL_FREE = {"800"}
MERELY_NOTED = {"moved", "locked", "unlocked", "extended", "shortened", "kept", "unkept", "corrected"}
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
        """Returns state and account at an instant, by the events up to a position."""
        state, account = self.state, self.account
        for event in self.events:
            if event["at"] <= instant and int(event["seq"]) <= position:
                state, account = event["after"], event["account"]
        return state, account

    def departures(self, position):
        """Returns each time it left service: its day, its event, and why it is none if it is none."""
        found = []
        if self.state == "Aging":
            found.append([self.imported_at[:10], 0, "no_date"])
        settled = not found
        for event in self.events:
            if int(event["seq"]) > position:
                break
            kind = event["kind"]
            if kind in ("disconnected", "purged") and event["before"] == "InService":
                found.append([event["at"][:10], int(event["seq"]), None])
                settled = False
            elif kind == "reconnected" and not settled:
                found[-1][2] = "reconnected"
                settled = True
            elif kind not in MERELY_NOTED:
                settled = True
        return found

    def why(self):
        """Returns why it is reported by nobody here, if it is not."""
        code = self.number[2:5]
        if code in CANADA:
            return "not_us"
        return "not_geographic" if code in TOLL_FREE else None


def month_of(day):
    year, month, of_month = int(day[:4]), int(day[5:7]), int(day[8:10])
    if of_month > 14:
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return f"{year:04}-{month:02}"


def disconnects(numbers, report, submitted):
    """Returns the rows of a report, and what it leaves out. `submitted`: the rows of earlier months' submitted ones."""
    rows, left_out = {}, {}
    for number in numbers.values():
        known = [one for one in number.departures(int(report["as_of"])) if month_of(one[0]) <= report["period"]]
        reasons = [(day, seq, why if why == "reconnected" else number.why() or why) for day, seq, why in known]
        lasting = [(day, seq) for day, seq, why in reasons if why is None]
        if lasting and (number.number, lasting[-1][1]) not in submitted:
            rows[number.number] = lasting[-1]
            continue
        own = [why for day, _, why in reasons if why and month_of(day) == report["period"]]
        if own:
            left_out[number.number] = own[-1]
    return rows, left_out


def check_disconnects(numbers, reports):
    submitted = defaultdict(set)
    for report in reports:
        earlier = set().union(*(rows for month, rows in submitted.items() if month < report["period"]))
        rows, left_out = disconnects(numbers, report, earlier)
        text = "CompanyID,TN,DisconnectDate,BatchID\r\n" + "".join(
            f"{report['company']},{number[2:]},{rows[number][0]},\r\n" for number in sorted(rows))
        files = list(report["contents"].values())
        same(f"the file of {report['id']}", [text] if rows else [], files)
        same(f"what {report['id']} leaves out", left_out, {one["number"]: one["why"] for one in report["left_out"]})
        same(f"the counts of {report['id']}", (len(rows), len(left_out)),
             (report["counts"]["rows"], report["counts"]["left_out"]))
        if report["confirmed_at"]:
            submitted[report["period"]] = {(number, seq) for number, (_, seq) in rows.items()}
    return sum(report["counts"]["rows"] for report in reports)


def category(state, account, kinds):
    if state == "InService":
        return "assigned" if kinds[account] == "end-user" else "intermediate"
    return {"Aging": "aging", "Available": "available", "Administrative": "administrative"}[state]


def check_use(numbers, reports, kinds):
    for report in reports:
        counts = defaultdict(Counter)
        for number in numbers.values():
            state, account = number.at(report["at"], int(report["position"]))
            if state != "Removed" and not number.ported_in and number.number[2:5] in US:
                digits = number.number[2:]
                counts[digits[:3], digits[3:6], digits[6]][category(state, account, kinds)] += 1
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
                if now:
                    ours.append({"account": now, "from": event["at"], "until": None})
                payer = now
        same(f"the periods of {number.number}", ours, periods[number.number])


def main(folder):
    told = json.loads((folder / "told.json").read_text(encoding="utf-8"))
    with open(folder / "numbers.csv", encoding="utf-8") as file:
        numbers = {row["number"]: Number(row, told["imported_at"]) for row in csv.DictReader(file)}
    periods, states = {}, {}
    for life in lines(folder / "lives.jsonl"):
        numbers[life["number"]].events = life["events"]
        periods[life["number"]], states[life["number"]] = life["periods"], life["state"]
    same("the numbers", set(numbers), set(states))
    ours = {one.number: one.at("9999", sys.maxsize)[0] for one in numbers.values()}
    same("the states", ours, states)
    check_periods(numbers, periods)
    rows = check_disconnects(numbers, [report for report in told["reports"] if report["kind"] == "rnd"])
    check_use(numbers, [report for report in told["reports"] if report["kind"] == "nruf"], told["kinds"])
    events = sum(len(one.events) for one in numbers.values())
    if not rows:
        raise Wrong("nothing was reported, so nothing was shown")
    print(f"{len(numbers)} numbers, {events} events, {rows} reported disconnects: all agree")


if __name__ == "__main__":
    try:
        main(pathlib.Path(sys.argv[1]))
    except Wrong as wrong:
        sys.exit(f"error: {wrong}")
