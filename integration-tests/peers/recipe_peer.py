"""Kazoo at the far end of a pipe: RecipePeer.java in Python, with the same requests, answers and log lines.

  recipe_peer.py

Each line of the standard input is a request, `ID ACTOR VERB ARGUMENTS...`; each is answered by one line, `ID ok
WORDS...` or `ID failed TEXT`. README.md has the table of verbs. The process ends, without closing anything, when its
input does.

Stock Kazoo and stock Curator do not exclude each other on one path: each looks for its own mark before the sequence
number. Behind a colon a kind of lock says how Kazoo is made to see Curator: `mutex:extra` is the stock class with
Curator's mark among its `extra_lock_patterns`, which sees Curator and is not seen by it; `:curator` is a subclass
that writes Curator's mark and reads it.
"""

import os
import queue
import sys
import threading
import time
from datetime import timedelta

from kazoo.client import KazooClient
from kazoo.exceptions import LockTimeout
from kazoo.recipe.barrier import Barrier, DoubleBarrier
from kazoo.recipe.counter import Counter
from kazoo.recipe.election import Election
from kazoo.recipe.lease import MultiNonBlockingLease, NonBlockingLease
from kazoo.recipe.lock import Lock, ReadLock, Semaphore, WriteLock
from kazoo.recipe.queue import LockingQueue, Queue


class CuratorLock(Lock):
    """Kazoo's lock under node names that Curator's InterProcessMutex orders correctly."""

    _NODE_NAME = "-lock-"
    _EXCLUDE_NAMES = ["-lock-"]


class CuratorWriteLock(WriteLock):
    """The same for the writer of Curator's InterProcessReadWriteLock."""

    _NODE_NAME = "__WRIT__"
    _EXCLUDE_NAMES = ["__WRIT__", "__READ__"]


class CuratorReadLock(ReadLock):
    """The same for its reader."""

    _NODE_NAME = "__READ__"
    _EXCLUDE_NAMES = ["__WRIT__"]


LOCKS = {
    "mutex": Lock,
    "mutex:extra": Lock,
    "mutex:curator": CuratorLock,
    "read": ReadLock,
    "read:extra": ReadLock,
    "read:curator": CuratorReadLock,
    "write": WriteLock,
    "write:extra": WriteLock,
    "write:curator": CuratorWriteLock,
}

# What a class has to see besides its own marks to see Curator.
EXTRA = {"mutex:extra": ["-lock-"], "read:extra": ["__WRIT__"], "write:extra": ["__WRIT__", "__READ__"]}

SAYING = threading.Lock()


def answer(number, outcome, words):
    with SAYING:
        sys.stdout.write(" ".join([number, outcome, *(str(word) for word in words)]) + "\n")
        sys.stdout.flush()


def mode(kind):
    """`read` may be had by several at once, and so may a permit."""
    return "r" if kind.startswith(("read", "semaphore:")) else "w"


def unhex(text):
    return bytes.fromhex("" if text == "-" else text)


def enhex(data):
    return data.hex() or "-"


def write_line(log, text):
    """One write: lines that several processes append do not mix."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(out, f"{text}\n".encode())
    os.close(out)


class Actor:
    """A session and a thread of its own; requests are done one after the other."""

    def __init__(self, name):
        self.name = name
        self.requests = queue.Queue()
        self.held = {}
        self.running = {}
        self.client = None
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            number, verb, arguments = self.requests.get()
            try:
                result = getattr(self, "do_" + verb.replace("-", "_"))(*arguments)
                answer(number, "ok", [] if result is None else str(result).split(" "))
            except BaseException as problem:  # a test wants to read of every kind
                answer(number, "failed", repr(problem).split())

    def do_open(self, hosts, timeout):
        # Lost connections are retried: a process that was stopped comes back to a session that is gone.
        retry = {"max_tries": -1, "delay": 0.05, "max_delay": 0.5}
        self.client = KazooClient(
            hosts=hosts, timeout=int(timeout) / 1000, connection_retry=retry, command_retry=retry
        )
        self.client.start()
        return self.client.client_id[0]

    def do_close(self):
        self.client.stop()
        self.client.close()

    # locks, semaphores, leaders

    def make(self, kind, path):
        if kind.startswith("semaphore:"):
            return Semaphore(self.client, path, self.name, max_leases=int(kind.split(":")[1]))
        extra = {"extra_lock_patterns": EXTRA[kind]} if kind in EXTRA else {}
        return LOCKS[kind](self.client, path, self.name, **extra)

    def token(self, lock):
        node = lock.create_path if isinstance(lock, Semaphore) else f"{lock.path}/{lock.node}"
        return node, self.client.retry(self.client.exists, node).czxid

    def do_acquire(self, kind, path, ms):
        lock = self.make(kind, path)
        ms = int(ms)
        try:
            if not lock.acquire(blocking=ms != 0, timeout=ms / 1000 if ms > 0 else None):
                return "none"
        except LockTimeout:
            return "none"
        self.held[kind, path] = lock
        node, czxid = self.token(lock)
        return f"{node} {czxid}"

    def do_release(self, kind, path):
        self.held.pop((kind, path)).release()

    def do_hold(self, kind, path, log):
        got = self.do_acquire(kind, path, -1)
        self.mark("ENTER", log, self.token(self.held[kind, path])[1], mode(kind))
        return got

    def do_leave(self, kind, path, log):
        lock = self.held.pop((kind, path))
        self.mark("EXIT", log, self.token(lock)[1], mode(kind))
        lock.release()

    def do_contend(self, kind, path, count, log):
        lock = self.make(kind, path)
        for _ in range(int(count)):
            lock.acquire()
            self.section(log, self.token(lock)[1], mode(kind))
            lock.release()
        return count

    def section(self, log, token, how):
        self.mark("ENTER", log, token, how)
        time.sleep(0.001)
        self.mark("EXIT", log, token, how)

    def mark(self, step, log, token, how):
        write_line(log, f"{step} {self.name} {token} {time.monotonic_ns()} {how}")

    def do_contenders(self, kind, path):
        """The identifiers, in line."""
        return " ".join(self.make(kind, path).contenders())

    def do_holders(self, kind, path):
        return " ".join(sorted(self.make(kind, path).lease_holders()))

    def do_lead(self, path, count, log, kind="mutex"):
        election = Election(self.client, path, self.name)
        election.lock = self.make(kind, path)
        for _ in range(int(count)):
            election.run(lambda: self.section(log, self.token(election.lock)[1], "w"))
        return count

    # barriers

    def do_barrier_set(self, path):
        Barrier(self.client, path).create()

    def do_barrier_remove(self, path):
        return str(Barrier(self.client, path).remove()).lower()

    def do_barrier_wait(self, path, ms):
        return str(Barrier(self.client, path).wait(int(ms) / 1000)).lower()

    def do_rounds(self, path, size, count, log, way):
        """Each round says when it comes, is in, wants to leave (when all are in, if together) and is out."""
        for i in range(int(count)):
            barrier = DoubleBarrier(self.client, f"{path}-{i}", int(size), self.name)
            write_line(log, f"COMES {self.name} {i}")
            barrier.enter()
            # Kazoo swallows what goes wrong, and tells only here.
            if not barrier.participating:
                raise RuntimeError(f"round {i} was not entered")
            write_line(log, f"IN {self.name} {i}")
            while way == "together" and self.inside(log, i) < int(size):
                time.sleep(0.001)
            write_line(log, f"LEAVES {self.name} {i}")
            barrier.leave()
            write_line(log, f"OUT {self.name} {i}")
        return count

    @staticmethod
    def inside(log, number):
        with open(log) as lines:
            return sum(line.startswith("IN ") and line.endswith(f" {number}\n") for line in lines)

    # numbers

    def counter(self, kind, path):
        """`counter` (text), `counter:float`, `counter:curator` (a SharedCount's bytes)."""
        if kind == "counter:curator":
            return Counter(self.client, path, support_curator=True)
        return Counter(self.client, path, default=0.0 if kind == "counter:float" else 0)

    def do_add(self, kind, path, delta, times):
        """Adds delta, several times, and returns the last sum; with no times reads."""
        counter = self.counter(kind, path)
        for _ in range(int(times)):
            counter += type(counter.default)(delta)
        return counter.value

    # queues, leases

    def do_put(self, kind, path, ordinal, *items):
        priority = {} if ordinal == "-" else {"priority": int(ordinal)}
        items = [unhex(item) for item in items]
        if kind == "kazoo":
            for item in items:
                Queue(self.client, path).put(item, **priority)
        elif len(items) == 1:
            LockingQueue(self.client, path).put(items[0], **priority)
        else:
            LockingQueue(self.client, path).put_all(items, **priority)

    def do_take(self, kind, path, ms):
        """Takes an item for good."""
        if kind == "kazoo":
            item = Queue(self.client, path).get()
        else:
            taken = LockingQueue(self.client, path)
            item = taken.get(int(ms) / 1000)
            if item is not None and not taken.consume():
                raise RuntimeError("the item was not ours to consume")
        return "none" if item is None else enhex(item)

    def do_claim(self, path, ms):
        """Claims an item of a LockingQueue; `ack` or `nack` deals with it."""
        taken = self.running.setdefault(path, LockingQueue(self.client, path))
        item = taken.get(int(ms) / 1000)
        return "none" if item is None else enhex(item)

    def do_ack(self, path):
        return str(self.running[path].consume()).lower()

    def do_nack(self, path):
        return str(self.running[path].release()).lower()

    def do_lease(self, path, seconds, holder):
        return str(bool(NonBlockingLease(self.client, path, timedelta(seconds=int(seconds)), holder))).lower()

    def do_multi_lease(self, path, count, seconds, holder):
        time_of_it = timedelta(seconds=int(seconds))
        return str(bool(MultiNonBlockingLease(self.client, int(count), path, time_of_it, holder))).lower()


def main():
    actors = {}
    for line in sys.stdin:
        number, name, verb, *arguments = line.split()
        if name not in actors:
            actors[name] = Actor(name)
        actors[name].requests.put((number, verb, arguments))
    os._exit(0)


if __name__ == "__main__":
    main()
