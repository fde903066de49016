"""Kazoo's recipes under measurement, told by standard input: see player.rs of recipe-bench for the lines.

  bench_recipes.py HOSTS
"""

import logging
import os
import queue
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.recipe.barrier import DoubleBarrier
from kazoo.recipe.counter import Counter
from kazoo.recipe.election import Election
from kazoo.recipe.lock import Lock, ReadLock, Semaphore, WriteLock
from kazoo.recipe.queue import LockingQueue, Queue
from kazoo.retry import KazooRetry, RetryFailedError

ITEM = b"x" * 100
MANY = 100


class Order:
    """One order, and the sessions for it."""

    def __init__(self, hosts, line):
        words = line.split(" ")
        self.hosts = hosts
        self.name = words[1]
        fields = dict(word.split("=", 1) for word in words[2:])
        self.path = fields["path"]
        self.count = int(fields["count"])
        self.seconds = float(fields["seconds"])
        self.size = int(fields["clients"])
        self.clients = []

    def connect(self, timeout=10.0):
        for _ in range(self.size):
            # Conflicts of counters are tried again soon, and as often as it takes.
            retry = KazooRetry(max_tries=-1, delay=0.001, max_delay=0.01)
            client = KazooClient(hosts=self.hosts, timeout=timeout, command_retry=retry)
            client.start()
            self.clients.append(client)
        self.clients[0].ensure_path(self.path)

    def begin(self):
        say("ready")
        expect("go")
        self.begun = time.monotonic()
        self.cpu = time.process_time()

    def end(self, count, more=""):
        seconds = time.monotonic() - self.begun
        cpu = int((time.process_time() - self.cpu) * 1e6)
        say(f"ok count={count} seconds={seconds} cpu_us={cpu}{more}")
        expect("clear")

    def close(self):
        for client in self.clients:
            client.stop()
            client.close()


def say(line):
    print(line, flush=True)


def expect(wanted):
    line = sys.stdin.readline()
    if not line:
        os._exit(0)
    if line.strip() != wanted:
        raise RuntimeError(f"not {wanted}: {line}")


def together(count, work):
    failures = []

    def one(who):
        try:
            work(who)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(who,), daemon=True) for who in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def repeat(order, turn_of):
    """Every client in a thread of its own, until the time is over."""
    order.connect()
    turns = [turn_of(client, who) for who, client in enumerate(order.clients)]
    done = [0] * order.size
    order.begin()
    until = time.monotonic() + order.seconds

    def work(who):
        turn = turns[who]
        while time.monotonic() < until:
            turn(done[who])
            done[who] += 1

    together(order.size, work)
    order.end(sum(done))


def lock(order):
    def turn_of(client, _who):
        mutex = Lock(client, order.path)

        def turn(_n):
            mutex.acquire()
            mutex.release()

        return turn

    repeat(order, turn_of)


def try_lock(order):
    def turn_of(client, _who):
        mutex = Lock(client, order.path)

        def turn(_n):
            if not mutex.acquire(blocking=False):
                raise RuntimeError("not free")
            mutex.release()

        return turn

    repeat(order, turn_of)


def rw(order):
    def turn_of(client, who):
        reader = ReadLock(client, order.path)
        writer = WriteLock(client, order.path)

        def turn(n):
            one = writer if (n + who) % 10 == 0 else reader
            one.acquire()
            one.release()

        return turn

    repeat(order, turn_of)


def semaphore(order):
    def turn_of(client, _who):
        permits = Semaphore(client, order.path, max_leases=3)

        def turn(_n):
            permits.acquire()
            permits.release()

        return turn

    repeat(order, turn_of)


def counter(order):
    def turn_of(client, _who):
        number = Counter(client, order.path + "/n")

        def turn(_n):
            while True:
                try:
                    number.__add__(1)
                    return
                except RetryFailedError:
                    pass

        return turn

    repeat(order, turn_of)


def latch(order):
    """Kazoo has no latch; its election: the function returns, and the next one's is called."""
    order.connect()
    leads = queue.Queue()
    resign = [threading.Event() for _ in range(order.size)]
    over = threading.Event()

    def candidate(who):
        election = Election(order.clients[who], order.path, str(who))

        def leader():
            leads.put((who, time.monotonic()))
            resign[who].wait()
            resign[who].clear()
            closed.append(time.monotonic())

        while not over.is_set():
            election.run(leader)

    closed = []
    threads = [threading.Thread(target=candidate, args=(who,), daemon=True) for who in range(order.size)]
    for thread in threads:
        thread.start()
    who, _ = leads.get()
    looking = Lock(order.clients[0], order.path)
    samples = []
    order.begin()
    for _ in range(order.count):
        while len(looking.contenders()) < order.size:
            time.sleep(0.001)
        time.sleep(0.005)
        resign[who].set()
        who, led = leads.get()
        samples.append(str(int((led - closed[-1]) * 1e6)))
    order.end(order.count, " samples=" + ",".join(samples))
    over.set()
    for event in resign:
        event.set()
    for thread in threads:
        thread.join(5)


def latch_stand(order):
    """Stands in line until it is killed."""
    order.connect(timeout=2.0)
    election = Election(order.clients[0], order.path, str(os.getpid()))
    me = str(os.getpid())

    def ready():
        while me not in election.contenders():
            time.sleep(0.001)
        say("ready")
        started.set()

    started = threading.Event()
    threading.Thread(target=ready, daemon=True).start()

    def leader():
        started.wait()
        say("leads")
        sys.stdin.read()
        os._exit(0)

    election.run(leader)


def queue_put(order):
    def turn_of(client, _who):
        items = Queue(client, order.path)
        return lambda _n: items.put(ITEM)

    repeat(order, turn_of)


def queue_put_many(order):
    """Only the locking queue puts many at once."""
    order.connect()
    items = LockingQueue(order.clients[0], order.path)
    put = 0
    order.begin()
    until = time.monotonic() + order.seconds
    while time.monotonic() < until:
        items.put_all([ITEM] * MANY)
        put += MANY
    order.end(put)


def queue_take(order):
    order.connect()
    filling = Queue(order.clients[0], order.path)
    for _ in range(order.count):
        filling.put(ITEM)
    taken = [0] * order.size
    order.begin()

    def work(who):
        items = Queue(order.clients[who], order.path)
        while items.get() is not None:
            taken[who] += 1

    together(order.size, work)
    order.end(sum(taken))


def work_queue(order):
    order.connect()
    filling = LockingQueue(order.clients[0], order.path)
    for at in range(0, order.count, MANY):
        filling.put_all([ITEM] * min(MANY, order.count - at))
    left = [order.count]
    guard = threading.Lock()
    done = threading.Event()
    order.begin()

    def work(who):
        items = LockingQueue(order.clients[who], order.path)
        while not done.is_set():
            if items.get(timeout=0.5) is None:
                continue
            items.consume()
            with guard:
                left[0] -= 1
                if left[0] == 0:
                    done.set()

    for who in range(order.size):
        threading.Thread(target=work, args=(who,), daemon=True).start()
    done.wait()
    order.end(order.count)
    time.sleep(0.6)


def barrier(order):
    order.connect(timeout=30.0)
    one_path = order.name == "barrier"
    here = [0] * order.count
    early = [0]
    guard = threading.Lock()
    order.begin()

    def work(who):
        for number in range(order.count):
            path = f"{order.path}/b" if one_path else f"{order.path}/b{number}"
            one = DoubleBarrier(order.clients[who], path, order.size)
            with guard:
                here[number] += 1
            one.enter()
            with guard:
                if here[number] < order.size:
                    early[0] += 1
            one.leave()

    together(order.size, work)
    order.end(order.count, f" early={early[0]}")


ROWS = {
    "lock": lock,
    "try-lock": try_lock,
    "rw": rw,
    "semaphore": semaphore,
    "counter": counter,
    "latch": latch,
    "latch-stand": latch_stand,
    "queue-put": queue_put,
    "queue-put-many": queue_put_many,
    "queue-take": queue_take,
    "work-queue": work_queue,
    "barrier": barrier,
    "barriers": barrier,
}


def main():
    logging.disable(logging.CRITICAL)
    hosts = sys.argv[1]
    while line := sys.stdin.readline():
        order = Order(hosts, line.strip())
        play = ROWS.get(order.name)
        if play is None:
            say("unsupported")
            continue
        try:
            play(order)
            order.close()
            say("cleared")
        except Exception as error:
            order.close()
            say(f"failed {error!r}")


if __name__ == "__main__":
    main()
