"""Every error verigrad raises on purpose.

    VerigradError
    ├── ConfigError          a setting is wrong (also a ValueError)
    ├── DataError            a file of demonstrations or preferences is malformed (also a ValueError)
    ├── MissingExtra         an optional dependency is absent (also an ImportError)
    ├── RunError             a run folder cannot be written, read or resumed, or its training diverged
    │   └── CheckpointError  a checkpoint is damaged or does not belong to this run
    └── InfrastructureError  something of ours broke, not the program being judged
        ├── TaskError        a task source is malformed
        ├── SandboxError     the sandbox could not run a program at all
        │   └── CanaryError  known programs get wrong verdicts: nothing the judge says can be trusted
        ├── EngineError      an engine could not generate
        └── RewardError      a reward function failed

An `InfrastructureError` inside an episode makes a rollout with `status="error"`: counted, reported,
left out of training, never scored 0; only a `CanaryError` stops the run. A program that crashes, hangs
or eats memory is not an error: it is an answer, and is scored as one.

Messages say what happened, what was got, what was wanted and how to fix it.
"""

__all__ = [
    "CanaryError",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "EngineError",
    "InfrastructureError",
    "MissingExtra",
    "RewardError",
    "RunError",
    "SandboxError",
    "TaskError",
    "VerigradError",
]


class VerigradError(Exception):
    """Base of every error raised on purpose."""


class ConfigError(VerigradError, ValueError):
    """A setting is wrong: unknown key, bad value, or two that contradict each other."""


class MissingExtra(VerigradError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package {package!r}, which is not installed; "
            f"install it with: pip install 'verigrad[{extra}]'"
        )


class DataError(VerigradError, ValueError):
    """A file of demonstrations or preferences is malformed; the message names file, line and field."""


class RunError(VerigradError):
    """A run folder cannot be written, read or resumed, or its training diverged."""


class CheckpointError(RunError):
    """A checkpoint is damaged, incomplete or of another run."""


class InfrastructureError(VerigradError):
    """Something of ours broke; never the fault of the program being judged."""


class TaskError(InfrastructureError):
    """A task source is malformed."""


class SandboxError(InfrastructureError):
    """The sandbox could not run a program at all."""


class CanaryError(SandboxError):
    """Programs whose verdicts are known got other ones, so that no verdict can be trusted; ends a run."""


class EngineError(InfrastructureError):
    """An engine could not generate."""


class RewardError(InfrastructureError):
    """A reward function failed."""
