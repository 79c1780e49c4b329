"""Runs a program, and ends it and all that it started when the process that wanted it is gone, even killed.

Run by `sparse_qonnx.system.processes` as a script, leader of a process group of its own; imports as little as it can.
Its standard input is a pipe that nobody writes to: it ends with the process at its other end.
"""

import os
import signal
import sys
import threading


def _end_with_parent() -> None:
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run a command; its exit code, 128 + n after signal n, 127 when it cannot be started."""
    nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    try:
        process = os.posix_spawnp(command[0], command, os.environ, file_actions=[nothing])
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127
    threading.Thread(target=_end_with_parent, daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
