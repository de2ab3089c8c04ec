"""Easy families on conditions, and one-line looks at matrices, intervals, graphs, recursions and simulations."""

from __future__ import annotations

from random import Random

from verigrad.tasks.builtin.draw import ints, word
from verigrad.tasks.builtin.family import Family
from verigrad.tasks.builtin.one_line import one_line

__all__ = ["FAMILIES"]


def _matrix(random: Random, rows: int, columns: int) -> list[list[int]]:
    return [[random.randint(-9, 20) for _ in range(columns)] for _ in range(rows)]


def _interval(random: Random) -> tuple[int, int]:
    start = random.randint(0, 30)
    return start, start + random.randint(1, 20)


def _graph_and_nodes(random: Random, count: int) -> tuple[object, ...]:
    """A dict from nodes to lists of neighbors (not always mutual), and `count` of its nodes."""
    nodes = "abcdef"[: random.randint(3, 6)]
    graph = {node: random.sample(nodes.replace(node, ""), random.randint(0, len(nodes) - 1)) for node in nodes}
    return graph, *random.sample(nodes, count)


_LOGIC = (
    one_line(
        key="all_positive",
        topic="logic",
        signature="numbers",
        names=("all_positive", "only_positive", "everything_positive", "none_below_one", "check_positive"),
        statements=(
            "Return True if all integers in the list numbers are greater than 0, and False otherwise. "
            "An empty list gives True.",
            "Check whether every element of the list numbers is positive (an empty list counts as True). Return "
            "a bool.",
            "The function takes a list of integers and returns whether none of them is zero or negative.",
            "Given a list of integers numbers, return True when each one is above 0 (also for no integers), else "
            "False.",
            "Return False if the list numbers holds an integer of 0 or less, and True if it holds none.",
        ),
        result="all(number > 0 for number in numbers)",
        wrong=(
            "any(number > 0 for number in numbers)",
            "all(number >= 0 for number in numbers)",
            "sum(numbers) > 0",
        ),
        inputs=lambda random, params: (ints(random, 2, 5, *random.choice(((1, 20), (-3, 9), (0, 9)))),),
        edges=(([],), ([4, 0, 5],), ([9, -1],)),
    ),
    one_line(
        key="any_zero",
        topic="logic",
        signature="numbers",
        names=("any_zero", "has_zero", "zero_inside", "includes_zero", "contains_zero"),
        statements=(
            "Return True if at least one integer in the list numbers is 0, and False otherwise.",
            "Check whether the list numbers contains a zero. Return a bool; an empty list has none.",
            "The function takes a list of integers and returns True when any of them equals 0, else False.",
            "Given a list of integers numbers, return whether 0 is among them (True or False).",
            "The product of integers is 0 if one of them is 0. Return True if the list numbers holds such a one.",
        ),
        result="any(number == 0 for number in numbers)",
        wrong=("all(number == 0 for number in numbers)", "0 not in numbers", "numbers[0] == 0", "sum(numbers) == 0"),
        inputs=lambda random, params: (ints(random, 2, 6, *random.choice(((-2, 3), (1, 9)))),),
        edges=(([],), ([5, 0],)),
    ),
    one_line(
        key="exactly_one_even",
        topic="logic",
        signature="a, b",
        names=("exactly_one_even", "one_even", "just_one_even", "different_parity", "only_one_even"),
        statements=(
            "Return True if exactly one of the integers a and b is even, and False otherwise.",
            "Return whether one of the integers a and b is even and the other one is odd.",
            "Check if just one of two integers a and b is divisible by 2. If both or none are, return False.",
            "Given integers a and b, return True when one is even and the other odd, else False.",
            "Do the integers a and b have different parity? Return True or False.",
        ),
        result="(a % 2 == 0) != (b % 2 == 0)",
        wrong=("a % 2 == 0 or b % 2 == 0", "a % 2 == b % 2", "a % 2 == 0"),
        inputs=lambda random, params: (random.randint(-20, 40), random.randint(-20, 40)),
        edges=((2, 4),),
    ),
    one_line(
        key="may_enter",
        topic="logic",
        signature="age, has_ticket",
        names=("may_enter", "can_enter", "is_admitted", "let_in", "allowed"),
        statements=(
            "Return True if the integer age is at least $k and has_ticket (a bool) is True, otherwise False.",
            "A visitor may enter with a ticket from the age of $k on. Return a bool for age and has_ticket.",
            "Return whether both hold: the integer age is $k or more, and the bool has_ticket is True.",
            "Given an integer age and a bool has_ticket, return True only for ticket holders aged $k or older.",
            "Guests need a ticket and must be at least $k years old. Return True if this guest gets in, else False.",
        ),
        result="age >= $k and has_ticket",
        wrong=("age >= $k or has_ticket", "age > $k and has_ticket", "age >= $k"),
        inputs=lambda random, params: (
            params["k"] + random.choice((0, 0, random.randint(-5, 30))),
            random.random() < 0.75,
        ),
        params=lambda random: {"k": random.choice((12, 14, 16, 18, 21))},
    ),
    one_line(
        key="between_inclusive",
        topic="logic",
        signature="n",
        names=("in_range", "is_between", "within_limits", "inside_bounds", "between"),
        statements=(
            "Return True if the integer n is between $low and $high, both included, and False otherwise.",
            "Check whether $low <= n <= $high holds for the integer n. Return a bool.",
            "The function takes an integer n and returns whether it is at least $low and at most $high.",
            "Given an integer n, return True when it lies in the range from $low to $high (limits included), "
            "else False.",
            "Return False if the integer n is below $low or above $high, and True otherwise.",
        ),
        result="$low <= n <= $high",
        wrong=("$low < n < $high", "n >= $low", "n < $low or n > $high"),
        inputs=lambda random, params: (random.randint(params["low"] - 6, params["high"] + 6),),
        params=lambda random: {"low": (low := random.randint(5, 20)), "high": low + random.randint(8, 15)},
    ),
    one_line(
        key="count_true",
        topic="logic",
        signature="flags",
        names=("count_true", "number_of_true", "how_many_true", "true_flags", "num_true"),
        statements=(
            "Return how many elements of the list flags are True. The list holds bools.",
            "Count the True values in the list of bools flags and return the count as an integer.",
            "The function takes a list of bools and returns the number of those that are True.",
            "Given a list flags of True and False, return how often it holds True.",
            "The list flags holds the votes of a group, True for yes. Return the number of yes votes.",
        ),
        result="sum(flags)",
        wrong=("len(flags)", "flags.count(False)", "any(flags)"),
        inputs=lambda random, params: ([random.random() < 0.6 for _ in range(random.randint(3, 8))],),
        edges=(([],),),
    ),
    one_line(
        key="same_sign",
        topic="logic",
        signature="a, b",
        names=("same_sign", "signs_agree", "equal_signs", "on_same_side", "both_same_sign"),
        statements=(
            "Return True if the non-zero integers a and b have the same sign, and False otherwise.",
            "Check whether the integers a and b (neither is 0) are both positive or both negative. Return a bool.",
            "The function takes two integers other than 0 and returns whether their signs are equal.",
            "Given non-zero integers a and b, return True when their product is positive, else False.",
            "Are the non-zero integers a and b on the same side of 0 on the number line? Return True or False.",
        ),
        result="(a > 0) == (b > 0)",
        wrong=("a > 0 and b > 0", "a * b < 0", "a == b"),
        inputs=lambda random, params: (
            random.choice((-1, 1)) * random.randint(1, 30),
            random.choice((-1, 1)) * random.randint(1, 30),
        ),
        edges=((-2, -5), (3, -3)),
    ),
)

_MATRICES = (
    one_line(
        key="matrix_sum",
        topic="matrices",
        signature="matrix",
        names=("matrix_sum", "sum_matrix", "total_of_grid", "add_all_cells", "grid_sum"),
        statements=(
            "Return the sum of all integers in matrix, a list of lists.",
            "Add up every number in the list of rows matrix (each row is a list of integers) and return the total.",
            "The function takes a list of lists of integers and returns the sum over all of them.",
            "Given a matrix as a list of rows, compute the sum of all its entries.",
            "Each cell of the grid matrix (a list of rows) holds some coins. Return how many coins there are in all.",
        ),
        result="sum(sum(row) for row in matrix)",
        wrong=("sum(matrix[0])", "[sum(row) for row in matrix]", "sum(len(row) for row in matrix)"),
        inputs=lambda random, params: (_matrix(random, random.randint(2, 3), random.randint(2, 3)),),
        edges=(([[5]],),),
    ),
    one_line(
        key="row_sums",
        topic="matrices",
        signature="matrix",
        names=("row_sums", "sum_rows", "totals_per_row", "sum_of_each_row", "sums_of_rows"),
        statements=(
            "Return a list with the sum of each row of matrix, a list of lists of integers.",
            "For every row of the list of rows matrix compute its sum. Return the sums as a list.",
            "The function takes a list of lists of integers and returns the list of their sums in the same order.",
            "Given a matrix as a list of rows, return the list of the row totals.",
            "Each row of the table matrix holds one person's points (integers). Return the list of everybody's total.",
        ),
        result="[sum(row) for row in matrix]",
        wrong=(
            "sum(sum(row) for row in matrix)",
            "[sum(column) for column in zip(*matrix)]",
            "[max(row) for row in matrix]",
        ),
        inputs=lambda random, params: (_matrix(random, random.randint(2, 3), random.randint(2, 3)),),
        edges=(([[5]],),),
    ),
    one_line(
        key="matrix_column",
        topic="matrices",
        signature="matrix",
        names=("get_column", "column", "take_column", "one_column", "extract_column"),
        statements=(
            "Return the column with index $k of matrix, a list of rows, as a list.",
            "Take the element at index $k of every row of the list of lists matrix and return them as a list.",
            "The function takes a list of rows of integers and returns a list with entry number $k (from 0) of "
            "each row.",
            "Given a matrix as a list of rows, return its column at index $k, counting from 0, from top to bottom.",
            "The table matrix is a list of rows. Return the values below each other in column $k (the first is "
            "column 0).",
        ),
        result="[row[$k] for row in matrix]",
        wrong=("matrix[$k]", "[row[$k - 1] for row in matrix]", "[row[0] + row[$k] for row in matrix]"),
        inputs=lambda random, params: (_matrix(random, random.randint(3, 4), 3),),
        params=lambda random: {"k": random.randint(1, 2)},
    ),
)

_OTHER = (
    one_line(
        key="interval_length",
        topic="intervals",
        signature="interval",
        names=("interval_length", "duration", "length_of_interval", "how_long", "span"),
        statements=(
            "Return the length of interval, a tuple (start, end) of integers: end minus start.",
            "The tuple interval holds a start and an end. Return how far the end is from the start.",
            "The function takes a tuple (start, end) of two integers and returns end - start.",
            "Given an interval as a tuple of its start and its later end, compute its length.",
            "A meeting lasts from interval[0] to interval[1] o'clock. Return how many hours it takes.",
        ),
        result="interval[1] - interval[0]",
        wrong=("interval[0] - interval[1]", "interval[1] - interval[0] + 1", "len(interval)"),
        inputs=lambda random, params: (_interval(random),),
    ),
    one_line(
        key="interval_contains",
        topic="intervals",
        signature="interval, point",
        names=("interval_contains", "is_inside", "covers", "point_in_interval", "contains_point"),
        statements=(
            "Return True if the integer point lies in interval, a tuple (start, end) with both ends included.",
            "Check whether start <= point <= end for the tuple interval = (start, end). Return a bool.",
            "The function takes a tuple of two integers and an integer point; it returns whether point is between "
            "the two, limits included.",
            "Given an interval (start, end) as a tuple, return True when point is not outside of it, else False.",
            "A shop is open from interval[0] to interval[1], both included. Return True if it is open at point.",
        ),
        result="interval[0] <= point <= interval[1]",
        wrong=("interval[0] < point < interval[1]", "point in interval", "point <= interval[1]"),
        inputs=lambda random, params: (_interval(random), random.randint(0, 50)),
        edges=(((3, 8), 3), ((3, 8), 8), ((3, 8), 2)),
    ),
    one_line(
        key="count_neighbors",
        topic="graphs",
        signature="graph, node",
        names=("count_neighbors", "degree", "number_of_friends", "how_many_links", "num_neighbors"),
        statements=(
            "Return how many neighbors node has in graph, a dict from each node to the list of its neighbors.",
            "The dict graph maps every node to a list of nodes. Return the length of the list of node.",
            "The function takes a graph (a dict of lists of neighbors) and one of its nodes; return the node's degree.",
            "Given a dict graph from nodes to lists of neighbors, count the neighbors of node.",
            "The dict graph maps each person to a list of friends. Return how many friends the person node has.",
        ),
        result="len(graph[node])",
        wrong=("len(graph)", "graph[node]", "sum(node in others for others in graph.values())"),
        inputs=lambda random, params: _graph_and_nodes(random, 1),
    ),
    one_line(
        key="are_neighbors",
        topic="graphs",
        signature="graph, a, b",
        names=("are_neighbors", "has_edge", "is_connected_to", "direct_link", "edge_exists"),
        statements=(
            "Return True if b is in the neighbor list of a in graph, a dict from nodes to lists, else False.",
            "The dict graph maps each node to a list of its neighbors. Return whether b is a neighbor of a.",
            "Check if graph has an edge from node a to node b; graph[a] is the list of the neighbors of a.",
            "Given a dict graph of neighbor lists and two of its nodes, return True when the list of a contains b.",
            "The dict graph maps each town to a list of towns reached by a direct road. Is there one from a to b?",
        ),
        result="b in graph[a]",
        wrong=("a in graph[b]", "b in graph", "b not in graph[a]"),
        inputs=lambda random, params: _graph_and_nodes(random, 2),
    ),
    one_line(
        key="sum_to_n",
        topic="recursion",
        signature="n",
        names=("sum_to_n", "triangular", "sum_of_first", "add_up_to", "total_up_to"),
        statements=(
            "Return the sum of the integers from 1 to n. For n = 0 the sum is 0.",
            "Compute 1 + 2 + ... + n for an integer n of at least 0 (0 gives 0).",
            "The function takes a non-negative integer n and returns f(n), where f(0) = 0 and f(n) = n + f(n - 1).",
            "Given an integer n of at least 0, return the total of all positive integers up to and including n.",
            "A triangle of coins has rows of 1, 2, 3 and so on up to n coins. Return how many coins it has (n "
            "may be 0).",
        ),
        result="n * (n + 1) // 2",
        wrong=("n * (n - 1) // 2", "n ** 2", "n + 1"),
        inputs=lambda random, params: (random.randint(1, 60),),
        edges=((0,), (1,)),
    ),
    one_line(
        key="power_of_base",
        topic="recursion",
        signature="n",
        names=("power_of_base", "power", "grow", "population_after", "nth_power"),
        statements=(
            "Return $k to the power of n, for an integer n of at least 0.",
            "Multiply n factors of $k and return the product; it is 1 for n = 0.",
            "The function takes a non-negative integer n and returns f(n), where f(0) = 1 and f(n) = $k * f(n - 1).",
            "Given an integer n of at least 0, compute $k ** n.",
            "There is 1 cell, and every hour the number becomes $k times as large. Return the number after n hours.",
        ),
        result="$k ** n",
        wrong=("$k * n", "n ** $k", "$k ** (n - 1)"),
        inputs=lambda random, params: (random.randint(1, 14),),
        params=lambda random: {"k": random.randint(2, 5)},
        edges=((0,),),
    ),
    one_line(
        key="final_balance",
        topic="simulation",
        signature="start, changes",
        names=("final_balance", "balance_after", "end_value", "account_at_end", "apply_changes"),
        statements=(
            "Return start plus all integers in the list changes.",
            "An account holds start. Apply every change in the list changes (integers, some negative); return "
            "the balance.",
            "The function takes an integer and a list of integers and returns the first plus the sum of the list.",
            "Given an integer start and a list of changes, return the value after adding each change in turn.",
            "A bus starts with start people, and the list changes says how many join or leave. Return how many "
            "it ends with.",
        ),
        result="start + sum(changes)",
        wrong=("sum(changes)", "start - sum(changes)", "start + len(changes)"),
        inputs=lambda random, params: (random.randint(0, 60), ints(random, 1, 5, -15, 20)),
        edges=((7, []),),
    ),
    one_line(
        key="final_position",
        topic="simulation",
        signature="moves",
        names=("final_position", "robot_position", "where_it_ends", "end_position", "follow_moves"),
        statements=(
            "A robot starts at 0. Each 'R' in the string moves adds 1 and each 'L' subtracts 1. Return its position.",
            "Return the number of 'R' minus the number of 'L' in the string moves, which has only these letters.",
            "The function takes a string of 'L' and 'R' and returns where a walker ends who starts at 0: R is "
            "+1, L is -1.",
            "Given a string moves of the letters L (one step left, -1) and R (right, +1), return the end from start 0.",
            "Somebody on the number line at 0 walks right for 'R' and left for 'L'. Return where the string "
            "moves leads.",
        ),
        result="moves.count('R') - moves.count('L')",
        wrong=("moves.count('L') - moves.count('R')", "len(moves)", "abs(moves.count('R') - moves.count('L'))"),
        inputs=lambda random, params: (word(random, 2, 10, random.choice(("LR", "LRR", "LLR"))),),
        edges=(("",),),
    ),
    one_line(
        key="league_points",
        topic="simulation",
        signature="wins, draws",
        names=("league_points", "team_points", "count_points", "score_of_season", "points"),
        statements=(
            "Return the points of a team with $win points for each of its wins and 1 for each of its draws (integers).",
            "Compute $win times wins plus draws; both arguments are integers.",
            "A win counts $win points and a draw 1 point. Return the total for the integers wins and draws.",
            "Given how many games were won and drawn (integers), return the points: $win per win and 1 per draw.",
            "A table gives $win points per victory and a single one per tie. Return what a team has won in all.",
        ),
        result="$win * wins + draws",
        wrong=("wins + draws", "$win * (wins + draws)", "$win * draws + wins"),
        inputs=lambda random, params: (random.randint(0, 20), random.randint(0, 20)),
        params=lambda random: {"win": random.randint(2, 5)},
        edges=((0, 0),),
    ),
)

FAMILIES: tuple[Family, ...] = _LOGIC + _MATRICES + _OTHER
