"""The harness inside a program's own process: load the program, answer inputs, one at a time.

Nothing here is trusted once the program has begun: it may replace anything, write to any descriptor and
end the process. All it can gain is to choose the answers it gives. Standard library only.
"""

from __future__ import annotations

import _socket
import atexit
import contextlib
import json
import marshal
import os
import sys
import types
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any, NoReturn

from verigrad.sandbox.protocol import ANSWER, INPUT, NONCE_BYTES, read_exact
from verigrad.values import MAX_DEPTH, PlainValueError, encode

__all__ = ["FILENAME", "MEMORY_EXIT", "run_program", "warm_up"]

FILENAME = "<program>"
MEMORY_EXIT = 86
"""Exit status of a harness that had no memory left to say so."""

_Form = dict[str, Any]
_HEADER = INPUT.size
_RETURNED = '{"status": "returned"}'
_WARM_UP = "def f(x):\n    return [x + 1, {'a': (2.5, None)}]\n"
_WARM_UPS = 20
_UNLIMITED = {"cpu_s": 1e9, "memory_mb": 1 << 40, "file_mb": 1 << 40, "processes": 1 << 30, "result_bytes": 1000}


def run_program(requests: int, answers: int, confine: Callable[[dict[str, Any]], None]) -> NoReturn:
    """Serve one program, reading `requests` and writing `answers`, and end this process.

    Frames hold data in `marshal`'s form, from the trusted side to this one; answers go back as JSON.
    The first frame is the job: `mode` (`calls` or `stdin`), `limits`, `trace`, and for calls `program` and
    `functions`. For a script a file follows, its standard input; its `program` comes in the second frame, once the
    input is there, so that what fails before is known to be ours. `confine` applies the limits before any of the
    program's code is compiled.
    """
    try:
        _serve(requests, answers, confine)
    except MemoryError:
        os._exit(MEMORY_EXIT)
    except BaseException:
        os._exit(1)
    os._exit(0)


def warm_up(confine: Callable[[dict[str, Any]], None]) -> None:
    """Serve a program of ours, under no limits to speak of, so that forks find this code specialised.

    What is not, every fork does again, and it writes to pages for it, which the kernel then copies: of what a short
    program costs that is the most.
    """
    job = {"program": _WARM_UP, "mode": "calls", "functions": ["f"], "limits": _UNLIMITED, "trace": False}
    call = {"function": "f", "args": (1,), "kwargs": {}}
    frames = [marshal.dumps(part, 2) for part in (job, call)]
    for _ in range(_WARM_UPS):
        (requests, request_end), (answers, answer_end) = os.pipe(), os.pipe()
        os.write(request_end, b"".join(INPUT.pack(len(frame), bytes(NONCE_BYTES)) + frame for frame in frames))
        os.close(request_end)
        with contextlib.suppress(EOFError):
            _serve(requests, answer_end, confine)
        for fd in (requests, answers, answer_end):
            os.close(fd)
    del sys.modules["program"]


def _serve(requests: int, answers: int, confine: Callable[[dict[str, Any]], None]) -> None:
    nonce, body = _receive(requests)
    job = marshal.loads(body)
    if job["mode"] == "stdin":
        _take_stdin(requests)
    confine(job["limits"])
    lines = _trace() if job["trace"] else None
    if job["mode"] == "stdin":
        _send(answers, nonce, {"status": "returned"}, None, more=True)
        nonce, body = _receive(requests)
        answer, _ = _load(marshal.loads(body)["program"], "__main__", [])
        if answer.get("exit") == 0:
            answer = {"status": "returned"}
        _finish_script()
        _send(answers, nonce, answer, lines, more=False)
        return
    answer, names = _load(job["program"], "program", job["functions"])
    loaded = answer["status"] == "returned"
    _send(answers, nonce, answer, lines, more=loaded)
    while loaded:
        nonce, body = _receive(requests)
        answer = _answer(marshal.loads(body), names, job["limits"]["result_bytes"])
        _send(answers, nonce, answer, lines, more=True)


# ------------------------------------------------------------------------------------------- the program


def _load(source: str, name: str, functions: list[str]) -> tuple[_Form, dict[str, Any]]:
    """Compile and execute the program as a module called `name`; returns its namespace too."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    try:
        code = compile(source, FILENAME, "exec", dont_inherit=True)
    except MemoryError as error:
        return _failure("memory", error), {}
    except SyntaxError as error:
        text = f"{type(error).__name__}: {error.msg}"
        return {"status": "syntax_error", "error": text, "line": error.lineno}, {}
    except (ValueError, RecursionError, OverflowError) as error:  # null bytes, lone surrogates, absurd nesting
        return _failure("syntax_error", error), {}
    answer, _ = _guarded(exec, code, module.__dict__)
    missing = [name for name in functions if not callable(module.__dict__.get(name))]
    if answer["status"] == "returned" and missing:
        answer = {"status": "no_entry_point", "error": f"the program defines no function {missing[0]!r}"}
    return answer, module.__dict__


def _answer(request: dict[str, Any], names: dict[str, Any], result_bytes: int) -> _Form:
    if "script" in request:
        return _guarded(_run_script, request["script"], names)[0]
    answer, value = _guarded(_call, names[request["function"]], request)
    return _plain(value, result_bytes) if answer["status"] == "returned" else answer


def _run_script(source: str, names: dict[str, Any]) -> None:
    exec(compile(source, "<script>", "exec", dont_inherit=True), names)


def _call(function: Callable[..., Any], request: dict[str, Any]) -> Any:
    value = function(*request["args"], **request["kwargs"])
    return bool(value) if request.get("as_bool") else value


def _guarded(action: Callable[..., Any], *arguments: Any) -> tuple[_Form, Any]:
    """Run the program's code; whatever it raises, `SystemExit` too, is an answer. Returns the value besides."""
    try:
        value = action(*arguments)
    except MemoryError as error:
        return _failure("memory", error), None
    except SystemExit as error:
        return {**_failure("exception", error), "exit": _exit_status(error.code)}, None
    except BaseException as error:
        return _failure("exception", error), None
    return {"status": "returned"}, value


def _exit_status(code: object) -> int:
    """Of `sys.exit(code)`: nothing is 0, a message is 1."""
    return code if type(code) is int else int(code is not None)


def _plain(value: Any, result_bytes: int) -> _Form:
    """The answer that carries `value`, or says why it cannot leave the process."""
    try:
        try:
            form = encode(value)
        except PlainValueError:
            form = encode(_simplified(value, 0))
        text = json.dumps(form)
    except MemoryError as error:
        return _failure("memory", error)
    except BaseException as error:
        status = "not_plain" if isinstance(error, PlainValueError) else "exception"
        return _failure(status, error)
    if len(text) > result_bytes:
        why = f"the value takes {len(text)} bytes, over the limit of {result_bytes}"
        return {"status": "output_limit", "error": why}
    return {"status": "returned", "text": text}


def _simplified(value: Any, depth: int) -> Any:
    """With the library's dicts and named tuples as the plain ones they are equal to, and numpy's arrays as lists, its
    numbers as Python's; all else as it is.
    """
    kind = type(value)
    if depth > MAX_DEPTH or kind in (int, float, str, bool):
        return value
    if kind in (list, tuple, set, frozenset):
        return kind([_simplified(item, depth + 1) for item in value])
    if kind in (dict, Counter, OrderedDict, defaultdict):
        return {_simplified(key, depth + 1): _simplified(item, depth + 1) for key, item in value.items()}
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return tuple([_simplified(item, depth + 1) for item in value])
    numpy = sys.modules.get("numpy")  # where the task allows it
    if numpy is not None and issubclass(kind, (numpy.ndarray, numpy.generic)):
        return _simplified(value.tolist(), depth + 1)
    return value


def _failure(status: str, error: BaseException) -> _Form:
    try:
        text = f"{type(error).__name__}: {error}"[:500]
    except BaseException:  # the program's own __str__
        text = type(error).__name__
    return {"status": status, "error": text, "line": _line(error)}


def _line(error: BaseException) -> int | None:
    """Line of the program's innermost frame in the traceback."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILENAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


# ------------------------------------------------------------------------------------------- the process


def _receive(requests: int) -> tuple[bytes, bytes]:
    start = os.read(requests, _HEADER)
    if len(start) < _HEADER:
        start += read_exact(requests, _HEADER - len(start))
    size, nonce = INPUT.unpack(start)
    body = os.read(requests, size)
    return nonce, body + read_exact(requests, size - len(body)) if len(body) < size else body


def _send(answers: int, nonce: bytes, answer: _Form, lines: set[int] | None, *, more: bool) -> None:
    if lines is not None:
        answer["lines"] = sorted(lines)
    body = _body(answer)
    data = ANSWER.pack(len(body), nonce, more) + body
    while data := data[os.write(answers, data) :]:
        pass


def _body(answer: _Form) -> bytes:
    """JSON of an answer, whose `text` is that of its `value` already."""
    text = answer.pop("text", None)
    form = _RETURNED if answer == {"status": "returned"} else json.dumps(answer)
    return (form if text is None else f'{form[:-1]}, "value": {text}}}').encode()


def _take_stdin(requests: int) -> None:
    """Make the file that comes next over `requests` the standard input."""
    link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, requests)
    _, ((_, _, number),), _, _ = link.recvmsg(1, _socket.CMSG_SPACE(4))
    link.detach()
    source = int.from_bytes(number, sys.byteorder)
    os.dup2(source, 0)
    os.close(source)


def _finish_script() -> None:
    """What an interpreter does after a script's last line: join threads, run exit handlers, flush."""
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.__stdout__):
        if stream is not None and not stream.closed:
            stream.flush()


def _trace() -> set[int]:
    """Collect the line numbers of the program that run from now on, in this thread."""
    lines: set[int] = set()

    def on_line(frame: types.FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            lines.add(frame.f_lineno)
        return on_line

    def on_call(frame: types.FrameType, event: str, argument: Any) -> Any:
        return on_line if frame.f_code.co_filename == FILENAME else None

    sys.settrace(on_call)
    return lines
