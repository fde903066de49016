/*
 * Stock Curator contending for an InterProcessMutex, for tests that mix lock implementations on one path.
 *
 *   java -cp "$ZK_PEER_CURATOR_CP" ContendLock.java HOSTS PATH COUNT LOG WHO   take and release it COUNT times
 *   java -cp "$ZK_PEER_CURATOR_CP" ContendLock.java --hold HOSTS PATH          take it, print HELD, keep it until
 *                                                                              stdin ends (or a test kills us)
 *
 * Each turn appends two lines to LOG, `ENTER who czxid nanotime` and `EXIT who czxid nanotime`, the second before
 * the release. Lines are whole (O_APPEND, one write each), so every contender may share the file and its order shows
 * any overlap. czxid is that of the own lock node, in decimal; nanotime is CLOCK_MONOTONIC, the same in every process.
 */
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.retry.ExponentialBackoffRetry;

public class ContendLock {
    /** Curator keeps the name of the own node to subclasses. */
    static class Mutex extends InterProcessMutex {
        Mutex(CuratorFramework client, String path) {
            super(client, path);
        }

        String node() {
            return getLockPath();
        }
    }

    public static void main(String[] args) throws Exception {
        boolean hold = args[0].equals("--hold");
        String hosts = args[hold ? 1 : 0];
        String path = args[hold ? 2 : 1];
        try (CuratorFramework client = CuratorFrameworkFactory.builder()
                .connectString(hosts)
                .sessionTimeoutMs(10_000)
                .connectionTimeoutMs(8_000)
                .retryPolicy(new ExponentialBackoffRetry(100, 10))
                .build()) {
            client.start();
            Mutex mutex = new Mutex(client, path);
            if (hold) {
                mutex.acquire();
                System.out.println("HELD");
                while (System.in.read() >= 0) {
                    // Whatever comes, only its end counts.
                }
                mutex.release();
            } else {
                contend(client, mutex, Integer.parseInt(args[2]), args[3], args[4]);
            }
        }
    }

    static void contend(CuratorFramework client, Mutex mutex, int count, String log, String who) throws Exception {
        try (FileChannel out = FileChannel.open(Paths.get(log), StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
            for (int i = 0; i < count; i++) {
                mutex.acquire();
                long czxid = client.checkExists().forPath(mutex.node()).getCzxid();
                line(out, "ENTER", who, czxid);
                Thread.sleep(1);
                line(out, "EXIT", who, czxid);
                mutex.release();
            }
        }
    }

    static void line(FileChannel out, String what, String who, long czxid) throws Exception {
        String line = what + " " + who + " " + czxid + " " + System.nanoTime() + "\n";
        out.write(ByteBuffer.wrap(line.getBytes(StandardCharsets.UTF_8)));
    }
}
