"""Bytes on the wire: messages between the judge's process and a worker, frames between a worker and a program.

A *message* (trusted at both ends) is a list of byte strings. A *frame* travels on a program's private
channel: the supervisor sends one input, the program's harness sends one answer back under the nonce of
that input, and the next input is sent only then. So a program can neither know later inputs nor answer
them beforehand. Nothing is ever pickled. Standard library only: the worker loads this file too.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Sequence

__all__ = [
    "ANSWER",
    "DISK",
    "END",
    "ENDED",
    "FAILED",
    "INPUT",
    "NONCE_BYTES",
    "READY",
    "SHIELDED",
    "STARTED",
    "longest_s",
    "pack",
    "read_exact",
    "read_message",
    "unpack",
    "write_all",
]

NONCE_BYTES = 8
INPUT = struct.Struct(f"!I{NONCE_BYTES}s")
"""Length of the body, nonce."""
ANSWER = struct.Struct(f"!I{NONCE_BYTES}s?")
"""Length of the body, nonce, whether more inputs may follow."""
READY = b"ready"
"""From a fork-server at its level; anything but this and the next is why it is not."""
SHIELDED = b"ready and shielded"
"""The same where no program can end or stop us."""
STARTED = struct.Struct("!i")
"""From the fork-server, with the descriptors of requests, answers, stdout and stderr: the process id of a new program,
0 where that is in the message's credentials, because it has another outside."""
FAILED = b"failed"
"""Instead of `STARTED` or after it, with the reason: there is no process for the program, and it is not to blame."""
END = b"e"
"""To the fork-server: kill the program."""
DISK = struct.Struct("!Q")
"""To the fork-server, which sends it back when done: the MiB of files that its program and those after it may make."""
ENDED = struct.Struct("!idq")
"""Wait status of a program, CPU seconds it took with its children, peak resident KiB."""
_MAX_STARVED_S = 30.0
_COUNT = struct.Struct("!II")  # number of parts, bytes after this header


def longest_s(wall_s: float) -> float:
    """Elapsed seconds that what is allowed `wall_s` gets at most, where the machine is too busy to run it."""
    return wall_s + max(wall_s, _MAX_STARVED_S)


def pack(parts: Sequence[bytes]) -> bytes:
    """Return the message made of `parts`."""
    lengths = struct.pack(f"!{len(parts)}I", *map(len, parts))
    return b"".join((_COUNT.pack(len(parts), len(lengths) + sum(map(len, parts))), lengths, *parts))


def unpack(data: bytes | bytearray) -> list[bytes] | None:
    """The parts of a message, None while there is more of it to come; nothing comes behind it."""
    if len(data) < _COUNT.size:
        return None
    count, size = _COUNT.unpack_from(data)
    return _parts(memoryview(data)[_COUNT.size :], count) if len(data) == _COUNT.size + size else None


def _parts(body: memoryview, count: int) -> list[bytes]:
    start = 4 * count
    parts = []
    for length in struct.unpack_from(f"!{count}I", body):
        parts.append(body[start : start + length].tobytes())
        start += length
    return parts


def read_message(fd: int, timeout_s: float | None = None) -> list[bytes]:
    """Read one message.

    Raises:
        EOFError: the other end is gone.
        TimeoutError: the message was not complete in time.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    count, size = _COUNT.unpack(read_exact(fd, _COUNT.size, deadline))
    return _parts(memoryview(read_exact(fd, size, deadline)), count)


def read_exact(fd: int, size: int, deadline: float | None = None) -> bytes:
    """Read `size` bytes from a blocking descriptor; `deadline` is on the monotonic clock."""
    chunks = []
    while size > 0:
        if deadline is not None:
            _wait_readable(fd, deadline)
        chunk = os.read(fd, min(size, 1 << 20))
        if not chunk:
            raise EOFError("the other end closed the connection")
        chunks.append(chunk)
        size -= len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _wait_readable(fd: int, deadline: float) -> None:
    import select  # a fork-server needs it not, and each library makes its forks dearer

    poll = select.poll()
    poll.register(fd, select.POLLIN)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError("no message in time")


def write_all(fd: int, data: bytes) -> None:
    """Write everything to a blocking descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
