"""The data that flows through verigrad: Task -> Rollout -> Batch -> loss.

Frozen dataclasses and closed lists of words; no torch, no behaviour beyond what follows from the fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

__all__ = [
    "PROTECTED",
    "AnswerTest",
    "CallTest",
    "CommandTest",
    "Comparator",
    "CostPoint",
    "Costs",
    "Episode",
    "Generator",
    "InputTest",
    "InvariantTest",
    "Limits",
    "Message",
    "Oracle",
    "OutputRule",
    "ProgramStatus",
    "PropertyTest",
    "Repository",
    "RepositoryTest",
    "Rollout",
    "RolloutStatus",
    "Row",
    "Score",
    "ScriptTest",
    "SmtTest",
    "Spaces",
    "StdioTest",
    "StopReason",
    "Suite",
    "SuiteTest",
    "Tail",
    "Task",
    "Test",
    "TestResult",
    "TestStatus",
    "TextTest",
    "TheoremTest",
    "Turn",
    "Verdict",
    "rows",
]

TestStatus = Literal[
    "passed",
    "failed",
    "exception",
    "timeout",
    "memory",
    "output_limit",
    "crashed",
    "violation",
    "nondeterministic",
]
ProgramStatus = Literal[TestStatus, "syntax_error", "no_entry_point"]
RolloutStatus = Literal["finished", "truncated", "error"]
StopReason = Literal[
    "stop",
    "length",
    "max_turns",
    "context_overflow",
    "parse_error",
    "tool_stop",
    "timeout",
    "infra_error",
]


# ---------------------------------------------------------------------------------------------- tasks

PROTECTED = (
    *("test", "tests", "test_*.py", "*_test.py", "conftest.py"),
    *("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "tox.toml", "setup.cfg", "pyproject.toml"),
    *("noxfile.py", "Makefile", "makefile", "GNUmakefile", ".github", ".pre-commit-config.yaml"),
    *(".coveragerc", "ruff.toml", ".ruff.toml", "mypy.ini", ".mypy.ini", ".flake8", ".bandit", "bandit.y*ml"),
    *("pylintrc", ".pylintrc", ".isort.cfg", ".codespellrc", ".yamllint*", "pyrightconfig.json", "package.json"),
    *("tsconfig*.json", ".eslintrc*", "eslint.config.*", "jest.config.*", "vitest.config.*"),
    *("sitecustomize", "sitecustomize.py", "usercustomize", "usercustomize.py"),
    *(".git", "*.pth", "*.pyc", "__pycache__", "*.egg-info", "*.dist-info"),
)
"""Of a repository, what no answer may change: tests, what configures them and the project's checks, and what an
interpreter runs or loads unasked. See `Repository.protected`."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A tree of files that an answer changes; the answer is a text that `verigrad.changes` describes.

    A pattern is as of `fnmatch`. One with a slash is about the whole path, where `*` takes slashes too; one without is
    about every folder's and file's name on the path.

    Attributes:
        files: relative path -> content.
        editable: patterns of what an answer may change or add.
        protected: patterns of what it may not, `editable` or not; such files are put back.
    """

    files: Mapping[str, bytes]
    editable: tuple[str, ...] = ("*",)
    protected: tuple[str, ...] = PROTECTED


@dataclass(frozen=True, kw_only=True)
class Task:
    """A problem as the policy sees it; nothing in here decides whether an answer is right.

    Attributes:
        id: stable and versioned, such as `humaneval@1/0`.
        prompt: the statement, as the text of a user message (the chat template comes later).
        language: of the program wanted: `python`, `c`, `cpp`, `javascript`; `text` where the answer is no program
            (GSM8K, CRUXEval).
        entry_point: name of the function the tests call; None for stdin/stdout and answers.
        stub: source that a bare completion continues (HumanEval's signature and docstring); its imports
            and helper functions are also put before a whole program that leaves them out.
        public_tests: shown in the prompt; never used for scoring alone.
        tags: `key:value` words, such as `topic:strings`, `family:count_vowels`, `source:mbpp`.
        difficulty: `easy`, `medium`, `hard`, or None where the source does not say.
        repository: what the answer changes, where it is no program by itself.
    """

    id: str
    prompt: str
    language: str = "python"
    entry_point: str | None = None
    stub: str = ""
    public_tests: tuple[Test, ...] = ()
    tags: tuple[str, ...] = ()
    difficulty: str | None = None
    repository: Repository | None = None

    def tag(self, key: str) -> str | None:
        """Value of the first tag `key:value`, or None."""
        prefix = key + ":"
        return next((tag[len(prefix) :] for tag in self.tags if tag.startswith(prefix)), None)


@dataclass(frozen=True)
class Comparator:
    """How a returned value is compared with the expected one (in the parent, on plain data).

    Attributes:
        mode: `exact` compares as it stands; `multiset` ignores the order of the outermost sequence;
            `set` compares the outermost sequences as sets; `any_of` accepts any element of the expected
            list; `truthy` compares only truth values.
        strict: types must agree at every level (1, 1.0 and True are three values). False follows
            Python's `==`, under which they are one; list and tuple differ under both.
        atol: absolute tolerance wherever both sides are numbers (not bools); 0 means none.
        rtol: relative tolerance, likewise.
    """

    mode: Literal["exact", "multiset", "set", "any_of", "truthy"] = "exact"
    strict: bool = True
    atol: float = 0.0
    rtol: float = 0.0


Spaces = Literal["exact", "trailing", "tokens"]


@dataclass(frozen=True)
class OutputRule:
    """How what a program prints is compared with what is wanted (in the parent, on text).

    Attributes:
        spaces: `exact` compares every character; `trailing` leaves white space at the ends of lines and of the text
            aside; `tokens` compares the words alone, whatever white space is between them.
        atol: absolute tolerance where two words that stand in the same place both write a finite number; 0 means none.
        rtol: relative tolerance, likewise.
    """

    spaces: Spaces = "trailing"
    atol: float = 0.0
    rtol: float = 0.0


@dataclass(frozen=True)
class CallTest:
    """Call the entry point with `args` and `kwargs`; the result must equal `expected`.

    `comparator` overrides the oracle's for this test. All values are plain (see `verigrad.values`).
    """

    name: str
    args: tuple[Any, ...]
    expected: Any
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    comparator: Comparator | None = None


@dataclass(frozen=True)
class StdioTest:
    """Run the program with `stdin`; what it prints must equal `stdout`, or one of `alternatives`.

    The oracle's `output` says what is equal.
    """

    name: str
    stdin: str
    stdout: str
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True)
class PropertyTest:
    """Run the program on each input; what comes back must satisfy a property of the task author's.

    One input makes a custom checker (many right answers) or a postcondition, several make a metamorphic relation
    such as f(x) = f(reversed x). The property runs in a process of its own and sees plain data alone.

    Attributes:
        inputs: the arguments of one call each; where the task has no entry point, one standard input each.
        property: a function of the oracle's `checker`. It is given each input with what came back for it,
            `property(input, output, input_2, output_2, ...)`, and returns True, or False or a text that says
            what is wrong.
    """

    name: str
    inputs: tuple[tuple[Any, ...] | str, ...]
    property: str = "check"


@dataclass(frozen=True)
class ScriptTest:
    """Run `source`, which holds its own asserts, after the program, in the program's process.

    Trust `script`: the program shares a process with what judges it. For evaluation of honest models.
    """

    name: str
    source: str


@dataclass(frozen=True)
class AnswerTest:
    """The answer itself, compared in the parent; nothing runs.

    `form` is `literal` (a Python literal, compared by value), `number` (the last number in the text) or `math` (the
    last mathematical expression, compared as mathematics; needs the extra `maths`).
    """

    name: str
    expected: Any
    form: Literal["literal", "number", "math"] = "literal"


@dataclass(frozen=True)
class InputTest:
    """The answer is arguments, as a Python literal each, on which `function` of `program` returns `expected`.

    `program` is the task's and is run on them in the sandbox.
    """

    name: str
    program: str
    function: str
    expected: Any


@dataclass(frozen=True)
class InvariantTest:
    """The answer is an inductive invariant that proves the loop in `program` right (`sandbox/proofs/invariant.py`)."""

    name: str
    program: str


@dataclass(frozen=True)
class TheoremTest:
    """The answer is a proof of `statement`, in tactics of Coq or of Lean 4 (`sandbox/proofs/coq.py`, `lean.py`).

    Attributes:
        statement: the proposition, without a name: `forall n : nat, n + 0 = n`; for Lean a theorem's header as well,
            whose names the tactics then begin with: `theorem t (n : Nat) : n + 0 = n`.
        imports: what every file of ours begins with: `Require Import Lia.`, `import Mathlib`; trusted.
        preamble: definitions that the statement needs; trusted.
    """

    name: str
    statement: str
    imports: str = ""
    preamble: str = ""
    prover: Literal["coq", "lean"] = "coq"


@dataclass(frozen=True)
class SmtTest:
    """The answer is terms of SMT-LIB for `holes`, from which the goals follow (`sandbox/proofs/smt.py`).

    Attributes:
        holes: functions to find, each with its parameters and sort: `(inv ((i Int) (n Int)) Bool)`.
        goals: propositions about them that must hold for all values of the preamble's constants.
        preamble: declarations, definitions and asserts, the premises; trusted.
    """

    name: str
    holes: tuple[str, ...]
    goals: tuple[str, ...]
    preamble: str = ""


TextTest = AnswerTest | InputTest | InvariantTest | SmtTest | TheoremTest
"""Tests whose answer is a text that is not run as a program."""


@dataclass(frozen=True)
class SuiteTest:
    """A test of a repository's own, or a hidden one, run by pytest in one process with the changed code.

    Trust `script`; `docs/repositories.md` says what such code can and cannot forge.

    Attributes:
        name: pytest's id, such as `tests/test_calc.py::TestAdd::test_small[1-2]`.
        group: `fail_to_pass` for what the unchanged repository fails, `pass_to_pass` for what it passes.
    """

    __test__: ClassVar[bool] = False

    name: str
    group: Literal["fail_to_pass", "pass_to_pass"] = "fail_to_pass"


@dataclass(frozen=True)
class CommandTest:
    """A command run in the changed repository, without the hidden files; what it printed is compared outside.

    With `stdout` None only the exit status counts, which code that the command runs may forge: trust `script`.

    Attributes:
        argv: program and arguments.
        stdin: what it reads.
        stdout: what it must print, by the oracle's `output`.
        exit_code: it must end with.
        directory: to run in, below the repository's root.
        environment: besides the suite's.
        stage: such as `lint`, `type`, `build`, `test`; the reward `ci` weighs stages and lets `test` decide.
        job: commands of one job run in order, each with the files that those before it made and what they told the
            runner (`sandbox/steps.py`); "" for a command of its own.
        step: by which later steps of the job name its outputs.
    """

    __test__: ClassVar[bool] = False

    name: str
    argv: tuple[str, ...]
    stdin: str = ""
    stdout: str | None = None
    exit_code: int = 0
    directory: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    stage: str = "test"
    job: str = ""
    step: str = ""


RepositoryTest = SuiteTest | CommandTest
"""Tests of what an answer made of a repository."""
Test = CallTest | StdioTest | PropertyTest | ScriptTest | TextTest | RepositoryTest


@dataclass(frozen=True, kw_only=True)
class Suite:
    """How the tests of a repository run. Python is verigrad's own interpreter, without its packages.

    Attributes:
        files: hidden, laid over the tree for pytest whatever the answer put there: path -> content.
        packages: names of installed packages that may be imported besides pytest, their dependencies included.
        programs: names of installed programs besides the system's, such as `ruff`.
        python_path: folders of the repository to import from.
        options: further ones of pytest's. The project's own `addopts` do not count.
        environment: of pytest and of all commands.
        accept: what else counts as passed: `skipped`, `xfailed`.
        mirrors: whether tests that must pass get a counterpart that must fail; off for tests that change what
            outlives them.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    python_path: tuple[str, ...] = (".", "src")
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    accept: tuple[Literal["skipped", "xfailed"], ...] = ()
    mirrors: bool = True


@dataclass(frozen=True, kw_only=True)
class Generator:
    """How tests of an oracle are drawn from a seed, and what decides about the answers to them.

    Without a `property` the test is differential: what the gold program returns is what is expected. Drawn tests are
    called `drawn_1`, `drawn_2`, ...; new ones take the place of those of these names and leave the others.

    Attributes:
        source: a program, run in the sandbox. Its `inputs(random)` returns, from a `random.Random`, the arguments of
            a call (a tuple) or a standard input (a text); a list of these is for a property of several calls. Its
            `requires(*arguments)`, where there is one, is the precondition: inputs it refuses are drawn again.
        strategies: in place of `inputs`, hypothesis strategies of the arguments, written down as one would after
            `from hypothesis.strategies import *`: `lists(integers(-9, 9)), integers(0, 3)`. Read, never executed.
        count: tests, fewer only where there are fewer different inputs.
        property: a function of the oracle's `checker`, see `PropertyTest`; None to compare with the gold program.
    """

    source: str = ""
    strategies: str = ""
    count: int = 8
    property: str | None = None


@dataclass(frozen=True)
class Limits:
    """What one judged program may use.

    Attributes:
        cpu_s: CPU seconds for the whole program, all tests together.
        wall_s: backstop in elapsed seconds, for programs that sleep or wait. Seconds in which a program was ready
            to run and the machine was too busy to let it do not count.
        memory_mb: address space of each process in MiB.
        output_bytes: of stdout and stderr together, per program.
        result_bytes: of one returned value in its JSON form.
        file_mb: of any one file the program writes.
        disk_mb: of all its files together, in MiB; they are in memory, from level `namespaces` on. At 0 none can be
            made.
        processes: processes and threads beyond its own.
    """

    cpu_s: float = 4.0
    wall_s: float = 12.0
    memory_mb: int = 512
    output_bytes: int = 1_000_000
    result_bytes: int = 1_000_000
    file_mb: int = 16
    disk_mb: int = 32
    processes: int = 0


@dataclass(frozen=True, kw_only=True)
class Oracle:
    """What decides about answers to one task; never sent to the process that runs them.

    Attributes:
        task_id: of the task it judges.
        tests: all must pass; hidden from the policy.
        gold: a correct program (or answer text), where the source has one.
        comparator: default for the call tests.
        output: how printed text is compared.
        limits: for one program.
        trust: `values` where inputs go in and plain values come out; `script` where a script with its
            own asserts shares the program's process (`rl` refuses these without a flag).
        constant_pass_rate: the largest share of tests that one constant program passes, where known.
        language: of the programs, as the task has it.
        prototype: of the entry point, where the language is typed (C, C++) and tests call it.
        repository: as the task has it.
        suite: how tests of a repository run.
        checker: a program with the functions that property tests name.
        packages: modules that the programs, the checker and the generator may import besides the standard library;
            they must be installed beside verigrad. Python only.
        generator: draws tests anew from a seed, see `verigrad.evaluation.fresh`.
    """

    task_id: str
    tests: tuple[Test, ...]
    gold: str | None = None
    comparator: Comparator = Comparator()
    limits: Limits = Limits()
    trust: Literal["values", "script"] = "values"
    constant_pass_rate: float | None = None
    language: str = "python"
    prototype: str = ""
    repository: Repository | None = None
    suite: Suite = Suite()
    checker: str | None = None
    generator: Generator | None = None
    packages: tuple[str, ...] = ()
    output: OutputRule = OutputRule()


# ------------------------------------------------------------------------------------------- verdicts


@dataclass(frozen=True)
class TestResult:
    """What happened to one test.

    `detail` is for people (exception text, got against wanted) and never enters a prompt unseen.
    """

    __test__: ClassVar[bool] = False  # not a test class, whatever pytest thinks of its name

    name: str
    status: TestStatus
    detail: str = ""
    cpu_ms: float = 0.0


@dataclass(frozen=True)
class CostPoint:
    """What a program and the reference cost on one input.

    `cost` and `reference` are deterministic counts (docs/rewards.md), `size` is that of the input; `capped` says that
    the program went over what is counted, and so costs at least this. The times are of CPU, counting included.
    """

    size: int
    cost: int
    reference: int
    capped: bool = False
    cpu_ms: float = 0.0
    reference_cpu_ms: float = 0.0


@dataclass(frozen=True)
class Costs:
    """How efficient a correct program is beside the reference, on inputs of growing size.

    Attributes:
        points: smallest input first; empty where the program was not rated.
        reason: why it was not.
        suspect: the count is too low for the CPU time that was taken, which counts instead.
    """

    points: tuple[CostPoint, ...] = ()
    reason: str = ""
    suspect: bool = False


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """All that was learned from judging one program; every code reward is a pure function of it.

    Attributes:
        status: `passed` only if every expected test reported and passed; otherwise the first thing
            that went wrong in test order.
        results: one per test of the oracle, in the oracle's order; a test that never ran is reported
            with the status that stopped the program.
        violations: what the sandbox stopped the program from doing.
        undone: paths that an answer changed and may not, such as tests; they are as they were. No attempt to cheat by
            itself: who changes code may well write tests.
        executed_lines: line numbers of the program that ran, 1-based; None where not traced.
        level: the isolation in force (`process`, ..., `full`; `none` where nothing ran).
        error: text of the exception or syntax error that ended the program, with its line where known.
        error_line: 1-based line of the program, or None.
        cpu_ms: CPU time of the program's process tree.
        costs: how efficient the program is, where somebody asked for it and it passed.
        shown: the verdict by the tests shown to the policy alone, where somebody asked for it.
    """

    status: ProgramStatus
    results: tuple[TestResult, ...]
    violations: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    executed_lines: frozenset[int] | None = None
    level: str = "none"
    error: str = ""
    error_line: int | None = None
    cpu_ms: float = 0.0
    costs: Costs | None = None
    shown: Verdict | None = None

    @property
    def passed(self) -> bool:
        return self.status == "passed"

    @property
    def num_passed(self) -> int:
        return sum(result.status == "passed" for result in self.results)

    @property
    def fraction(self) -> float:
        """Share of tests passed; 0 where there are none."""
        return self.num_passed / len(self.results) if self.results else 0.0


@dataclass(frozen=True)
class Score:
    """What a reward says of one rollout.

    Attributes:
        value: the reward; None leaves the rollout out of its group's statistics and of the loss.
        parts: named components, logged one by one.
        spans: `(start, end, reward)` over characters of the answer's text, for token rewards.
        evidence: whatever explains the value, for people; usually the `Verdict`.
    """

    value: float | None
    parts: Mapping[str, float] = field(default_factory=dict)
    spans: tuple[tuple[int, int, float], ...] = ()
    evidence: Any = None


# ------------------------------------------------------------------------------------------- rollouts


@dataclass(frozen=True)
class Message:
    """One chat message."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


@dataclass(frozen=True)
class Tail:
    """What stood behind a completion on a denoising engine's canvas, where the first end does not come last.

    The places before it were filled in its sight, so whoever scores the states that were visited must know it.

    Attributes:
        ids: one per place; of those never revealed the padding put there afterwards.
        step_map: the step each was revealed in; -1 where it stayed masked.
        logprobs: at reveal; 0 where it stayed masked.
    """

    ids: tuple[int, ...] = ()
    step_map: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One call of the policy: the exact ids in and out. Ids are never made again from text.

    Attributes:
        prompt_ids: all the policy was given.
        completion_ids: what it produced, a stop id included.
        sampler_logprobs: one per completion token, under the distribution it was drawn from.
        sampled: False for text a scaffold made up; such text is never trained on.
        temperature: it was sampled at; scoring divides the logits by it.
        kept: per completion token the ids sampling was restricted to, or None where it was not.
        policy_versions: `(version, number of tokens)` spans over the completion.
        stop_reason: why it ended.
        text: the completion decoded, stop text and special tokens left out.
        step_map: per completion token the step in which a denoising engine revealed it; None where it was written from
            left to right.
        tail: what stood behind the completion on a denoising engine's canvas.
        reward: for this turn alone, where the environment gives one.
        observation: what the environment answered.
    """

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    sampler_logprobs: tuple[float, ...]
    sampled: bool = True
    temperature: float = 1.0
    kept: tuple[tuple[int, ...], ...] | None = None
    policy_versions: tuple[tuple[int, int], ...] = ()
    stop_reason: StopReason = "stop"
    text: str = ""
    step_map: tuple[int, ...] | None = None
    tail: Tail = field(default_factory=Tail)
    reward: float | None = None
    observation: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """One scored episode of one agent.

    Attributes:
        group_id: what it is compared with: `(task, role, state)`; with one agent and one turn, the task.
        policy: name of the weights that produced it.
        program: the source that was judged, where the agent's answer is a program.
        usage: counts, such as `prompt_tokens` and `completion_tokens`.
        timings: seconds by name; never read by anything that decides the trajectory.
        trainable: False for agents whose weights stay as they are.
        flags: why the training-time audit takes it for cheating; empty where it does not.
    """

    task_id: str
    episode_id: str
    group_id: str
    agent: str = "coder"
    policy: str = "base"
    turns: tuple[Turn, ...]
    status: RolloutStatus
    score: Score
    program: str | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    trainable: bool = True
    error: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One play of one task by one or more agents."""

    task_id: str
    rollouts: tuple[Rollout, ...]
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Row:
    """A stretch of tokens that one forward pass can score; see `rows`.

    Attributes:
        ids: prompt and completions in order.
        mask: True where the policy sampled the token.
        sampler_logprobs: one per id, 0.0 outside the mask.
        temperature: per id, 1.0 outside the mask.
        kept: position -> allowed ids, where sampling was restricted.
        prompt_length: ids before the first sampled token.
        step_map: per id the step in which a denoising engine revealed it, -1 where it was given or stayed masked;
            None where the row was written from left to right.
        tail_length: ids at the end that stood behind the completion on the canvas; outside the mask.
    """

    ids: tuple[int, ...]
    mask: tuple[bool, ...]
    sampler_logprobs: tuple[float, ...]
    temperature: tuple[float, ...]
    kept: Mapping[int, tuple[int, ...]]
    prompt_length: int
    step_map: tuple[int, ...] | None = None
    tail_length: int = 0


def rows(rollout: Rollout) -> list[Row]:
    """Cut a rollout into rows: turns merge only where the stored ids are an exact prefix of the next prompt.

    A scaffold that rewrites history, or a tokenizer that would split the text differently, starts a new
    row instead of silently training on ids nobody sampled. A row without a sampled token is left out. A turn that was
    written on a canvas is a row of its own: nothing after it was in sight.
    """
    built: list[Row] = []
    ids: list[int] = []
    mask: list[bool] = []
    logprobs: list[float] = []
    temperature: list[float] = []
    kept: dict[int, tuple[int, ...]] = {}

    def close() -> None:
        if any(mask):
            built.append(
                Row(tuple(ids), tuple(mask), tuple(logprobs), tuple(temperature), dict(kept), mask.index(True))
            )
        for parts in (ids, mask, logprobs, temperature):
            parts.clear()
        kept.clear()

    def extend(new: Sequence[int], sampled: bool, values: Sequence[float], heat: float) -> None:
        ids.extend(new)
        mask.extend([sampled] * len(new))
        logprobs.extend(values if sampled else [0.0] * len(new))
        temperature.extend([heat if sampled else 1.0] * len(new))

    for turn in rollout.turns:
        if turn.step_map is not None and turn.sampled:
            close()
            built += [_canvas_row(turn)] if turn.completion_ids else []
            continue
        if tuple(ids) != turn.prompt_ids[: len(ids)]:
            close()
        extend(turn.prompt_ids[len(ids) :], False, (), 1.0)
        start = len(ids)
        extend(turn.completion_ids, turn.sampled, turn.sampler_logprobs, turn.temperature)
        if turn.kept is not None and turn.sampled:
            kept.update({start + offset: allowed for offset, allowed in enumerate(turn.kept)})
    close()
    return built


def _canvas_row(turn: Turn) -> Row:
    """A denoised turn: what scoring calls sampled is the completion; the tail goes along, unmasked."""
    assert turn.step_map is not None
    before, own, tail = len(turn.prompt_ids), len(turn.completion_ids), turn.tail
    mask = (False,) * before + (True,) * own + (False,) * len(tail.ids)
    sampled = (False,) * before + (True,) * own + tuple(step >= 0 for step in tail.step_map)
    return Row(
        ids=turn.prompt_ids + turn.completion_ids + tail.ids,
        mask=mask,
        sampler_logprobs=(0.0,) * before + turn.sampler_logprobs + tail.logprobs,
        temperature=tuple(turn.temperature if place else 1.0 for place in sampled),
        kept={before + offset: allowed for offset, allowed in enumerate(turn.kept or ())},
        prompt_length=before,
        step_map=(-1,) * before + turn.step_map + tail.step_map,
        tail_length=len(tail.ids),
    )
