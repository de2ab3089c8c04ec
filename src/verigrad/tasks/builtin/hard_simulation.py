"""Hard families that play something through, and searches for the best value."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from string import ascii_lowercase
from typing import Any

from verigrad.tasks.builtin.draw import ints
from verigrad.tasks.builtin.family import Family

__all__ = ["FAMILIES"]


def _robot_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    size = params["size"]
    commands = "".join(random.choices("FFFFLR", k=random.randint(6, 16)))
    cells = [(x, y) for x in range(size) for y in range(size) if x + y]
    return commands, random.sample(cells, random.randint(1, 6))


_ROBOT_GOLD = """\
def $name(commands, rocks):
    headings = ["N", "E", "S", "W"]
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0)]
    x = y = facing = 0
    for command in commands:
        if command == "L":
            facing = (facing - 1) % 4
        elif command == "R":
            facing = (facing + 1) % 4
        else:
            ahead = (x + steps[facing][0], y + steps[facing][1])
            if ahead not in rocks and 0 <= ahead[0] < $size and 0 <= ahead[1] < $size:
                x, y = ahead
    return (x, y, headings[facing])
"""

_ROBOT = Family(
    key="rover_position",
    topic="simulation",
    difficulty="hard",
    signature="commands, rocks",
    names=("rover_position", "drive_robot", "follow_commands", "track_rover"),
    statements=(
        "Write `$name(commands, rocks)` that drives a robot on a $size by $size grid with coordinates 0 to $size - 1. "
        "It starts at (0, 0) facing north. In the string `commands`, `L` and `R` turn it by 90 degrees to the left or "
        "right and `F` moves it one cell forward; north increases y and east increases x. A move off the grid or onto "
        "one of the cells in `rocks` (a list of `(x, y)` tuples) is skipped. Return `(x, y, heading)` with heading one "
        "of `N`, `E`, `S`, `W`.",
        "A rover stands on cell (0, 0) of a square field with x and y from 0 to $size - 1, looking north (towards "
        "larger y; east is towards larger x). Define `$name(commands, rocks)`, which executes a string of the letters "
        "L (quarter turn left), R (quarter turn right) and F (one cell ahead). If the cell ahead is outside the field "
        "or in the list `rocks` of (x, y) tuples, F does nothing. The result is the tuple (x, y, letter) for the final "
        "cell and the direction `N`, `E`, `S` or `W`.",
        "Implement `$name(commands, rocks)`: simulate a vacuum cleaner in a room of $size x $size tiles (x, y), both "
        "counted from 0, that begins on tile (0, 0) with heading `N`. Command `F` goes to the next tile in the heading "
        "(N: y + 1, E: x + 1, S: y - 1, W: x - 1) unless that tile does not exist or is listed in `rocks`, in which "
        "case it stays; `L` and `R` rotate left and right on the spot. Return the final `(x, y, heading)`.",
        "My game needs a function that moves a turtle. The board has $size columns (x) and $size rows (y), numbered "
        "from 0, north being up (y grows) and east being right (x grows); the turtle is at (0, 0) and faces north. "
        "`$name(commands, rocks)` obeys the characters `F` (step ahead), `L` and `R` (turn 90 degrees), ignoring steps "
        "that would leave the board or enter a tuple (x, y) in the list `rocks`, and returns where the turtle is and "
        "where it faces, as `(x, y, 'N')` or with `'E'`, `'S'`, `'W'`.",
        "State: a position (x, y) with 0 <= x, y < $size and a compass heading; at first (0, 0) and `N`. Input: a "
        "string over F, L, R and a list of blocked positions, as tuples. F adds (0, 1), (1, 0), (0, -1) or (-1, 0) to "
        "the position for heading N, E, S or W, but only if the new position is allowed and not blocked; L and R turn "
        "the heading counter-clockwise or clockwise. `$name(commands, rocks)` returns the tuple of the final x, y and "
        "heading letter.",
    ),
    gold=_ROBOT_GOLD,
    inputs=_robot_inputs,
    edges=lambda params: (("", []), ("F" * 9 + "R" + "F" * 9 + "RF", []), ("LFRFFRF", [(0, 1)])),
    params=lambda random: {"size": random.choice((4, 5, 6))},
    wrong=(
        _ROBOT_GOLD.replace("ahead not in rocks and ", ""),
        _ROBOT_GOLD.replace(" and 0 <= ahead[0] < $size and 0 <= ahead[1] < $size", ""),
        _ROBOT_GOLD.replace("facing - 1", "facing + 2").replace("facing + 1", "facing - 1").replace("+ 2", "+ 1"),
    ),
)


def _jobs_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    names = random.sample(ascii_lowercase, random.randint(2, 5))
    return ([(name, random.randint(1, 3 * params["quantum"] + 1)) for name in names],)


_ROUND_ROBIN_GOLD = """\
def $name(jobs):
    queue = list(jobs)
    finished = []
    clock = 0
    while queue:
        job, left = queue.pop(0)
        used = min(left, $quantum)
        clock += used
        if left > used:
            queue.append((job, left - used))
        else:
            finished.append((job, clock))
    return finished
"""

_ROUND_ROBIN = Family(
    key="round_robin",
    topic="simulation",
    difficulty="hard",
    signature="jobs",
    names=("round_robin", "finish_times", "share_processor", "take_turns"),
    statements=(
        "Write `$name(jobs)` that simulates round-robin scheduling on one processor. `jobs` is a list of tuples "
        "`(name, time)`, the time being a positive int, waiting in list order from time 0. The first job in the queue "
        "runs for at most $quantum time units; if it is not done it goes to the end of the queue, otherwise it leaves, "
        "possibly early, and the next one starts at once. Return the list of `(name, finish_time)` tuples in the order "
        "of finishing.",
        "Children share one swing: each entry `(name, minutes)` of the list is a child with a distinct name and the "
        "positive number of minutes it wants in total, standing in line in that order. The child in front swings for "
        "$quantum minutes, or fewer if it then has enough, and goes home or back to the end of the line. Define "
        "`$name(jobs)` returning `(name, time)` tuples telling when each child goes home, counted from 0, in the order "
        "in which they go. No time is lost at changes.",
        "Implement `$name(jobs)`. A queue holds (name, work) tuples with int work of at least 1, in the given order; "
        "the clock starts at 0. Repeatedly take the first entry, let the clock advance by the smaller of its remaining "
        "work and $quantum, and append it to the queue again with the rest of its work if there is any, else record "
        "its name with the clock. Return the recorded tuples as a list (empty for no entries).",
        "A printer handles documents fairly: after printing up to $quantum pages of one, it puts the rest of it behind "
        "all other documents waiting. `jobs` lists the documents as (name, pages) tuples, pages being positive ints, "
        "in their first order, and one page takes one second. I want `$name(jobs)` to tell me when each document is "
        "complete: a list of (name, second) tuples, earliest first. Documents shorter than a turn do not waste time.",
        "Tasks with positive int lengths take turns of at most $quantum units, in cyclic order beginning with the "
        "first in the list; a task that completes within its turn drops out and hands over immediately. Given the "
        "list of (name, length) tuples, names all different, `$name(jobs)` returns for each task the tuple of its name "
        "and the total time elapsed when it completes, sorted by that time; an empty list gives an empty list.",
    ),
    gold=_ROUND_ROBIN_GOLD,
    inputs=_jobs_inputs,
    edges=lambda params: (([],), ([("x", 2 * params["quantum"] + 1), ("y", 1), ("z", params["quantum"])],)),
    params=lambda random: {"quantum": random.choice((2, 3, 4, 5))},
    wrong=(
        _ROUND_ROBIN_GOLD.replace("queue.append((job, left - used))", "queue.insert(0, (job, left - used))"),
        _ROUND_ROBIN_GOLD.replace("clock += used", "clock += $quantum"),
        _ROUND_ROBIN_GOLD.replace("return finished", "return [(job, dict(finished)[job]) for job, time in jobs]"),
    ),
)


def _circle_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    return random.sample(ascii_lowercase, random.randint(3, 9)), random.randint(2, 11)


_CIRCLE_GOLD = """\
def $name(players, count):
    circle = list(players)
    order = []
    at = 0
    while len(circle) > $left:
        at = (at + count - 1) % len(circle)
        order.append(circle.pop(at))
    return $result
"""

_CIRCLE = Family(
    key="counting_out",
    topic="simulation",
    difficulty="hard",
    signature="players, count",
    names=("counting_out", "josephus", "eliminate", "circle_game"),
    statements=(
        "Write `$name(players, count)` for a counting-out game. The players, a non-empty list of different names, "
        "stand in a circle in list order. Starting with the first player as 1, count up to `count` (an int of at least "
        "1) around the circle; that player leaves and counting restarts at 1 with the next one. The game goes on until "
        "$until. Return $what.",
        "Josephus problem: people in a circle (list of distinct strings, at least one) are counted off cyclically, and "
        "every `count`-th person (count >= 1) is removed, the first count beginning with the first person and each "
        "further one with the neighbour after the removed person. This is repeated until $until. Define "
        "`$name(players, count)` to return $what.",
        "Implement `$name(players, count)`. Imagine the names of the non-empty list written in a ring. A pointer is on "
        "the first name; in every round it moves on by count - 1 names (wrapping around, count being a positive int "
        "that may exceed the number of names), the name it reaches is struck out, and the pointer goes on to the "
        "following name. Stop when $until, and return $what. All names differ.",
        "Kids choose who is out with a rhyme of `count` words (at least one). They stand in a circle as listed in "
        "`players`, all with different names, and the first word points at the first kid, the next word at the next "
        "kid, and so on; the last word's kid is out, and the rhyme starts again with the kid after. They stop when "
        "$until. `$name(players, count)` should return $what; there is at least one kid.",
        "From a circular arrangement of n >= 1 different names, given as a list, remove names one by one: the first "
        "one removed is number `count` (count >= 1) when numbering cyclically from the start of the list, the next one "
        "is number `count` when numbering from just behind the last removed position, and so forth until $until. "
        "`$name(players, count)` returns $what.",
    ),
    gold=_CIRCLE_GOLD,
    inputs=_circle_inputs,
    edges=lambda params: ((["a", "b", "c", "d", "e"], 2), (["q", "r", "s"], 7)),
    params=lambda random: random.choice(
        (
            {
                "left": "0",
                "result": "order",
                "until": "nobody is left",
                "what": "the list of names in the order in which they are removed",
            },
            {
                "left": "1",
                "result": "circle + order",
                "until": "one is left",
                "what": "a list with the remaining name first, then the removed names in the order of their removal",
            },
        )
    ),
    wrong=(
        _CIRCLE_GOLD.replace("at + count - 1", "at + count"),
        _CIRCLE_GOLD.replace("at + count - 1", "count - 1"),
        _CIRCLE_GOLD.replace("(at + count - 1) % len(circle)", "min(at + count - 1, len(circle) - 1)"),
    ),
)


def _tills_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    arrivals = sorted(ints(random, 4, 8, 0, 14))
    return ([(arrival, random.randint(1, 9)) for arrival in arrivals],)


_TILLS_GOLD = """\
def $name(customers):
    free_at = [0] * $tills
    leaving = []
    for arrival, duration in customers:
        till = free_at.index(min(free_at))
        start = max(arrival, free_at[till])
        free_at[till] = start + duration
        leaving.append(start + duration)
    return leaving
"""

_TILLS = Family(
    key="checkout_times",
    topic="simulation",
    difficulty="hard",
    signature="customers",
    names=("checkout_times", "leave_times", "serve_queue", "till_simulation"),
    statements=(
        "Write `$name(customers)` for a shop with $tills tills and one common queue. `customers` is a list of tuples "
        "`(arrival, duration)` of ints, sorted by arrival (>= 0), with durations above 0. They are served in list "
        "order; each goes to a till as soon as one is free, but not before arriving. Return the list of times at which "
        "the customers leave the tills, in the order of the input.",
        "There are $tills identical servers, all idle at time 0. Requests come as `(arrival, duration)` int tuples in "
        "a list with non-decreasing arrivals of at least 0 and durations of at least 1, and are started first come, "
        "first served (in list order), each at the earliest time at which it has arrived and some server is idle. "
        "Define `$name(customers)` returning the completion time of every request, in list order.",
        "Implement `$name(customers)`, which simulates a waiting line in front of $tills counters. For every "
        "`(arrival, duration)` in the list (ints; arrivals >= 0 do not decrease, durations > 0) work out when the "
        "person is done: service begins when the person has arrived and a counter is free, nobody overtakes, and a "
        "counter that becomes free at a moment can be used at that moment. Return these times as a list.",
        "Cars queue for a car wash with $tills places. Each tuple in the list `customers` has the minute of arrival "
        "(ascending, from 0 on, ties in order of the list) and the positive number of minutes for washing. The car at "
        "the head of the line takes the first place that is free, at once if there is one. `$name(customers)` should "
        "return, car by car in the given order, the minute when its wash ends (all ints).",
        "Let jobs (a, d), with ints a >= 0 in non-decreasing order and d > 0, be assigned in list order to $tills "
        "equal machines, each job to the machine that is available soonest; it starts at the later of a and the time "
        "this machine is available, and occupies it for d. Machines are available from time 0. `$name(customers)` "
        "takes the list of tuples and returns the list of the jobs' end times, one per job in the same order.",
    ),
    gold=_TILLS_GOLD,
    inputs=_tills_inputs,
    edges=lambda params: (([],), ([(0, 9), (0, 2), (1, 8), (1, 1), (1, 5), (40, 1)],)),
    params=lambda random: {"tills": random.choice((2, 3))},
    wrong=(
        _TILLS_GOLD.replace("max(arrival, free_at[till])", "free_at[till]"),
        _TILLS_GOLD.replace("free_at.index(min(free_at))", "len(leaving) % $tills"),
        """\
def $name(customers):
    return [arrival + duration for arrival, duration in customers]
""",
    ),
)


_RAIN_TOTAL = """\
def $name(heights):
    total = 0
    for i, height in enumerate(heights):
        left = max(heights[: i + 1])
        right = max(heights[i:])
        total += min(left, right) - height
    return total
"""

_RAIN_GOLD = """\
def $name(heights):
    pools = []
    pool = 0
    for i, height in enumerate(heights):
        level = min(max(heights[: i + 1]), max(heights[i:]))
        if level > height:
            pool += level - height
        elif pool:
            pools.append(pool)
            pool = 0
    return pools
"""

_RAIN = Family(
    key="rain_pools",
    topic="lists",
    difficulty="hard",
    signature="heights",
    names=("rain_pools", "trapped_water", "puddles", "basin_volumes"),
    statements=(
        "Write `$name(heights)`. The list of non-negative ints gives the heights of adjacent columns of width 1. After "
        "heavy rain, water stands on a column up to the lower of the tallest column at or left of it and the tallest "
        "one at or right of it. Adjacent columns with water on them form a pool; return the list of pool volumes from "
        "left to right, empty if all is dry.",
        "A landscape in cross-section is a list of column heights (ints >= 0, each column one unit wide). Rain fills "
        "every hollow to its brim and runs off at both ends. Define `$name(heights)` that returns, from left to right, "
        "how many units of water each pool holds, a pool being a maximal run of neighbouring columns that have water "
        "above them. Return `[]` without pools.",
        "Implement `$name(heights)`: above index i of the int list there are min(max(heights[:i+1]), max(heights[i:])) "
        "- heights[i] units of water. Add these amounts up over every maximal block of consecutive indices where they "
        "are positive, and return the sums of the blocks in order, as a list. The list of heights (none negative) may "
        "be empty.",
        "Walls of different heights stand side by side, `heights` listing them as ints of 0 or more, and each is as "
        "thick as one unit. Where does rain water collect? `$name(heights)` should give the amount of each puddle, "
        "left to right: water on a wall rises to the level at which it would spill over on one side, and puddles are "
        "separated by walls with no water on top. No puddle, empty list.",
        "Consider a bar chart with unit-width bars, given as a list of ints >= 0. A unit cell above a bar is wet if on "
        "its row there is a bar cell somewhere to the left and somewhere to the right. Columns containing wet cells "
        "form groups of adjacent columns; `$name(heights)` returns the number of wet cells of each group, in order "
        "from left to right, as a list that is empty if no cell is wet.",
    ),
    gold=_RAIN_GOLD,
    inputs=lambda random, params: (ints(random, 6, 12, 0, 6),),
    edges=lambda params: (([],), ([3, 0, 2, 0, 4, 1, 3],), ([1, 2, 3, 2],)),
    wrong=(
        _RAIN_TOTAL.replace("return total", "return [total] if total else []"),
        """\
def $name(heights):
    pools = []
    for left, middle, right in zip(heights, heights[1:], heights[2:]):
        if middle < min(left, right):
            pools.append(min(left, right) - middle)
    return pools
""",
        _RAIN_GOLD.replace("min(max(heights[: i + 1]), max(heights[i:]))", "max(heights[: i + 1])"),
    ),
)


def _load_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    weights = ints(random, 4, 10, 1, 12)
    return weights, random.randint(2, min(4, len(weights)))


_LOAD_GOLD = """\
def $name(weights, days):
    low, high = max(weights), sum(weights)
    while low < high:
        limit = (low + high) // 2
        used, load = 1, 0
        for weight in weights:
            if load + weight > limit:
                used, load = used + 1, 0
            load += weight
        if used <= days:
            high = limit
        else:
            low = limit + 1
    return low
"""

_LOAD = Family(
    key="smallest_capacity",
    topic="searching",
    difficulty="hard",
    signature="weights, days",
    names=("smallest_capacity", "least_load", "ship_size", "min_daily_limit"),
    statements=(
        "Write `$name(weights, days)` that returns the smallest capacity of a ship that carries all packages within "
        "`days` days. `weights` is a non-empty list of positive ints; the packages must be loaded in list order, each "
        "as a whole, and the weights loaded on one day may add up to at most the capacity. `days` is an int of at "
        "least 1.",
        "Cut a list of positive ints into at most `days` contiguous parts so that the largest sum of a part is as "
        "small as possible. Define `$name(weights, days)` returning that largest sum; the list has at least one "
        "element, `days` is a positive int, and elements are neither split nor reordered.",
        "Implement `$name(weights, days)`: chapters of given lengths (a non-empty list of positive ints) are read in "
        "order, whole chapters only, and the book has to be finished in `days` days or fewer (days >= 1). What is the "
        "lowest possible value for the most pages read on any single day? Return it as an int.",
        "My lorry makes up to `days` trips, at least one, and must move boxes in the order of the list `weights` "
        "(positive ints, not empty), without leaving one behind or splitting one. How much must it be able to carry at "
        "the very least? I would like `$name(weights, days)` to return this minimal load limit.",
        "Find the least int C such that the sequence `weights` (one or more positive ints) can be divided, keeping its "
        "order, into no more than `days` consecutive blocks each with a sum of at most C. `$name(weights, days)` "
        "returns C; `days` is an int >= 1 and can be larger than the number of weights.",
    ),
    gold=_LOAD_GOLD,
    inputs=_load_inputs,
    edges=lambda params: (([7, 2, 5, 10, 8], 2), ([3, 9], 5), ([9, 1, 9, 1], 2)),
    wrong=(
        """\
def $name(weights, days):
    return max(max(weights), -(-sum(weights) // days))
""",
        """\
def $name(weights, days):
    loads = [0] * days
    for weight in sorted(weights, reverse=True):
        loads[loads.index(min(loads))] += weight
    return max(loads)
""",
        _LOAD_GOLD.replace("used <= days", "used < days"),
    ),
)


def _pairs_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    numbers = ints(random, 4, 8, -5, 20)
    return numbers, random.randint(1, len(numbers) * (len(numbers) - 1) // 2)


_PAIR_GOLD = """\
def $name(numbers, k):
    values = []
    for i in range(len(numbers)):
        for j in range(i + 1, len(numbers)):
            values.append($python)
    values.sort($order)
    return values[k - 1] if k <= len(values) else None
"""

_KTH_PAIR = Family(
    key="kth_pair",
    topic="searching",
    difficulty="hard",
    signature="numbers, k",
    names=("kth_pair", "ranked_pair", "pair_at_rank", "nth_combination"),
    statements=(
        "Write `$name(numbers, k)` that looks at all pairs of elements at two different positions of a list of ints, "
        "each pair of positions once, and returns the k-th $rank $value among them (k = 1 is the very $rank). Equal "
        "values of different pairs count separately. Return None if there are fewer than k pairs; k is at least 1.",
        "For every two positions i < j of the int list `numbers` compute the $value of the two elements. Define "
        "`$name(numbers, k)` giving the result that stands at place k, counted from 1, when all of them, repeats "
        "included, are sorted from the $rank one on, or None if k (a positive int) is larger than their number.",
        "Implement `$name(numbers, k)`: n numbers form n * (n - 1) / 2 pairs of positions. Order the pairs by the "
        "$value of their two ints, the $rank first, and return the $value of the k-th pair (k >= 1, counting from 1). "
        "If there is no k-th pair, return None. Numbers can repeat; pairs with the same $value occupy one place each.",
        "Any two of my friends can form a team, whose score is the $value of their points, listed as ints in "
        "`numbers` (one per friend, equal points possible). Please write `$name(numbers, k)` that returns the score in "
        "place k of the ranking that begins with the $rank score, where teams with equal scores take separate places, "
        "or None if there are not that many teams. k starts from 1.",
        "Let S be the multiset with one entry for each unordered pair of distinct indices of `numbers` (a list of "
        "ints), namely the $value of the two numbers. `$name(numbers, k)` returns the k-th $rank entry of S, "
        "multiplicities counted and the $rank entry being number 1. If S has fewer than k entries, where k >= 1, the "
        "result is None.",
    ),
    gold=_PAIR_GOLD,
    inputs=_pairs_inputs,
    edges=lambda params: (([4], 1), ([1, 1, 3, 6], 3), ([2, 9, 5], 4)),
    params=lambda random: {
        **random.choice(({"rank": "smallest", "order": ""}, {"rank": "largest", "order": "reverse=True"})),
        **random.choice(
            (
                {"value": "sum", "python": "numbers[i] + numbers[j]"},
                {"value": "product", "python": "numbers[i] * numbers[j]"},
                {"value": "absolute difference", "python": "abs(numbers[i] - numbers[j])"},
            )
        ),
    },
    wrong=(
        _PAIR_GOLD.replace("range(i + 1, len(numbers))", "range(i, len(numbers))"),
        _PAIR_GOLD.replace("values.sort($order)", "values = sorted(set(values), $order)"),
        _PAIR_GOLD.replace("values[k - 1]", "values[-k]"),
        _PAIR_GOLD.replace("range(i + 1, len(numbers))", "range(i + 1, min(i + 2, len(numbers)))"),
    ),
)


_MERGE_COST_GOLD = """\
def $name(sizes):
    heap = sorted(sizes)
    total = 0
    while len(heap) > 1:
        merged = heap.pop(0) + heap.pop(0) + $extra
        total += merged
        heap.append(merged)
        heap.sort()
    return total
"""

_MERGE_COST = Family(
    key="merge_cost",
    topic="lists",
    difficulty="hard",
    signature="sizes",
    names=("merge_cost", "huffman_cost", "joining_price", "combine_piles"),
    statements=(
        "Write `$name(sizes)` that simulates merging piles. `sizes` is a list of positive ints. While there are at "
        "least two piles, the two smallest (equal sizes are interchangeable) with sizes a and b are replaced by one of "
        "size a + b + $extra, which costs a + b + $extra. Return the total cost, 0 for fewer than two piles.",
        "In a Huffman-like process, always the two least of a collection of positive ints are taken out and their sum "
        "plus $extra is put in, until fewer than two numbers are left. Define `$name(sizes)` for the starting list, "
        "returning the sum of all the numbers that were put in (an int, 0 if there were none).",
        "Implement `$name(sizes)`: ropes of the given lengths (positive ints) are tied together one step at a time. "
        "Each step joins the two shortest of the present ropes; the new rope has the length of both together plus "
        "$extra, and the step takes that many seconds. Return the seconds needed until at most one rope is left, which "
        "is 0 if there is nothing to join.",
        "I join files by a fixed rule: pick the two smallest of the files I have, and write one whose size is $extra "
        "more than their sum. This goes on until a single file is left. Given the list of sizes (positive ints), what "
        "is the sum of the sizes of all files written on the way, the last one included? Call it `$name(sizes)`; with "
        "no or one file I write nothing, so it is 0.",
        "Reduce a bag of positive ints to at most one element by replacing its two minimal elements x and y with "
        "x + y + $extra again and again. `$name(sizes)` takes the bag as an unsorted list and returns the sum of all "
        "replacement elements created, without changing the list. A bag of size 0 or 1 gives 0.",
    ),
    gold=_MERGE_COST_GOLD,
    inputs=lambda random, params: (ints(random, 3, 8, 1, 30),),
    edges=lambda params: (([],), ([5],), ([4, 4, 4, 4, 4, 4],), ([1, 40, 2, 1, 40],)),
    params=lambda random: {"extra": random.choice((1, 2, 5, 10))},
    wrong=(
        _MERGE_COST_GOLD.replace("        heap.sort()\n", ""),
        """\
def $name(sizes):
    total, pile = 0, 0
    for i, size in enumerate(sorted(sizes)):
        pile += size + $extra if i else size
        total += pile if i else 0
    return total
""",
        _MERGE_COST_GOLD.replace("total += merged", "total = merged"),
    ),
)


FAMILIES: tuple[Family, ...] = (
    _ROBOT,
    _ROUND_ROBIN,
    _CIRCLE,
    _TILLS,
    _RAIN,
    _LOAD,
    _KTH_PAIR,
    _MERGE_COST,
)
