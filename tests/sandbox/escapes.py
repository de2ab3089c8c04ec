"""Programs that reach for what is outside them, or leave something behind for the next.

In `ESCAPES`, `f(judge)` returns what it gained, and something false if that was nothing; `judge` says where things of
ours are: `file`, `folder`, `port`, `socket` (an abstract name), `pid`. The level is the weakest that must hold, of
those from `namespaces` on; `holds` knows where `landlock` does. In `LEAVINGS`, a program that calls `leave()` is
followed by one that calls `look()`, which returns what it found.
"""

_C = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def made(number, *arguments):
    ctypes.set_errno(0)
    wide = [ctypes.c_ulong(x) if isinstance(x, int) else x for x in arguments]
    done = libc.syscall(ctypes.c_long(number), *wide)
    return done >= 0 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS)
"""

_FILES = {
    "read the password file": (
        "namespaces",
        """
def f(judge):
    for root in ("", "/..", "/tmp/../..", "/proc/1/root", "/proc/self/cwd/..", "/old_root"):
        try:
            return open(root + "/etc/passwd").read()
        except OSError:
            pass
""",
    ),
    "read a file of the judge": (
        "namespaces",
        "def f(judge):\n    try:\n        return open(judge['file']).read()\n    except OSError:\n        pass\n",
    ),
    "list the folders of the machine": (
        "namespaces",
        """
import os
def f(judge):
    found = []
    for path in ("/home", "/proc", "/proc/self", "/sys", "/var", "/usr/bin", "/bin", "/dev/shm", judge["folder"]):
        try:
            found.append((path, os.listdir(path)[:3]))
        except OSError:
            pass
    return found
""",
    ),
    "write outside the private folder": (
        "namespaces",
        """
import os, sys
def f(judge):
    folders = {"/", "/dev", "/dev/shm", "/etc", "/usr", "/var/tmp", "/run", judge["folder"], *sys.path}
    folders |= {os.path.dirname(path) for path in list(folders)}
    folders -= {"/tmp", ""}
    made = []
    for folder in folders:
        for make in (lambda path: open(path, "w"), os.mkdir, lambda path: os.symlink("/", path)):
            path = os.path.join(folder, "vg-escape")
            try:
                make(path)
                made.append(path)
                (os.rmdir if os.path.isdir(path) and not os.path.islink(path) else os.unlink)(path)
            except OSError:
                pass
    return made
""",
    ),
    "change the library": (
        "namespaces",
        """
import json, os
def f(judge):
    for change in (lambda p: os.chmod(p, 0o777), lambda p: os.utime(p), os.unlink, lambda p: open(p, "r+")):
        try:
            change(json.__file__)
            return True
        except OSError:
            pass
""",
    ),
    "memory through files": (
        "namespaces",
        """
def f(judge):
    for name in ("/proc/self/mem", "/proc/1/mem", f"/proc/{judge['pid']}/mem", "/dev/mem", "/dev/kmem"):
        try:
            return open(name, "r+b")
        except OSError:
            pass
""",
    ),
    "links, pipes and devices of its own": (
        "full",
        """
import os, stat
def f(judge):
    made = []
    for name, make in {
        "symlink": lambda p: os.symlink("/", p),
        "fifo": os.mkfifo,
        "null": lambda p: os.mknod(p, 0o666 | stat.S_IFCHR, os.makedev(1, 3)),
        "disk": lambda p: os.mknod(p, 0o666 | stat.S_IFBLK, os.makedev(8, 0)),
    }.items():
        try:
            make("/tmp/vg-" + name)
            made.append(name)
            os.unlink("/tmp/vg-" + name)
        except OSError:
            pass
    return made
""",
    ),
}

_NETWORK = {
    "connect to a port of the machine": (
        "namespaces",
        """
import socket
def f(judge):
    for address in ("127.0.0.1", "localhost"):
        try:
            return socket.create_connection((address, judge["port"]), 1).recv(20)
        except OSError:
            pass
""",
    ),
    "connect to an abstract socket": (
        "namespaces",
        """
import socket
def f(judge):
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.connect("\\0" + judge["socket"])
            return link.recv(20)
    except OSError:
        pass
""",
    ),
    "make a socket": (
        "full",
        """
import socket
def f(judge):
    made = []
    for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, 16, 17, 31, 38, 40):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
            for make in (socket.socket, socket.socketpair):
                try:
                    make(family, kind)
                    made.append((int(family), int(kind), make.__name__))
                except OSError:
                    pass
    return [found for found in made if found[0] != socket.AF_UNIX or found[2] != "socketpair"]
""",
    ),
}

_PROCESSES = {
    "see other processes": (
        "namespaces",
        """
import os
def f(judge):
    seen = []
    for pid in (*range(2, 5000), judge["pid"], os.getppid()):
        try:
            os.kill(pid, 0)
            seen.append(pid)
        except PermissionError:
            seen.append(pid)
        except OSError:
            pass
    return [pid for pid in seen if pid not in (0, os.getpid())]
""",
    ),
    "read the memory of another process": (
        "namespaces",
        _C
        + """
def f(judge):
    for pid in (judge["pid"], os.getppid()):
        if libc.ptrace(16, pid, 0, 0) == 0:
            return pid
""",
    ),
    "be traced": ("full", _C + "def f(judge):\n    return libc.ptrace(0, 0, 0, 0) == 0\n"),
    "start a program": (
        "full",
        """
import os, sys
def f(judge):
    started = []
    for path in (sys.executable, "/bin/sh", "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"):
        try:
            pid = os.posix_spawn(path, [path, "--help"], {})
            os.waitpid(pid, 0)
            started.append(path)
        except OSError:
            pass
    return started
""",
    ),
}

_KERNEL = {
    "become root": (
        "process",
        """
import os
def f(judge):
    for change in (
        lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgroups([0]), lambda: os.setgid(0),
        lambda: os.chroot("/tmp"),
    ):
        try:
            change()
            return True
        except OSError:
            pass
    return os.getuid() == 0
""",
    ),
    "hold a capability": (
        "process",
        _C
        + """
import struct
def f(judge):
    data = ctypes.create_string_buffer(24)
    libc.capget(ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0), 8), data)
    return any(struct.unpack("6I", data.raw))
""",
    ),
    "gain a capability": (
        "namespaces",
        _C + "def f(judge):\n    return any(libc.prctl(23, n) > 0 for n in range(64))\n",
    ),
    "a user namespace": (
        "full",
        _C
        + """
import platform
def f(judge):
    numbers = {"x86_64": (272, 56, 435), "aarch64": (97, 220, 435)}[platform.machine()]
    gained = []
    for flags in (0x10000000, 0x10020000, 0x50000000, 0x20000000, 0x02000000):
        if libc.unshare(ctypes.c_ulong(flags)) == 0:
            gained.append(("unshare", flags))
    for flags in (0x10000000, 0x20000000, 0x40000000):
        pid = libc.syscall(ctypes.c_long(numbers[1]), ctypes.c_ulong(flags | 17), *[ctypes.c_ulong(0)] * 4)
        if pid == 0:
            os._exit(0)
        if pid > 0:
            gained.append(("clone", flags))
    return gained
""",
    ),
    "mount": (
        "full",
        _C
        + """
def f(judge):
    libc.unshare(ctypes.c_ulong(0x10020000))
    gained = []
    for kind, flags in ((b"tmpfs", 0), (b"tmpfs", 0x40E), (b"proc", 0), (b"sysfs", 0), (b"ramfs", 0)):
        if libc.mount(b"x", b"/usr", kind, ctypes.c_ulong(flags), None) == 0:
            gained.append(kind)
    for place in (b"/tmp", b"/dev/null", b"/"):
        if libc.umount2(place, 2) == 0:
            gained.append(place)
    if libc.mount(None, b"/", None, ctypes.c_ulong(0x1020), None) == 0:
        gained.append(b"remount")
    return gained
""",
    ),
    "calls that programs have no use for": (
        "full",
        _C
        + """
import platform
COMMON = {"io_uring_setup": 425, "pidfd_open": 434, "pidfd_getfd": 438, "memfd_secret": 447, "fsopen": 430,
          "open_tree": 428, "move_mount": 429, "mount_setattr": 442, "process_madvise": 440, "quotactl_fd": 443}
NUMBERS = {
    "x86_64": {"bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "keyctl": 250, "add_key": 248,
        "request_key": 249, "kexec_load": 246, "init_module": 175, "finit_module": 313, "open_by_handle_at": 304,
        "name_to_handle_at": 303, "process_vm_readv": 310, "process_vm_writev": 311, "ptrace": 101, "kcmp": 312,
        "personality": 135, "modify_ldt": 154, "shmget": 29, "semget": 64, "msgget": 68, "mq_open": 240,
        "seccomp": 317, "memfd_create": 319, "acct": 163, "swapon": 167, "inotify_init1": 294,
        "fanotify_init": 300, "vmsplice": 278,
        "execve": 59, "execveat": 322, "setns of any kind": 308, "iopl": 172, "syslog": 103, "quotactl": 179},
    "aarch64": {"bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "keyctl": 219, "add_key": 217,
        "request_key": 218, "kexec_load": 104, "init_module": 105, "process_vm_readv": 270, "ptrace": 117,
        "shmget": 194, "semget": 190, "msgget": 186, "execve": 221, "memfd_create": 279},
}
def f(judge):
    return [name for name, number in {**COMMON, **NUMBERS[platform.machine()]}.items() if made(number, -1, 0, 0, 0)]
""",
    ),
    "calls in another architecture's manner": (
        "full",
        """
import ctypes, mmap, platform
def f(judge):
    if platform.machine() != "x86_64":
        return None
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3")  # mov eax, 20 (getpid); int 0x80; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)()
""",
    ),
}

_SAME_USER = {
    "signal the judge": (
        "landlock",
        """
import os, signal
def f(judge):
    for pid in (judge["pid"], os.getppid()):
        for send in (os.kill, signal.pidfd_send_signal):
            try:
                if pid > 0:
                    send(pid if send is os.kill else os.pidfd_open(pid), signal.SIGCONT)
                    return pid
            except OSError:
                pass
""",
    ),
    "slow the judge down": (
        "landlock",
        """
import os, resource
def f(judge):
    gained = []
    if os.getpid() != 1:  # the first process of a namespace has nobody of its user there but what it started
        try:
            os.setpriority(os.PRIO_USER, 0, os.getpriority(os.PRIO_PROCESS, 0))
            gained.append((0, "everything's priority"))
        except OSError:
            pass
    for pid in filter(None, (judge["pid"], os.getppid())):
        for name, act in {
            "limits": lambda: resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0)),
            "priority": lambda: os.setpriority(os.PRIO_PROCESS, pid, 0),
            "affinity": lambda: os.sched_setaffinity(pid, os.sched_getaffinity(0)),
            "scheduler": lambda: os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0)),
        }.items():
            try:
                act()
                gained.append((pid, name))
            except OSError:
                pass
    return gained
""",
    ),
    "change what is said of a file of the judge": (
        "landlock",
        """
import os
def f(judge):
    gained = []
    for act in (lambda p: os.chmod(p, 0o644), os.utime, lambda p: os.truncate(p, 11), lambda p: os.chown(p, -1, -1)):
        try:
            act(judge["file"])
            gained.append(repr(act))
        except OSError:
            pass
    return gained
""",
    ),
}

_MEMORY = {
    "files in memory": (
        "full",
        """
import os
def f(judge):
    written, held = 0, []
    try:
        while True:
            held.append(os.memfd_create("x"))
            written += os.write(held[-1], bytes(1 << 20))
    except OSError:
        return written
""",
    ),
    "large pipes": (
        "full",
        """
import fcntl, os
def f(judge):
    gained = []
    for end in os.pipe():
        try:
            gained.append(fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 1 << 20))
        except OSError:
            pass
    return gained
""",
    ),
    "pages of files in sockets": (
        "full",
        """
import json, os, socket
def f(judge):
    pair = socket.socketpair()
    try:
        return os.sendfile(pair[0].fileno(), os.open(json.__file__, os.O_RDONLY), 0, 1)
    except OSError:
        pass
""",
    ),
    "rules of Landlock for ports": (
        "full",
        _C
        + """
import struct
def f(judge):
    mine = libc.syscall(444, ctypes.create_string_buffer(struct.pack("QQ", 0, 1)), ctypes.c_size_t(16), 0)
    return mine >= 0 and [port for port in range(9) if libc.syscall(445, mine, 2, struct.pack("QQ", 1, port), 0) == 0]
""",
    ),
    "timers and signals without end": (
        "process",
        _C
        + """
import platform, signal
def f(judge):
    create, queue = {"x86_64": (222, 129), "aarch64": (107, 138)}[platform.machine()]
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    info = ctypes.create_string_buffer((34).to_bytes(4, "little") + bytes(4) + b"\\xff" * 4, 128)
    made, place = 0, ctypes.create_string_buffer(8)
    while made < 3000 and libc.syscall(create, 1, None, place) == 0:
        made += 1
    while made < 3000 and libc.syscall(queue, os.getpid(), 34, info) == 0:
        made += 1
    return made == 3000
""",
    ),
}

_NOT_AT_LANDLOCK = ("see other processes", "gain a capability", "attributes of the private folder")


def holds(name, weakest, level):
    """Whether `level` must hold against a program, whose weakest level that must is `weakest`."""
    order = ("process", "landlock", "namespaces", "full")
    return name not in _NOT_AT_LANDLOCK if level == "landlock" else order.index(weakest) <= order.index(level)


ESCAPES = {**_FILES, **_NETWORK, **_PROCESSES, **_SAME_USER, **_KERNEL, **_MEMORY}

LEAVINGS = {
    "a file": (
        "namespaces",
        """
import os, tempfile
def leave():
    folder = tempfile.gettempdir()
    os.makedirs(folder + "/vg-deep/er", exist_ok=True)
    open(folder + "/vg-left", "w").write("secret")
def look():
    return [name for name in os.listdir(tempfile.gettempdir()) if name.startswith("vg-")]
""",
    ),
    "what a file that is gone tells": (
        "namespaces",
        """
import os
def leave():
    for number in range(100):
        open("/tmp/vg-left", "w").close()
        os.unlink("/tmp/vg-left")
def look():
    made = os.open("/tmp/vg-new", os.O_CREAT | os.O_RDWR)
    return os.fstat(made).st_ino if os.fstat(made).st_ino > 50 else 0
""",
    ),
    "attributes of the private folder": (
        "namespaces",
        """
import os
def leave():
    for change in (lambda: os.utime("/tmp", (7, 7)), lambda: os.chmod("/tmp", 0o700)):
        try:
            change()
        except OSError:
            pass
def look():
    status = os.stat("/tmp")
    return (status.st_mtime if status.st_mtime < 10 else 0) or status.st_mode & 0o7777 != 0o1777
""",
    ),
    "shared memory": (
        "full",
        _C
        + """
def leave():
    number = libc.shmget(0x7667, 4096, 0o1666)
    libc.shmat.restype = ctypes.c_void_p
    ctypes.memmove(libc.shmat(number, None, 0), b"secret", 6) if number >= 0 else None
def look():
    return libc.shmget(0x7667, 0, 0) >= 0
""",
    ),
    "a message queue": (
        "full",
        _C
        + """
def leave():
    libc.msgget(0x7667, 0o1666)
def look():
    return libc.msgget(0x7667, 0) >= 0
""",
    ),
    "a daemon with a socket": (
        "process",
        """
import os, socket, time
def leave():
    if os.fork() == 0:
        os.setsid()
        try:
            server = socket.socket(socket.AF_UNIX)
            server.bind("\\0vg-daemon")
            server.listen()
        except OSError:
            pass
        time.sleep(60)
    time.sleep(0.1)
def look():
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.connect("\\0vg-daemon")
            return True
    except OSError:
        return False
""",
    ),
    "a lock": (
        "namespaces",
        """
import fcntl, json
def leave():
    fcntl.flock(open(json.__file__), fcntl.LOCK_EX)
def look():
    try:
        fcntl.flock(open(json.__file__), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
""",
    ),
}
