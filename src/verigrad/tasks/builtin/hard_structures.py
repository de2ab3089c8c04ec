"""Hard families about intervals, sets and stores of state."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from verigrad.tasks.builtin.draw import ints
from verigrad.tasks.builtin.family import Family

__all__ = ["FAMILIES"]


def _spans(random: Random, low: int, high: int, last: int, longest: int) -> list[tuple[int, int]]:
    """`low` to `high` intervals of positive length, in no particular order."""
    starts = ints(random, low, high, 0, last)
    return [(start, start + random.randint(1, longest)) for start in starts]


_MERGE_GOLD = """\
def $name(intervals):
    merged = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1] + $gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
"""

_MERGE_INTERVALS = Family(
    key="merge_intervals",
    topic="intervals",
    difficulty="hard",
    signature="intervals",
    names=("merge_intervals", "join_ranges", "combine_spans", "unite_periods"),
    statements=(
        "Write `$name(intervals)` that merges intervals. Each is a tuple `(start, end)` of ints with start < end, in "
        "any order. Two intervals are joined if they overlap or if at most $gap lies between the end of one and the "
        "start of the other; this also applies to intervals that were already joined. Return the result as a list of "
        "tuples sorted by start.",
        "A calendar holds busy periods as `(begin, end)` tuples of ints (begin < end), unsorted. Periods that overlap, "
        "or that are separated by a break of $gap or less, should become one period, repeatedly, until all breaks are "
        "longer than $gap. Define `$name(intervals)` returning the remaining periods as sorted tuples; `[]` stays "
        "`[]`.",
        "Implement `$name(intervals)`: take a list of int pairs (start, end), start < end, and unite neighbours "
        "whenever the later one starts no more than $gap after the earlier one has ended, overlaps included. The "
        "united interval reaches from the smallest start to the largest end. Give back a list of tuples in ascending "
        "order, empty for an empty list.",
        "I have recordings as tuples (first second, last second), ints with first < last, in no particular order, and "
        "want to glue together those that overlap or whose gap (next start minus previous end) is at most $gap. Please "
        "write `$name(intervals)` returning the glued recordings as a list of tuples from earliest to latest.",
        "Let two closed intervals be close if they share a point or the distance between them is not more than $gap. "
        "Replace every chain of close intervals by the smallest interval covering the whole chain. "
        "`$name(intervals)` gets a possibly empty list of tuples (a, b) of ints, a < b, and returns the covering "
        "intervals as tuples in increasing order.",
    ),
    gold=_MERGE_GOLD,
    inputs=lambda random, params: (_spans(random, 4, 8, 40, 7),),
    edges=lambda params: (
        ([],),
        ([(1, 20), (3, 5), (4, 9)],),
        ([(0, 4), (4 + params["gap"], 30), (31 + params["gap"], 40)],),
    ),
    params=lambda random: {"gap": random.choice((0, 1, 2, 3))},
    wrong=(
        _MERGE_GOLD.replace("max(merged[-1][1], end)", "end"),
        _MERGE_GOLD.replace("start <= merged", "start < merged"),
        _MERGE_GOLD.replace("sorted(intervals)", "intervals"),
    ),
)


_BUSIEST_GOLD = """\
def $name(visits):
    most, moment = 0, None
    for start, end in sorted(visits):
        present = 0
        for arrival, departure in visits:
            if arrival <= start $op departure:
                present += 1
        if present > most:
            most, moment = present, start
    return (most, moment)
"""

_BUSIEST = Family(
    key="busiest_moment",
    topic="intervals",
    difficulty="hard",
    signature="visits",
    names=("busiest_moment", "peak_visitors", "crowd_peak", "rush_time"),
    statements=(
        "Write `$name(visits)`. Each visit is a tuple `(arrival, departure)` of ints with arrival < departure, and "
        "covers $span. Return a tuple `(most, moment)`: the largest number of visitors present at the same time, and "
        "the earliest int time at which that many are present. For an empty list return `(0, None)`.",
        "A museum logs its visitors as `(arrival, departure)` tuples of ints, arrival < departure, in any order; each "
        "of them was inside at $span. Define `$name(visits)` that returns how many visitors were inside at the busiest "
        "time together with the first int time when this number was reached, as a tuple, or `(0, None)` if nobody "
        "came.",
        "Implement `$name(visits)`: given int intervals `(arrival, departure)` with arrival < departure, each holding "
        "$span, find the maximum number of intervals that hold a common time, and the smallest int time at which the "
        "maximum occurs. The result is the tuple `(maximum, time)`; no intervals give `(0, None)`.",
        "When was our server under the heaviest load? Every session is a tuple `(arrival, departure)` of ints, the "
        "first smaller than the second, and is active at $span. `$name(visits)` should return `(n, t)`, where n is the "
        "peak number of simultaneous sessions and t the earliest int time with n sessions, or `(0, None)` without "
        "sessions.",
        "Take a list of stays, `(arrival, departure)` tuples of ints in arbitrary order with arrival < departure. A "
        "guest is present at $span. Let c(t) be the number of guests present at the int time t. `$name(visits)` "
        "returns a tuple of the maximum of c and the least t that attains it; if the list is empty it returns "
        "`(0, None)`.",
    ),
    gold=_BUSIEST_GOLD,
    inputs=lambda random, params: (_spans(random, 3, 8, 12, 5),),
    edges=lambda params: (([],), ([(1, 3), (3, 5), (5, 9)],), ([(0, 9), (1, 2), (4, 5), (7, 8)],)),
    params=lambda random: random.choice(
        (
            {
                "op": "<",
                "other": "<=",
                "span": "the times from arrival up to but not including departure",
            },
            {"op": "<=", "other": "<", "span": "the times from arrival to departure, both included"},
        )
    ),
    wrong=(
        _BUSIEST_GOLD.replace("$op", "$other"),
        _BUSIEST_GOLD.replace("present > most", "present >= most"),
        """\
def $name(visits):
    most, moment = 0, None
    for start, end in sorted(visits):
        met = sum(arrival < end and start $op departure for arrival, departure in visits)
        if met > most:
            most, moment = met, start
    return (most, moment)
""",
    ),
)


def _slots_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    opening = random.randint(0, 6)
    return _spans(random, 2, 6, 24, 6), opening, opening + random.randint(12, 24)


_SLOTS_GOLD = """\
def $name(meetings, opening, closing):
    free = []
    now = opening
    for start, end in sorted(meetings):
        if min(start, closing) - now >= $length:
            free.append((now, min(start, closing)))
        now = max(now, end)
    if closing - now >= $length:
        free.append((now, closing))
    return free
"""

_FREE_SLOTS = Family(
    key="free_slots",
    topic="intervals",
    difficulty="hard",
    signature="meetings, opening, closing",
    names=("free_slots", "open_gaps", "find_breaks", "idle_periods"),
    statements=(
        "Write `$name(meetings, opening, closing)` that returns the free periods between the ints `opening` and "
        "`closing` (opening < closing). `meetings` is an unsorted list of tuples `(start, end)`, ints with start < "
        "end, which may overlap and may lie partly or wholly outside the day. Return the longest possible "
        "meeting-free periods that last at least $length, as a sorted list of `(start, end)` tuples.",
        "A room is open from time `opening` to time `closing`, ints with opening < closing, and is booked for the "
        "periods in `meetings`: tuples (start, end) of ints, start < end, in any order, possibly overlapping or "
        "sticking out of the opening hours. Define `$name(meetings, opening, closing)`, which lists all maximal "
        "unbooked periods of length $length or more within the opening hours, earliest first, as tuples.",
        "Implement `$name(meetings, opening, closing)`. Remove all the intervals in the list `meetings` (int tuples, "
        "start before end, any order, overlaps possible) from the interval from `opening` to `closing`; what is left "
        "is a number of gaps. Return the gaps whose length is at least $length as `(start, end)` tuples in ascending "
        "order. Without meetings the whole day is one gap.",
        "I want to know when I could fit in a task of $length hours. My day runs from the int `opening` to the larger "
        "int `closing`, and `meetings` has the taken times as (start, end) tuples of ints with start < end, unsorted "
        "and maybe overlapping or beyond my day. Please have `$name(meetings, opening, closing)` return every gap of at"
        " least that length, in full, as a chronological list of tuples.",
        "Compute the complement of a union of intervals. `$name(meetings, opening, closing)` returns, as tuples in "
        "increasing order, the maximal subintervals of [opening, closing] of length $length or longer that no interval "
        "of `meetings` covers in part. The intervals are tuples (a, b) of ints with a < b in arbitrary order and can "
        "overlap each other or reach beyond the limits; merely touching end points is not covering.",
    ),
    gold=_SLOTS_GOLD,
    inputs=_slots_inputs,
    edges=lambda params: (
        ([], 0, 10),
        ([(2, 12), (3, 5), (30, 40)], 0, 20),
        ([(params["length"], 10), (10 + params["length"], 11 + params["length"]), (12, 30)], 0, 30),
    ),
    params=lambda random: {"length": random.choice((1, 2, 3))},
    wrong=(
        _SLOTS_GOLD.replace("max(now, end)", "end"),
        _SLOTS_GOLD.replace("    if closing - now >= $length:\n        free.append((now, closing))\n", ""),
        _SLOTS_GOLD.replace(">= $length", "> $length"),
    ),
)


def _rooms_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    return (_spans(random, 4, 9, 15, 6),)


_CHOOSE_GOLD = """\
def $name(talks):
    chosen = []
    for start, end in sorted(talks, key=lambda talk: (talk[1], talk[0])):
        if not chosen or start >= chosen[-1][1] + $pause:
            chosen.append((start, end))
    return len(chosen)
"""

_MOST_TALKS = Family(
    key="most_talks",
    topic="intervals",
    difficulty="hard",
    signature="talks",
    names=("most_talks", "max_attended", "pick_sessions", "fit_most"),
    statements=(
        "Write `$name(talks)` that returns how many talks one can attend at most. Each talk is a tuple `(start, end)` "
        "of ints with start < end and must be heard from start to end, and a talk can follow another one only if it "
        "starts at least $pause after the other's end. The list is unsorted and may be empty.",
        "From a list of int intervals `(start, end)` with start < end, choose as many as possible such that, in "
        "chronological order, each chosen one begins no earlier than $pause time units after the end of the chosen one "
        "before it. Define `$name(talks)` returning the number chosen (0 for an empty list).",
        "Implement `$name(talks)`: one machine, several requested jobs, each with fixed times `(start, end)` (ints, "
        "start < end). The machine does one job at a time and needs $pause units between the end of a job and the "
        "start of the next. Return the largest number of jobs it can accept, an int.",
        "At a film festival the screenings are given as tuples of ints (start, end), start < end, in any order. "
        "Walking between screenings takes me $pause minutes, so the next one may start exactly $pause minutes after "
        "the last one ended, or later. `$name(talks)` should give the greatest number of films I can see in full.",
        "Find the size of a largest subset of `talks` (a list of tuples (a, b) of ints, a < b, maybe with repeats) in "
        "which for any two entries (a, b) and (c, d) either c >= b + $pause or a >= d + $pause. `$name(talks)` returns "
        "that size as an int; for no talks it is 0.",
    ),
    gold=_CHOOSE_GOLD,
    inputs=_rooms_inputs,
    edges=lambda params: (
        ([],),
        ([(0, 30), (1, 2), (2 + params["pause"], 9), (9 + params["pause"], 11), (20, 29)],),
        ([(0, 10), (9, 10 + params["pause"]), (10 + params["pause"], 20 + params["pause"])],),
    ),
    params=lambda random: {"pause": random.choice((0, 1, 2))},
    wrong=(
        _CHOOSE_GOLD.replace("sorted(talks, key=lambda talk: (talk[1], talk[0]))", "sorted(talks)"),
        _CHOOSE_GOLD.replace("start >= chosen", "start > chosen"),
        _CHOOSE_GOLD.replace("(talk[1], talk[0])", "talk[1] - talk[0]"),
    ),
)


def _cache_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    operations: list[tuple[Any, ...]] = []
    for _ in range(random.randint(8, 16)):
        key = random.choice("abcde")
        operations.append(("get", key) if random.random() < 0.5 else ("put", key, random.randint(1, 99)))
    return random.randint(1, 3), operations


_CACHE_GOLD = """\
def $name(capacity, operations):
    cache = {}
    results = []
    for action, key, *rest in operations:
        known = key in cache
        value = cache.pop(key, -1)
        if action == "get":
            results.append(value)
            if known:
                cache[key] = value
        else:
            cache[key] = rest[0]
            if len(cache) > capacity:
                del cache[next(iter(cache))]
    return results
"""

_LRU_CACHE = Family(
    key="lru_cache",
    topic="simulation",
    difficulty="hard",
    signature="capacity, operations",
    names=("lru_cache", "cache_reads", "simulate_cache", "replay_cache"),
    statements=(
        "Write `$name(capacity, operations)` that simulates a least-recently-used cache holding at most `capacity` "
        'keys (an int >= 1). Operations are tuples `("get", key)` and `("put", key, value)`, with str keys and '
        "positive int values; both count as a use of the key. A put that makes the cache too full evicts the key whose "
        "last use is longest ago. Return the list of results of the gets, -1 for a key not in the cache.",
        'A cache starts empty and keeps up to `capacity` entries (at least 1). Replay the list `operations`: `("put", '
        'key, value)` stores or overwrites a positive int under a string, `("get", key)` reads it. When a new key does '
        "not fit, the entry that has gone longest without a successful get or a put is dropped first. Define "
        "`$name(capacity, operations)` returning what each get reads, in order, with -1 for misses.",
        "Implement `$name(capacity, operations)`. Keep a mapping of limited size: at most `capacity` (>= 1) keys. For "
        '`("put", key, value)` set the key, and then, if there are too many keys, remove the least recently used one; '
        'for `("get", key)` record its int value, or -1 if absent. Reading a present key or writing a key makes it the '
        "most recently used. Return the recorded numbers as a list; keys are strings, values positive ints.",
        "I test an LRU cache and need a reference model. `$name(capacity, operations)` gets the maximum number of keys "
        '(int, 1 or more) and a list of tuples, either `("get", key)` or `("put", key, value)` with a str key and a '
        "positive int. It returns one int per get: the stored value, or -1 if the key was never put or was evicted. "
        "Every put and every successful get refreshes its key, and the stalest key goes when room is needed.",
        "My desk has room for `capacity` folders (an int, at least 1); folders carry a name and a positive number. "
        '`("put", name, number)` places a folder on the desk or renews the number of the one with that name; if that '
        'makes too many folders, the one untouched for the longest time leaves. `("get", name)` looks a folder up, '
        "which touches it if it is there. `$name(capacity, operations)` returns the numbers seen by the get "
        "operations in order, with -1 where the folder was not on the desk.",
    ),
    gold=_CACHE_GOLD,
    inputs=_cache_inputs,
    edges=lambda params: (
        (2, [("put", "a", 1), ("put", "b", 2), ("get", "a"), ("put", "c", 3), ("get", "b"), ("get", "a")]),
        (2, [("put", "a", 1), ("put", "b", 2), ("put", "a", 5), ("put", "c", 3), ("get", "a"), ("get", "b")]),
        (1, [("get", "q"), ("put", "q", 7), ("get", "q")]),
    ),
    wrong=(
        """\
def $name(capacity, operations):
    cache = {}
    results = []
    for action, key, *rest in operations:
        if action == "get":
            results.append(cache.get(key, -1))
        else:
            cache[key] = rest[0]
            if len(cache) > capacity:
                del cache[next(iter(cache))]
    return results
""",
        """\
def $name(capacity, operations):
    cache = {}
    results = []
    for action, key, *rest in operations:
        if action == "put":
            cache[key] = rest[0]
            if len(cache) > capacity:
                del cache[next(iter(cache))]
        elif key in cache:
            cache[key] = cache.pop(key)
            results.append(cache[key])
        else:
            results.append(-1)
    return results
""",
        """\
def $name(capacity, operations):
    cache = {}
    results = []
    for action, key, *rest in operations:
        if action == "get":
            results.append(cache.get(key, -1))
        else:
            cache[key] = rest[0]
    return results
""",
    ),
)


def _store_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    commands: list[tuple[Any, ...]] = []
    depth = 0
    for _ in range(random.randint(6, 14)):
        kind = random.choice(("set", "set", "delete", "begin", "commit", "rollback"))
        if kind == "begin" or (kind in ("commit", "rollback") and depth == 0):
            kind, depth = "begin", depth + 1
        elif kind in ("commit", "rollback"):
            depth -= 1
        if kind == "set":
            commands.append((kind, random.choice("xyz"), random.randint(1, 9)))
        else:
            commands.append((kind, random.choice("xyz")) if kind == "delete" else (kind,))
    return (commands,)


_STORE_GOLD = """\
def $name(commands):
    data = {}
    saved = []
    for command in commands:
        if command[0] == "set":
            data[command[1]] = command[2]
        elif command[0] == "delete":
            data.pop(command[1], None)
        elif command[0] == "begin":
            saved.append(dict(data))
        elif command[0] == "commit":
            saved.pop()
        else:
            data = saved.pop()
    return data
"""

_TRANSACTIONS = Family(
    key="nested_transactions",
    topic="dicts",
    difficulty="hard",
    signature="commands",
    names=("nested_transactions", "run_store", "apply_log", "final_state"),
    statements=(
        'Write `$name(commands)` that runs commands on an initially empty key-value store: `("set", key, value)`, '
        '`("delete", key)` (no effect if the key is missing), `("begin",)` opens a transaction inside the current one, '
        '`("commit",)` ends the innermost open transaction and keeps its changes, `("rollback",)` ends it and undoes '
        "all changes since its begin, those of transactions committed inside it included. Return the final store as a "
        "dict; changes of transactions still open are in it. A commit or rollback always has an open transaction.",
        "A small database is a dict from strings to ints that starts empty. Define `$name(commands)` executing a list "
        'of tuples: `("set", k, v)`; `("delete", k)`, ignoring absent keys; and `("begin",)`, `("commit",)`, '
        '`("rollback",)` for transactions, which can be nested. A rollback restores the state at the matching begin; a '
        "commit just closes the innermost transaction, whose changes can still be rolled back by an outer one. Return "
        "the dict after the last command, also if transactions are open. Every end has a matching begin.",
        "Implement `$name(commands)`. State: a dict, at first empty. The tuples in `commands` either change it "
        '(`("set", key, value)`, `("delete", key)` where a missing key is fine), or mark a point (`("begin",)`), or '
        'forget the latest mark (`("commit",)`), or return to the state at the latest mark and forget that mark '
        '(`("rollback",)`). Marks nest like brackets, and the last two only occur while there is a mark. Return the '
        "dict at the end, whatever marks are left.",
        'I need an undo log for settings. Commands are tuples: `("set", key, value)` writes an int under a string, '
        '`("delete", key)` removes a key if present, `("begin",)` takes a snapshot on a stack, `("commit",)` discards '
        'the newest snapshot, and `("rollback",)` goes back to the newest snapshot and removes it. The stack is never '
        "empty at a commit or rollback. Beginning without settings, what are the settings (a dict) after all commands? "
        "Write `$name(commands)`.",
        "Replay a journal of edits to an empty dict and return the dict: `$name(commands)`. Edits are "
        '`("set", key, value)` and `("delete", key)`, deleting nothing if there is no such key. Between a `("begin",)` '
        'and its matching `("rollback",)` all edits count for nothing, even those within inner begin/commit pairs; '
        'between a `("begin",)` and its `("commit",)`, or after a begin that is never closed, edits count as usual '
        "unless an enclosing pair is rolled back. Ends match begins like brackets.",
    ),
    gold=_STORE_GOLD,
    inputs=_store_inputs,
    edges=lambda params: (
        ([("set", "x", 1), ("begin",), ("set", "x", 2), ("begin",), ("set", "y", 3), ("commit",), ("rollback",)],),
        ([("set", "x", 1), ("begin",), ("set", "x", 2), ("delete", "z")],),
        ([("set", "x", 1), ("begin",), ("delete", "x"), ("begin",), ("set", "y", 3), ("rollback",), ("commit",)],),
    ),
    wrong=(
        _STORE_GOLD.replace("saved.append(dict(data))", "saved.append(data)"),
        """\
def $name(commands):
    data = {}
    saved = {}
    for command in commands:
        if command[0] == "set":
            data[command[1]] = command[2]
        elif command[0] == "delete":
            data.pop(command[1], None)
        elif command[0] == "rollback":
            data = dict(saved)
        else:
            saved = dict(data)
    return data
""",
        _STORE_GOLD.replace("    return data", "    return saved[0] if saved else data"),
    ),
)


def _circles_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    return ([set(random.sample(range(1, 16), random.randint(1, 3))) for _ in range(random.randint(3, 8))],)


_CIRCLES_GOLD = """\
def $name(groups):
    merged = []
    for group in groups:
        group = set(group)
        apart = []
        for other in merged:
            if group & other:
                group |= other
            else:
                apart.append(other)
        merged = apart + [group]
    return sorted(sorted(group) for group in merged)
"""

_MERGE_GROUPS = Family(
    key="merge_groups",
    topic="sets",
    difficulty="hard",
    signature="groups",
    names=("merge_groups", "unite_overlapping", "fuse_sets", "join_circles"),
    statements=(
        "Write `$name(groups)` that takes a list of non-empty sets of ints and unites sets which have an element in "
        "common, again and again, until all remaining sets are pairwise disjoint. Return them as a list of sorted "
        "lists, and sort that list too. An empty list gives `[]`.",
        "Each set in the list `groups` contains ids (ints) that belong to the same person, and two sets sharing an id "
        "describe the same person. Define `$name(groups)` returning one ascending list of ids per person, these lists "
        "in ascending order themselves. The relation passes on: if A meets B and B meets C, all three are merged. No "
        "set is empty; the list may be.",
        "Implement `$name(groups)`: the connected components of overlapping sets. The input is a list of nonempty sets "
        "of ints; sets that overlap directly or through a chain of other sets end up in one component. Give each "
        "component as a sorted list of its elements and return the sorted list of components.",
        "I keep finding duplicates in my address book: a list of non-empty sets of contact numbers (ints). Sets with a "
        "number in common must be merged, and the merged set may again overlap others, so go on until nothing "
        "overlaps. `$name(groups)` should return the final sets as sorted lists inside a sorted list, without changing "
        "the sets it was given.",
        "Say that two ints are related if some set of the list `groups` holds both, and extend this to chains of "
        "related ints. `$name(groups)` returns the classes of mutually related ints, over all ints that occur, as a "
        "list of ascending lists sorted by their first elements. All sets are non-empty; with no sets the result is "
        "`[]`.",
    ),
    gold=_CIRCLES_GOLD,
    inputs=_circles_inputs,
    edges=lambda params: (([],), ([{1, 2}, {3, 4}, {2, 3}],), ([{5, 1}, {7}, {2, 6}, {6, 9}, {9, 5}],)),
    wrong=(
        """\
def $name(groups):
    merged = []
    for group in groups:
        for other in merged:
            if other & group:
                other |= group
                break
        else:
            merged.append(set(group))
    return sorted(sorted(group) for group in merged)
""",
        _CIRCLES_GOLD.replace("sorted(sorted(group) for group in merged)", "[sorted(group) for group in merged]"),
    ),
)


def _cover_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    n = random.randint(4, 7)
    return n, [set(random.sample(range(1, n + 1), random.randint(1, 4))) for _ in range(random.randint(3, 6))]


_COVER_GOLD = """\
from itertools import combinations

def $name(n, teams):
    wanted = set(range(1, n + 1))
    for size in range(len(teams) + 1):
        for chosen in combinations(teams, size):
            if set().union(*chosen) >= wanted:
                return size
    return -1
"""

_SMALLEST_COVER = Family(
    key="smallest_cover",
    topic="sets",
    difficulty="hard",
    signature="n, teams",
    names=("smallest_cover", "fewest_teams", "min_set_cover", "cover_all"),
    statements=(
        "Write `$name(n, teams)` that returns the smallest number of sets from the list `teams` whose union contains "
        "all of 1, 2, ..., n. Every set contains ints from 1 to n, n is an int of at least 1, and there are at most "
        "eight sets. Return -1 if even all sets together are not enough.",
        "There are n skills, numbered 1 to n (n >= 1), and `teams` lists for each available team the set of skills it "
        "has, at most eight teams in all. Define `$name(n, teams)`: the least number of teams to hire so that every "
        "skill is present in at least one hired team, or -1 when that is impossible.",
        "Implement an exact minimum set cover, `$name(n, teams)`. Given an int n >= 1 and a list of up to eight sets "
        "with elements in 1..n, find how few of the sets can cover all the numbers from 1 to n. Choosing the largest "
        "set first is not always best. The result is an int, -1 if no choice covers everything.",
        "Which is the smallest collection of shops where I get everything? The articles are numbered from 1 to n, with "
        "n at least 1, and `teams` has one set of article numbers for each shop (eight shops at most). Please write "
        "`$name(n, teams)` returning the minimal number of shops to visit, or -1 if some article is nowhere to be had.",
        "For a list `teams` of at most eight subsets of {1, ..., n}, where n >= 1, let `$name(n, teams)` be the "
        "minimum length of a selection of the subsets such that every number from 1 to n lies in a selected one. If "
        "some number lies in no subset at all the value is -1.",
    ),
    gold=_COVER_GOLD,
    inputs=_cover_inputs,
    edges=lambda params: (
        (6, [{1, 2, 4, 5}, {1, 2, 3}, {4, 5, 6}]),
        (3, [{1, 2}, {2}]),
        (2, [{1, 2}, {1}, {2}]),
    ),
    wrong=(
        """\
def $name(n, teams):
    missing = set(range(1, n + 1))
    count = 0
    while missing:
        best = max(teams, key=lambda team: len(team & missing))
        if not best & missing:
            return -1
        missing -= best
        count += 1
    return count
""",
        """\
def $name(n, teams):
    covered = set()
    count = 0
    for team in teams:
        if not team <= covered:
            covered |= team
            count += 1
    return count if len(covered) == n else -1
""",
    ),
)


FAMILIES: tuple[Family, ...] = (
    _MERGE_INTERVALS,
    _BUSIEST,
    _FREE_SLOTS,
    _MOST_TALKS,
    _LRU_CACHE,
    _TRANSACTIONS,
    _MERGE_GROUPS,
    _SMALLEST_COVER,
)
