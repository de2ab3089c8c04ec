"""Hard families over matrices: orders of their cells, algebra, a cellular automaton."""

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


_LIFE_RULES = (
    {"birth": "[3]", "survive": "[2, 3]"},
    {"birth": "[2]", "survive": "[1, 2]"},
    {"birth": "[3, 6]", "survive": "[2, 3]"},
    {"birth": "[2, 4]", "survive": "[3, 4]"},
)

_LIFE_GOLD = """\
def $name(cells):
    rows, columns = len(cells), len(cells[0])
    result = []
    for r in range(rows):
        line = []
        for c in range(columns):
            around = -cells[r][c]
            for y in range(max(0, r - 1), min(rows, r + 2)):
                around += sum(cells[y][max(0, c - 1) : c + 2])
            alive = around in ($survive if cells[r][c] else $birth)
            line.append(int(alive))
        result.append(line)
    return result
"""

_LIFE_STEP = Family(
    key="life_step",
    topic="matrices",
    difficulty="hard",
    signature="cells",
    names=("life_step", "next_generation", "evolve", "advance_colony"),
    statements=(
        "Write `$name(cells)` that computes one step of a cellular automaton. `cells` is a non-empty rectangular list "
        "of lists of 0 (dead) and 1 (alive). A dead cell becomes alive if its number of living neighbours is in "
        "$birth; a living cell stays alive if that number is in $survive; all other cells are dead afterwards. The up "
        "to eight horizontally, vertically and diagonally adjacent cells are neighbours. Return a new grid.",
        "Simulate one generation of a Game of Life variant with `$name(cells)`. For every cell of the rectangular "
        "0/1 matrix count the ones among the up to 8 surrounding cells (cells beyond the border do not exist). The new "
        "value is 1 when the cell was 0 and the count is one of $birth, or the cell was 1 and the count is one of "
        "$survive; otherwise 0. Return the new matrix as a list of lists of ints, all cells changing at once.",
        "Implement `$name(cells)`, where `cells` is a non-empty grid (list of equally long rows) of ints 0 and 1. "
        "Every cell looks at its neighbours, diagonal ones included and never outside the grid. Births happen with "
        "neighbour counts $birth, survival needs a neighbour count in $survive. Return the grid one step later, "
        "computed from the old grid only, without changing the argument.",
        "I simulate bacteria on a plate given as rows of 0 and 1. In one tick an empty spot (0) is filled if the "
        "number of occupied spots among the eight around it is in $birth, and an occupied spot (1) stays occupied only "
        "if that number is in $survive. Spots outside the plate count as empty, and all spots update together. "
        "`$name(cells)` returns the plate after one tick as a list of lists of ints.",
        "Given a matrix of zeros and ones with at least one cell, build the matrix of the same size whose entry is 1 "
        "exactly when (a) the old entry is 1 and its count of ones in the 8-neighbourhood belongs to $survive, or (b) "
        "the old entry is 0 and that count belongs to $birth. The neighbourhood is cut off at the edges and leaves "
        "out the entry itself. `$name(cells)` returns a list of lists of ints.",
    ),
    gold=_LIFE_GOLD,
    inputs=lambda random, params: (_grid(random, 0, 1, 3),),
    edges=lambda params: (([[1, 1, 0], [1, 0, 1]],), ([[1]],)),
    params=lambda random: random.choice(_LIFE_RULES),
    wrong=(
        _LIFE_GOLD.replace("-cells[r][c]", "0"),
        """\
def $name(cells):
    rows, columns = len(cells), len(cells[0])
    result = []
    for r in range(rows):
        line = []
        for c in range(columns):
            spots = [(r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)]
            around = sum(cells[y][x] for y, x in spots if 0 <= y < rows and 0 <= x < columns)
            line.append(int(around in ($survive if cells[r][c] else $birth)))
        result.append(line)
    return result
""",
    ),
)


_SPIRAL_GOLD = """\
def $name(matrix):
    top, bottom = 0, len(matrix) - 1
    left, right = 0, len(matrix[0]) - 1
    order = []
    while top <= bottom and left <= right:
        order += matrix[top][left : right + 1]
        order += [matrix[r][right] for r in range(top + 1, bottom + 1)]
        if top < bottom and left < right:
            order += [matrix[bottom][c] for c in range(right - 1, left, -1)]
            order += [matrix[r][left] for r in range(bottom, top, -1)]
        elif top < bottom:
            break
        top, bottom, left, right = top + 1, bottom - 1, left + 1, right - 1
    return order$order
"""

_SPIRAL = Family(
    key="spiral_order",
    topic="matrices",
    difficulty="hard",
    signature="matrix",
    names=("spiral_order", "read_spiral", "coil", "snail_walk"),
    statements=(
        "Write `$name(matrix)` that lists the values of a matrix in spiral order: start in the top-left corner, go "
        "right along the first row, down the last column, left along the last row, up the first column, and so on "
        "inwards until every cell was visited once. $what `matrix` is a non-empty list of equally long non-empty "
        "lists of ints.",
        "A rectangular matrix of ints (list of rows, at least one cell) is walked clockwise from its upper left "
        "corner, along the border first and then along each inner ring in the same manner, until all cells are seen. "
        "Define `$name(matrix)`. $what",
        "Implement `$name(matrix)` for a rectangular list of lists of ints with at least one element. Peel the matrix: "
        "first row left to right, then the rest of the right column downwards, the rest of the bottom row right to "
        "left, the rest of the left column upwards; continue with what remains inside. $what",
        "I want to read a table of ints the way a snail crawls: along the outer edge clockwise, beginning at row 0, "
        "column 0 and heading right, then one layer further in, and so on to the middle. The table is a non-empty list "
        "of rows of one positive length, `$name(matrix)` gives a flat list. $what",
        "For an m-by-n matrix, m and n at least 1, given as a list of rows of ints, consider the clockwise inward "
        "spiral that begins at entry (0, 0) and first moves to the right; it visits each entry exactly once. $what "
        "Call the function `$name(matrix)`.",
    ),
    gold=_SPIRAL_GOLD,
    inputs=lambda random, params: (_grid(random, 0, 99, 2),),
    edges=lambda params: (([[5, 6, 7]],), ([[1], [2], [3]],)),
    params=lambda random: random.choice(
        (
            {"order": "", "reverse": "[::-1]", "what": "Return a list of the values in the order of the walk."},
            {
                "order": "[::-1]",
                "reverse": "",
                "what": "Return a list of the values in the opposite order, the last visited value first.",
            },
        )
    ),
    wrong=(
        _SPIRAL_GOLD.replace("order$order", "order$reverse"),
        """\
def $name(matrix):
    order = []
    for r, row in enumerate(matrix):
        order += row[::-1] if r % 2 else row
    return order$order
""",
        """\
def $name(matrix):
    order = list(matrix[0])
    order += [row[-1] for row in matrix[1:]]
    order += matrix[-1][-2::-1]
    order += [row[0] for row in matrix[-2:0:-1]]
    return order$order
""",
    ),
)


_ZIGZAG_GOLD = """\
def $name(matrix):
    rows, columns = len(matrix), len(matrix[0])
    order = []
    for total in range(rows + columns - 1):
        line = []
        for r in range(rows):
            if 0 <= total - r < columns:
                line.append(matrix[r][total - r])
        if total % 2 == $parity:
            line.reverse()
        order.extend(line)
    return order
"""

_ZIGZAG = Family(
    key="zigzag_diagonals",
    topic="matrices",
    difficulty="hard",
    signature="matrix",
    names=("zigzag_diagonals", "zigzag_scan", "diagonal_order", "weave_diagonals"),
    statements=(
        "Write `$name(matrix)` that returns the values of a matrix (non-empty list of equally long non-empty lists of "
        "ints) diagonal by diagonal. Diagonal d holds the cells with row + column == d, for d = 0, 1, 2, ... Even "
        "diagonals (d = 0, 2, ...) are read $even, odd ones $odd.",
        "Scan a rectangular matrix of ints in a zigzag. Its anti-diagonals are taken in order of row index plus column "
        "index, beginning at the top-left cell; those where this sum is odd are read $odd and those where it is even "
        "are read $even. Define `$name(matrix)` returning one flat list; the matrix has at least one cell.",
        "Implement `$name(matrix)`: flatten a non-empty list of rows of equal length into one list by walking along "
        "the slanted lines on which row + column is constant, smallest sum first. The direction alternates: $even "
        "for the sums 0, 2, 4, ... and $odd for the sums 1, 3, 5, ...",
        "As in image compression, I need the entries of a table in zigzag order. The entries with "
        "row + column = 0 come first, then those with 1, then 2 and so on; within an even sum go $even, within an odd "
        "sum go $odd. `$name(matrix)` takes a non-empty rectangular list of lists of ints and returns a list of ints.",
        "Read a table of ints along its anti-diagonals (lines of cells whose row and column numbers have the same "
        "sum, counting both from 0). Odd sums are traversed $odd, even sums $even, in increasing order of the sum. "
        "`$name(matrix)` returns everything in a single list, for any rectangular table with at least one cell.",
    ),
    gold=_ZIGZAG_GOLD,
    inputs=lambda random, params: (_grid(random, 0, 99, 2),),
    edges=lambda params: (([[4, 7, 1]],), ([[1, 2, 3], [4, 5, 6]],)),
    params=lambda random: random.choice(
        (
            {"parity": 0, "other": 1, "even": "from bottom-left to top-right", "odd": "from top-right to bottom-left"},
            {"parity": 1, "other": 0, "even": "from top-right to bottom-left", "odd": "from bottom-left to top-right"},
        )
    ),
    wrong=(
        _ZIGZAG_GOLD.replace("$parity", "$other"),
        _ZIGZAG_GOLD.replace("total % 2 == $parity", "$parity"),
    ),
)


_RING_GOLD = """\
def $name(matrix, steps):
    rows, columns = len(matrix), len(matrix[0])
    ring = [(0, c) for c in range(columns)]
    ring += [(r, columns - 1) for r in range(1, rows)]
    ring += [(rows - 1, c) for c in range(columns - 2, -1, -1)]
    ring += [(r, 0) for r in range(rows - 2, 0, -1)]
    result = [list(row) for row in matrix]
    for i, (r, c) in enumerate(ring):
        y, x = ring[(i $sign steps) % len(ring)]
        result[y][x] = matrix[r][c]
    return result
"""

_RING = Family(
    key="turn_border",
    topic="matrices",
    difficulty="hard",
    signature="matrix, steps",
    names=("turn_border", "rotate_ring", "shift_frame", "move_outline"),
    statements=(
        "Write `$name(matrix, steps)` that returns a new matrix in which the values on the outer border have moved "
        "$way along the border by `steps` cells, while all inner values stay. `matrix` is a list of at least two "
        "equally long rows with at least two ints each, and `steps` is a non-negative int that may exceed the border's "
        "length.",
        "Picture the first and last row and the first and last column of a matrix as a closed belt. Define "
        "`$name(matrix, steps)`: turn the belt $way by `steps` positions (an int >= 0, going around several times if "
        "large) and return the resulting matrix as a new list of lists. Cells off the belt are unchanged; there are at "
        "least 2 rows and 2 columns of ints.",
        "Implement `$name(matrix, steps)`. Every border cell's int is carried `steps` cells further $way around the "
        "border, and the interior is copied as it is. The argument, a rectangular list of lists with two or more rows "
        "and columns, must not be modified; `steps` is any non-negative int.",
        "I need the frame of a picture to rotate. Given `matrix` (rows of ints, equal lengths, no fewer than 2 rows "
        "and 2 columns) and a non-negative int, `$name(matrix, steps)` returns a copy where the outermost ring of "
        "values is shifted $way by that many cells, wrapping around, and everything inside the ring keeps its place.",
        "Let the border of a matrix be the ring of cells in its first row, last row, first column or last column. "
        "`$name(matrix, steps)` moves the value of each ring cell to the ring cell `steps` places later in $way "
        "order, leaves other cells alone, and returns the new list of lists of ints. Both dimensions are at least 2 "
        "and `steps` >= 0 may be larger than the ring.",
    ),
    gold=_RING_GOLD,
    inputs=lambda random, params: (_grid(random, 0, 99, 2), random.randint(1, 25)),
    edges=lambda params: (([[1, 2], [3, 4]], 1), ([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 0)),
    params=lambda random: random.choice(
        ({"way": "clockwise", "sign": "+", "other": "-"}, {"way": "counter-clockwise", "sign": "-", "other": "+"})
    ),
    wrong=(
        _RING_GOLD.replace("$sign", "$other"),
        _RING_GOLD.replace("range(columns - 2, -1, -1)", "range(columns - 1, -1, -1)"),
    ),
)


def _power_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    size = random.randint(2, 3)
    return [ints(random, size, size, 0, 9) for _ in range(size)], random.randint(2, 40)


_POWER_GOLD = """\
def $name(matrix, exponent):
    size = len(matrix)
    result = [[int(r == c) for c in range(size)] for r in range(size)]
    for _ in range(exponent):
        product = []
        for row in result:
            line = []
            for c in range(size):
                line.append(sum(row[k] * matrix[k][c] for k in range(size)) % $modulus)
            product.append(line)
        result = product
    return result
"""

_MATRIX_POWER = Family(
    key="matrix_power",
    topic="matrices",
    difficulty="hard",
    signature="matrix, exponent",
    names=("matrix_power", "power_mod", "repeat_product", "raise_matrix"),
    statements=(
        "Write `$name(matrix, exponent)` that raises a square matrix of non-negative ints to the power `exponent` (an "
        "int of at least 0) by matrix multiplication and returns the result with every entry reduced modulo $modulus, "
        "as a list of lists. The power 0 is the identity matrix.",
        "Given a non-empty n-by-n list of lists of ints >= 0 and an exponent >= 0, define `$name(matrix, exponent)` to "
        "return the product of `exponent` copies of the matrix, entries taken modulo $modulus. For exponent 0 return "
        "the matrix with 1 on the main diagonal and 0 elsewhere.",
        "Implement `$name(matrix, exponent)`: multiply the square matrix (rows of non-negative ints) with itself so "
        "that it occurs `exponent` times as a factor, in the sense of linear algebra and not entry by entry. Give each "
        "entry of the result as its remainder modulo $modulus. An empty product is the identity matrix.",
        "I count walks of a given length in a weighted graph modulo $modulus. Please write `$name(matrix, exponent)`, "
        "which takes the square adjacency matrix as a list of rows of non-negative ints and the length as an int >= 0, "
        "and returns the matrix power with all entries in the range from 0 to $modulus - 1. Length 0 gives the "
        "identity matrix.",
        "Compute M to the n-th for a square integer matrix M over the integers modulo $modulus. "
        "`$name(matrix, exponent)` receives M as a non-empty list of equally long rows of ints >= 0 together with "
        "n >= 0 and returns a new list of lists of ints below $modulus; with n = 0 the result is the identity.",
    ),
    gold=_POWER_GOLD,
    inputs=_power_inputs,
    edges=lambda params: (([[2, 3], [4, 5]], 0), ([[1, 1], [1, 0]], 30)),
    params=lambda random: {"modulus": random.choice((7, 10, 97, 100, 1000, 1009))},
    wrong=(
        """\
def $name(matrix, exponent):
    return [[pow(value, exponent, $modulus) for value in row] for row in matrix]
""",
        _POWER_GOLD.replace("range(exponent)", "range(exponent - 1)"),
        _POWER_GOLD.replace("matrix[k][c]", "matrix[c][k]"),
    ),
)


_DETERMINANT_GOLD = """\
def $name(matrix):
    if len(matrix) == 1:
        return matrix[0][0]
    total = 0
    for c, factor in enumerate(matrix[0]):
        minor = [row[:c] + row[c + 1 :] for row in matrix[1:]]
        sign = -1 if c % 2 else 1
        total += sign * factor * $name(minor)
    return total
"""


def _determinant_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    size = random.choice((2, 3, 3, 4))
    return ([ints(random, size, size, -6, 9) for _ in range(size)],)


_DETERMINANT = Family(
    key="determinant",
    topic="recursion",
    difficulty="hard",
    signature="matrix",
    names=("determinant", "det", "int_determinant", "volume_factor"),
    statements=(
        "Write `$name(matrix)` that returns the determinant of a square matrix, given as a non-empty list of rows of "
        "ints, as an exact int. The matrix has between one and five rows; do not use floating point, because the "
        "result is compared exactly.",
        "Compute determinants without any library. `$name(matrix)` takes an n-by-n list of lists of ints with n from 1 "
        "to 5 and returns its determinant as an int. For n = 1 it is the single entry; a larger one can be expanded "
        "along its first row with alternating signs, starting with plus.",
        "Implement `$name(matrix)` recursively: the determinant of a 1-by-1 matrix is its entry, and otherwise it is "
        "the sum over columns c of (-1)**c * matrix[0][c] times the determinant of the matrix without row 0 and "
        "without column c. Entries are ints, the matrix is square with one to five rows, and an int is returned.",
        "For small square integer matrices (1 to 5 rows, a list of lists of ints) I need the exact determinant as an "
        "int, so no floats please. Call the function `$name(matrix)` and leave its argument unchanged.",
        "The signed volume of the parallelepiped spanned by the rows of a square matrix is its determinant. Let "
        "`$name(matrix)` return it as an exact int for a list of n rows of n ints, where n is at least 1 and at most "
        "5. Singular matrices give 0, and swapping two rows flips the sign.",
    ),
    gold=_DETERMINANT_GOLD,
    inputs=_determinant_inputs,
    edges=lambda params: (([[-5]],), ([[0, 1], [1, 0]],), ([[1, 2, 3], [2, 4, 6], [0, 1, 1]],)),
    wrong=(
        _DETERMINANT_GOLD.replace("-1 if c % 2 else 1", "1"),
        """\
def $name(matrix):
    forward = backward = 1
    for i, row in enumerate(matrix):
        forward *= row[i]
        backward *= row[-1 - i]
    return forward - backward
""",
    ),
)


FAMILIES: tuple[Family, ...] = (
    _LIFE_STEP,
    _SPIRAL,
    _ZIGZAG,
    _RING,
    _MATRIX_POWER,
    _DETERMINANT,
)
