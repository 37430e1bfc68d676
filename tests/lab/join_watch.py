#!/usr/bin/env python3
"""Waits until FILE appears by rename, and prints what COMMAND says at that very moment.

Usage: join_watch.py FILE PID COMMAND...

In that moment process PID is stopped until COMMAND has ended, so that it cannot make up for what was not
yet there. Prints first "watching", then the time of the appearance in microseconds, then COMMAND's output.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time

IN_MOVED_TO = 0x80


def main():
    path, pid, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_CLOEXEC)
    directory = os.path.dirname(path).encode()
    if watch < 0 or libc.inotify_add_watch(watch, directory, IN_MOVED_TO) < 0:
        sys.exit(f"cannot watch {path}: {os.strerror(ctypes.get_errno())}")
    print("watching", flush=True)
    while True:
        os.read(watch, 4096)
        if os.path.exists(path):
            break
    os.kill(pid, signal.SIGSTOP)
    print(time.time_ns() // 1000, flush=True)
    try:
        subprocess.run(command, check=True)
    finally:
        os.kill(pid, signal.SIGCONT)


main()
