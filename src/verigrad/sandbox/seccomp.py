"""Filters on system calls, written out as BPF: for Python programs what they need, for commands all but the risky ones.

The filter for programs is installed once, in the fork-server, and inherited: installing costs a fifth of a program's
time. So it lets through by its arguments what only the fork-server needs (a process in a new process namespace, a new
empty file system); to programs the kernel refuses these for want of capabilities. A call that is not listed
fails with EPERM. Whatever could hold bytes that no limit counts is left out: files in memory (`memfd`), large pipes,
files' pages in sockets (`sendfile`), rules of Landlock for ports.

The filter for commands, which may be anything from a compiler to a test suite, denies: namespaces, mounts, tracing,
memory that no limit counts, sockets but local and internet ones, and the parts of the kernel that programs rarely use
and attackers often do.

Under both, a call newer than the lists fails with ENOSYS, as in an older kernel, so that the C library takes its older
way. A call in the manner of another architecture ends the process.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from errno import ENOSYS, EPERM

from verigrad.sandbox.kernel import prctl

__all__ = ["build_command_filter", "build_filter", "install_filter", "refuse_signals"]

# Every line: name, number on x86-64, number on aarch64.
_ALLOWED = """
# reading, writing, descriptors
read:0:63 write:1:64 readv:19:65 writev:20:66 pread64:17:67 pwrite64:18:68 preadv:295:69 pwritev:296:70
preadv2:327:286 pwritev2:328:287 lseek:8:62 close:3:57 close_range:436:436 dup:32:23 dup2:33:- dup3:292:24
pipe:22:- pipe2:293:59 flock:73:32 copy_file_range:326:285 fadvise64:221:223
# paths; what they may reach is for the root and Landlock to say
open:2:- openat:257:56 openat2:437:437 creat:85:- stat:4:- fstat:5:80 lstat:6:- newfstatat:262:79 statx:332:291
access:21:- faccessat:269:48 faccessat2:439:439 readlink:89:- readlinkat:267:78 getdents:78:- getdents64:217:61
getcwd:79:17 chdir:80:49 fchdir:81:50 statfs:137:43 fstatfs:138:44 umask:95:166 mkdir:83:- mkdirat:258:34
rmdir:84:- unlink:87:- unlinkat:263:35 rename:82:- renameat:264:38 renameat2:316:276 link:86:- linkat:265:37
symlink:88:- symlinkat:266:36 chmod:90:- fchmod:91:52 fchmodat:268:53 fchmodat2:452:452 chown:92:- fchown:93:55
lchown:94:- fchownat:260:54 truncate:76:45 ftruncate:77:46 fallocate:285:47 utime:132:- utimes:235:-
futimesat:261:- utimensat:280:88 fsync:74:82 fdatasync:75:83 sync_file_range:277:84 getxattr:191:8
lgetxattr:192:9 fgetxattr:193:10 listxattr:194:11 llistxattr:195:12 flistxattr:196:13
# waiting
poll:7:- ppoll:271:73 select:23:- pselect6:270:72 epoll_create:213:- epoll_create1:291:20 epoll_ctl:233:21
epoll_wait:232:- epoll_pwait:281:22 epoll_pwait2:441:441 eventfd:284:- eventfd2:290:19 signalfd:282:-
signalfd4:289:74 timerfd_create:283:85 timerfd_settime:286:86 timerfd_gettime:287:87
# memory
brk:12:214 mmap:9:222 munmap:11:215 mremap:25:216 mprotect:10:226 madvise:28:233 msync:26:227 mincore:27:232
mlock:149:228 mlock2:325:284 munlock:150:229 mlockall:151:230 munlockall:152:231 membarrier:324:283
pkey_alloc:330:289 pkey_free:331:290 pkey_mprotect:329:288
# signals; the process namespace bounds whom they reach
rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 rt_sigpending:127:136 rt_sigtimedwait:128:137
rt_sigqueueinfo:129:138 rt_sigsuspend:130:133 rt_tgsigqueueinfo:297:240 sigaltstack:131:132 pause:34:-
kill:62:129 tkill:200:130 tgkill:234:131 restart_syscall:219:128
# processes and threads
fork:57:- vfork:58:- exit:60:93 exit_group:231:94 wait4:61:260 waitid:247:95 set_tid_address:218:96
set_robust_list:273:99 get_robust_list:274:100 futex:202:98 futex_waitv:449:449 futex_wake:454:454
futex_wait:455:455 futex_requeue:456:456 rseq:334:293 arch_prctl:158:- prctl:157:167
# identity; changes are refused for want of capabilities
getpid:39:172 getppid:110:173 gettid:186:178 getuid:102:174 geteuid:107:175 getgid:104:176 getegid:108:177
getresuid:118:148 getresgid:120:150 getgroups:115:158 setgroups:116:159 setresuid:117:147 setresgid:119:149
getpgid:121:155 getpgrp:111:- setpgid:109:154 getsid:124:156 setsid:112:157 capget:125:90 capset:126:91
# limits, scheduling, facts about the machine
getrlimit:97:163 setrlimit:160:164 getrusage:98:165 times:100:153 sysinfo:99:179 uname:63:160
getcpu:309:168 getrandom:318:278 getpriority:140:141 sched_yield:24:124
sched_getaffinity:204:123 sched_getparam:143:121 sched_getscheduler:145:120 sched_get_priority_max:146:125
sched_get_priority_min:147:126 sched_rr_get_interval:148:127 sched_getattr:315:275
# time
time:201:- gettimeofday:96:169 nanosleep:35:101 clock_gettime:228:113 clock_getres:229:114
clock_nanosleep:230:115 alarm:37:- getitimer:36:102 setitimer:38:103 timer_create:222:107 timer_settime:223:110
timer_gettime:224:108 timer_getoverrun:225:109 timer_delete:226:111
# sockets that exist already: the fork-server's link, pairs
sendto:44:206 recvfrom:45:207 sendmsg:46:211 recvmsg:47:212 shutdown:48:210 getsockname:51:204
getpeername:52:205 getsockopt:55:209
# restricting oneself further
landlock_create_ruleset:444:444 landlock_restrict_self:446:446
"""
_DENIED = """
# namespaces, mounts, roots
unshare:272:97 setns:308:268 mount:165:40 umount2:166:39 pivot_root:155:41 chroot:161:51 open_tree:428:428
move_mount:429:429 fsopen:430:430 fsconfig:431:431 fsmount:432:432 fspick:433:433 mount_setattr:442:442
statmount:457:457 listmount:458:458
# other processes
ptrace:101:117 process_vm_readv:310:270 process_vm_writev:311:271 process_madvise:440:440 process_mrelease:448:448
pidfd_getfd:438:438 kcmp:312:272 move_pages:279:239 migrate_pages:256:238
# memory and objects that outlive a process or that no limit counts
shmget:29:194 shmat:30:196 shmctl:31:195 shmdt:67:197 semget:64:190 semop:65:193 semctl:66:191 semtimedop:220:192
msgget:68:186 msgsnd:69:189 msgrcv:70:188 msgctl:71:187 mq_open:240:180 memfd_secret:447:447
add_key:248:217 request_key:249:218 keyctl:250:219
# rarely used, often attacked
bpf:321:280 perf_event_open:298:241 io_uring_setup:425:425 io_uring_enter:426:426 io_uring_register:427:427
userfaultfd:323:282 vmsplice:278:75 fanotify_init:300:262 name_to_handle_at:303:264 open_by_handle_at:304:265
lookup_dcookie:212:18 personality:135:92 modify_ldt:154:- nfsservctl:180:42 remap_file_pages:216:234 uselib:134:-
# the machine's business
init_module:175:105 finit_module:313:273 delete_module:176:106 kexec_load:246:104 kexec_file_load:320:294
reboot:169:142 swapon:167:224 swapoff:168:225 acct:163:89 quotactl:179:60 quotactl_fd:443:443 iopl:172:-
ioperm:173:- settimeofday:164:170 clock_settime:227:112 adjtimex:159:171 clock_adjtime:305:266
sethostname:170:161 setdomainname:171:162 syslog:103:116 vhangup:153:58
"""
_METADATA = (
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat"),
    *("utime", "utimes", "futimesat", "utimensat", "truncate"),
)
"""Calls about files that Landlock lets pass (the last, before its third version)."""
# fmt: off
_MEMFD, _PRLIMIT, _SOCKET = (319, 279), (302, 261), (41, 198)
_CLONE, _CLONE3 = (56, 220), (435, 435)
_SETPRIORITY = (141, 140)
_SETAFFINITY, _SETPARAM, _SETSCHEDULER = (203, 122), (142, 118), (144, 119)
_SIGNALS = ((62, 129), (200, 130), (234, 131), (129, 138), (297, 240))  # kill, tkill, tgkill, and two that queue
_FCNTL, _ADD_RULE = (72, 25), (445, 445)
_SOCKETPAIR, _IOCTL, _MOUNT, _UMOUNT = (53, 199), (16, 29), (165, 40), (166, 39)
# fmt: on
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_NEWEST = 462
_X32 = 0x40000000

_NEWPID, _SIGCHLD = 0x20000000, 17
_NAMESPACES = 0x7E020000
"""Every CLONE_NEW flag that fits `clone`."""
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""Is it a terminal, its size, bytes to read, non-blocking, close-on-exec off and on."""
_TERMINAL_INPUT = (0x5412, 0x541C)
"""Typing into a terminal as if from the keyboard: TIOCSTI, TIOCLINUX."""
_PRIVATE_FILES = 0x2 | 0x4 | 0x8 | 0x400
"""Flags of `mount` for a program's private files: nosuid, nodev, noexec, noatime."""
_RDONLY, _REMOUNT = 0x1, 0x20
_DETACH = 2
_SETOWN = (8, 15, 10)
"""Of `fcntl`: whom to signal about a descriptor, in two forms, and by which signal."""
_SET_PIPE_SIZE = 1031
"""Of `fcntl`: up to a mebibyte for a pipe, in place of 64 KiB."""
_PATH_BENEATH = 1
"""Kind of a rule of Landlock. Of the other, for ports, there may be as many as one likes, and each takes memory."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_SET_SECCOMP, _MODE_FILTER = 22, 2


def install_filter(program: bytes) -> None:
    """Put this process and all it forks from now on under a filter; it must have given up new privileges.

    Raises:
        OSError: the kernel has no seccomp filters.
    """
    code = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.byref(header))


def build_filter(machine: str, *, private_files: bool) -> bytes:
    """The instructions of the filter for programs on `x86_64` or `aarch64`.

    Without private files, which take a namespace, programs have no file of their own whose mode or time to change.

    Raises:
        OSError: none are written for `machine`.
    """
    column = _column(machine)
    namespaces = [
        _on(_MOUNT[column], _only(3, *(_PRIVATE_FILES | more for more in (0, _RDONLY, _REMOUNT, _REMOUNT | _RDONLY)))),
        _on(_UMOUNT[column], _only(1, _DETACH)),
    ]
    of_oneself = (_PRLIMIT, _SETAFFINITY, _SETPARAM, _SETSCHEDULER)
    parts = [
        _begin(machine),
        *(_on(n, _step(_RETURN, _ALLOW)) for n in _numbers(_ALLOWED, column, () if private_files else _METADATA)),
        _clones(column, _NEWPID | _SIGCHLD if private_files else 0),
        *(_on(call[column], _only(0, 0)) for call in of_oneself),
        _on(_SETPRIORITY[column], _argument(1) + _step(_EQUAL, 0, 1, 0) + _refuse() + _only(0, 0)),
        _on(_SOCKETPAIR[column], _only(0, _AF_UNIX)),
        _on(_FCNTL[column], _all_but(1, _SET_PIPE_SIZE)),
        _on(_ADD_RULE[column], _only(1, _PATH_BENEATH)),
        _on(_IOCTL[column], _only(1, *_IOCTLS)),
        *(namespaces if private_files else ()),
        _refuse(),
    ]
    return b"".join(parts)


def refuse_signals() -> None:
    """Let this process and all it forks signal nobody, not even themselves, on top of the filter.

    Raises:
        OSError: the kernel refused.
    """
    column = _column(os.uname().machine)
    setown = (_step(_EQUAL, command, 0, 1) + _refuse() for command in _SETOWN)
    parts = [
        _step(_LOAD, _NUMBER),
        *(_on(call[column], _refuse()) for call in _SIGNALS),
        _on(_FCNTL[column], _argument(1) + b"".join(setown) + _step(_RETURN, _ALLOW)),
        _step(_RETURN, _ALLOW),
    ]
    install_filter(b"".join(parts))


def build_command_filter(machine: str, *, sockets: bool = True) -> bytes:
    """The instructions of the filter for commands on `x86_64` or `aarch64`.

    With `sockets`, for a network of its own; without, there are none but connected pairs.

    Raises:
        OSError: none are written for `machine`.
    """
    column = _column(machine)
    parts = [
        _begin(machine),
        *(_on(number, _refuse()) for number in _numbers(_DENIED, column)),
        _clones(column),
        _on(_MEMFD[column], _step(_RETURN, _ERROR | ENOSYS)),  # a file of its own in memory, under no file system's cap
        _on(_PRLIMIT[column], _only(0, 0)),
        _on(_SOCKET[column], _only(0, _AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK) if sockets else _refuse()),
        _on(_SOCKETPAIR[column], _only(0, _AF_UNIX)),
        _on(_IOCTL[column], _all_but(1, *_TERMINAL_INPUT)),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(parts)


def _column(machine: str) -> int:
    if machine not in _ARCHITECTURES:
        known = ", ".join(_ARCHITECTURES)
        raise OSError(ENOSYS, f"no filter of system calls is written for {machine}, only for {known}")
    return _ARCHITECTURES[machine][0]


def _begin(machine: str) -> bytes:
    """End what calls in another architecture's manner, refuse what is newer than the lists."""
    parts = [
        _step(_LOAD, _ARCHITECTURE) + _step(_EQUAL, _ARCHITECTURES[machine][1], 1, 0) + _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, _X32, 0, 1) + _step(_RETURN, _KILL),
        _step(_AT_LEAST, _NEWEST + 1, 0, 1) + _step(_RETURN, _ERROR | ENOSYS),
    ]
    return b"".join(parts)


def _clones(column: int, and_flags: int = 0) -> bytes:
    """Processes and threads, but no namespaces except with just `and_flags`.

    `clone3` cannot be looked into, and the C library does without.
    """
    exception = _step(_EQUAL, and_flags, 0, 1) + _step(_RETURN, _ALLOW) if and_flags else b""
    allowed = _argument(0) + exception + _step(_ANY_BIT, _NAMESPACES, 0, 1) + _refuse() + _step(_RETURN, _ALLOW)
    return _on(_CLONE3[column], _step(_RETURN, _ERROR | ENOSYS)) + _on(_CLONE[column], allowed)


def _numbers(table: str, column: int, without: Sequence[str] = ()) -> list[int]:
    lines = [line for line in table.splitlines() if not line.startswith("#")]
    entries = [entry.split(":") for line in lines for entry in line.split()]
    return [int(entry[1 + column]) for entry in entries if entry[1 + column] != "-" and entry[0] not in without]


def _step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    """One instruction; of a jump, how many to skip where it holds and where it does not."""
    return struct.pack("=HBBI", code, then, otherwise, value)


def _on(number: int, action: bytes) -> bytes:
    """`action`, which ends the filter, if this is system call `number`."""
    return _step(_EQUAL, number, 0, len(action) // 8) + action


def _argument(index: int) -> bytes:
    """Load the lower half of an argument, which is all that the kernel reads of these."""
    return _step(_LOAD, _FIRST_ARGUMENT + 8 * index)


def _only(index: int, *values: int) -> bytes:
    """Allow the call if its argument is one of `values`."""
    checks = (_step(_EQUAL, value, 0, 1) + _step(_RETURN, _ALLOW) for value in values)
    return _argument(index) + b"".join(checks) + _refuse()


def _all_but(index: int, *values: int) -> bytes:
    """Refuse the call if its argument is one of `values`."""
    checks = (_step(_EQUAL, value, 0, 1) + _refuse() for value in values)
    return _argument(index) + b"".join(checks) + _step(_RETURN, _ALLOW)


def _refuse() -> bytes:
    return _step(_RETURN, _ERROR | EPERM)
