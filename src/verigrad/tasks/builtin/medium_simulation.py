"""Families of medium difficulty that follow a process or a set of rules step by step."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from verigrad.tasks.builtin.draw import ints, word
from verigrad.tasks.builtin.family import Family

__all__ = ["FAMILIES"]


def _triangle_or_not(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Three sides; all four answers about equally often."""
    a, b = random.randint(2, 12), random.randint(2, 12)
    sides = random.choice(([a, a, a], [a, a, random.randint(1, 2 * a - 1)], [a, a + 1, a + 2], [a, b, a + b]))
    random.shuffle(sides)
    return tuple(sides)


def _month_and_year(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """February, also of round years, in half of the cases."""
    month = random.choice((2, random.randint(1, 12)))
    return month, random.choice(
        (random.randint(1890, 2030), 4 * random.randint(470, 510), 100 * random.randint(15, 24))
    )


FAMILIES: tuple[Family, ...] = (
    Family(
        key="bank_account",
        topic="simulation",
        difficulty="medium",
        signature="balance, changes",
        names=("run_account", "process_changes", "bank_account", "apply_bookings"),
        statements=(
            "Write `$name(balance, changes)` that books a list of integers on an account in order: positive ones are "
            "deposits, negative ones withdrawals. A withdrawal that would leave less than $floor is refused and "
            "skipped. Return the tuple (final balance, number of refused withdrawals).",
            "An account starts with the integer `balance`. Apply each integer of `changes` to it, unless a negative "
            "one would bring the balance below $floor; those are ignored and counted. `$name` returns the tuple "
            "(balance at the end, how many were ignored).",
            "Simulate bank bookings. `$name(balance, changes)` adds the changes one after another; a withdrawal "
            "(negative change) after which the balance would be under $floor does not happen. The result is a tuple: "
            "the last balance and the count of withdrawals that did not happen. Exactly $floor is allowed.",
            "Our customers may not go under a balance of $floor. Given the opening balance and a list of amounts paid "
            "in (> 0) and out (< 0), carry out what is permitted in the given order and return `(balance, rejections)` "
            "as a tuple of ints from `$name(balance, changes)`. Paying in is never rejected.",
            "For every amount in `changes`: if it is negative and balance + amount < $floor, reject it, else add it to "
            "the balance. `$name(balance, changes)` finally returns balance and number of rejected amounts as a tuple. "
            "`changes` can be empty.",
        ),
        gold="""\
def $name(balance, changes):
    refused = 0
    for change in changes:
        if change < 0 and balance + change < $floor:
            refused += 1
        else:
            balance += change
    return (balance, refused)
""",
        inputs=lambda random, params: (
            random.randint(0, 40),
            [random.choice((-1, -1, 1)) * random.randint(1, 30) for _ in range(random.randint(1, 7))],
        ),
        edges=lambda params: (
            (5, []),
            (20, [params["floor"] - 20, -1, 10]),
            (3, [-60, 100, -50, params["floor"] - 53, -200]),
        ),
        params=lambda random: {"floor": random.choice((0, -10, -20, -25, -50))},
        wrong=(
            """\
def $name(balance, changes):
    refused = 0
    for change in changes:
        if change < 0 and balance + change <= $floor:
            refused += 1
        else:
            balance += change
    return (balance, refused)
""",
            """\
def $name(balance, changes):
    refused = 0
    for change in changes:
        balance += change
        if balance < $floor:
            balance = $floor
            refused += 1
    return (balance, refused)
""",
            """\
def $name(balance, changes):
    return (balance + sum(changes), 0)
""",
        ),
    ),
    Family(
        key="walk_in_a_room",
        topic="simulation",
        difficulty="medium",
        signature="moves",
        names=("walk", "robot_position", "where_is_it", "follow_moves"),
        statements=(
            "A robot starts at (0, 0) in a room with cells (x, y), 0 <= x <= $top and 0 <= y <= $top. Write "
            "`$name(moves)`: the string `moves` consists of 'U' (y + 1), 'D' (y - 1), 'R' (x + 1) and 'L' (x - 1); "
            "moves that would leave the room are skipped. Return the final (x, y) as a tuple.",
            "Follow the letters of `moves` on a grid whose coordinates run from 0 to $top in both directions, starting "
            "in the corner (0, 0). R and L change x by +1 and -1, U and D change y by +1 and -1. A step over the "
            "border is ignored. `$name(moves)` returns the tuple (x, y) reached.",
            "`$name(moves)` tracks a token on a square board. It begins at x = 0, y = 0; U adds 1 to y, D subtracts 1 "
            "from y, R adds 1 to x, L subtracts 1 from x, but no coordinate may fall under 0 or rise over $top: such a "
            "move has no effect. The result is the tuple (x, y) at the end.",
            "A vacuum cleaner bumps into walls. Its place is (x, y), at first (0, 0), always with both numbers between "
            "0 and $top (inclusive). Given a string of commands U (up, y grows), D (down), L (left), R (right, x "
            "grows), each one step long and without effect if there is a wall, `$name(moves)` returns its final place "
            "as a tuple.",
            "Compute where a piece ends up: start (0, 0), commands 'L', 'R', 'U', 'D' in a string, one cell each "
            "(L/R: x minus/plus 1, U/D: y plus/minus 1). Commands leading outside 0..$top in x or y are dropped. Write "
            "`$name(moves)` returning (x, y).",
        ),
        gold="""\
def $name(moves):
    x = y = 0
    steps = {"U": (0, 1), "D": (0, -1), "R": (1, 0), "L": (-1, 0)}
    for move in moves:
        dx, dy = steps[move]
        if 0 <= x + dx <= $top and 0 <= y + dy <= $top:
            x, y = x + dx, y + dy
    return (x, y)
""",
        inputs=lambda random, params: (word(random, 2, 14, "UURRDL"),),
        edges=lambda params: (("",), ("LDUR",), ("R" * (params["top"] + 1) + "UUL",)),
        params=lambda random: {"top": random.randint(2, 5)},
        wrong=(
            """\
def $name(moves):
    return (moves.count("R") - moves.count("L"), moves.count("U") - moves.count("D"))
""",
            """\
def $name(moves):
    x = moves.count("R") - moves.count("L")
    y = moves.count("U") - moves.count("D")
    return (min(max(x, 0), $top), min(max(y, 0), $top))
""",
            """\
def $name(moves):
    x = y = 0
    steps = {"U": (0, 1), "D": (0, -1), "R": (1, 0), "L": (-1, 0)}
    for move in moves:
        dx, dy = steps[move]
        if 0 <= x + dx < $top and 0 <= y + dy < $top:
            x, y = x + dx, y + dy
    return (x, y)
""",
        ),
    ),
    Family(
        key="turtle_path",
        topic="simulation",
        difficulty="medium",
        signature="commands",
        names=("turtle", "drive", "turtle_position", "steer"),
        statements=(
            "Write `$name(commands)` for a turtle at (0, 0) looking in the direction $looking. 'F' moves it one step "
            "forward, 'L' turns it left by 90 degrees and 'R' right by 90 degrees, without moving. Return its final "
            "position (x, y) as a tuple; x grows to the east and y to the north.",
            "A car stands at (0, 0) facing $looking. The string `commands` has 'F' for driving one unit ahead and 'L' "
            "or 'R' for a quarter turn on the spot. North is +y, east is +x. `$name(commands)` returns the tuple (x, "
            "y) where the car stops.",
            "`$name(commands)`: start in the origin with a heading of $looking. Read the characters: F = go forward by "
            "1, L = rotate a quarter turn counter-clockwise, R = rotate a quarter turn clockwise. Return the end point "
            "as `(x, y)`, with y counted to the north and x to the east.",
            "Where does a robot end up that initially faces $looking at point (0, 0) and obeys a string of the letters "
            "F (advance one), L and R (turn left or right by a right angle)? East increases x, north increases y. "
            "Implement `$name(commands)`, which returns a tuple of two ints; no commands means (0, 0).",
            "Interpret turtle graphics. State: position (0, 0), heading $looking. Each 'F' adds the heading's unit "
            "vector (north (0, 1), east (1, 0), south (0, -1), west (-1, 0)) to the position; 'L' and 'R' turn the "
            "heading to the left or right. `$name(commands)` gives the last position as a tuple.",
        ),
        gold="""\
def $name(commands):
    x = y = 0
    dx, dy = $heading
    for command in commands:
        if command == "F":
            x, y = x + dx, y + dy
        else:
            dx, dy = (-dy, dx) if command == "L" else (dy, -dx)
    return (x, y)
""",
        inputs=lambda random, params: (word(random, 2, 12, "FFFLR"),),
        edges=lambda params: (("",), ("FFRF",), ("LFFLLLF",)),
        params=lambda random: random.choice(
            (
                {"looking": "north", "heading": "(0, 1)"},
                {"looking": "east", "heading": "(1, 0)"},
                {"looking": "south", "heading": "(0, -1)"},
                {"looking": "west", "heading": "(-1, 0)"},
            )
        ),
        wrong=(
            """\
def $name(commands):
    x = y = 0
    dx, dy = $heading
    for command in commands:
        if command == "F":
            x, y = x + dx, y + dy
        elif command == "R":
            dx, dy = -dy, dx
        else:
            dx, dy = dy, -dx
    return (x, y)
""",
            """\
def $name(commands):
    return (commands.count("R") - commands.count("L"), commands.count("F"))
""",
        ),
    ),
    Family(
        key="last_one_standing",
        topic="simulation",
        difficulty="medium",
        signature="n",
        names=("last_one", "survivor", "counting_out", "josephus"),
        statements=(
            "`n` children (n >= 1), numbered 1 to n, stand in a circle. Counting starts at child 1, and every "
            "$step$suffix child counted leaves the circle; after that counting goes on with the next child. Write "
            "`$name(n)` that returns the number of the last child left.",
            "Solve the Josephus problem with step $step: from people 1..n in a circle, repeatedly remove the "
            "$step$suffix person, counting on from the one just removed (at first, person 1 is counted as one). "
            "`$name(n)` returns who remains. n is at least 1.",
            "`$name(n)`: put 1, 2, ..., n in a queue. Move the front element to the back, do so $moves times in total, "
            "and then delete the front element; repeat all of this until one number is left, and return it. n >= 1.",
            "A counting-out rhyme has $step syllables. The players 1 to n form a ring, the first syllable falls on "
            "player 1, and whoever gets the last syllable drops out, the rhyme beginning again at the player after. "
            "Return the winner, the only one never to drop out, from `$name(n)`, n >= 1.",
            "Numbers 1 to n are written around a circle, n >= 1. Go round and strike out the $step$suffix number you "
            "pass (numbers struck out earlier do not count) again and again until just one is left. `$name(n)` returns "
            "it. The number 1 is the first one you pass.",
        ),
        gold="""\
def $name(n):
    circle = list(range(1, n + 1))
    index = 0
    while len(circle) > 1:
        index = (index + $step - 1) % len(circle)
        del circle[index]
    return circle[0]
""",
        inputs=lambda random, params: (random.randint(2, 40),),
        edges=lambda params: ((1,), (5,), (10,)),
        params=lambda random: (lambda step: {"step": step, "moves": step - 1, "suffix": "rd" if step == 3 else "th"})(
            random.randint(3, 7)
        ),
        wrong=(
            """\
def $name(n):
    circle = list(range(1, n + 1))
    index = 0
    while len(circle) > 1:
        index = (index + $step) % len(circle)
        del circle[index]
    return circle[0]
""",
            """\
def $name(n):
    circle = list(range(n))
    index = 0
    while len(circle) > 1:
        index = (index + $step - 1) % len(circle)
        del circle[index]
    return circle[0]
""",
        ),
    ),
    Family(
        key="bottle_exchange",
        topic="simulation",
        difficulty="medium",
        signature="bottles",
        names=("drink_all", "bottle_exchange", "bottles_drunk", "total_drinks"),
        statements=(
            "A shop gives one full bottle for $rate empty ones. Write `$name(bottles)` that returns how many bottles "
            "somebody with `bottles` full ones (an int >= 0) can drink in total, exchanging empties for as long "
            "as possible.",
            "You buy a number of bottles, drink them, and swap every $rate empties for a new full bottle, which leaves "
            "an empty again. `$name(bottles)` returns the number of bottles you get to drink in the end.",
            "`$name(bottles)`: begin with that many full bottles (zero or more). Drinking turns full bottles into "
            "empty ones, and $rate empty ones can be traded for a full one any number of times. How many are drunk "
            "altogether? Return an int.",
            "Each chocolate comes in a wrapper; $rate wrappers buy another chocolate. With money for `bottles` "
            "chocolates to begin with, how many can one eat, using the wrappers of the extra ones too? Answer with "
            "`$name(bottles)`.",
            "Repeat while you can: drink all full bottles, then hand in groups of $rate empty bottles for one full "
            "bottle each and keep the empties that do not make a group for later. Count what is drunk, starting from "
            "`bottles` full ones. The count is the result of `$name`.",
        ),
        gold="""\
def $name(bottles):
    drunk = bottles
    empty = bottles
    while empty >= $rate:
        full = empty // $rate
        drunk += full
        empty = empty % $rate + full
    return drunk
""",
        inputs=lambda random, params: (random.randint(0, 80),),
        edges=lambda params: ((0,), (params["rate"],), (params["rate"] ** 2,), (params["rate"] * 2 - 1,)),
        params=lambda random: {"rate": random.randint(2, 5)},
        wrong=(
            """\
def $name(bottles):
    return bottles + bottles // $rate
""",
            """\
def $name(bottles):
    drunk = bottles
    while bottles >= $rate:
        bottles //= $rate
        drunk += bottles
    return drunk
""",
        ),
    ),
    Family(
        key="years_to_grow",
        topic="simulation",
        difficulty="medium",
        signature="start, goal",
        names=("years_to_reach", "growth_time", "when_large_enough", "count_years"),
        statements=(
            "A town has `start` inhabitants. Every year the number grows by $percent percent (of its value at the "
            "beginning of the year, rounded down) and then by $extra more. Write `$name(start, goal)` that returns "
            "after how many whole years there are at least `goal` inhabitants; 0 if there are from the start.",
            "Starting from the integer `start`, a number p is replaced once a year by p + p * $percent // 100 + "
            "$extra. `$name(start, goal)` returns the smallest number of years after which p >= goal (possibly 0). "
            "Both arguments are non-negative ints.",
            "`$name(start, goal)`: savings of `start` euros earn $percent % interest at the end of each year, rounded "
            "down to whole euros, after which $extra euros are paid in. How many years does it take until there are "
            "`goal` euros or more? No time at all counts as 0.",
            "A colony of `start` ants gains, per season, $percent % of its size (fractions dropped) plus $extra ants "
            "that join from outside. For a target size `goal`, return the number of seasons until the colony is no "
            "smaller than the target, 0 when it is not smaller already. Implement `$name`.",
            "Loop: while the value is less than `goal`, add to it $percent per cent of itself, rounded down to an int, "
            "and another $extra. How many rounds are made if the value is `start` at first? Write `$name(start, "
            "goal)`.",
        ),
        gold="""\
def $name(start, goal):
    years = 0
    while start < goal:
        start += start * $percent // 100 + $extra
        years += 1
    return years
""",
        inputs=lambda random, params: (lambda start: (start, start + random.randint(0, 200)))(random.randint(0, 200)),
        edges=lambda params: (
            (10, 10),
            (100, 100 + params["percent"] + params["extra"]),
            (50, 20),
            (100, 300),
            (100, 101 + params["percent"] + params["extra"]),
        ),
        params=lambda random: {"percent": random.choice((2, 3, 5, 8, 10)), "extra": random.choice((1, 2, 4, 5))},
        wrong=(
            """\
def $name(start, goal):
    years = 0
    while start <= goal:
        start += start * $percent // 100 + $extra
        years += 1
    return years
""",
            """\
def $name(start, goal):
    yearly = start * $percent // 100 + $extra
    return max(0, -(-(goal - start) // yearly))
""",
        ),
    ),
    Family(
        key="triangle_kind",
        topic="logic",
        difficulty="medium",
        signature="a, b, c",
        names=("triangle_kind", "triangle_type", "which_triangle", "name_triangle"),
        statements=(
            "Write `$name(a, b, c)` that returns 'equilateral', 'isosceles' (exactly two sides equal) or 'scalene' for "
            "three positive integer side lengths, and 'invalid' if they do not form a triangle. The sum of any two "
            "sides must be strictly greater than the third.",
            "Given three positive ints, decide what triangle they make: 'invalid' if one side is as long as the other "
            "two together or longer, otherwise 'equilateral' (three equal sides), 'isosceles' (just two equal) or "
            "'scalene' (all different). `$name(a, b, c)` returns the word.",
            "`$name(a, b, c)` gets sides in any order. First check the triangle inequality (a degenerate, flat "
            "triangle is 'invalid'), then return 'scalene', 'isosceles' or 'equilateral' for 3, 2 or 1 different "
            "lengths.",
            "I have three sticks with lengths that are positive integers. Can I lay a real triangle (not a line) with "
            "them, and has it three equal sides, two or none? The answers of `$name(a, b, c)` are the strings "
            "'equilateral', 'isosceles' and 'scalene'; if I cannot, 'invalid'.",
            "Classify triangles by their sides `a`, `b`, `c` (ints >= 1). Unless each is less than the sum of the "
            "others the result is 'invalid'. Otherwise it depends on how many sides are alike: all 'equilateral', two "
            "'isosceles', none 'scalene'. Name the function `$name`.",
        ),
        gold="""\
def $name(a, b, c):
    if 2 * max(a, b, c) >= a + b + c:
        return "invalid"
    if a == b == c:
        return "equilateral"
    if a == b or b == c or a == c:
        return "isosceles"
    return "scalene"
""",
        inputs=_triangle_or_not,
        edges=lambda params: ((1, 2, 3), (1, 1, 5), (4, 5, 4), (6, 6, 6)),
        wrong=(
            """\
def $name(a, b, c):
    return ["equilateral", "isosceles", "scalene"][len({a, b, c}) - 1]
""",
            """\
def $name(a, b, c):
    if 2 * max(a, b, c) > a + b + c:
        return "invalid"
    return ["equilateral", "isosceles", "scalene"][len({a, b, c}) - 1]
""",
            """\
def $name(a, b, c):
    if a + b <= c or a + c <= b or b + c <= a:
        return "invalid"
    if a == b == c:
        return "equilateral"
    return "isosceles" if a == b or b == c else "scalene"
""",
        ),
    ),
    Family(
        key="days_in_month",
        topic="logic",
        difficulty="medium",
        signature="month, year",
        names=("days_in_month", "month_length", "how_many_days", "last_day"),
        statements=(
            "Write `$name(month, year)` that returns the number of days of a month (1 to 12) in the Gregorian "
            "calendar. February has 29 days in leap years: years divisible by 4, except those divisible by 100 but not "
            "by 400.",
            "How many days has month number `month` (January is 1) of `year`? Mind leap years: every 4th year, but not "
            "centuries unless they are divisible by 400. `$name(month, year)` returns an int; do not import anything.",
            "`$name(month, year)`: April, June, September and November have 30 days, February 28 or, in leap years, "
            "29, and all other months 31. A year is a leap year if it is a multiple of 400, or a multiple of 4 but not "
            "of 100. Months are given as 1..12.",
            "For a calendar page we need the number of the last day of a month. Given `month` from 1 to 12 and a "
            "`year` such as 1900 (no leap year) or 2000 (a leap year), compute it by the usual Gregorian rules in "
            "`$name`.",
            "Return the length in days of the given month. Arguments: `month`, an int from 1 for January to 12 for "
            "December, and `year`, whose leap day depends on divisibility by 4, 100 and 400 as in the Gregorian "
            "calendar. Write it by hand, without the calendar module: `$name(month, year)`.",
        ),
        gold="""\
def $name(month, year):
    if month == 2:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return 29 if leap else 28
    return 30 if month in (4, 6, 9, 11) else 31
""",
        inputs=_month_and_year,
        edges=lambda params: ((2, 1900), (2, 2000), (2, 2024), (11, 2023)),
        wrong=(
            """\
def $name(month, year):
    if month == 2:
        return 29 if year % 4 == 0 else 28
    return 30 if month in (4, 6, 9, 11) else 31
""",
            """\
def $name(month, year):
    if month == 2:
        return 29 if year % 4 == 0 and year % 100 != 0 else 28
    return 30 if month in (4, 6, 9, 11) else 31
""",
            """\
def $name(month, year):
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 31 if month % 2 == 1 else 30
""",
        ),
    ),
    Family(
        key="clock_later",
        topic="arithmetic",
        difficulty="medium",
        signature="time, minutes",
        names=("later", "add_minutes", "clock_after", "shift_time"),
        statements=(
            "Write `$name(time, minutes)` that adds an integer number of minutes, possibly negative, to a time of day "
            "given as a string 'HH:MM' (24-hour clock) and returns the new time in the same form, going round at "
            "midnight: '23:50' plus 15 is '00:05'.",
            "Given a clock time like '07:45' and an int `minutes` (negative for earlier), return the time that many "
            "minutes later as a string 'HH:MM' with two digits each; days do not matter. Name: `$name(time, minutes)`.",
            "`$name(time, minutes)` moves the hands of a 24-hour digital clock forward by `minutes`, or back if that "
            "is negative, and returns its display, always five characters 'HH:MM' from '00:00' to '23:59'.",
            "A train leaves at `time` ('HH:MM', 24 hours) and travels for `minutes` minutes, which may exceed a day. "
            "What does the station clock show on arrival? `$name` returns it as 'HH:MM' with leading zeros; for "
            "negative `minutes` go back in time.",
            "Do arithmetic on times of day: parse the string `time` of the form hours:minutes (two digits each, 00 to "
            "23 and 00 to 59), add the integer `minutes` of either sign modulo 24 hours, and format the result alike. "
            "The function is called `$name`.",
        ),
        gold="""\
def $name(time, minutes):
    hours, mins = time.split(":")
    total = (int(hours) * 60 + int(mins) + minutes) % (24 * 60)
    return f"{total // 60:02d}:{total % 60:02d}"
""",
        inputs=lambda random, params: (
            f"{random.randint(0, 23):02d}:{random.randint(0, 59):02d}",
            random.choice((random.randint(-90, 90), random.randint(-2000, 3000))),
        ),
        edges=lambda params: (("23:50", 15), ("00:10", -20), ("09:05", 0), ("12:00", 2885)),
        wrong=(
            """\
def $name(time, minutes):
    hours, mins = time.split(":")
    total = int(hours) * 60 + int(mins) + minutes
    return f"{total // 60:02d}:{total % 60:02d}"
""",
            """\
def $name(time, minutes):
    hours, mins = time.split(":")
    total = (int(hours) * 60 + int(mins) + minutes) % (24 * 60)
    return f"{total // 60}:{total % 60}"
""",
        ),
    ),
    Family(
        key="parcel_price",
        topic="logic",
        difficulty="medium",
        signature="weight, express",
        names=("parcel_price", "shipping_cost", "postage", "delivery_fee"),
        statements=(
            "Write `$name(weight, express)` that computes the price of a parcel in cents. Up to and including $limit "
            "grams it costs $base; every further started $unit grams cost $extra more. If the boolean `express` is "
            "True, the price is doubled. `weight` is a positive integer.",
            "Postage: $base cents for a weight of at most $limit grams. Above that, add $extra cents for each $unit "
            "grams over the limit, a fraction of $unit grams being charged like all of it. Express (a bool) costs "
            "twice as much. `$name(weight, express)` returns the cents as an int.",
            "`$name(weight, express)` returns an integer price. Basic price $base; for weight > $limit add $extra "
            "times the number of $unit-gram steps needed to cover weight - $limit (rounded up). Multiply everything by "
            "2 for express deliveries. The weight is a whole number of grams, at least 1.",
            "A courier charges $base cents for parcels no heavier than $limit g and $extra cents for every additional "
            "$unit g or part of $unit g. Customers who tick `express` (True) pay double. Implement the tariff as "
            "`$name(weight, express)` with integer results.",
            "What does it cost to send `weight` grams (a positive int)? First $limit grams: $base cents in all. The "
            "rest is charged in blocks of $unit grams, the last block being charged in full even if only begun, at "
            "$extra cents per block. Twice the total if `express`, a bool, is set. The function is `$name`.",
        ),
        gold="""\
def $name(weight, express):
    price = $base
    if weight > $limit:
        blocks = (weight - $limit + $unit - 1) // $unit
        price += blocks * $extra
    return 2 * price if express else price
""",
        inputs=lambda random, params: (
            random.randint(1, params["limit"]) + random.choice((0, 1, 1)) * random.randint(0, 9 * params["unit"]),
            random.random() < 0.5,
        ),
        edges=lambda params: (
            (params["limit"], False),
            (params["limit"] + params["unit"], False),
            (params["limit"] + params["unit"] + 1, True),
        ),
        params=lambda random: {
            "base": random.choice((250, 300, 480, 500)),
            "limit": random.choice((500, 1000, 2000)),
            "unit": random.choice((50, 100, 250)),
            "extra": random.choice((20, 35, 60)),
        },
        wrong=(
            """\
def $name(weight, express):
    price = $base
    if weight > $limit:
        price += (weight - $limit) // $unit * $extra
    return 2 * price if express else price
""",
            """\
def $name(weight, express):
    price = $base
    if weight > $limit:
        price += ((weight - $limit) // $unit + 1) * $extra
    return 2 * price if express else price
""",
            """\
def $name(weight, express):
    price = 2 * $base if express else $base
    if weight > $limit:
        price += -(-(weight - $limit) // $unit) * $extra
    return price
""",
        ),
    ),
    Family(
        key="lift_trips",
        topic="simulation",
        difficulty="medium",
        signature="weights",
        names=("lift_trips", "count_trips", "trips_needed", "boat_rides"),
        statements=(
            "People with the given `weights` (a list of integers from 1 to $limit) queue for a lift that carries at "
            "most $limit kg and at most $places people. They enter in order; when the next person does not fit, the "
            "lift leaves and comes back empty. Write `$name(weights)` that returns the number of trips (0 for no "
            "people).",
            "Fill boxes in order: each box holds up to $places items and up to $limit kg in total. Take the items of "
            "`weights` one by one; if an item does not fit into the current box any more, start a new box for it. "
            "`$name(weights)` returns how many boxes are used. No item is heavier than $limit; an empty list needs "
            "none.",
            "`$name(weights)`: cut the list of ints into consecutive groups, each as long as possible, with no more "
            "than $places elements and a sum of no more than $limit, working from the left. Every element is between 1 "
            "and $limit. Return the number of groups.",
            "A ferry takes vehicles strictly in the order of the list `weights`, up to $places of them and $limit tons "
            "per ride, and departs as soon as the next vehicle would be too much (or when nobody is left). How many "
            "rides are there? `$name(weights)` returns an int, 0 if nobody waits. No vehicle alone exceeds $limit "
            "tons.",
            "Simulate loading: the current load is empty; each of `weights` (1 to $limit) joins it if afterwards the "
            "load has at most $places pieces and weighs at most $limit, and otherwise begins the next load. Return the "
            "number of loads begun, from `$name(weights)`. Nothing to load gives 0.",
        ),
        gold="""\
def $name(weights):
    trips = people = load = 0
    for weight in weights:
        if trips == 0 or people == $places or load + weight > $limit:
            trips += 1
            people = load = 0
        people += 1
        load += weight
    return trips
""",
        inputs=lambda random, params: (ints(random, 1, 14, 1, params["limit"] * random.choice((3, 6)) // 10),),
        edges=lambda params: (
            ([],),
            ([1] * (params["places"] * 2 + 1),),
            ([params["limit"] - 1, 1, params["limit"], 2, params["limit"] - 1],),
            ([params["limit"] // 2 + 1] * 3,),
        ),
        params=lambda random: {"limit": random.choice((100, 150, 200, 300)), "places": random.randint(3, 5)},
        wrong=(
            """\
def $name(weights):
    trips = load = 0
    for weight in weights:
        if trips == 0 or load + weight > $limit:
            trips += 1
            load = 0
        load += weight
    return trips
""",
            """\
def $name(weights):
    return max(-(-sum(weights) // $limit), -(-len(weights) // $places))
""",
            """\
def $name(weights):
    trips = people = load = 0
    for weight in weights:
        if trips == 0 or people == $places or load + weight >= $limit:
            trips += 1
            people = load = 0
        people += 1
        load += weight
    return trips
""",
        ),
    ),
)
