"""Random programs of the subset that `verigrad.sandbox.proofs` reads, and what Python says they do."""

import random

__all__ = ["RAISED", "REJECTED", "outcome", "random_program"]

RAISED, REJECTED = "raised", "rejected"


def outcome(source, arguments):
    """What Python gives for `f(*arguments)`: the value with its type, or that it raised, or that an assert failed."""
    names = {}
    exec(source, names)
    try:
        value = names["f"](*arguments)
    except AssertionError:
        return REJECTED
    except Exception:
        return RAISED
    return type(value), value


class random_program:
    """`str(random_program(seed))`: a helper `g(p, q)`, a constant `K`, and `f(x, y, b)`; x and y are ints, b a bool."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines = [f"K = {self.random.randint(-3, 3)}"]
        self.function("g", ["p", "q"], ["p", "q", "u"], helper=False)
        self.function("f", ["x", "y", "b"], ["x", "y", "b", "u", "v"], helper=True)

    def __str__(self):
        return "\n".join(self.lines) + "\n"

    def function(self, name, parameters, names, helper):
        self.names, self.helper = names, helper
        self.lines.append(f"def {name}({', '.join(parameters)}):")
        bound = [name for name in names if name not in parameters and self.random.random() < 0.95]
        self.lines += [f"    {name} = {self.random.choice([*parameters, '1'])}" for name in bound]
        self.block(1, 3, loop=False)
        if self.random.random() < 0.95:
            self.lines.append(
                f"    return {self.random.choice(['', 'x + ', '2 * ', 'y - ']) if helper else ''}{self.expression(3)}"
            )

    def block(self, indent, depth, loop):
        for _ in range(self.random.randint(1, 4)):
            self.statement(indent, depth, loop)

    def statement(self, indent, depth, loop):
        pick, space = self.random.random(), "    " * indent
        if pick < 0.3 or depth == 0:
            self.lines.append(f"{space}{self.name()} = {self.expression(3)}")
        elif pick < 0.4:
            self.lines.append(
                f"{space}{self.name()} {self.random.choice(['+=', '-=', '*=', '//= 2 +', '%='])} {self.expression(2)}"
            )
        elif pick < 0.47:
            self.lines.append(f"{space}{self.name()}, {self.name()} = {self.expression(2)}, {self.expression(2)}")
        elif pick < 0.5:
            self.lines.append(f"{space}{self.name()} = {self.name()} = {self.expression(2)}")
        elif pick < 0.7:
            self.lines.append(f"{space}if {self.expression(3)}:")
            self.block(indent + 1, depth - 1, loop)
            if self.random.random() < 0.5:
                self.lines.append(f"{space}else:")
                self.block(indent + 1, depth - 1, loop)
        elif pick < 0.82:
            bounds = ", ".join(str(self.random.randint(-2, 4)) for _ in range(self.random.randint(1, 2)))
            self.lines.append(f"{space}for {self.name()} in range({bounds}):")
            self.block(indent + 1, depth - 1, True)
            if self.random.random() < 0.3:
                self.lines.append(f"{space}else:")
                self.block(indent + 1, depth - 1, False)
        elif pick < 0.86 and indent > 1:
            self.lines.append(f"{space}return {self.expression(2) if self.random.random() < 0.9 else ''}")
        elif pick < 0.88:
            self.lines.append(f"{space}assert {self.expression(1)} > -5")
        elif pick < 0.9 and indent > 2:
            self.lines.append(f"{space}raise ValueError")
        elif loop:
            self.lines.append(space + self.random.choice(["break", "continue"]))
        else:
            self.lines.append(f"{space}pass")

    def name(self):
        return self.random.choice(self.names)

    def expression(self, depth):
        choose, pick = self.random.choice, self.random.random()
        if depth == 0 or pick < 0.2:
            leaves = [
                self.name(),
                self.name(),
                self.name(),
                self.name(),
                str(self.random.randint(1, 9)),
                "K",
                "True",
                "-2",
            ]
            return choose(leaves) if self.random.random() < 0.995 else "None"
        inner = [self.expression(depth - 1) for _ in range(3)]
        if pick < 0.5:
            if self.random.random() < 0.2:
                return f"({inner[0]} {choose(['//', '%'])} {choose([inner[1], '3', '-4', '(K * 2 + 1)', '7'])})"
            return f"({inner[0]} {choose(['+', '-', '*', '+', '-'])} {inner[1]})"
        if pick < 0.63:
            return f"({inner[0]} {choose(['<', '<=', '==', '!=', '>', '>='])} {inner[1]})"
        if pick < 0.68:
            return f"({inner[0]} {choose(['<', '==', '>='])} {inner[1]} {choose(['<=', '!='])} {inner[2]})"
        if pick < 0.78:
            return f"({inner[0]} {choose(['and', 'or'])} {inner[1]})"
        if pick < 0.84:
            return f"({inner[0]} if {inner[1]} else {inner[2]})"
        if pick < 0.9:
            return choose([f"(-{inner[0]})", f"(not {inner[0]})", f"({inner[0]} ** {choose([0, 1, 2, 3])})"])
        if pick < 0.93:
            return f"({inner[0]} is{choose(['', ' not'])} None)"
        if pick < 0.98 or not self.helper:
            return choose(
                [
                    f"abs({inner[0]})",
                    f"min({inner[0]}, {inner[1]})",
                    f"max({', '.join(inner)})",
                    f"bool({inner[0]})",
                    f"int({inner[0]})",
                ]
            )
        return f"g({inner[0]}, {inner[1]})"
