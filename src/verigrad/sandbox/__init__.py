"""Untrusted programs: where they run and how they are judged.

base         the contract of a sandbox
process      the sandbox; pooled, pool, jobs, protocol: its side of the worker
worker       the process that runs programs; supervisor, zygote, program, usage: its parts
languages    C, C++ and JavaScript behind the same contract; language_c, language_javascript, drivers/: their parts
commands     the sandbox for any command; command_worker, command_watch, command_enclosure, command_root: its parts
enclosure    what stands around programs at each level; confine, namespaces, mounts, root, landlock, seccomp: its parts
packages     what of the installed packages programs may import; imports: the same in a worker
judge        program + oracle -> verdict; questions, rerun, canaries: what it asks, twice, and of itself
results      how tests are decided; compare, answers, checker: its parts
repository_judge  answers that change a repository; repository: the tree; suites, mirrors, junit: pytest, and belief;
             steps: what commands of one job hand on
costs        what correct programs cost; meter, meter_rewrite, meter_charges: the count; speed: CPU time
records      files of programs and verdicts
"""

from verigrad.sandbox.base import Call, Execution, Outcome, Sandbox, Script, Stdin
from verigrad.sandbox.commands import Command, CommandResult, CommandSandbox
from verigrad.sandbox.compare import equal
from verigrad.sandbox.judge import Judge, judge_many, judge_rows
from verigrad.sandbox.languages import PolyglotSandbox
from verigrad.sandbox.process import ProcessSandbox
from verigrad.sandbox.records import assemble, verdict_row

__all__ = [
    "Call",
    "Command",
    "CommandResult",
    "CommandSandbox",
    "Execution",
    "Judge",
    "Outcome",
    "PolyglotSandbox",
    "ProcessSandbox",
    "Sandbox",
    "Script",
    "Stdin",
    "assemble",
    "equal",
    "judge_many",
    "judge_rows",
    "verdict_row",
]
