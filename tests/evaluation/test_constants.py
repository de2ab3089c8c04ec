"""Constant programs: each really gives its value, in every language, and `check tasks` finds what one solves."""

import asyncio
import math

import pytest

from verigrad import AnswerTest, CallTest, Comparator, Oracle, StdioTest, Task
from verigrad.evaluation.checks import check_tasks
from verigrad.evaluation.constants import constant_programs, printing, returning
from verigrad.evaluation.mutants import mutants
from verigrad.sandbox.base import Call, Stdin
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.languages import LANGUAGES, PolyglotSandbox, missing_tool
from verigrad.tasks.base import TaskSet
from verigrad.tasks.languages import adapt
from verigrad.types import InputTest

_MISSING = {name: tool for name, language in LANGUAGES.items() if (tool := missing_tool(language))}


def need(language):
    if language in _MISSING:
        pytest.skip(f"{_MISSING[language]} is not installed")


def ran(language, programs, item):
    """What each of the programs gives for the input."""

    async def run():
        sandbox = PolyglotSandbox(workers=2)
        try:
            oracle = Oracle(task_id="t", tests=(), language=language)
            box = sandbox.for_language(language)
            done = [await box.run(program, [item], oracle.limits) for _, program in programs]
            return [execution.outcomes[0].value for execution in done]
        finally:
            await sandbox.close()

    return asyncio.run(run())


_NASTY = 'a"\\\n\t\0?\x7fé??/%'


@pytest.mark.parametrize(
    ("language", "prototype", "values"),
    [
        ("python", "", [None, True, -1, [1, (2, "x")], {1: {2}}, _NASTY, "banana", {"infinite": -math.inf}]),
        ("javascript", "", [None, True, -1.0, 2**60, [1.5, ["x"]], {"a": {2.0}}, {1.0: "b"}, _NASTY]),
        ("c", "long long f(int n)", [-(2**63), 2**63 - 1, 0]),
        ("c", "unsigned long f(int n)", [2**64 - 1]),
        ("c", "double f(int n)", [0.1, -1e300, 5e-324]),
        ("c", "char *f(int n)", ["", 'a"\\\n%é']),
        ("cpp", "std::map<std::string, std::vector<int>> f(int n)", [{}, {"a": [1], "b": [2, 3], "c": []}]),
        ("cpp", "std::vector<std::pair<bool, double>> f(int n)", [[(True, 0.5)], []]),
        ("cpp", "std::string f(int n)", ["", "x\n"]),
    ],
)
def test_each_returns_its_value(language, prototype, values):
    need(language)
    programs = returning(language, "f", values, prototype=prototype)
    assert len(programs) == len(values)
    got = ran(language, programs, Call("f", (3,), prototype=prototype))
    assert got == values
    assert list(map(type, got)) == list(map(type, values))


@pytest.mark.parametrize("language", ["python", "javascript", "c", "cpp"])
def test_each_prints_its_text(language):
    need(language)
    texts = ["", "1 2\n", 'a"\\\n\t?é??/%']
    assert ran(language, printing(language, [*texts, ""]), Stdin("7\n")) == texts


def test_values_that_a_language_cannot_express_are_left_out():
    fitting = [name for name, _ in returning("c", "f", [None, True, 0, 1.5, "x", [1], 2**40], prototype="int f(int n)")]
    assert fitting == ["0"]
    assert [name for name, _ in returning("python", "f", [10**5000, "x" * 3000, 1])] == ["1"]
    ((_, program),) = returning("python", "f", [math.nan])
    exec(program, names := {})
    assert math.isnan(names["f"]())


def _task(language, entry_point="", stub="", *tests, gold, **more):
    task = Task(id="t@1/0", prompt="p", language=language, entry_point=entry_point or None, stub=stub)
    return task, adapt(task, Oracle(task_id=task.id, tests=tests, gold=gold, **more))


_ALWAYS = {
    "javascript": "function g(n) { return n > 0 ? 1 : 2 }",
    "c": "int g(int n) { return n > 0 ? 1 : 2; }",
    "cpp": "int g(int n) { return n > 0 ? 1 : 2; }",
}


def checked(task, oracle):
    async def check():
        sandbox = PolyglotSandbox(workers=2)
        try:
            return await check_tasks(TaskSet("t@1", (task,), {task.id: oracle}, {}), Judge(sandbox))
        finally:
            await sandbox.close()

    (found,) = asyncio.run(check())
    return found


@pytest.mark.parametrize("language", ["javascript", "c", pytest.param("cpp", marks=pytest.mark.slow)])
def test_a_task_that_a_constant_solves_is_found_in_every_language(language):
    need(language)
    tests = (CallTest("a", (1,), 1), CallTest("b", (5,), 1))
    found = checked(*_task(language, "g", "int g(int n);", *tests, gold=_ALWAYS[language]))
    assert any("the constant program 1" in complaint for complaint in found.complaints), found
    tests = (*tests, CallTest("c", (-1,), 2))
    found = checked(*_task(language, "g", "int g(int n);", *tests, gold=_ALWAYS[language]))
    assert found.complaints == ()
    assert found.mutants == 3 and found.survivors < 3


_PRINTS = {
    "javascript": "console.log('ok')",
    "c": '#include <stdio.h>\nint main(void) { puts("ok"); return 0; }',
    "cpp": '#include <iostream>\nint main() { std::cout << "ok\\n"; }',
}


@pytest.mark.parametrize("language", ["javascript", "c", "cpp"])
def test_constant_output_is_found_in_every_language(language):
    need(language)
    tests = [StdioTest("a", "1\n", "ok\n"), StdioTest("b", "2\n", "ok\n")]
    found = checked(*_task(language, "", "", *tests, gold=_PRINTS[language]))
    assert any("ok" in complaint for complaint in found.complaints), found


@pytest.mark.parametrize(
    ("test", "gold", "wrong"),
    [
        (AnswerTest("a", 18, "number"), "18", ["118", "0"]),
        (AnswerTest("a", 0, "number"), "0", ["10", "-1"]),
        (AnswerTest("a", [1, 2]), "[1, 2]", ["[[1, 2]]", "None"]),
        (AnswerTest("a", "x"), "'x'", ["'xa'", "None"]),
        (AnswerTest("a", True), "True", ["False", "None"]),
        (AnswerTest("a", 10**7), "10000000", ["20000001", "None"]),  # one more is within the tolerance
    ],
)
def test_other_answers_to_questions_are_tried(test, gold, wrong):
    task, oracle = _task("text", "", "", test, gold=gold, comparator=Comparator(rtol=1e-6))
    assert [answer for _, answer in constant_programs(task, oracle)] == wrong
    found = checked(task, oracle)
    assert found.complaints == () and found.programs == 2 + 1 + len(wrong)


def test_a_question_that_any_arguments_answer_is_found():
    anything, one = ("def f(*args):\n    return 1", "def f(x):\n    return x")
    found = checked(*_task("text", "", "", InputTest("a", anything, "f", 1), gold="5"))
    assert "nothing shows that the tests look" in found.complaints[-1]
    found = checked(*_task("text", "", "", InputTest("a", one, "f", 1), gold="1"))
    assert (found.complaints, found.mutants, found.survivors) == ((), 10, 1)


def test_what_is_changed_in_other_languages_is_no_text_no_loop_and_no_template():
    program = (
        "#define N 5\n#include <vector>\n// 1 + 2\nint f(int n) {\n  for (int i = 0; i < n; i++) { }\n"
        '  puts("1 + 2");\n'
        "  std::vector<int> v;\n  i++; p->q;\n  return n + N;\n}\n"
    )
    assert mutants(program, most=9, language="cpp") == [program.replace("n + N", "n - N")]
    assert mutants("x >= 10", language="c") == ["x > 10", "x >= 11"]
