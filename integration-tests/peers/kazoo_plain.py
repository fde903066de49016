"""Kazoo as an ordinary client: what a Python program relies on, checked step by step against any server.

  kazoo_plain.py HOSTS

Prints `ok <name>` per check and stops with a traceback and a non-zero status at the first that fails. Works below
one fresh node and removes it, so it may run against a server that holds other data.
"""

import sys
import time
import uuid
from queue import Empty, Queue

from kazoo.client import KazooClient
from kazoo.exceptions import (
    BadVersionError,
    NoAuthError,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
    RuntimeInconsistency,
)
from kazoo.protocol.states import EventType, KazooState
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl

DEADLINE = 10  # seconds that anything asynchronous may take

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def raises(error, call, *args, **kwargs):
    try:
        result = call(*args, **kwargs)
    except error:
        return
    raise AssertionError(f"expected {error.__name__}, got the result {result!r}")


def eventually(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"never saw: {what}"
        time.sleep(0.01)


def connect(hosts):
    client = KazooClient(hosts=hosts, timeout=10)
    client.start(timeout=DEADLINE)
    return client


class World:
    """What a check gets: a connected client, its hosts, and a node of its own to work below."""

    def __init__(self, hosts):
        self.hosts = hosts
        self.zk = connect(hosts)
        self.root = f"/kazoo-plain-{uuid.uuid4().hex[:8]}"
        self.zk.create(self.root)

    def node(self, name, *args, **kwargs):
        return self.zk.create(f"{self.root}/{name}", *args, **kwargs)


@check
def session(w):
    seen = []
    client = KazooClient(hosts=w.hosts, timeout=10)
    client.add_listener(seen.append)
    client.start(timeout=DEADLINE)
    session_id, password = client.client_id
    assert session_id != 0 and len(password) == 16, client.client_id
    assert session_id != w.zk.client_id[0]
    assert client.state == KazooState.CONNECTED
    client.stop()
    eventually(lambda: KazooState.LOST in seen, "LOST after stop")
    assert seen[0] == KazooState.CONNECTED, seen


@check
def server_version(w):
    assert w.zk.server_version() >= (3, 5), w.zk.server_version()


@check
def create_persistent(w):
    assert w.node("p", b"data") == f"{w.root}/p"
    data, stat = w.zk.get(f"{w.root}/p")
    assert data == b"data" and stat.ephemeralOwner == 0 and stat.version == 0, (data, stat)
    assert stat.czxid == stat.mzxid > 0 and stat.data_length == 4, stat
    assert abs(stat.created - time.time()) < 60, stat
    raises(NodeExistsError, w.node, "p")
    raises(NoNodeError, w.node, "missing/child")
    assert w.node("deep/er/path", makepath=True) == f"{w.root}/deep/er/path"


@check
def create_with_stat(w):
    path, stat = w.node("with-stat", b"xyz", include_data=True)
    assert path == f"{w.root}/with-stat" and stat.data_length == 3, (path, stat)
    assert stat == w.zk.exists(path)


@check
def create_ephemeral(w):
    path = w.node("e", ephemeral=True)
    assert w.zk.exists(path).ephemeralOwner == w.zk.client_id[0]
    raises(NoChildrenForEphemeralsError, w.zk.create, path + "/child")


@check
def create_sequence(w):
    parent = w.node("seq")
    first = w.zk.create(parent + "/n-", sequence=True)
    second = w.zk.create(parent + "/n-", sequence=True, ephemeral=True)
    bare = w.zk.create(parent + "/", sequence=True)
    assert [first, second, bare] == [f"{parent}/n-{0:010}", f"{parent}/n-{1:010}", f"{parent}/{2:010}"]
    assert w.zk.exists(second).ephemeralOwner == w.zk.client_id[0]


@check
def get_missing(w):
    raises(NoNodeError, w.zk.get, f"{w.root}/missing")
    assert w.zk.exists(f"{w.root}/missing") is None
    raises(NoNodeError, w.zk.get_children, f"{w.root}/missing")


@check
def empty_and_large_data(w):
    assert w.zk.get(w.node("empty"))[0] == b""
    large = bytes(range(256)) * 2048
    assert w.zk.get(w.node("large", large))[0] == large


@check
def set_with_version(w):
    path = w.node("set", b"0")
    stat = w.zk.set(path, b"one")
    assert (stat.version, stat.data_length) == (1, 3) and stat.mzxid > stat.czxid, stat
    raises(BadVersionError, w.zk.set, path, b"x", version=0)
    assert w.zk.set(path, b"two", version=1).version == 2
    assert w.zk.get(path)[0] == b"two"
    raises(NoNodeError, w.zk.set, path + "-missing", b"x")


@check
def delete_with_version(w):
    path = w.node("delete")
    w.zk.create(path + "/child")
    raises(NotEmptyError, w.zk.delete, path)
    raises(BadVersionError, w.zk.delete, path + "/child", version=7)
    w.zk.delete(path + "/child", version=0)
    w.zk.delete(path)
    raises(NoNodeError, w.zk.delete, path)


@check
def delete_recursive(w):
    path = w.node("tree/a/b", makepath=True)
    w.zk.delete(f"{w.root}/tree", recursive=True)
    assert w.zk.exists(path) is None


@check
def get_children(w):
    parent = w.node("children")
    assert w.zk.get_children(parent) == []
    for name in ("b", "a", "\u00e9"):
        w.zk.create(f"{parent}/{name}")
    assert sorted(w.zk.get_children(parent)) == ["a", "b", "\u00e9"]
    children, stat = w.zk.get_children(parent, include_data=True)
    assert len(children) == stat.numChildren == 3 and stat.cversion == 3, stat


@check
def sync_and_pipeline(w):
    assert w.zk.sync(w.root) == w.root
    pending = [w.zk.create_async(f"{w.root}/pipe-", sequence=True) for _ in range(200)]
    names = [result.get(timeout=DEADLINE) for result in pending]
    assert names == sorted(names) and len(set(names)) == 200


@check
def watch_data(w):
    events, path = Queue(), w.node("watch-data", b"0")
    w.zk.get(path, watch=events.put)
    w.zk.set(path, b"1")
    event = events.get(timeout=DEADLINE)
    assert (event.type, event.path) == (EventType.CHANGED, path), event
    w.zk.set(path, b"2")
    w.zk.get(path, watch=events.put)
    w.zk.delete(path)
    assert events.get(timeout=DEADLINE).type == EventType.DELETED
    # The second set came while no watch was set: one-shot means it left no event.
    assert events.empty()


@check
def watch_children(w):
    events, path = Queue(), w.node("watch-children")
    w.zk.get_children(path, watch=events.put)
    w.zk.create(path + "/a")
    event = events.get(timeout=DEADLINE)
    assert (event.type, event.path) == (EventType.CHILD, path), event
    w.zk.create(path + "/b")
    try:
        raise AssertionError(f"a one-shot watch fired twice: {events.get(timeout=0.2)}")
    except Empty:
        pass


@check
def watch_exists(w):
    events, path = Queue(), f"{w.root}/watch-exists"
    assert w.zk.exists(path, watch=events.put) is None
    w.zk.create(path)
    event = events.get(timeout=DEADLINE)
    assert (event.type, event.path) == (EventType.CREATED, path), event


@check
def data_watch_recipe(w):
    seen, path = [], f"{w.root}/data-watch"
    w.zk.DataWatch(path, lambda data, stat: seen.append(data))
    w.zk.create(path, b"1")
    eventually(lambda: seen == [None, b"1"], "DataWatch after create")
    w.zk.set(path, b"2")
    eventually(lambda: seen == [None, b"1", b"2"], "DataWatch after set")
    w.zk.delete(path)
    eventually(lambda: seen == [None, b"1", b"2", None], "DataWatch after delete")


@check
def children_watch_recipe(w):
    seen, path = [], w.node("children-watch")
    w.zk.ChildrenWatch(path, lambda children: seen.append(sorted(children)))
    w.zk.create(path + "/a")
    eventually(lambda: seen[-1] == ["a"], "ChildrenWatch after create")
    w.zk.create(path + "/b")
    eventually(lambda: seen[-1] == ["a", "b"], "ChildrenWatch after the second create")
    w.zk.delete(path + "/a")
    eventually(lambda: seen[-1] == ["b"], "ChildrenWatch after delete")


@check
def ephemerals_end_with_session(w):
    events, path = Queue(), f"{w.root}/ends"
    other = connect(w.hosts)
    other.create(path, ephemeral=True)
    assert w.zk.exists(path, watch=events.put) is not None
    other.stop()
    assert events.get(timeout=DEADLINE).type == EventType.DELETED
    assert w.zk.exists(path) is None


@check
def transaction_commits(w):
    a, b = w.node("ta", b"0"), w.node("tb")
    t = w.zk.transaction()
    t.check(a, version=0)
    t.set_data(a, b"1", version=0)
    t.create(f"{w.root}/t-", b"new", sequence=True)
    t.delete(b)
    results = t.commit()
    assert results[0] is True and results[3] is True, results
    assert results[1].version == 1 and results[2].startswith(f"{w.root}/t-"), results
    assert w.zk.get(results[2])[1].czxid == results[1].mzxid, "one transaction, one zxid"
    assert w.zk.exists(b) is None


@check
def transaction_rolls_back(w):
    path = w.node("rollback", b"0")
    t = w.zk.transaction()
    t.set_data(path, b"1")
    t.check(path, version=5)
    t.delete(path)
    results = t.commit()
    assert [type(r) for r in results] == [RolledBackError, BadVersionError, RuntimeInconsistency], results
    assert w.zk.get(path)[0] == b"0"


@check
def acl_with_digest(w):
    owner, stranger = connect(w.hosts), connect(w.hosts)
    owner.add_auth("digest", "alice:secret")
    path = owner.create(f"{w.root}/private", b"mine", acl=[make_digest_acl("alice", "secret", all=True)])
    assert owner.get(path)[0] == b"mine"
    raises(NoAuthError, stranger.get, path)
    raises(NoAuthError, stranger.set, path, b"x")
    raises(NoAuthError, stranger.create, path + "/child")
    stranger.add_auth("digest", "alice:wrong")
    raises(NoAuthError, stranger.get, path)
    acls, stat = owner.get_acls(path)
    assert len(acls) == 1 and acls[0].id.scheme == "digest" and stat.aversion == 0, acls
    raises(BadVersionError, owner.set_acls, path, OPEN_ACL_UNSAFE, version=3)
    assert owner.set_acls(path, OPEN_ACL_UNSAFE, version=0).aversion == 1
    assert stranger.get(path)[0] == b"mine"
    owner.stop()
    stranger.stop()


@check
def chroot(w):
    inner = connect(w.hosts + w.node("chroot"))
    assert inner.create("/a", b"inside") == "/a"
    assert w.zk.get(f"{w.root}/chroot/a")[0] == b"inside"
    assert inner.get_children("/") == ["a"]
    events = Queue()
    inner.get("/a", watch=events.put)
    w.zk.set(f"{w.root}/chroot/a", b"out")
    assert events.get(timeout=DEADLINE).path == "/a"
    inner.stop()


def main():
    world = World(sys.argv[1])
    for function in CHECKS:
        function(world)
        print("ok", function.__name__, flush=True)
    world.zk.delete(world.root, recursive=True)
    world.zk.stop()


if __name__ == "__main__":
    main()
