"""A project's own checks as tests: read from what its CI runs, and run by the judge in the sandbox, without a network.

base      what reading gives: tests by stage, and all that was left out, with the reason
workflow  the `run:` steps of a GitHub workflow
tox       the commands of a tox.ini
nox       the sessions of a noxfile.py
make      targets of a Makefile
"""

from verigrad.tasks.ci.base import Checks, LeftOut
from verigrad.tasks.ci.make import make_checks
from verigrad.tasks.ci.nox import nox_checks
from verigrad.tasks.ci.tox import tox_checks
from verigrad.tasks.ci.workflow import workflow_checks

__all__ = ["Checks", "LeftOut", "make_checks", "nox_checks", "tox_checks", "workflow_checks"]
