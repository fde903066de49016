/*
 * Curator's recipes under measurement, told by standard input: see player.rs of recipe-bench for the lines.
 *
 *   java -cp "$ZK_PEER_CURATOR59_CP" BenchRecipes.java HOSTS
 */
import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderLatchListener;
import org.apache.curator.framework.recipes.locks.InterProcessLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.MultiItem;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.retry.RetryNTimes;

public class BenchRecipes {
    static final BufferedReader IN = new BufferedReader(new InputStreamReader(System.in));
    static final byte[] ITEM = new byte[100];
    static final int MANY = 100;

    static String hosts;

    /** One order, and the sessions for it. */
    static class Order {
        final String name;
        final Map<String, String> fields = new HashMap<>();
        final List<CuratorFramework> clients = new ArrayList<>();
        long begun;
        long cpu;

        Order(String line) {
            String[] words = line.split(" ");
            name = words[1];
            for (int i = 2; i < words.length; i++) {
                String[] pair = words[i].split("=", 2);
                fields.put(pair[0], pair[1]);
            }
        }

        String path() {
            return fields.get("path");
        }

        int clients() {
            return Integer.parseInt(fields.get("clients"));
        }

        int count() {
            return Integer.parseInt(fields.get("count"));
        }

        long nanos() {
            return (long) (Double.parseDouble(fields.get("seconds")) * 1e9);
        }

        void connect(int timeoutMs) throws Exception {
            for (int i = 0; i < clients(); i++) {
                CuratorFramework client = CuratorFrameworkFactory.builder()
                        .connectString(hosts)
                        .sessionTimeoutMs(timeoutMs)
                        .connectionTimeoutMs(8_000)
                        .retryPolicy(new ExponentialBackoffRetry(100, 10))
                        .build();
                client.start();
                client.blockUntilConnected();
                clients.add(client);
            }
            client().createContainers(path());
        }

        CuratorFramework client() {
            return clients.get(0);
        }

        void begin() throws Exception {
            say("ready");
            expect("go");
            begun = System.nanoTime();
            cpu = cpuNanos();
        }

        void end(long count, String more) throws Exception {
            double seconds = (System.nanoTime() - begun) / 1e9;
            long cpuUs = (cpuNanos() - cpu) / 1000;
            say("ok count=" + count + " seconds=" + seconds + " cpu_us=" + cpuUs + more);
            expect("clear");
        }

        void close() {
            for (CuratorFramework client : clients) {
                client.close();
            }
        }
    }

    interface Turn {
        void once(int turn) throws Exception;
    }

    interface Player {
        Turn of(CuratorFramework client, int who) throws Exception;
    }

    public static void main(String[] args) throws Exception {
        hosts = args[0];
        String line;
        while ((line = IN.readLine()) != null) {
            Order order = new Order(line);
            try {
                if (order.name.equals("latch-stand")) {
                    latchStand(order);
                }
                if (play(order)) {
                    order.close();
                    say("cleared");
                } else {
                    say("unsupported");
                }
            } catch (Exception e) {
                order.close();
                say("failed " + e);
            }
        }
        System.exit(0);
    }

    static boolean play(Order order) throws Exception {
        String path = order.path();
        switch (order.name) {
            case "lock":
                repeat(order, (client, who) -> {
                    InterProcessMutex lock = new InterProcessMutex(client, path);
                    return turn -> {
                        lock.acquire();
                        lock.release();
                    };
                });
                return true;
            case "try-lock":
                repeat(order, (client, who) -> {
                    InterProcessMutex lock = new InterProcessMutex(client, path);
                    return turn -> {
                        if (!lock.acquire(0, TimeUnit.MILLISECONDS)) {
                            throw new IllegalStateException("not free");
                        }
                        lock.release();
                    };
                });
                return true;
            case "rw":
                repeat(order, (client, who) -> {
                    InterProcessReadWriteLock lock = new InterProcessReadWriteLock(client, path);
                    return turn -> {
                        InterProcessLock one = (turn + who) % 10 == 0 ? lock.writeLock() : lock.readLock();
                        one.acquire();
                        one.release();
                    };
                });
                return true;
            case "semaphore":
                repeat(order, (client, who) -> {
                    InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(client, path, 3);
                    return turn -> {
                        Lease lease = semaphore.acquire();
                        semaphore.returnLease(lease);
                    };
                });
                return true;
            case "counter":
                repeat(order, (client, who) -> {
                    DistributedAtomicLong counter =
                            new DistributedAtomicLong(client, path + "/n", new RetryNTimes(1000, 1));
                    return turn -> {
                        while (!counter.increment().succeeded()) {
                            // Counts only when it has happened.
                        }
                    };
                });
                return true;
            case "latch":
                latch(order);
                return true;
            case "queue-put":
                repeat(order, (client, who) -> {
                    SimpleDistributedQueue queue = new SimpleDistributedQueue(client, path);
                    return turn -> queue.offer(ITEM);
                });
                return true;
            case "queue-put-multi":
                putMany(order);
                return true;
            case "queue-take":
                take(order);
                return true;
            case "work-queue":
                work(order);
                return true;
            case "barrier":
            case "barriers":
                barrier(order);
                return true;
            default:
                return false;
        }
    }

    /** Every client in a thread of its own, until the time is over. */
    static void repeat(Order order, Player player) throws Exception {
        order.connect(10_000);
        List<Turn> turns = new ArrayList<>();
        for (int who = 0; who < order.clients(); who++) {
            turns.add(player.of(order.clients.get(who), who));
        }
        AtomicLong done = new AtomicLong();
        order.begin();
        long until = System.nanoTime() + order.nanos();
        together(order.clients(), who -> {
            long mine = 0;
            for (int turn = 0; System.nanoTime() < until; turn++) {
                turns.get(who).once(turn);
                mine++;
            }
            done.addAndGet(mine);
        });
        order.end(done.get(), "");
    }

    static void together(int count, Turn work) throws Exception {
        AtomicReference<Exception> failure = new AtomicReference<>();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int who = i;
            Thread thread = new Thread(() -> {
                try {
                    work.once(who);
                } catch (Exception e) {
                    failure.compareAndSet(null, e);
                }
            });
            thread.setDaemon(true);
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        if (failure.get() != null) {
            throw failure.get();
        }
    }

    static void latch(Order order) throws Exception {
        order.connect(10_000);
        int candidates = order.clients();
        BlockingQueue<long[]> leads = new ArrayBlockingQueue<>(100);
        LeaderLatch[] latches = new LeaderLatch[candidates];
        for (int who = 0; who < candidates; who++) {
            latches[who] = candidate(order, who, leads);
        }
        StringBuilder samples = new StringBuilder();
        int leader = (int) leads.take()[0];
        order.begin();
        for (int i = 0; i < order.count(); i++) {
            while (latches[leader].getParticipants().size() < candidates) {
                Thread.sleep(1);
            }
            Thread.sleep(5);
            long closed = System.nanoTime();
            latches[leader].close();
            long[] next = leads.take();
            samples.append(i == 0 ? "" : ",").append((next[1] - closed) / 1000);
            latches[leader] = candidate(order, leader, leads);
            leader = (int) next[0];
        }
        order.end(order.count(), " samples=" + samples);
        for (LeaderLatch latch : latches) {
            latch.close();
        }
    }

    static LeaderLatch candidate(Order order, int who, BlockingQueue<long[]> leads) throws Exception {
        LeaderLatch latch = new LeaderLatch(order.clients.get(who), order.path(), "candidate " + who);
        latch.addListener(new LeaderLatchListener() {
            @Override
            public void isLeader() {
                leads.add(new long[] {who, System.nanoTime()});
            }

            @Override
            public void notLeader() {
            }
        });
        latch.start();
        return latch;
    }

    /** Stands in line until it is killed. */
    static void latchStand(Order order) throws Exception {
        order.connect(2_000);
        LeaderLatch latch = new LeaderLatch(order.client(), order.path());
        latch.start();
        while (latch.getParticipants().isEmpty()) {
            Thread.sleep(1);
        }
        say("ready");
        latch.await();
        say("leads");
        while (IN.readLine() != null) {
            // Whatever comes, only its end counts.
        }
        System.exit(0);
    }

    static final QueueSerializer<byte[]> PLAIN = new QueueSerializer<byte[]>() {
        @Override
        public byte[] serialize(byte[] item) {
            return item;
        }

        @Override
        public byte[] deserialize(byte[] bytes) {
            return bytes;
        }
    };

    static void putMany(Order order) throws Exception {
        order.connect(10_000);
        DistributedQueue<byte[]> queue = QueueBuilder.builder(order.client(), null, PLAIN, order.path())
                .putInBackground(false).buildQueue();
        queue.start();
        long put = 0;
        order.begin();
        long until = System.nanoTime() + order.nanos();
        while (System.nanoTime() < until) {
            AtomicInteger left = new AtomicInteger(MANY);
            MultiItem<byte[]> items = () -> left.getAndDecrement() > 0 ? ITEM : null;
            queue.putMulti(items);
            put += MANY;
        }
        order.end(put, "");
        queue.close();
    }

    static void take(Order order) throws Exception {
        order.connect(10_000);
        SimpleDistributedQueue filling = new SimpleDistributedQueue(order.client(), order.path());
        for (int i = 0; i < order.count(); i++) {
            filling.offer(ITEM);
        }
        AtomicInteger taken = new AtomicInteger();
        order.begin();
        together(order.clients(), who -> {
            SimpleDistributedQueue queue = new SimpleDistributedQueue(order.clients.get(who), order.path());
            while (queue.poll() != null) {
                taken.incrementAndGet();
            }
        });
        order.end(taken.get(), "");
    }

    static void work(Order order) throws Exception {
        order.connect(10_000);
        DistributedQueue<byte[]> filling =
                QueueBuilder.builder(order.client(), null, PLAIN, order.path() + "/q").buildQueue();
        filling.start();
        for (int i = 0; i < order.count(); i++) {
            filling.put(ITEM);
        }
        filling.flushPuts(30, TimeUnit.SECONDS);
        CountDownLatch left = new CountDownLatch(order.count());
        QueueConsumer<byte[]> consumer = new QueueConsumer<byte[]>() {
            @Override
            public void consumeMessage(byte[] item) {
                left.countDown();
            }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) {
            }
        };
        List<DistributedQueue<byte[]>> queues = new ArrayList<>();
        for (CuratorFramework client : order.clients) {
            queues.add(QueueBuilder.builder(client, consumer, PLAIN, order.path() + "/q")
                    .lockPath(order.path() + "/locks").buildQueue());
        }
        order.begin();
        for (DistributedQueue<byte[]> queue : queues) {
            queue.start();
        }
        left.await();
        order.end(order.count(), "");
        for (DistributedQueue<byte[]> queue : queues) {
            queue.close();
        }
        filling.close();
    }

    static void barrier(Order order) throws Exception {
        order.connect(30_000);
        boolean onePath = order.name.equals("barrier");
        int rounds = order.count();
        AtomicInteger[] here = new AtomicInteger[rounds];
        for (int round = 0; round < rounds; round++) {
            here[round] = new AtomicInteger();
        }
        AtomicInteger early = new AtomicInteger();
        order.begin();
        together(order.clients(), who -> {
            for (int round = 0; round < rounds; round++) {
                String path = onePath ? order.path() + "/b" : order.path() + "/b" + round;
                DistributedDoubleBarrier barrier =
                        new DistributedDoubleBarrier(order.clients.get(who), path, order.clients());
                here[round].incrementAndGet();
                barrier.enter();
                if (here[round].get() < order.clients()) {
                    early.incrementAndGet();
                }
                barrier.leave();
            }
        });
        order.end(rounds, " early=" + early.get());
    }

    static long cpuNanos() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    static void expect(String wanted) throws Exception {
        String line = IN.readLine();
        if (line == null) {
            System.exit(0);
        }
        if (!line.equals(wanted)) {
            throw new IllegalStateException("not " + wanted + ": " + line);
        }
    }
}
