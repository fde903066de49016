/*
 * Stock Curator at the far end of a pipe: tests tell it which recipes to run, several participants in one JVM.
 *
 *   java -cp "$ZK_PEER_CURATOR_CP" RecipePeer.java
 *
 * Each line of the standard input is a request, `ID ACTOR VERB ARGUMENTS...`; each is answered by one line, `ID ok
 * WORDS...` or `ID failed TEXT`. An actor has a session and a thread of its own, and does its requests one after the
 * other. Bytes are hex, `-` for none. The process ends, without closing anything, when its input does. README.md has
 * the table of verbs; recipe_peer.py and the program recipe-peer speak the same.
 *
 * Holders append to a log that processes share, `ENTER who token time mode` and `EXIT who token time mode`: token is
 * the czxid of the own node, mode `w` (alone) or `r` (beside others of its kind). `critical_section.rs` has the rules.
 */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.leader.Participant;
import org.apache.curator.framework.recipes.locks.InterProcessLock;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.locks.LockInternalsDriver;
import org.apache.curator.framework.recipes.locks.Revoker;
import org.apache.curator.framework.recipes.locks.StandardLockInternalsDriver;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedIdQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.MultiItem;
import org.apache.curator.framework.recipes.queue.QueueBase;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedCountListener;
import org.apache.curator.framework.recipes.shared.SharedCountReader;
import org.apache.curator.framework.recipes.shared.VersionedValue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.data.Stat;

public class RecipePeer {
    public static void main(String[] args) throws Exception {
        Map<String, Actor> actors = new HashMap<>();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ");
            actors.computeIfAbsent(words[1], Actor::new).submit(words[0], Arrays.asList(words).subList(2, words.length));
        }
        Runtime.getRuntime().halt(0);
    }

    static synchronized void answer(String id, String outcome, String text) {
        System.out.println(id + " " + outcome + (text.isEmpty() ? "" : " " + text));
        System.out.flush();
    }

    /** What was taken: its node, the node's czxid, and how to give it back. */
    static class Held {
        final String node;
        final long token;
        final AutoCloseable back;

        Held(String node, long token, AutoCloseable back) {
            this.node = node;
            this.token = token;
            this.back = back;
        }
    }

    /** One way to take one thing; nothing when it was not had within ms (below 0: however long it takes). */
    interface Taker {
        Held take(long ms) throws Exception;
    }

    /** Curator keeps the name of the own node to subclasses. */
    static class Mutex extends InterProcessMutex {
        Mutex(CuratorFramework client, String path) {
            super(client, path);
        }

        Mutex(CuratorFramework client, String path, LockInternalsDriver driver) {
            super(client, path, driver);
        }

        String node() {
            return getLockPath();
        }
    }

    /** A driver as people write it who share a path with Kazoo: numbers behind Kazoo's mark count as well. */
    static class KazooToo extends StandardLockInternalsDriver {
        static final String MARK = "__lock__";

        @Override
        public String fixForSorting(String node, String lockName) {
            int at = node.lastIndexOf(MARK);
            return at < 0 ? super.fixForSorting(node, lockName) : node.substring(at + MARK.length());
        }
    }

    static class Actor {
        final String name;
        final ExecutorService thread = Executors.newSingleThreadExecutor();
        final Map<String, Held> held = new HashMap<>();
        final Map<String, AutoCloseable> running = new HashMap<>();
        final Semaphore revocations = new Semaphore(0);
        CuratorFramework client;

        Actor(String name) {
            this.name = name;
        }

        void submit(String id, List<String> words) {
            thread.submit(() -> {
                try {
                    answer(id, "ok", perform(words.get(0), words.subList(1, words.size())));
                } catch (Throwable problem) {
                    answer(id, "failed", problem.toString().replace('\n', ' '));
                }
            });
        }

        String perform(String verb, List<String> a) throws Exception {
            switch (verb) {
                case "open":
                    client = CuratorFrameworkFactory.builder()
                            .connectString(a.get(0))
                            .sessionTimeoutMs(Integer.parseInt(a.get(1)))
                            .connectionTimeoutMs(8_000)
                            .retryPolicy(new ExponentialBackoffRetry(100, 10))
                            .build();
                    client.start();
                    client.blockUntilConnected();
                    return "" + session();
                case "close":
                    for (AutoCloseable each : running.values()) {
                        each.close();
                    }
                    running.clear();
                    client.close();
                    return "";

                // locks, semaphores, leaders
                case "acquire":
                    return acquire(a.get(0), a.get(1), Long.parseLong(a.get(2)));
                case "release":
                    held.remove(a.get(0) + " " + a.get(1)).back.close();
                    return "";
                case "hold": {
                    String got = acquire(a.get(0), a.get(1), -1);
                    mark("ENTER", a.get(2), held.get(a.get(0) + " " + a.get(1)).token, mode(a.get(0)));
                    return got;
                }
                case "leave": {
                    Held own = held.remove(a.get(0) + " " + a.get(1));
                    mark("EXIT", a.get(2), own.token, mode(a.get(0)));
                    own.back.close();
                    return "";
                }
                case "contend":
                    return contend(a.get(0), a.get(1), Integer.parseInt(a.get(2)), a.get(3));
                case "revoke":
                    Revoker.attemptRevoke(client, a.get(0));
                    return "";
                case "await-revoked":
                    return "" + revocations.tryAcquire(Long.parseLong(a.get(0)), TimeUnit.MILLISECONDS);
                case "contenders":
                    Collection<String> nodes = new InterProcessMutex(client, a.get(0)).getParticipantNodes();
                    return String.join(" ", nodes);
                case "lead":
                    return lead(a.get(0), Integer.parseInt(a.get(1)), a.get(2));
                case "latch-start":
                    LeaderLatch latch = new LeaderLatch(client, a.get(0), name);
                    latch.start();
                    running.put(a.get(0), latch);
                    return "";
                case "latch-await":
                    if (!latch(a.get(0)).await(Long.parseLong(a.get(1)), TimeUnit.MILLISECONDS)) {
                        return "none";
                    }
                    return "" + own(a.get(0), "-latch-").token;
                case "latch-leader":
                    return latch(a.get(0)).getLeader().getId();
                case "latch-participants":
                    return latch(a.get(0)).getParticipants().stream().map(Participant::getId).sorted()
                            .collect(Collectors.joining(" "));

                // barriers
                case "barrier-set":
                    new DistributedBarrier(client, a.get(0)).setBarrier();
                    return "";
                case "barrier-remove":
                    new DistributedBarrier(client, a.get(0)).removeBarrier();
                    return "";
                case "barrier-wait":
                    long patience = Long.parseLong(a.get(1));
                    return "" + new DistributedBarrier(client, a.get(0)).waitOnBarrier(patience, TimeUnit.MILLISECONDS);
                case "rounds":
                    boolean together = a.get(4).equals("together");
                    return rounds(a.get(0), Integer.parseInt(a.get(1)), Integer.parseInt(a.get(2)), a.get(3), together);

                // numbers
                case "count-start":
                    SharedCount count = new SharedCount(client, a.get(0), Integer.parseInt(a.get(1)));
                    count.start();
                    running.put(a.get(0), count);
                    return "" + count.getCount();
                case "count-set":
                    count(a.get(0)).setCount(Integer.parseInt(a.get(1)));
                    return "";
                case "count-add":
                    SharedCount shared = count(a.get(0));
                    for (int left = Integer.parseInt(a.get(2)); left > 0; ) {
                        // Looked at once: another thread of Curator's brings news in between.
                        VersionedValue<Integer> seen = shared.getVersionedValue();
                        left -= shared.trySetCount(seen, seen.getValue() + Integer.parseInt(a.get(1))) ? 1 : 0;
                    }
                    return "" + shared.getCount();
                case "count-await":
                    return awaitCount(count(a.get(0)), Integer.parseInt(a.get(1)), Long.parseLong(a.get(2)));
                case "stop":
                    running.remove(a.get(0)).close();
                    return "";
                case "add":
                    return "" + add(a.get(0), a.get(1), Long.parseLong(a.get(2)), Integer.parseInt(a.get(3)));
                case "force-set":
                    return forceSet(a.get(0), a.get(1), Long.parseLong(a.get(2)));

                // queues
                case "put":
                    return put(a.get(0), a.get(1), a.get(2), a.subList(3, a.size()));
                case "take":
                    byte[] item = new SimpleDistributedQueue(client, a.get(1))
                            .poll(Long.parseLong(a.get(2)), TimeUnit.MILLISECONDS);
                    return item == null ? "none" : hex(item);
                case "consume":
                    running.put(a.get(1), consume(a.get(0), a.get(1), a.get(2), a.get(3), a.get(4)));
                    return "";
                default:
                    throw new IllegalArgumentException("no such verb: " + verb);
            }
        }

        long session() throws Exception {
            return client.getZookeeperClient().getZooKeeper().getSessionId();
        }

        LeaderLatch latch(String path) {
            return (LeaderLatch) running.get(path);
        }

        SharedCount count(String path) {
            return (SharedCount) running.get(path);
        }

        /** The node of this session whose name has the marker. */
        Held own(String parent, String marker) throws Exception {
            for (String child : client.getChildren().forPath(parent)) {
                String node = parent + "/" + child;
                Stat stat = child.contains(marker) ? client.checkExists().forPath(node) : null;
                if (stat != null && stat.getEphemeralOwner() == session()) {
                    return new Held(node, stat.getCzxid(), null);
                }
            }
            throw new IllegalStateException("no node of ours under " + parent);
        }

        /** `mutex` (`mutex:driver` sees Kazoo's too), `revocable`, `read`, `write`, `semaphore:N`, `semaphore-mutex`, `multi` (paths, comma between). */
        Taker taker(String kind, String path) {
            String[] words = kind.split(":");
            switch (words[0]) {
                case "mutex":
                case "revocable": {
                    boolean driver = words.length > 1 && words[1].equals("driver");
                    Mutex mutex = driver ? new Mutex(client, path, new KazooToo()) : new Mutex(client, path);
                    return ms -> {
                        if (words[0].equals("revocable")) {
                            mutex.makeRevocable(lock -> revocations.release());
                        }
                        return taken(mutex, ms, () -> {
                            long czxid = client.checkExists().forPath(mutex.node()).getCzxid();
                            return new Held(mutex.node(), czxid, mutex::release);
                        });
                    };
                }
                case "read":
                case "write": {
                    InterProcessReadWriteLock pair = new InterProcessReadWriteLock(client, path);
                    InterProcessMutex lock = words[0].equals("read") ? pair.readLock() : pair.writeLock();
                    String marker = words[0].equals("read") ? "__READ__" : "__WRIT__";
                    return ms -> taken(lock, ms, () -> {
                        Held own = own(path, marker);
                        return new Held(own.node, own.token, lock::release);
                    });
                }
                case "downgrade": {
                    // Takes both, the reader's node under the writer's number, and gives the writer's back. It holds by
                    // the writer's token: the reader's node is younger than writers who wait already.
                    InterProcessReadWriteLock pair = new InterProcessReadWriteLock(client, path);
                    return ms -> taken(pair.writeLock(), ms, () -> {
                        long token = own(path, "__WRIT__").token;
                        pair.readLock().acquire();
                        pair.writeLock().release();
                        return new Held(own(path, "__READ__").node, token, () -> pair.readLock().release());
                    });
                }
                case "semaphore": {
                    InterProcessSemaphoreV2 semaphore =
                            new InterProcessSemaphoreV2(client, path, Integer.parseInt(words[1]));
                    semaphore.setNodeData(name.getBytes(StandardCharsets.UTF_8));
                    return ms -> permit(semaphore, path, ms);
                }
                case "semaphore-count": {
                    // The size is a SharedCount at the path behind the colon.
                    InterProcessSemaphoreV2 semaphore =
                            new InterProcessSemaphoreV2(client, path, (SharedCountReader) count(words[1]));
                    return ms -> permit(semaphore, path, ms);
                }
                case "semaphore-mutex": {
                    InterProcessLock lock = new InterProcessSemaphoreMutex(client, path);
                    return ms -> taken(lock, ms, () -> {
                        Held own = own(path + "/leases", "-lease-");
                        return new Held(own.node, own.token, lock::release);
                    });
                }
                case "multi": {
                    List<String> paths = Arrays.asList(path.split(","));
                    InterProcessLock lock = new InterProcessMultiLock(client, paths);
                    return ms -> taken(lock, ms, () -> {
                        long token = 0;
                        for (String each : paths) {
                            token = Math.max(token, own(each, "-lock-").token);
                        }
                        return new Held(path, token, lock::release);
                    });
                }
                default:
                    throw new IllegalArgumentException("no such kind: " + kind);
            }
        }

        interface Seen {
            Held held() throws Exception;
        }

        Held taken(InterProcessLock lock, long ms, Seen seen) throws Exception {
            if (ms < 0) {
                lock.acquire();
            } else if (!lock.acquire(ms, TimeUnit.MILLISECONDS)) {
                return null;
            }
            return seen.held();
        }

        Held permit(InterProcessSemaphoreV2 semaphore, String path, long ms) throws Exception {
            Lease lease = ms < 0 ? semaphore.acquire() : semaphore.acquire(ms, TimeUnit.MILLISECONDS);
            if (lease == null) {
                return null;
            }
            String node = path + "/leases/" + lease.getNodeName();
            return new Held(node, client.checkExists().forPath(node).getCzxid(), () -> semaphore.returnLease(lease));
        }

        String acquire(String kind, String path, long ms) throws Exception {
            Held taken = taker(kind, path).take(ms);
            if (taken == null) {
                return "none";
            }
            held.put(kind + " " + path, taken);
            return taken.node + " " + taken.token;
        }

        /** `read` may be had by several at once, and so may a permit. */
        static String mode(String kind) {
            return kind.startsWith("read") || kind.startsWith("semaphore:") || kind.startsWith("semaphore-count")
                    || kind.startsWith("downgrade") ? "r" : "w";
        }

        String contend(String kind, String path, int count, String log) throws Exception {
            Taker taker = taker(kind, path);
            for (int i = 0; i < count; i++) {
                Held taken = taker.take(-1);
                section(log, taken.token, mode(kind));
                taken.back.close();
            }
            return "" + count;
        }

        void section(String log, long token, String mode) throws Exception {
            mark("ENTER", log, token, mode);
            Thread.sleep(1);
            mark("EXIT", log, token, mode);
        }

        void mark(String step, String log, long token, String mode) throws Exception {
            line(log, step + " " + name + " " + token + " " + System.nanoTime() + " " + mode);
        }

        static void line(String log, String text) throws Exception {
            try (FileChannel out =
                    FileChannel.open(Paths.get(log), StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
                out.write(ByteBuffer.wrap((text + "\n").getBytes(StandardCharsets.UTF_8)));
            }
        }

        String lead(String path, int count, String log) throws Exception {
            CountDownLatch left = new CountDownLatch(count);
            List<Exception> problems = new ArrayList<>();
            try (LeaderSelector selector = new LeaderSelector(client, path, new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework client) throws Exception {
                    if (left.getCount() > 0) {
                        try {
                            section(log, own(path, "-lock-").token, "w");
                        } catch (Exception problem) {
                            problems.add(problem);
                        }
                        left.countDown();
                    }
                }
            })) {
                selector.setId(name);
                selector.autoRequeue();
                selector.start();
                left.await();
            }
            if (!problems.isEmpty()) {
                throw problems.get(0);
            }
            return "" + count;
        }

        /** Each round says when it comes, is in, wants to leave (when all are in, if together) and is out. */
        String rounds(String path, int size, int count, String log, boolean together) throws Exception {
            for (int i = 0; i < count; i++) {
                DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(client, path + "-" + i, size);
                line(log, "COMES " + name + " " + i);
                barrier.enter();
                line(log, "IN " + name + " " + i);
                while (together && inside(log, i) < size) {
                    Thread.sleep(1);
                }
                line(log, "LEAVES " + name + " " + i);
                barrier.leave();
                line(log, "OUT " + name + " " + i);
            }
            return "" + count;
        }

        static long inside(String log, int round) throws Exception {
            try (Stream<String> lines = Files.lines(Paths.get(log))) {
                return lines.filter(line -> line.startsWith("IN ") && line.endsWith(" " + round)).count();
            }
        }

        static String awaitCount(SharedCount count, int wanted, long ms) throws Exception {
            Semaphore changes = new Semaphore(0);
            count.addListener(new SharedCountListener() {
                @Override
                public void countHasChanged(SharedCountReader reader, int value) {
                    changes.release();
                }

                @Override
                public void stateChanged(CuratorFramework client, ConnectionState state) {}
            });
            while (count.getCount() != wanted) {
                if (!changes.tryAcquire(ms, TimeUnit.MILLISECONDS)) {
                    return "none";
                }
            }
            return "" + wanted;
        }

        /** `long` or `integer`: adds delta, several times, and returns the last sum; with delta 0 reads. */
        long add(String kind, String path, long delta, int times) throws Exception {
            RetryNTimes retry = new RetryNTimes(1000, 1);
            if (kind.equals("integer")) {
                DistributedAtomicInteger number = new DistributedAtomicInteger(client, path, retry);
                int sum = succeeded(number.get());
                for (int i = 0; i < times; i++) {
                    sum = succeeded(number.add((int) delta));
                }
                return sum;
            }
            DistributedAtomicLong number = new DistributedAtomicLong(client, path, retry);
            long sum = succeeded(number.get());
            for (int i = 0; i < times; i++) {
                sum = succeeded(number.add(delta));
            }
            return sum;
        }

        static <T> T succeeded(AtomicValue<T> value) {
            if (!value.succeeded()) {
                throw new IllegalStateException("the change did not succeed");
            }
            return value.postValue();
        }

        String forceSet(String kind, String path, long value) throws Exception {
            RetryNTimes retry = new RetryNTimes(10, 10);
            if (kind.equals("integer")) {
                new DistributedAtomicInteger(client, path, retry).forceSet((int) value);
            } else {
                new DistributedAtomicLong(client, path, retry).forceSet(value);
            }
            return "";
        }

        /** `ordinal` is the id, priority or time of the item; several items go into one node (`queue` only). */
        String put(String kind, String path, String ordinal, List<String> items) throws Exception {
            byte[] item = bytes(items.get(0));
            if (kind.equals("simple")) {
                new SimpleDistributedQueue(client, path).offer(item);
                return "";
            }
            QueueBuilder<byte[]> builder = QueueBuilder.builder(client, null, new Plain(), path);
            switch (kind) {
                case "queue": {
                    try (DistributedQueue<byte[]> queue = builder.buildQueue()) {
                        queue.start();
                        if (items.size() == 1) {
                            queue.put(item);
                        } else {
                            List<String> left = new ArrayList<>(items);
                            queue.putMulti((MultiItem<byte[]>) () -> left.isEmpty() ? null : bytes(left.remove(0)));
                        }
                        flushed(queue);
                    }
                    return "";
                }
                case "id": {
                    try (DistributedIdQueue<byte[]> queue = builder.buildIdQueue()) {
                        queue.start();
                        queue.put(item, ordinal);
                        flushed(queue);
                    }
                    return "";
                }
                case "priority": {
                    try (DistributedPriorityQueue<byte[]> queue = builder.buildPriorityQueue(0)) {
                        queue.start();
                        queue.put(item, Integer.parseInt(ordinal));
                        flushed(queue);
                    }
                    return "";
                }
                case "delay": {
                    try (DistributedDelayQueue<byte[]> queue = builder.buildDelayQueue()) {
                        queue.start();
                        queue.put(item, Long.parseLong(ordinal));
                        flushed(queue);
                    }
                    return "";
                }
                default:
                    throw new IllegalArgumentException("no such kind: " + kind);
            }
        }

        static void flushed(QueueBase<byte[]> queue) throws Exception {
            if (!queue.flushPuts(30, TimeUnit.SECONDS)) {
                throw new IllegalStateException("the put is not done after 30 s");
            }
        }

        /**
         * Consumes in the background until `stop`: each item is a line `TOOK who hex`, and `DONE who hex` when it is
         * dealt with. In the way `hang` the first never is; in the way `fail` it throws, and goes back to the queue.
         */
        QueueBase<byte[]> consume(String kind, String path, String lock, String log, String way) throws Exception {
            QueueConsumer<byte[]> consumer = new QueueConsumer<byte[]>() {
                boolean first = true;

                @Override
                public synchronized void consumeMessage(byte[] item) throws Exception {
                    boolean odd = first;
                    first = false;
                    line(log, "TOOK " + name + " " + hex(item));
                    if (odd && way.equals("hang")) {
                        new CountDownLatch(1).await();
                    }
                    if (odd && way.equals("fail")) {
                        throw new IllegalStateException("as asked");
                    }
                    line(log, "DONE " + name + " " + hex(item));
                }

                @Override
                public void stateChanged(CuratorFramework client, ConnectionState state) {}
            };
            QueueBuilder<byte[]> builder = QueueBuilder.builder(client, consumer, new Plain(), path);
            if (!lock.equals("-")) {
                builder = builder.lockPath(lock);
            }
            QueueBase<byte[]> queue =
                    kind.equals("queue") ? builder.buildQueue()
                    : kind.equals("id") ? builder.buildIdQueue()
                    : kind.equals("priority") ? builder.buildPriorityQueue(0)
                    : builder.buildDelayQueue();
            queue.start();
            return queue;
        }
    }

    /** Items are bytes already. */
    static class Plain implements QueueSerializer<byte[]> {
        @Override
        public byte[] serialize(byte[] item) {
            return item;
        }

        @Override
        public byte[] deserialize(byte[] bytes) {
            return bytes;
        }
    }

    static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte each : bytes) {
            text.append(String.format("%02x", each));
        }
        return bytes.length == 0 ? "-" : text.toString();
    }

    static byte[] bytes(String hex) {
        byte[] bytes = new byte[hex.equals("-") ? 0 : hex.length() / 2];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
        }
        return bytes;
    }
}
