"""Hard families over grids: paths, areas, connected cells, lines, jumps."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from verigrad.tasks.builtin.draw import ints
from verigrad.tasks.builtin.family import Family

__all__ = ["FAMILIES"]


def _grid(random: Random, low: int, high: int, smallest: int) -> list[list[int]]:
    columns = random.randint(smallest, 5)
    return [ints(random, columns, columns, low, high) for _ in range(random.randint(smallest, 5))]


def _maze_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    columns = random.randint(2, 6)
    cells = "." * 6 + params["wall"]
    grid = ["".join(random.choices(cells, k=columns)) for _ in range(random.randint(2, 6))]
    grid[0] = "." + grid[0][1:]
    grid[-1] = grid[-1][:-1] + "."
    return (grid,)


_MAZE_GOLD = """\
def $name(grid):
    ways = []
    for r, row in enumerate(grid):
        line = []
        for c, cell in enumerate(row):
            if cell == "$wall":
                line.append(0)
            elif r == 0 and c == 0:
                line.append(1)
            else:
                above = ways[r - 1][c] if r else 0
                left = line[c - 1] if c else 0
                line.append(above + left)
        ways.append(line)
    return ways[-1][-1]
"""

_MAZE_PATHS = Family(
    key="maze_paths",
    topic="dynamic_programming",
    difficulty="hard",
    signature="grid",
    names=("maze_paths", "count_routes", "grid_walks", "ways_through"),
    statements=(
        "Write `$name(grid)` that counts the paths from the top-left to the bottom-right cell when every step goes one "
        "cell right or one cell down. `grid` is a non-empty list of equally long non-empty strings in which `.` is "
        "free and `$wall` is blocked; paths use free cells only. If the first or last cell is blocked, return 0.",
        "A map is given as a list of strings of the same length (at least one row and one column), `$wall` marking an "
        "obstacle and `.` open ground. Define `$name(grid)` returning the number of ways to walk from the upper left "
        "corner to the lower right corner moving only right and down over open ground. Blocked corners give 0.",
        "Implement `$name(grid)`: how many right/down routes lead through the maze? Rows are strings of equal length "
        "with `.` for free squares and `$wall` for walls; start at row 0, column 0 and end at the last row and column. "
        "A route may not touch a wall, not even at its ends. A single free square counts as one route.",
        "My robot starts in the first cell of the first row and must reach the last cell of the last row; it can only "
        "move right or down by one. The non-empty list of strings `grid` shows obstacles as `$wall` and everything "
        "else as `.`. Return from `$name(grid)` the number of different obstacle-free routes, 0 if none exists.",
        "For a rectangular board stored as a list of equal-length strings, let `$name(grid)` return the number of "
        "monotone paths (steps right or down only) between opposite corners, top left to bottom right, that avoid all "
        "cells holding `$wall`. Other cells hold `.`. The board has at least one cell; the corner cells count as part "
        "of each path.",
    ),
    gold=_MAZE_GOLD,
    inputs=_maze_inputs,
    edges=lambda params: (([params["wall"] + ".", ".."],), (["...", "." + params["wall"] + ".", "..."],)),
    params=lambda random: {"wall": random.choice("#X@*")},
    wrong=(
        """\
from math import comb

def $name(grid):
    down, right = len(grid) - 1, len(grid[0]) - 1
    return comb(down + right, down)
""",
        """\
def $name(grid):
    ways = [[1] * len(grid[0]) for _ in grid]
    for r in range(1, len(grid)):
        for c in range(1, len(grid[0])):
            ways[r][c] = 0 if grid[r][c] == "$wall" else ways[r - 1][c] + ways[r][c - 1]
    return ways[-1][-1]
""",
    ),
)


_PATH_SUM_GOLD = """\
def $name(grid):
    totals = []
    for r, row in enumerate(grid):
        line = []
        for c, value in enumerate(row):
            before = []
            if r > 0:
                before.append(totals[r - 1][c])
            if c > 0:
                before.append(line[c - 1])
            line.append(value + $pick(before, default=0))
        totals.append(line)
    return totals[-1][-1]
"""

_PATH_SUM = Family(
    key="grid_path_sum",
    topic="dynamic_programming",
    difficulty="hard",
    signature="grid",
    names=("grid_path_sum", "best_path_sum", "corner_to_corner", "trail_total"),
    statements=(
        "Write `$name(grid)` that returns the $most sum of numbers along a path from the top-left to the bottom-right "
        "cell of `grid`, a non-empty list of equally long non-empty lists of ints. A path moves one cell right or one "
        "cell down at a time, and both end cells count.",
        "In a rectangular matrix of ints (a list of rows, at least one by one), consider all walks from the first cell "
        "of the first row to the last cell of the last row that only go right or down. Define `$name(grid)` to return "
        "the $most total of the visited cells, the first and the last included.",
        "Implement `$name(grid)`. Every cell of the rectangular list of lists holds an int, maybe negative. Starting "
        "at row 0, column 0, step right or down until the bottom right corner; add up all cells on the way. Return the "
        "$most total that can be had.",
        "I have a table of ints as a list of equal-length rows, never empty. `$name(grid)` should find the route from "
        "the upper left to the lower right corner, made of single steps right or down, whose sum (corners counted) is "
        "the $most, and return that sum.",
        "Each square of a board carries a number; `grid` lists the rows, all of one length, and there is at least one "
        "square. A token travels from top left to bottom right, always to the neighbour on the right or below. What is "
        "the $most sum of all squares it stands on, start and end included? Return it as an int from `$name(grid)`.",
    ),
    gold=_PATH_SUM_GOLD,
    inputs=lambda random, params: (_grid(random, -9, 20, 3),),
    edges=lambda params: (([[7]],), ([[1, 2, 50], [3, 9, 1], [1, 1, 1]],)),
    params=lambda random: random.choice(({"most": "smallest", "pick": "min"}, {"most": "largest", "pick": "max"})),
    wrong=(
        """\
def $name(grid):
    r = c = 0
    total = grid[0][0]
    while (r, c) != (len(grid) - 1, len(grid[0]) - 1):
        options = []
        if r + 1 < len(grid):
            options.append((grid[r + 1][c], r + 1, c))
        if c + 1 < len(grid[0]):
            options.append((grid[r][c + 1], r, c + 1))
        value, r, c = $pick(options)
        total += value
    return total
""",
        """\
def $name(grid):
    return sum($pick(row) for row in grid)
""",
    ),
)


_SQUARE_GOLD = """\
def $name(grid):
    best = 0
    above = [0] * len(grid[0])
    for row in grid:
        sides = []
        for c, cell in enumerate(row):
            if cell != $target:
                sides.append(0)
            elif c == 0:
                sides.append(1)
            else:
                sides.append(1 + min(above[c], above[c - 1], sides[c - 1]))
        best = max(best, max(sides))
        above = sides
    return best * best
"""


def _square_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    columns = random.randint(3, 6)
    cells = [params["target"]] * random.randint(2, 5) + [1 - params["target"]]
    return ([random.choices(cells, k=columns) for _ in range(random.randint(3, 6))],)


_LARGEST_SQUARE = Family(
    key="largest_square",
    topic="dynamic_programming",
    difficulty="hard",
    signature="grid",
    names=("largest_square", "biggest_block", "square_area", "full_square"),
    statements=(
        "Write `$name(grid)` that returns the area of the largest square, with sides parallel to the grid, that "
        "contains only the number $target. `grid` is a non-empty list of equally long non-empty lists of 0s and 1s. "
        "Return 0 if there is no $target at all.",
        "In a rectangular matrix of 0s and 1s (list of rows, at least one cell), find the biggest block of k adjacent "
        "rows and k adjacent columns in which every cell is $target. Define `$name(grid)` to return its number of "
        "cells, k * k, or 0 if no cell is $target.",
        "Implement `$name(grid)`: `grid` holds rows of equal length made of the ints 0 and 1, and is not empty. How "
        "many cells has the largest solid square of ${target}s? Squares are contiguous and not tilted; the answer is "
        "an int, 0 when nothing qualifies.",
        "I have a floor plan as a list of lists of ints, all rows equally long and at least one cell, where $target "
        "means usable and the other of 0 and 1 means not. What is the area of the largest square made only of usable "
        "cells? Return it (0 if none is usable) from `$name(grid)`.",
        "For a binary matrix given as a non-empty list of non-empty rows of one length, let `$name(grid)` be the "
        "maximum of k * k over all k-by-k submatrices of neighbouring rows and columns whose entries all equal "
        "$target. If $target does not occur the value is 0.",
    ),
    gold=_SQUARE_GOLD,
    inputs=_square_inputs,
    edges=lambda params: (([[1 - params["target"]]],), ([[params["target"]] * 4] * 2,)),
    params=lambda random: {"target": random.choice((0, 1))},
    wrong=(
        _SQUARE_GOLD.replace("return best * best", "return best"),
        """\
def $name(grid):
    best = 0
    for row in grid:
        run = 0
        for cell in row:
            run = run + 1 if cell == $target else 0
            best = max(best, run)
    return min(best, len(grid)) ** 2
""",
    ),
)


_TOUCHES = (
    {
        "touch": "share a side",
        "moves": "[(0, 1), (1, 0), (0, -1), (-1, 0)]",
        "other": "[(0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)]",
    },
    {
        "touch": "share a side or a corner",
        "moves": "[(0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)]",
        "other": "[(0, 1), (1, 0), (0, -1), (-1, 0)]",
    },
)


def _paint_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    grid = _grid(random, 1, 2, 3)
    return grid, random.randrange(len(grid)), random.randrange(len(grid[0])), random.randint(1, 5)


_PAINT_GOLD = """\
def $name(grid, row, column, color):
    result = [list(line) for line in grid]
    old = grid[row][column]
    stack, seen = [(row, column)], {(row, column)}
    while stack:
        r, c = stack.pop()
        result[r][c] = color
        for down, right in $moves:
            y, x = r + down, c + right
            if 0 <= y < len(grid) and 0 <= x < len(grid[0]) and (y, x) not in seen and grid[y][x] == old:
                seen.add((y, x))
                stack.append((y, x))
    return result
"""

_PAINT = Family(
    key="flood_fill",
    topic="recursion",
    difficulty="hard",
    signature="grid, row, column, color",
    names=("flood_fill", "paint_region", "bucket_fill", "recolor_area"),
    statements=(
        "Write `$name(grid, row, column, color)`, the bucket tool of a paint program. `grid` is a non-empty "
        "rectangular list of lists of ints, and the int position (row, column), counted from 0, lies inside it. Give "
        "the start cell and every cell of the same value connected to it through cells of that value the value "
        "`color`; two cells are neighbours if they $touch. Return a new grid.",
        "Flood fill: starting at `grid[row][column]`, repaint the whole connected area that has the start cell's "
        "original number with the int `color`. Cells are adjacent when they $touch. Define "
        "`$name(grid, row, column, color)` returning the repainted copy as a list of lists; the grid is rectangular, "
        "the start is inside it, and `color` may equal the old number (then nothing changes).",
        "Implement `$name(grid, row, column, color)` on a rectangular grid of ints. Consider all cells that can be "
        "reached from the cell at (`row`, `column`), 0-based, by steps between cells that $touch and hold the same int "
        "as the start. Return a copy of the grid in which exactly these cells hold `color`. The argument stays as it "
        "is.",
        "In my map every cell has a region number (list of equally long lists of ints). `$name(grid, row, column, "
        "color)` should return a copy where the region around the given 0-based position gets the number `color`: the "
        "start cell plus all equal-numbered cells linked to it, where linked cells $touch with the next one in the "
        "chain. Equal numbers elsewhere stay.",
        "Given a non-empty rectangular list of lists of ints, a valid cell (0-based `row` and `column`) and a new "
        "value `color`, change the cell's component and return the result as a new list of lists from "
        "`$name(grid, row, column, color)`. A component is a largest set of equal cells in which any two are joined by "
        "a chain of cells of the set, consecutive ones of which $touch.",
    ),
    gold=_PAINT_GOLD,
    inputs=_paint_inputs,
    edges=lambda params: (([[1, 2], [2, 1]], 0, 0, 7), ([[3, 3, 4, 3]], 0, 1, 3), ([[1, 2, 1, 1]], 0, 0, 5)),
    params=lambda random: random.choice(_TOUCHES),
    wrong=(
        _PAINT_GOLD.replace("$moves", "$other"),
        """\
def $name(grid, row, column, color):
    old = grid[row][column]
    return [[color if value == old else value for value in line] for line in grid]
""",
    ),
)


def _islands_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    columns = random.randint(4, 7)
    return (["".join(random.choices("#..", k=columns)) for _ in range(random.randint(4, 6))],)


_ISLANDS_GOLD = """\
def $name(rows):
    land = {(r, c) for r, row in enumerate(rows) for c, cell in enumerate(row) if cell == "#"}
    sizes = []
    while land:
        stack, size = [land.pop()], 0
        while stack:
            r, c = stack.pop()
            size += 1
            for down, right in $moves:
                spot = (r + down, c + right)
                if spot in land:
                    land.remove(spot)
                    stack.append(spot)
        sizes.append(size)
    return sorted(sizes)
"""

_ISLANDS = Family(
    key="island_sizes",
    topic="matrices",
    difficulty="hard",
    signature="rows",
    names=("island_sizes", "blob_sizes", "measure_islands", "land_masses"),
    statements=(
        "Write `$name(rows)` that returns the sizes of all islands on a map, as a list of ints sorted in ascending "
        "order. The map is a list of equally long strings with `#` for land and `.` for water; two land cells belong "
        "to the same island if they $touch, directly or through further land cells. Without land return `[]`.",
        "A black-and-white image is a list of strings of one length, `#` being ink and `.` paper. Ink cells that "
        "$touch are connected, and connection carries over from cell to cell. Define `$name(rows)`: the list of the "
        "numbers of cells in each connected piece of ink, smallest first, empty if there is no ink or no row.",
        "Implement `$name(rows)`. Group the `#` characters of a rectangular list of strings so that cells which "
        "$touch are in one group; other characters are all `.` and are ignored. Return the group sizes in increasing "
        "order (repeats kept) as a list, `[]` when there is no group.",
        "How big are the lakes in my drawing? Each string of the list is a line of it, all equally long; `#` is water "
        "and `.` is ground. Water cells that $touch are part of the same lake. `$name(rows)` should give the sorted "
        "list, ascending, of the cell counts of all lakes, one entry a lake.",
        "Treat the `#` cells of a text grid (list of strings of equal length, otherwise made of `.`) as vertices of a "
        "graph with an edge between any two cells that $touch. Return from `$name(rows)` the sizes of the connected "
        "components in non-decreasing order. An empty list or a grid of dots gives an empty list.",
    ),
    gold=_ISLANDS_GOLD,
    inputs=_islands_inputs,
    edges=lambda params: (([],), (["#.", ".#"],), (["#.#.##"],)),
    params=lambda random: random.choice(_TOUCHES),
    wrong=(
        _ISLANDS_GOLD.replace("$moves", "$other"),
        _ISLANDS_GOLD.replace("sorted(sizes)", "sorted(set(sizes))"),
        """\
def $name(rows):
    return sorted(len(part) for row in rows for part in row.split(".") if part)
""",
    ),
)


def _board_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    columns = random.randint(3, 6)
    return (["".join(random.choices("XXXO.", k=columns)) for _ in range(random.randint(3, 6))],)


_LINES_GOLD = """\
def $name(board):
    count = 0
    for r in range(len(board)):
        for c in range(len(board[0])):
            for down, right in [(0, 1), (1, 0), (1, 1), (1, -1)]:
                spots = [(r + i * down, c + i * right) for i in range($run)]
                y, x = spots[-1]
                if y < len(board) and 0 <= x < len(board[0]):
                    count += all(board[y][x] == "X" for y, x in spots)
    return count
"""

_LINES = Family(
    key="count_lines",
    topic="logic",
    difficulty="hard",
    signature="board",
    names=("count_lines", "rows_of_x", "winning_lines", "streaks_on_board"),
    statements=(
        "Write `$name(board)` that counts the lines of exactly $run adjacent `X` marks on a game board. The board is a "
        "non-empty list of equally long non-empty strings of `X`, `O` and `.`. A line is horizontal, vertical or "
        "diagonal in either direction; lines may overlap, so a longer streak contains several.",
        "On a rectangular board (list of strings of the same length, at least one cell, characters `X`, `O` and `.`) "
        "look at all straight segments of $run neighbouring cells: along rows, along columns and along both "
        "diagonals. Define `$name(board)` returning how many of them consist of `X` only. Overlapping segments all "
        "count, each once whichever end it is read from.",
        "Implement `$name(board)`: the number of ways to place a stick of length $run on the board so that it covers "
        "only cells marked `X`. The stick can lie horizontally, vertically or along either diagonal direction; turning "
        "it end for end is the same placement. Rows are strings of equal length; the result is an int.",
        "For a tic-tac-toe-like game won by $run in a row, count the winning lines of player X. `board` is a "
        "non-empty list of equally long strings using `X`, `O` and `.` (free). `$name(board)` returns the number of "
        "windows of $run consecutive cells, in a row, a column or a diagonal of either slope, that are all `X`. A "
        "streak longer than $run has several windows.",
        "Count sets of $run cells that are consecutive along a row, a column, a falling diagonal or a rising diagonal "
        "of `board` and all contain the letter X. `board` is given as a list of strings of equal positive length made "
        "of X, O and dots. `$name(board)` returns the count as an int, with overlapping sets counted separately.",
    ),
    gold=_LINES_GOLD,
    inputs=_board_inputs,
    edges=lambda params: ((["XXXX", "XXXX", "XXXX", "XXXX"],), (["..X", ".X.", "X.."],), (["O"],)),
    params=lambda random: {"run": random.choice((2, 3, 3))},
    wrong=(
        _LINES_GOLD.replace(", (1, -1)", ""),
        _LINES_GOLD.replace("and 0 <= x <", "and x <"),
        """\
def $name(board):
    lines = list(board) + ["".join(column) for column in zip(*board)]
    return sum(line[i : i + $run] == "X" * $run for line in lines for i in range(len(line)))
""",
    ),
)


def _leaper_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    size = random.randint(5, 8)
    start, goal = ((random.randrange(size), random.randrange(size)) for _ in range(2))
    return size, start, goal


_LEAPER_GOLD = """\
def $name(size, start, goal):
    jumps = [(r, c) for r in ($a, -$a) for c in ($b, -$b)]
    jumps += [(c, r) for r, c in jumps]
    moves = {start: 0}
    queue = [start]
    for row, column in queue:
        for down, right in jumps:
            spot = (row + down, column + right)
            if spot not in moves and 0 <= spot[0] < size and 0 <= spot[1] < size:
                moves[spot] = moves[(row, column)] + 1
                queue.append(spot)
    return moves.get(goal, -1)
"""

_LEAPER = Family(
    key="leaper_moves",
    topic="graphs",
    difficulty="hard",
    signature="size, start, goal",
    names=("leaper_moves", "jumps_needed", "piece_distance", "board_hops"),
    statements=(
        "Write `$name(size, start, goal)` for a chess piece that jumps $a squares along one axis and $b squares along "
        "the other, in any of the up to eight ways. On a `size` by `size` board, return the fewest jumps from `start` "
        "to `goal`, both tuples `(row, column)` counted from 0; the piece must stay on the board. Return 0 if they are "
        "equal and -1 if the goal cannot be reached.",
        "A leaper moves by ($a, $b): $a rows and $b columns, or $b rows and $a columns, each in either direction. "
        "Define `$name(size, start, goal)` giving the minimum number of its moves between two squares `(row, column)` "
        "of a square board with rows and columns 0 to size - 1, without ever leaving the board. Unreachable squares "
        "give -1.",
        "Implement `$name(size, start, goal)`. On a board with `size` rows and `size` columns (0-based), one move "
        "changes one coordinate by exactly $a and the other by exactly $b, with free choice of signs. How many moves "
        "does it take at least from the tuple `start` to the tuple `goal`, staying inside all the time? -1 if it "
        "cannot be done, 0 if no move is needed.",
        "I am making a game with a piece like a knight, except that its jump is $a by $b. Please write "
        "`$name(size, start, goal)` that returns the smallest number of jumps for it to get from one (row, column) "
        "tuple to another on a size-by-size board whose indices start at 0, never landing outside, or -1 if it never "
        "gets there.",
        "Consider the graph whose nodes are the cells (r, c) with 0 <= r, c < size, joined whenever their rows differ "
        "by $a and their columns by $b or the other way round. `$name(size, start, goal)` returns the number of edges "
        "on a shortest path between two given cells (tuples of ints), which is 0 for equal cells, and -1 where no path "
        "exists.",
    ),
    gold=_LEAPER_GOLD,
    inputs=_leaper_inputs,
    edges=lambda params: ((5, (0, 0), (0, 0)), (4, (0, 0), (3, 3)), (3, (1, 1), (0, 0)), (3, (0, 0), (0, 1))),
    params=lambda random: dict(zip(("a", "b"), random.choice(((1, 2), (1, 3), (2, 3), (1, 1))), strict=True)),
    wrong=(
        _LEAPER_GOLD.replace("    jumps += [(c, r) for r, c in jumps]\n", "")
        .replace("($a, -$a)", "($a,)")
        .replace("($b, -$b)", "($b,)"),
        _LEAPER_GOLD.replace("0 <= spot[0] < size and 0 <= spot[1] < size", "max(map(abs, spot)) <= 2 * size").replace(
            "moves.get(goal, -1)", "moves.get(goal, 0)"
        ),
    ),
)


FAMILIES: tuple[Family, ...] = (
    _MAZE_PATHS,
    _PATH_SUM,
    _LARGEST_SQUARE,
    _PAINT,
    _ISLANDS,
    _LINES,
    _LEAPER,
)
