"""Programs in C, C++ and JavaScript, judged for real: right, wrong, broken and hostile ones."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from verigrad.cli.main import main
from verigrad.errors import ConfigError, SandboxError, TaskError
from verigrad.sandbox import languages
from verigrad.sandbox.base import LEVELS, Call, Script, Stdin
from verigrad.sandbox.commands import CommandSandbox
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.languages import LANGUAGES, LanguageSandbox, PolyglotSandbox
from verigrad.tasks import jsonl
from verigrad.tasks.languages import adapt
from verigrad.types import CallTest, Comparator, Limits, Oracle, PropertyTest, StdioTest, Task

NAMES = tuple(LANGUAGES)


def needs(language):
    for tool in LANGUAGES[language].tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (apt-get install {LANGUAGES[language].package})")


# C++ compiles for a second or more each time, and its driver is C's: by default its own tests below are enough.
@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.slow if name == "cpp" else ()) for name in NAMES])
def language(request):
    needs(request.param)
    return request.param


@pytest.fixture(scope="module")
def polyglot():
    box = PolyglotSandbox(workers=2)
    yield box
    asyncio.run(box.close())


@pytest.fixture
def run(polyglot):
    def run(language, program, *inputs, **limits):
        return asyncio.run(polyglot.for_language(language).run(program, inputs, Limits(**limits)))

    return run


@pytest.fixture
def judged(polyglot):
    def judged(language, program, stub, *tests, **options):
        task = Task(id="t", prompt="", language=language, entry_point="f", stub=stub)
        oracle = adapt(task, Oracle(task_id="t", tests=tests, **options))
        return asyncio.run(Judge(polyglot, canaries_every=0).judge(program, oracle, "f"))

    return judged


STUB = "int f(int x);"
SQUARE = {
    "c": "int f(int x) { return x * x; }",
    "cpp": "int f(int x) { return x * x; }",
    "javascript": "function f(x) { return x * x; }",
}
TESTS = (CallTest("three", (3,), 9), CallTest("minus two", (-2,), 4), CallTest("zero", (0,), 0))


def test_right_and_wrong(judged, language):
    verdict = judged(language, SQUARE[language], STUB, *TESTS)
    assert (verdict.status, verdict.num_passed) == ("passed", 3)
    assert verdict.level in LEVELS
    wrong = judged(language, SQUARE[language].replace("x * x", "x + x"), STUB, *TESTS)
    assert [result.status for result in wrong.results] == ["failed", "failed", "passed"]
    assert "wanted 9" in wrong.results[0].detail


def test_properties_are_checked_in_python_on_the_languages_values(judged, language):
    checker = "def root(args, got):\n    return got == args[0] ** 2 or f'{args[0]} gave {got}'"
    tests = (PropertyTest("small", ((3,),), "root"), PropertyTest("zero", ((0,),), "root"))
    assert judged(language, SQUARE[language], STUB, *tests, checker=checker).passed
    wrong = judged(language, SQUARE[language].replace("x * x", "x + x"), STUB, *tests, checker=checker)
    assert [result.status for result in wrong.results] == ["failed", "passed"]
    assert "gave 6" in wrong.results[0].detail


ECHO = {
    "c": '#include <stdio.h>\nint main() { int n; scanf("%d", &n); printf("%d\\n", 2 * n); return n == 7; }',
    "cpp": "#include <iostream>\nint main() { int n; std::cin >> n; std::cout << 2 * n << std::endl; return n == 7; }",
    "javascript": "const n = +require('fs').readFileSync(0, 'utf8');\nconsole.log(2 * n);\nprocess.exit(+(n === 7));",
}


def test_standard_input_and_output(judged, language):
    tests = (StdioTest("one", "1\n", "2"), StdioTest("five", "5", "10\n"), StdioTest("seven", "7", "14"))
    verdict = judged(language, ECHO[language], "", *tests)
    assert [result.status for result in verdict.results] == ["passed", "passed", "exception"]
    assert "exit status 1" in verdict.results[2].detail


BROKEN = {
    "c": "int f(int x) {\n    return x *;\n}",
    "cpp": "int f(int x) {\n    return y;\n}",
    "javascript": "function f(x) {\n    return x * ;\n}",
}


def test_what_does_not_compile(judged, language):
    verdict = judged(language, BROKEN[language], STUB, *TESTS)
    assert (verdict.status, verdict.error_line) == ("syntax_error", 2)
    assert verdict.error and verdict.num_passed == 0
    assert judged(language, SQUARE[language].replace("f(", "g("), STUB, *TESTS).status == "no_entry_point"
    assert judged(language, "", STUB, *TESTS).status == "no_entry_point"


CRASH = {
    "c": ("int f(int x) { int *p = 0; return *(volatile int *)p; }", "crashed"),
    "cpp": ("int f(int x) { return f(x + 1) + f(x - 1); }", "crashed"),
    "javascript": ("function f(x) {\n  return undefined.x;\n}", "exception"),
}
HANG = {
    "c": 'int f(int x) { for (;;) __asm__(""); }',
    "cpp": 'int f(int x) { for (;;) asm(""); }',
    "javascript": "function f(x) { for (;;); }",
}
HOG = {
    "c": "#include <stdlib.h>\n#include <string.h>\nint f(int x) { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }",
    "cpp": "#include <vector>\nint f(int x) { std::vector<int> v; for (;;) v.push_back(x); }",
    "javascript": "function f(x) { const a = []; for (;;) a.push(Buffer.alloc(1 << 20, 1)); }",
}
FLOOD = {
    "c": '#include <stdio.h>\nint f(int x) { for (;;) puts("flood"); }',
    "cpp": '#include <iostream>\nint f(int x) { for (;;) std::cout << "flood\\n"; }',
    "javascript": "function f(x) { for (;;) console.log('flood'); }",
}
EXIT = {
    "c": "#include <stdlib.h>\nint f(int x) { exit(0); }",
    "cpp": "#include <cstdlib>\nint f(int x) { std::exit(0); }",
    "javascript": "function f(x) { process.exit(0); }",
}


def test_how_programs_end(judged, language):
    test, limits = TESTS[0], Limits(cpu_s=0.5, wall_s=20, memory_mb=128, output_bytes=100_000)
    program, status = CRASH[language]
    assert judged(language, program, STUB, test, limits=Limits(cpu_s=2, memory_mb=128)).status == status
    assert judged(language, HANG[language], STUB, test, limits=limits).status == "timeout"
    # node's garbage alone comes near 128 MiB on a busy machine, and which limit is met first is not the question
    flooded = Limits(cpu_s=4, wall_s=20, memory_mb=256, output_bytes=100_000)
    assert judged(language, FLOOD[language], STUB, test, limits=flooded).status == "output_limit"
    assert judged(language, HOG[language], STUB, test, limits=Limits(memory_mb=128)).status == "memory"
    ended = judged(language, EXIT[language], STUB, test)
    assert (ended.status, ended.error) == ("crashed", "it ended with exit status 0 before it answered")


def test_time_is_for_all_tests_together(run, language):
    slow = {
        "c": "#include <time.h>\nint f(int x) { while (clock() < CLOCKS_PER_SEC * 0.4); return x; }",
        "cpp": "#include <ctime>\nint f(int x) { while (clock() < CLOCKS_PER_SEC * 0.4); return x; }",
        "javascript": "const used = (u) => u.user + u.system;\n"
        "function f(x) { while (used(process.cpuUsage()) < 450000); return x; }",
    }
    calls = [Call("f", (index,), prototype=STUB) for index in range(5)]
    found = [outcome.status for outcome in run(language, slow[language], *calls, cpu_s=1.0).outcomes]
    assert found[0] == "returned"
    assert found[-2:] == ["timeout"] * 2


FORGED = {
    # An answer of its own to whatever it is asked, in the driver's form but without the nonce; on every descriptor.
    "c": """#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void early(void) { write(1, "0\\n{\\"value\\": 9}", 14); }
int f(int x) { return 0; }""",
    "cpp": """#include <unistd.h>
int f(int x) { for (int fd = 0; fd < 20; fd++) { write(fd, "\\n{\\"value\\": 9}\\n", 14); } _exit(0); }""",
    "javascript": """const fs = require('fs');
for (let fd = 1; fd < 20; fd++) { try { fs.writeSync(fd, '\\n{"value": 9}\\n'); } catch {} }
function f(x) { return 0; }""",
}


def test_what_is_printed_is_no_answer(judged, language):
    verdict = judged(language, FORGED[language], STUB, *TESTS[:1])
    assert verdict.status in ("violation", "crashed")
    assert verdict.num_passed == 0


def test_a_program_that_reads_its_nonce_answers_for_itself_only(judged):
    """All it can do is choose the answer to the input it was given, as it may by returning it."""
    needs("c")
    program = """#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
__attribute__((constructor)) static void early(void) {
    char nonce[33] = {0};
    int fd = open("/proc/self/fd/0", O_RDONLY);
    if (fd < 0) fd = 0;
    read(fd, nonce, 32);
    for (int i = 0; i < 3; i++) { write(1, nonce, 32); write(1, "\\n{\\"value\\": 9}", 13); if (i == 0) _exit(0); }
}
int f(int x) { return x; }"""
    verdict = judged("c", program, STUB, *TESTS)
    assert [result.status for result in verdict.results] == ["passed", "failed", "failed"]
    twice = judged("c", program.replace("i == 0", "i == 1"), STUB, *TESTS)
    assert [result.status for result in twice.results] == ["violation"] * 3
    assert len(twice.violations) == 3


def test_inputs_come_one_at_a_time_and_expected_values_never(run, language):
    """A program that looks at all it was given finds one call."""
    look = {
        "c": """#include <stdio.h>
const char *f(int x) {
    static char text[4000];
    FILE *file = fopen("/proc/self/fd/0", "r");
    text[file ? fread(text, 1, sizeof text - 1, file) : 0] = 0;
    return text;
}""",
        "cpp": """#include <fstream>
#include <iterator>
std::string f(int x) {
    std::ifstream file("/proc/self/fd/0");
    return {std::istreambuf_iterator<char>(file), {}};
}""",
        "javascript": "function f(x) { return require('fs').readFileSync('/proc/self/fd/0', 'utf8'); }",
    }
    prototype = {"c": "char *f(int x);", "cpp": "std::string f(int x);"}.get(language, "")
    calls = [Call("f", (number,), prototype=prototype) for number in (54321, 98765)]
    first, second = run(language, look[language], *calls).outcomes
    assert "54321" in first.value and "98765" not in first.value
    assert "98765" in second.value and "54321" not in second.value


def test_files_of_one_run_are_gone_in_the_next(run, language):
    count = {
        "c": '#include <stdio.h>\nint f(int x) { FILE *a = fopen("seen", "r"); fopen("seen", "w"); return a != 0; }',
        "cpp": '#include <cstdio>\nint f(int x) { FILE *a = fopen("seen", "r"); fopen("seen", "w"); return a != 0; }',
        "javascript": "const fs = require('fs');\nfunction f(x) { const a = +fs.existsSync('seen');\n"
        "fs.writeFileSync('seen', ''); return a; }",
    }
    calls = [Call("f", (0,), prototype=STUB)] * 3
    assert [outcome.value for outcome in run(language, count[language], *calls).outcomes] == [0, 0, 0]


# ------------------------------------------------------------------------------------------------ values


def test_values_of_c(judged):
    needs("c")
    stub = "double f(const int *values, int n, const char *words[], int m, bool flag, char c, unsigned long long big);"
    program = f"""#include <string.h>
{stub[:-1]} {{
    double sum = flag ? 0.5 : 0;
    for (int i = 0; i < n; i++) sum += values[i];
    for (int i = 0; i < m; i++) sum += strlen(words[i]);
    return sum + (c == 'x') + (big == 18446744073709551615ULL);
}}"""
    test = CallTest("a", ([1, -2, 3], 3, ["ab", "", "é c"], 3, True, "x", 2**64 - 1), 10.5)
    assert judged("c", program, stub, test).passed
    empty = CallTest("b", ([], 0, [], 0, False, "y", 0), 0)
    assert judged("c", program, stub, empty, CallTest("c", ([], 0, [], 0, True, "x", 0), 1.5)).passed


@pytest.mark.parametrize(
    ("returns", "body", "value"),
    [
        ("const char *", 'return "a\\"\\\\\\n\\001\\xc3\\xa9";', 'a"\\\n\1é'),
        ("char", "return 'q';", "q"),
        ("bool", "return 7;", True),
        ("uint8_t", "return 255;", 255),
        ("long long", "return -9223372036854775807LL - 1;", -(2**63)),
        ("float", "return 0.5f;", 0.5),
        ("double", "return 1.0 / 3;", 1 / 3),
        ("double", "double z = 0; return 1 / z;", float("inf")),
        ("double", "double z = 0; return z / z;", float("nan")),
    ],
)
def test_values_from_c(judged, returns, body, value):
    needs("c")
    assert judged("c", f"{returns} f(int x) {{ {body} }}", f"{returns} f(int x);", CallTest("a", (1,), value)).passed


def test_a_null_pointer_is_none(run):
    needs("c")
    prototype = "char *f(int x)"
    (outcome,) = run("c", f"{prototype} {{ return 0; }}", Call("f", (1,), prototype=prototype)).outcomes
    assert (outcome.status, outcome.value) == ("returned", None)


def test_values_of_cpp(judged):
    needs("cpp")
    stub = """#include <vector>
std::tuple<std::vector<std::vector<int>>, std::map<std::string, double>, std::set<char>, std::string, bool>
f(const std::vector<std::vector<int>>& a, std::unordered_map<std::string, double> b, std::set<char> c,
  std::pair<std::string, bool> d, const std::vector<bool> &e) {"""
    program = (
        stub.replace("#include <vector>", "#include <bits/stdc++.h>\nusing namespace std;")
        + """
    return {a, {b.begin(), b.end()}, c, d.first, d.second && e.at(1)};
}
#define int long long
signed main() { return 0; }"""
    )
    args = ([[1, -2], []], {"é": 1.5, "": -0.25}, {"a", "z"}, ('q"\\\n', True), [False, True])
    right = CallTest("a", args, (args[0], args[1], args[2], 'q"\\\n', True))
    wrong = CallTest("b", args, (args[0], args[1], args[2], 'q"\\\n', False))
    assert [result.status for result in judged("cpp", program, stub, right, wrong).results] == ["passed", "failed"]


def test_exceptions_of_cpp(judged):
    needs("cpp")
    stub = "int f(std::vector<int> x);"
    program = """#include <vector>
#include <stdexcept>
int f(std::vector<int> x) {
    if (x[0] == 1) throw 5;
    if (x[0] == 2) throw std::bad_alloc();
    return x.at(5);
}"""
    verdict = judged("cpp", program, stub, *(CallTest(str(n), ([n],), 1) for n in (0, 1, 2)))
    assert [result.status for result in verdict.results] == ["exception", "exception", "memory"]
    assert "range" in verdict.error


def test_values_of_javascript(judged):
    needs("javascript")
    program = "exports.f = async (...args) => args;"
    args = (None, True, 3, -2.5, "é\n", [1, [2]], {"a": {"__proto__": 1}}, {1: 2}, {3, 4}, float("nan"), 2**70)
    expected = [None, True, 3, -2.5, "é\n", [1, [2]], {"a": {"__proto__": 1}}, {1: 2}, {3, 4}, float("nan"), 2**70]
    assert judged("javascript", program, "", CallTest("a", args, expected)).passed
    assert judged("javascript", program, "", CallTest("b", (1,), [True])).status == "failed"  # true is no number
    assert judged("javascript", program, "", CallTest("c", ((1, 2),), ([1, 2],))).passed  # tuples are arrays


@pytest.mark.parametrize(
    ("value", "status"),
    [("() => 1", "failed"), ("Symbol('a')", "failed"), ("(() => { const a = []; a.push(a); return a; })()", "failed")],
)
def test_values_that_are_not_plain(run, value, status):
    needs("javascript")
    (outcome,) = run("javascript", f"const f = () => {value};", Call("f")).outcomes
    assert outcome.status == "not_plain"


def test_comparators_apply(judged):
    needs("javascript")
    f = "function f(x) { return x; }"
    assert judged("javascript", f, "", CallTest("a", ([2, 1],), [1, 2], comparator=Comparator("multiset"))).passed
    assert judged("javascript", f, "", CallTest("a", (2,), [1, 2], comparator=Comparator("any_of"))).passed
    assert judged("javascript", f, "", CallTest("a", (1.05,), 1, comparator=Comparator(atol=0.1))).passed
    assert judged("javascript", f, "", CallTest("a", ([],), True, comparator=Comparator("truthy"))).passed


# ------------------------------------------------------------------------------------------------- tasks


@pytest.mark.parametrize(
    ("language", "stub", "test", "complaint"),
    [
        ("c", "", {"args": [1], "expected": 1}, "no prototype of f"),
        ("c", "int f(int *x)", {"args": [1], "expected": 1}, "'a': wanted a list for int \\*, got 1"),
        ("c", "int f(int x)", {"args": [2**40], "expected": 1}, "does not fit into int"),
        ("c", "int f(int x)", {"args": [1, 2], "expected": 1}, "takes 1 arguments, got 2"),
        ("c", "int f(int x)", {"args": [1], "expected": 1.5}, "wanted a value for int, got 1.5"),
        ("c", "int f(int x)", {"args": [1], "kwargs": {"x": 1}, "expected": 1}, "by name are for Python only"),
        ("cpp", "int *f(int x)", {"args": [1], "expected": 1}, "supported are integers"),
        ("javascript", "", {"args": [{"bytes": "AA=="}], "expected": 1}, "no value for a bytes"),
        ("brainfuck", "", {"args": [], "expected": 1}, "known: python, c, cpp, javascript, text"),
    ],
)
def test_tasks_that_cannot_be_judged_are_found_at_load(tmp_path, language, stub, test, complaint):
    oracle = {"tests": [{"kind": "call", "name": "a", **test}]}
    row = {"id": "x@1/1", "prompt": "", "language": language, "entry_point": "f", "stub": stub, "oracle": oracle}
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(TaskError, match=complaint):
        jsonl.load(path)


@pytest.mark.slow
def test_a_file_of_tasks_in_every_language(tmp_path, capsys):
    for name in NAMES:
        needs(name)
    rows, programs = [{"taskset": "poly@1"}], []
    for name in NAMES:
        call = {"tests": [{"kind": "call", "name": "a", "args": [3], "expected": 9}], "gold": SQUARE[name]}
        stdio = {"tests": [{"kind": "stdio", "name": "a", "stdin": "4", "stdout": "8"}], "gold": ECHO[name]}
        rows.append(
            {"id": f"poly@1/{name}", "prompt": "", "language": name, "entry_point": "f", "stub": STUB, "oracle": call}
        )
        rows.append({"id": f"poly@1/{name}-io", "prompt": "", "language": name, "oracle": stdio})
        programs.append({"task_id": f"poly@1/{name}", "program": SQUARE[name].replace("x * x", "x")})
        programs.append({"task_id": f"poly@1/{name}-io", "program": BROKEN[name]})
    tasks, wrong, out = (tmp_path / name for name in ("tasks.jsonl", "wrong.jsonl", "out.jsonl"))
    tasks.write_text("".join(json.dumps(row) + "\n" for row in rows))
    wrong.write_text("".join(json.dumps(row) + "\n" for row in programs))
    loaded = jsonl.load(tasks)
    jsonl.dump(loaded, tmp_path / "again.jsonl")
    assert jsonl.load(tmp_path / "again.jsonl") == loaded
    assert main(["judge", "--tasks", str(tasks), "--input", "-", "--output", str(out)]) == 0
    assert "6 of 6 passed" in capsys.readouterr().out
    assert main(["judge", "--tasks", str(tasks), "--input", str(wrong), "--output", str(out)]) == 0
    found = [json.loads(line)["status"] for line in out.read_text().splitlines()]
    assert found == ["failed", "syntax_error"] * 3


# ----------------------------------------------------------------------------------------------- trouble


def test_a_missing_toolchain_is_no_score(polyglot, monkeypatch):
    monkeypatch.setattr(languages, "PATH", "/nowhere")
    box = PolyglotSandbox(workers=1)
    try:
        oracle = Oracle(task_id="t", tests=(StdioTest("a", "", ""),), language="cpp")
        with pytest.raises(ConfigError, match=r"programs in cpp take 'g\+\+'.*apt-get install g\+\+"):
            asyncio.run(Judge(box).judge("", oracle, None))
        with pytest.raises(ConfigError, match="known languages are python, c, cpp, javascript"):
            box.for_language("cobol")
    finally:
        asyncio.run(box.close())


def test_a_compiler_that_does_not_work_is_no_score(language):
    class Failing:
        """Builds nothing, as a compiler without its headers would."""

        level = "process"

        async def run(self, command, limits):
            return await real.run(type(command)(("false",)), limits)

    real = CommandSandbox(workers=1)
    try:
        box = LanguageSandbox(LANGUAGES[language], Failing())
        with pytest.raises(SandboxError, match="not even an empty program"):
            asyncio.run(box.run("", [Stdin("")], Limits()))
    finally:
        asyncio.run(real.close())


def test_text_that_is_no_unicode(run, judged, language):
    """Programs come out of JSON, which can hold half of a surrogate pair."""
    assert run(language, SQUARE[language] + "\n// \ud800", Call("f", (3,), prototype=STUB)).outcomes[0].value == 9
    assert run(language, "\ud800", Call("f", (3,), prototype=STUB)).status in ("syntax_error", "no_entry_point")


def test_scripts_are_for_python(run, language):
    with pytest.raises(SandboxError, match="script"):
        run(language, "", Script("assert True"))


def test_compiling_is_bounded(run):
    needs("cpp")
    bomb = "template <int N> struct A { static const int v = A<N - 1>::v; };\nint main() { return A<99999>::v; }"
    assert run("cpp", bomb, Stdin("")).status == "syntax_error"
    inside = '#include "/dev/zero"\nint main() {}'
    assert run("cpp", inside, Stdin("")).status in ("syntax_error", "memory", "timeout")
    assert Path("/dev/zero").exists()


def test_the_level_is_that_of_the_commands(polyglot, language):
    assert polyglot.for_language(language).level == polyglot.level
    assert polyglot.for_language("python") is polyglot
