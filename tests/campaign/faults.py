#!/usr/bin/python3
"""The N-th system call of a kind fails, once or a few times in a row, in every command:
fault_calls.c.

Violations: an end by a signal, a hang, exit status 0 with output that is missing or differs, an
outcome that is lost or wrong, a micrograph that failed because the machine was short of something,
exit status 2 for what is not the user's mistake. An abort of libzmq is counted, but is no violation.
"""

import errno
import subprocess

import campaign as c
import faulty
import scenarios
from support import PROGRAM

SHORT = ["EMFILE", "ENFILE", "ENOMEM"]
READ = ["EIO", "ESTALE", "EINTR", "ENOMEM"]
WRITTEN = ["ENOSPC", "EIO", "EDQUOT", "EINTR", "ESTALE"]
OPEN = SHORT + ["EIO", "ESTALE", "EACCES", "EINTR"]
STATUS = ["EIO", "ESTALE", "EACCES", "ENOMEM"]

# What each call can fail with on a real machine.
TABLE = {
    "accept": SHORT + ["EAGAIN", "ECONNABORTED"],
    "accept4": SHORT + ["EAGAIN", "ECONNABORTED"],
    "bind": ["EACCES", "ENOMEM"],
    "connect": ["EAGAIN", "EACCES", "EINTR"],
    "epoll_create1": SHORT,
    "epoll_ctl": ["ENOMEM", "ENOSPC"],
    "eventfd": SHORT,
    "fclose": WRITTEN,
    "fdatasync": WRITTEN,
    "fdopendir": ["ENOMEM"],
    "fflush": WRITTEN,
    "flock": ["EINTR", "ENOLCK"],
    "fopen": OPEN,
    "fstat": ["EIO", "ESTALE", "ENOMEM"],
    "fstatat": STATUS,
    "fsync": WRITTEN,
    "ftruncate": ["EIO", "ENOSPC", "EINTR"],
    "getrandom": ["EAGAIN", "EINTR"],
    "inotify_add_watch": ["ENOSPC", "ENOMEM", "EACCES"],
    "inotify_init1": SHORT,
    "listen": ["EADDRINUSE"],
    "lstat": STATUS,
    "mkdir": ["ENOSPC", "EACCES", "EIO"],
    "mmap": ["ENOMEM", "EAGAIN", "ENFILE"],
    "open": OPEN,
    "openat": OPEN + ["ENOSPC"],
    "opendir": OPEN,
    "pread": READ,
    "pthread_create": ["EAGAIN"],
    "pwrite": WRITTEN,
    "read": READ,
    "renameat": ["EIO", "ENOSPC", "EACCES", "ESTALE"],
    "sendmsg": ["EAGAIN", "EINTR", "ENOBUFS", "ENOMEM"],
    "sendto": ["EAGAIN", "EINTR", "ENOBUFS", "ENOMEM"],
    "setxattr": ["ENOSPC", "ENOTSUP", "EIO"],
    "signalfd": SHORT,
    "socket": SHORT,
    "stat": STATUS,
    "statfs": ["EIO", "ENOMEM", "EINTR"],
    "timerfd_create": SHORT,
    "unlink": ["EIO", "EACCES"],
    "unlinkat": ["EIO", "EACCES"],
    "write": WRITTEN,
}
REFUSALS = {"EACCES", "EIO", "ESTALE"}  # a configuration that cannot be read is the user's


def names_of(library):
    """The calls in the order of their counters."""
    listed = subprocess.run([PROGRAM, "--version"], env=c.preloaded(library, PS_FAULT_CALL="list"),
                            stdout=subprocess.PIPE, text=True, check=True)
    return listed.stdout.split()


def choose(campaign, calls, names):
    """A call that the command makes, which of them, and its error."""
    made = [(name, number) for name, number in zip(names, calls) if number and name in TABLE]
    name, number = campaign.random.choice(made)
    return name, campaign.random.randrange(1, number + 1), campaign.random.choice(TABLE[name])


def work(campaign):
    lab = scenarios.Lab(campaign.directory)
    try:
        bench = faulty.Bench(campaign, lab, "fault_calls")
        names = names_of(bench.library)
        while campaign.goes_on():
            scenario = bench.choose()
            name, number, code = choose(campaign, bench.calls(scenario), names)
            several = campaign.random.choice([1, 1, 1, 2, 10])
            bench.disturb(
                scenario, f"{name} {number} {code}, {several} in all", code in REFUSALS,
                PS_FAULT_CALL=name, PS_FAULT_ERRNO=str(getattr(errno, code)),
                PS_FAULT_NUMBER=str(number), PS_FAULT_COUNT=str(several))
    finally:
        lab.end()


if __name__ == "__main__":
    c.main(work)
