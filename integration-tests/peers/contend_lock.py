"""Kazoo contending for a Lock; ContendLock.java in Python, with the same arguments, log lines and --hold mode.

  contend_lock.py [--curator-names] HOSTS PATH COUNT LOG WHO
  contend_lock.py [--curator-names] --hold HOSTS PATH

Stock Kazoo and stock Curator do not exclude each other on one path: each looks for its own mark before the sequence
number. With --curator-names Kazoo writes and reads Curator's mark, and they do.
"""

import argparse
import os
import sys
import time

from kazoo.client import KazooClient
from kazoo.recipe.lock import Lock


class CuratorNamedLock(Lock):
    """Kazoo's lock under node names that Curator's InterProcessMutex orders correctly."""

    _NODE_NAME = "-lock-"
    _EXCLUDE_NAMES = ["-lock-"]


def contend(client, lock, count, log, who):
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def line(what, czxid):
        os.write(out, f"{what} {who} {czxid} {time.monotonic_ns()}\n".encode())

    for _ in range(count):
        lock.acquire()
        czxid = client.exists(f"{lock.path}/{lock.node}").czxid
        line("ENTER", czxid)
        time.sleep(0.001)
        line("EXIT", czxid)
        lock.release()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--curator-names", action="store_true")
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("hosts")
    parser.add_argument("path")
    parser.add_argument("contend", nargs="*", help="COUNT LOG WHO")
    args = parser.parse_args()

    client = KazooClient(hosts=args.hosts, timeout=10)
    client.start()
    lock = (CuratorNamedLock if args.curator_names else Lock)(client, args.path)
    if args.hold:
        lock.acquire()
        print("HELD", flush=True)
        sys.stdin.read()
        lock.release()
    else:
        count, log, who = args.contend
        contend(client, lock, int(count), log, who)
    client.stop()
    client.close()


if __name__ == "__main__":
    main()
