"""Hard families over graphs: shortest paths, components, orders, spanning trees."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from string import ascii_lowercase
from typing import Any

from verigrad.tasks.builtin.family import Family

__all__ = ["FAMILIES"]


def _graph(random: Random, low: int, high: int, degree: float) -> dict[str, list[str]]:
    """A directed graph in which a node has about `degree` successors, in no particular order."""
    nodes = random.sample(ascii_lowercase, random.randint(low, high))
    graph = {}
    for node in nodes:
        others = [other for other in nodes if other != node and random.random() < degree / len(nodes)]
        graph[node] = random.sample(others, len(others))
    return graph


def _links(random: Random, nodes: int, count: int) -> list[tuple[int, int]]:
    """Distinct undirected edges between different nodes 0 .. nodes - 1, either end first."""
    pairs = [(a, b) for a in range(nodes) for b in range(a)]
    chosen = random.sample(pairs, min(count, len(pairs)))
    return [pair if random.random() < 0.5 else pair[::-1] for pair in chosen]


def _fewest_steps_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    graph = _graph(random, 5, 9, 2.2)
    start, goal = random.sample(sorted(graph), 2)
    return graph, start, goal


_FEWEST_STEPS_GOLD = """\
def $name(graph, start, goal):
    steps = {start: 0}
    queue = [start]
    for node in queue:
        for other in graph[node]:
            if other not in steps:
                steps[other] = steps[node] + 1
                queue.append(other)
    return steps.get(goal, -1)
"""

_FEWEST_STEPS = Family(
    key="fewest_steps",
    topic="graphs",
    difficulty="hard",
    signature="graph, start, goal",
    names=("fewest_steps", "shortest_path_length", "hop_distance", "link_distance"),
    statements=(
        "Write `$name(graph, start, goal)` that returns the number of edges on a shortest path from `start` to `goal` "
        "in a directed graph, or -1 if there is no path. The graph is a dict from node name (str) to the list of nodes "
        "its edges lead to; every node is a key. If `start` equals `goal`, return 0.",
        "A dict maps each web page (a string) to the list of pages it links to; each page that occurs is a key. Define "
        "`$name(graph, start, goal)`: how many clicks are needed at least to get from page `start` to page `goal`? "
        "It is 0 when they are the same page and -1 when `goal` cannot be reached.",
        "Implement `$name(graph, start, goal)` by breadth-first search. `graph[v]` lists the successors of node v "
        "(strings; all nodes are keys of the dict; edges go one way only). Return the minimum number of steps to move "
        "from `start` to `goal`, 0 if they coincide, -1 if it is impossible.",
        "In our bus network every stop is a key of a dict whose value is the list of stops reachable by one direct "
        "ride, and rides cannot be taken backwards. Please write `$name(graph, start, goal)` giving the smallest "
        "number of rides from stop `start` to stop `goal` as an int; -1 means unreachable, and being there already "
        "takes 0 rides.",
        "What is the directed distance between two nodes? The graph comes as an adjacency dict (str to list of str, "
        "every node present as a key, possibly with an empty list). `$name(graph, start, goal)` counts the edges of "
        "the shortest route along the edge directions and returns -1 when no route exists. The distance from a node to "
        "itself is 0.",
    ),
    gold=_FEWEST_STEPS_GOLD,
    inputs=_fewest_steps_inputs,
    edges=lambda params: (
        ({"a": ["b"], "b": []}, "b", "a"),
        ({"a": ["b", "d"], "b": ["c"], "c": ["d"], "d": []}, "a", "d"),
        ({"x": ["x"]}, "x", "x"),
    ),
    wrong=(
        """\
def $name(graph, start, goal):
    stack, seen = [(start, 0)], {start}
    while stack:
        node, steps = stack.pop(0)
        if node == goal:
            return steps
        for other in graph[node]:
            if other not in seen:
                seen.add(other)
                stack.insert(0, (other, steps + 1))
    return 0
""",
        """\
def $name(graph, start, goal, seen=()):
    if start == goal:
        return len(seen)
    for other in graph[start]:
        if other not in seen and other != start:
            found = $name(graph, other, goal, seen + (start,))
            if found >= 0:
                return found
    return -1
""",
        _FEWEST_STEPS_GOLD.replace("{start: 0}", "{start: 1}"),
    ),
)


def _groups_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    nodes = random.randint(5, 10)
    return nodes, _links(random, nodes, random.randint(2, nodes - 1))


_GROUPS_GOLD = """\
def $name(n, friendships):
    group = list(range(n))
    for a, b in friendships:
        old, new = group[a], group[b]
        group = [new if label == old else label for label in group]
    sizes = [group.count(label) for label in set(group)]
    return sorted(sizes, reverse=True)
"""

_GROUP_SIZES = Family(
    key="component_sizes",
    topic="graphs",
    difficulty="hard",
    signature="n, friendships",
    names=("component_sizes", "group_sizes", "circle_sizes", "crowd_sizes"),
    statements=(
        "Write `$name(n, friendships)`. The people 0 to n - 1 (n is an int >= 0) have mutual friendships, a list of "
        "tuples `(a, b)` of different people. People linked by a chain of friendships are in one group, and somebody "
        "without friends is a group of one. Return the list of group sizes in descending order.",
        "An undirected graph has the nodes 0, 1, ..., n - 1 and the edges given as a list of pairs of distinct nodes. "
        "Define `$name(n, friendships)` that returns the numbers of nodes of its connected components, sorted from "
        "largest to smallest, isolated nodes included. With n = 0 the list is empty.",
        "Implement `$name(n, friendships)`: `friendships` holds pairs (tuples) of different ints from range(n), each "
        "joining two people. Joining is symmetric and passes on. Return how large the resulting clusters are, as a "
        "list of ints in non-increasing order whose sum is n.",
        "I have n computers numbered from 0 and a list of cables, each a tuple of the two different computers it "
        "connects. Computers that can exchange messages, directly or over others, form a network; an unconnected "
        "computer is a network by itself. Give me `$name(n, friendships)`, the sizes of all networks, biggest first "
        "(an empty list when n is 0).",
        "Partition range(n) into classes such that two numbers are in the "
        "same class exactly if a chain of the given pairs links them. `$name(n, friendships)` receives n >= 0 and the "
        "list of pairs (tuples of two different numbers, order meaningless) and returns the class sizes as a list "
        "sorted in descending order.",
    ),
    gold=_GROUPS_GOLD,
    inputs=_groups_inputs,
    edges=lambda params: ((0, []), (4, [(2, 1), (3, 2)])),
    wrong=(
        _GROUPS_GOLD.replace(", reverse=True", ""),
        """\
def $name(n, friendships):
    sizes = []
    seen = set()
    for person in range(n):
        if person not in seen:
            circle = {person}
            for a, b in friendships:
                if person in (a, b):
                    circle |= {a, b}
            seen |= circle
            sizes.append(len(circle))
    return sorted(sizes, reverse=True)
""",
        _GROUPS_GOLD.replace("in set(group)", "in {group[person] for pair in friendships for person in pair}"),
    ),
)


def _order_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    tasks = random.sample(ascii_lowercase, random.randint(4, 8))
    needs = {}
    for i, task in enumerate(tasks):
        needs[task] = [other for other in tasks[:i] if random.random() < 0.3]
    if random.random() < 0.2:
        needs[tasks[0]].append(tasks[-1])
        needs[tasks[-1]].append(tasks[0])
    return ({task: needs[task] for task in sorted(tasks, key=lambda task: random.random())},)


_ORDER_GOLD = """\
def $name(needs):
    order = []
    while len(order) < len(needs):
        ready = []
        for task, before in needs.items():
            if task not in order and all(other in order for other in before):
                ready.append(task)
        if not ready:
            return []
        order.append($pick(ready))
    return order
"""

_TASK_ORDER = Family(
    key="task_order",
    topic="graphs",
    difficulty="hard",
    signature="needs",
    names=("task_order", "schedule", "topological_order", "plan_steps"),
    statements=(
        "Write `$name(needs)` that puts tasks into an order in which every task comes after all tasks it depends on. "
        "`needs` is a dict from task name (str) to the list of tasks that must be done before it; every task is a key. "
        "At each point, among the tasks that could be done next, take the alphabetically $rank. Return the list of "
        "names, or `[]` if circular dependencies make an order impossible.",
        "Topological sorting with a tie rule: the dict `needs` maps each task to its prerequisites (all of them keys "
        "too). Define `$name(needs)` returning all tasks as a list, built one by one: of all unfinished tasks whose "
        "prerequisites are finished, the alphabetically $rank name is appended. If you get stuck before all tasks are "
        "placed, return an empty list.",
        "Implement `$name(needs)`. While tasks are left, do the alphabetically $rank one that has no undone "
        "prerequisite. `needs[task]` is the list of prerequisite names of that task (strings; each is itself a key of "
        "the dict). Return the order as a list of strings; a dependency cycle anywhere makes the whole result `[]`.",
        "My build system has modules as dict keys and, as values, lists of the modules that have to be compiled "
        "first; every module is a key. `$name(needs)` should return the compile order as a list in which, whenever "
        "several modules are ready, the one whose name is alphabetically $rank is compiled next. Return the empty list "
        "for an empty dict and also when modules wait for each other in a circle.",
        "Courses have requirements: `needs` maps the name of each course to the list of courses required for it, and "
        "no course is missing from the keys. A student takes one course after another, always the alphabetically $rank "
        "of the courses not yet taken whose requirements are all taken. `$name(needs)` returns the courses in that "
        "order, or `[]` when not all of them can ever be taken.",
    ),
    gold=_ORDER_GOLD,
    inputs=_order_inputs,
    edges=lambda params: (
        ({"a": ["b"], "b": ["a"], "c": []},),
        ({"d": [], "a": ["d"], "c": [], "b": ["a"], "x": ["c"]},),
    ),
    params=lambda random: random.choice(({"rank": "first", "pick": "min"}, {"rank": "last", "pick": "max"})),
    wrong=(
        _ORDER_GOLD.replace("return []", "return order"),
        _ORDER_GOLD.replace("order.append($pick(ready))", "order.extend(sorted(ready))"),
        _ORDER_GOLD.replace("$pick(ready)", "ready[0]"),
    ),
)


def _roads_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    size = random.randint(4, 7)
    towns = random.sample(ascii_lowercase, size)
    links = _links(random, size, random.randint(size - 1, 2 * size))
    roads = [(towns[a], towns[b], random.randint(1, 20)) for a, b in links]
    start, goal = random.sample(towns, 2)
    return roads, start, goal


_ROADS_GOLD = """\
import heapq

def $name(roads, start, goal):
    links = {}
    for a, b, length in roads:
        links.setdefault(a, []).append((b, length))
        links.setdefault(b, []).append((a, length))
    queue, done = [(0, start)], set()
    while queue:
        total, town = heapq.heappop(queue)
        if town == goal:
            return total
        if town not in done:
            done.add(town)
            for other, length in links.get(town, []):
                heapq.heappush(queue, (total + length, other))
    return -1
"""

_SHORTEST_ROAD = Family(
    key="shortest_road",
    topic="graphs",
    difficulty="hard",
    signature="roads, start, goal",
    names=("shortest_road", "travel_distance", "cheapest_trip", "least_mileage"),
    statements=(
        "Write `$name(roads, start, goal)` that returns the length of the shortest route between two towns. `roads` is "
        "a list of tuples `(town, town, length)` with two different town names (str) and a positive int, and each road "
        "can be used in both directions. Return 0 if start and goal are the same and -1 if no route exists.",
        "Given an undirected weighted graph as a list of edges `(u, v, weight)`, weights being positive ints and nodes "
        "strings, define `$name(roads, start, goal)`: the smallest total weight of a path from `start` to `goal`. "
        "Nodes that appear in no edge are isolated. The result is -1 when the two are not connected and 0 when they "
        "are equal.",
        "Implement Dijkstra's algorithm as `$name(roads, start, goal)`. Every entry of `roads` is `(a, b, length)`: a "
        "two-way street between the places a and b (strings) whose length is a positive int. Compute the least sum of "
        "lengths over all ways to get from `start` to `goal`; a route with more streets can be shorter. Answer -1 if "
        "there is none, 0 for start == goal.",
        "What does the cheapest trip cost? `roads` lists connections as tuples (place, place, price), valid in either "
        "direction, price a positive int. `$name(roads, start, goal)` returns the minimal total price of travelling "
        "from `start` to `goal` with any number of changes, -1 if it cannot be done, and 0 for staying where you are.",
        "A list of pipes `(end, other end, delay)` joins nodes named by strings; delays are positive ints and signals "
        "pass both ways. After how much time does a signal sent at node `start` first arrive at node `goal`? Write "
        "`$name(roads, start, goal)` returning this int; -1 if it never arrives, 0 if both are the same node.",
    ),
    gold=_ROADS_GOLD,
    inputs=_roads_inputs,
    edges=lambda params: (
        ([("a", "b", 9), ("a", "c", 2), ("c", "b", 3)], "a", "b"),
        ([("a", "b", 4)], "b", "a"),
        ([("a", "b", 4)], "a", "z"),
    ),
    wrong=(
        _ROADS_GOLD.replace("        links.setdefault(b, []).append((a, length))\n", ""),
        """\
def $name(roads, start, goal):
    reached = {start: 0}
    queue = [start]
    for town in queue:
        for a, b, length in roads:
            for here, there in ((a, b), (b, a)):
                if here == town and there not in reached:
                    reached[there] = reached[town] + length
                    queue.append(there)
    return reached.get(goal, -1)
""",
        """\
def $name(roads, start, goal):
    total, seen = 0, {start}
    while start != goal:
        exits = [(length, b if a == start else a) for a, b, length in roads if start in (a, b)]
        exits = [(length, town) for length, town in exits if town not in seen]
        if not exits:
            return -1
        length, start = min(exits)
        total += length
        seen.add(start)
    return total
""",
    ),
)


def _teams_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    n = random.randint(5, 8)
    side = [random.randint(0, 1) for _ in range(n)]
    pairs = [(a, b) for a, b in _links(random, n, 2 * n) if side[a] != side[b]]
    while random.random() < 0.6:
        a, b = random.sample(range(n), 2)
        if (a, b) not in pairs and (b, a) not in pairs:
            pairs.append((a, b))
    random.shuffle(pairs)
    return n, pairs


_TEAMS_GOLD = """\
def $name(n, rivals):
    team = {}
    for first in range(n):
        if first not in team:
            team[first] = 0
            stack = [first]
            while stack:
                person = stack.pop()
                for a, b in rivals:
                    if person in (a, b):
                        other = b if person == a else a
                        if other not in team:
                            team[other] = 1 - team[person]
                            stack.append(other)
    return all(team[a] != team[b] for a, b in rivals)
"""

_TWO_TEAMS = Family(
    key="two_teams",
    topic="graphs",
    difficulty="hard",
    signature="n, rivals",
    names=("two_teams", "can_split", "is_bipartite", "separable"),
    statements=(
        "Write `$name(n, rivals)` that tells (True or False) whether the people 0 to n - 1 can be divided into two "
        "teams with no two rivals in the same team. `rivals` is a list of tuples of two different people, each pair at "
        "most once. A team may be empty, so without rivals the answer is True.",
        "Is a graph bipartite? It has the nodes range(n), n being a positive int, and undirected edges given as a list "
        "of pairs of different nodes; it need not be connected. `$name(n, rivals)` returns True if each node can be "
        "coloured black or white such that every edge joins nodes of different colours, else False.",
        "Implement `$name(n, rivals)`: n guests, numbered from 0, sit at two tables, and each tuple in the list "
        "`rivals` names two different guests who refuse to share a table. Return the bool that says if such a seating "
        "exists. Tables are large enough for everybody and may stay empty.",
        "I must assign each of n transmitters (0 to n - 1) one of two frequencies. Pairs of transmitters that disturb "
        "each other are listed as tuples in `rivals` and need different frequencies. Please write `$name(n, rivals)` "
        "returning True when an assignment is possible and False when not; an empty list is always possible.",
        "Decide whether the undirected graph with nodes 0, ..., n - 1 and edge list `rivals` (tuples of two distinct "
        "nodes) contains no cycle of odd length. `$name(n, rivals)` returns True if there is none and False if there "
        "is at least one. The graph may have several components and isolated nodes.",
    ),
    gold=_TEAMS_GOLD,
    inputs=_teams_inputs,
    edges=lambda params: (
        (5, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)]),
        (4, [(0, 1), (2, 3), (3, 0), (1, 2)]),
        (5, [(0, 2), (1, 3), (2, 3)]),
        (6, [(0, 1), (3, 4), (4, 5), (5, 3)]),
    ),
    wrong=(
        """\
def $name(n, rivals):
    team = {}
    for a, b in rivals:
        team.setdefault(a, 0)
        team.setdefault(b, 1 - team[a])
        if team[a] == team[b]:
            return False
    return True
""",
        """\
def $name(n, rivals):
    pairs = {frozenset(pair) for pair in rivals}
    for a in range(n):
        for b in range(a):
            for c in range(b):
                if {frozenset((a, b)), frozenset((b, c)), frozenset((a, c))} <= pairs:
                    return False
    return True
""",
        """\
def $name(n, rivals):
    return len(rivals) < n
""",
    ),
)


_NEARBY_GOLD = """\
def $name(follows, start):
    seen = {start}
    border = {start}
    for _ in range($hops):
        reached = set()
        for person in border:
            reached.update(follows[person])
        border = reached - seen
        seen |= border
    return sorted(seen - {start})
"""


def _nearby_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    graph = _graph(random, 7, 11, 1.8)
    return graph, random.choice(sorted(graph))


_NEARBY = Family(
    key="within_hops",
    topic="graphs",
    difficulty="hard",
    signature="follows, start",
    names=("within_hops", "close_contacts", "reachable_soon", "near_circle"),
    statements=(
        "Write `$name(follows, start)`. `follows` is a dict from a person (str) to the list of people they follow; "
        "everybody is a key. Return the alphabetically sorted list of all people other than `start` that can be "
        "reached from `start` by at most $hops follow steps. Following is not mutual.",
        "In a directed graph, given as a dict of adjacency lists with every node (a string) as a key, find all nodes "
        "at a distance of 1 to $hops edges from `start`. Define `$name(follows, start)` returning their names as a "
        "sorted list without `start` itself, even if a cycle leads back to it.",
        "Implement `$name(follows, start)`: which people can see a post by forwarding? Somebody reached passes it on "
        "to each person in their list `follows[...]`, and this happens up to $hops times, beginning with `start`. "
        "Return the reached people, `start` not among them, sorted, each once. All people are keys of the dict.",
        "My dict says which rooms (strings, all keys) each room's one-way doors lead to. `$name(follows, start)` "
        "should list, in sorted order and without repeats, the rooms other than `start` that I can be in after going "
        "through no more than $hops doors. If there are none, return an empty list.",
        "Compute the set of vertices whose directed distance from `start` is at least 1 and at most $hops, and return "
        "it as an ascending list of strings. `$name(follows, start)` gets the graph as a dict mapping every vertex to "
        "the list of its direct successors, which may contain the vertex itself.",
    ),
    gold=_NEARBY_GOLD,
    inputs=_nearby_inputs,
    edges=lambda params: (
        ({"a": ["b"], "b": ["c", "a"], "c": ["d"], "d": ["e"], "e": ["f"], "f": []}, "a"),
        ({"m": ["m"]}, "m"),
    ),
    params=lambda random: random.choice(({"hops": 2, "more": 3}, {"hops": 3, "more": 4})),
    wrong=(
        _NEARBY_GOLD.replace("$hops", "$more"),
        _NEARBY_GOLD.replace("seen - {start}", "border"),
        _NEARBY_GOLD.replace("seen - {start}", "seen"),
    ),
)


def _project_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    tasks = random.sample(ascii_lowercase, random.randint(4, 8))
    durations = {task: random.randint(1, 12) for task in tasks}
    needs = {}
    for i, task in enumerate(tasks):
        before = [other for other in tasks[:i] if random.random() < 0.35]
        if before:
            needs[task] = before
    return {task: durations[task] for task in sorted(tasks)}, needs


_PROJECT_GOLD = """\
def $name(durations, needs):
    finish = {}

    def finish_time(task):
        if task not in finish:
            begin = max((finish_time(other) for other in needs.get(task, [])), default=0)
            finish[task] = begin + durations[task]
        return finish[task]

    return max((finish_time(task) for task in durations), default=0)
"""

_PROJECT = Family(
    key="project_length",
    topic="graphs",
    difficulty="hard",
    signature="durations, needs",
    names=("project_length", "earliest_end", "critical_path", "total_makespan"),
    statements=(
        "Write `$name(durations, needs)` that returns the earliest time at which a project can be finished. "
        "`durations` maps each task (str) to a positive int, and `needs` maps some tasks to the non-empty list of "
        "tasks that must be finished before they start; the others can start at time 0. Any number of tasks can run at "
        "the same time and there are no cycles. Without tasks return 0.",
        "Tasks run in parallel as soon as everything they wait for is done. Given the dict `durations` (task name to "
        "positive int) and the dict `needs` (task name to list of prerequisite names; a task that is not a key has "
        "none), define `$name(durations, needs)` returning when the last task ends if the work starts at time 0. "
        "Dependencies are never circular; an empty project ends at 0.",
        "Implement `$name(durations, needs)`: the length of the critical path. Each task takes `durations[task]` "
        "hours (a positive int) and may begin once all tasks listed in `needs.get(task, [])` are complete. There are "
        "unlimited workers. Return the minimal number of hours for everything, 0 if there are no tasks; the "
        "dependency graph has no cycle.",
        "I cook with many helpers, so steps can overlap freely, but a step listed as a key of `needs` may only begin "
        "when all steps in its list are done. With `durations` giving the minutes of every step (str to positive int), "
        "how soon can the meal be ready? Write `$name(durations, needs)`; no steps means 0, and steps never wait for "
        "each other in a circle.",
        "In an acyclic graph every node has a positive int weight (`durations`) and some nodes have a list of "
        "predecessors (`needs`; missing means none). `$name(durations, needs)` returns the greatest total weight of a "
        "chain of nodes in which each is a predecessor of the next, and 0 for the empty graph.",
    ),
    gold=_PROJECT_GOLD,
    inputs=_project_inputs,
    edges=lambda params: (({}, {}), ({"a": 3, "b": 4, "c": 1, "d": 2}, {"c": ["a", "b"], "d": ["c"]})),
    wrong=(
        """\
def $name(durations, needs):
    return sum(durations.values())
""",
        """\
def $name(durations, needs):
    ends = [0]
    for task, length in durations.items():
        ends.append(length + max((durations[other] for other in needs.get(task, [])), default=0))
    return max(ends)
""",
        _PROJECT_GOLD.replace(
            "max((finish_time(other) for other in needs.get(task, [])), default=0)",
            "sum(finish_time(other) for other in needs.get(task, []))",
        ),
    ),
)


def _cables_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    n = random.randint(4, 7)
    return n, [(a, b, random.randint(1, 30)) for a, b in _links(random, n, random.randint(n, 2 * n))]


_CABLES_GOLD = """\
def $name(n, cables):
    group = list(range(n))
    total, parts = 0, n
    for a, b, price in sorted(cables, key=lambda cable: cable[2]):
        old, new = group[a], group[b]
        if old != new:
            group = [new if label == old else label for label in group]
            total += price
            parts -= 1
    return total if parts == 1 else -1
"""

_CHEAPEST_NETWORK = Family(
    key="cheapest_network",
    topic="graphs",
    difficulty="hard",
    signature="n, cables",
    names=("cheapest_network", "spanning_cost", "wiring_cost", "link_all"),
    statements=(
        "Write `$name(n, cables)` that returns the lowest total price at which n houses (numbered 0 to n - 1, n at "
        "least 1) can all be connected, directly or over other houses. `cables` is a list of tuples `(a, b, price)`: "
        "houses a and b, which are different, can be joined for the positive int `price`. Return -1 if the cables "
        "cannot connect all houses.",
        "Find the weight of a minimum spanning tree. The undirected graph has the nodes range(n) with n >= 1, and "
        "`cables` lists its edges as tuples `(node, node, weight)` with positive int weights and two different nodes. "
        "`$name(n, cables)` returns the weight as an int: 0 for a single node, -1 when the graph is not connected.",
        "Implement `$name(n, cables)`: choose some of the offered cables, each `(a, b, price)`, so that every one of "
        "the n computers 0..n-1 can reach every other over chosen cables, and the sum of prices is as small as "
        "possible. Return that sum, or -1 when even all cables are not enough. Prices are positive ints; one computer "
        "alone costs 0.",
        "Which bridges should we build? There are n islands (0 to n - 1, at least one) and possible bridges `(a, b, "
        "cost)` between two different islands. Please give me `$name(n, cables)`, the minimal cost of a set of bridges "
        "from the list `cables` that makes all islands reachable from each other, or -1 if no set does. Costs are "
        "positive ints.",
        "Given the number n >= 1 of sites and a list of two-way links as tuples (site, other site, cost), sites being "
        "ints below n and costs positive ints, return from `$name(n, cables)` the smallest possible sum of costs of a "
        "selection of links that leaves the sites in one connected piece. If the whole list does not connect them, "
        "return -1.",
    ),
    gold=_CABLES_GOLD,
    inputs=_cables_inputs,
    edges=lambda params: (
        (1, []),
        (3, [(0, 1, 5)]),
        (4, [(0, 1, 1), (1, 2, 2), (2, 0, 3), (2, 3, 9)]),
    ),
    wrong=(
        """\
def $name(n, cables):
    prices = sorted(price for a, b, price in cables)
    return sum(prices[: n - 1]) if len(prices) >= n - 1 else -1
""",
        """\
def $name(n, cables):
    total = 0
    for house in range(1, n):
        prices = [price for a, b, price in cables if house in (a, b)]
        if not prices:
            return -1
        total += min(prices)
    return total
""",
        _CABLES_GOLD.replace(" if parts == 1 else -1", ""),
    ),
)


FAMILIES: tuple[Family, ...] = (
    _FEWEST_STEPS,
    _GROUP_SIZES,
    _TASK_ORDER,
    _SHORTEST_ROAD,
    _TWO_TEAMS,
    _NEARBY,
    _PROJECT,
    _CHEAPEST_NETWORK,
)
