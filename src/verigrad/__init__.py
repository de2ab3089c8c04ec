"""verigrad: reinforcement learning for code models and coding agents, from verified rewards.

Importing this package does no work and imports no torch; the parts live in its sub-packages.
"""

from verigrad.types import (
    AnswerTest,
    CallTest,
    CommandTest,
    Comparator,
    Episode,
    Generator,
    InputTest,
    InvariantTest,
    Limits,
    Message,
    Oracle,
    OutputRule,
    PropertyTest,
    Repository,
    Rollout,
    Score,
    ScriptTest,
    StdioTest,
    Suite,
    SuiteTest,
    Task,
    TestResult,
    TheoremTest,
    Turn,
    Verdict,
)

__all__ = [
    "AnswerTest",
    "CallTest",
    "CommandTest",
    "Comparator",
    "Episode",
    "Generator",
    "InputTest",
    "InvariantTest",
    "Limits",
    "Message",
    "Oracle",
    "OutputRule",
    "PropertyTest",
    "Repository",
    "Rollout",
    "Score",
    "ScriptTest",
    "StdioTest",
    "Suite",
    "SuiteTest",
    "Task",
    "TestResult",
    "TheoremTest",
    "Turn",
    "Verdict",
    "__version__",
]

__version__ = "0.1.0"
