/*
 * Drives a fixed load through a server, so that its data directory holds every kind of transaction.
 *
 *   java -cp "$ZK_PEER_ZOOKEEPER_CP" WriteDataDir.java HOSTS ROUNDS
 *
 * The same ROUNDS give the same requests in the same order, hence the same zxids, names, versions and data; only
 * session ids and times differ. The last session is left open when the program halts, so that the directory has a
 * live session with an ephemeral node. The server must have extended types on (TTL nodes).
 */
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

public class WriteDataDir {
    static final List<ACL> OPEN = Ids.OPEN_ACL_UNSAFE;
    // bob:secret; DumpTree.java authenticates as him to read what he owns.
    static final Id BOB = new Id("digest", "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=");

    public static void main(String[] args) throws Exception {
        int rounds = Integer.parseInt(args[1]);
        ZooKeeper passing = connect(args[0]);
        ZooKeeper staying = connect(args[0]);
        staying.addAuthInfo("digest", "bob:secret".getBytes(StandardCharsets.UTF_8));
        for (int i = 0; i < rounds; i++) {
            round(passing, staying, "/round-" + i, new Random(i));
        }
        // closeSession with ephemerals to delete, then one session that nobody closes.
        passing.close();
        staying.create("/alive", bytes("left open"), OPEN, CreateMode.EPHEMERAL);
        System.out.println("WRITTEN 0x" + Long.toHexString(staying.getSessionId()));
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    static void round(ZooKeeper passing, ZooKeeper staying, String top, Random random) throws Exception {
        staying.create(top, bytes("top"), OPEN, CreateMode.PERSISTENT);
        staying.create(top + "/null", null, OPEN, CreateMode.PERSISTENT);
        staying.create(top + "/empty", new byte[0], OPEN, CreateMode.PERSISTENT);
        staying.create(top + "/caf\u00e9", random(random), OPEN, CreateMode.PERSISTENT, new Stat());
        staying.create(top + "/container", bytes("c"), OPEN, CreateMode.CONTAINER);
        staying.create(top + "/container/child", random(random), OPEN, CreateMode.PERSISTENT);
        staying.create(top + "/ttl", bytes("t"), OPEN, CreateMode.PERSISTENT_WITH_TTL, new Stat(), 3_600_000);
        for (int i = 0; i < 3; i++) {
            staying.create(top + "/seq-", random(random), OPEN, CreateMode.PERSISTENT_SEQUENTIAL);
        }
        passing.create(top + "/gone-", bytes("e"), OPEN, CreateMode.EPHEMERAL_SEQUENTIAL);
        passing.create(top + "/gone-", bytes("e"), OPEN, CreateMode.EPHEMERAL_SEQUENTIAL);
        staying.create(top + "/stays", bytes("e"), OPEN, CreateMode.EPHEMERAL);

        staying.setData(top + "/empty", random(random), 0);
        staying.setData(top + "/empty", random(random), 1);
        staying.delete(top + "/seq-0000000007", 0);
        List<ACL> owned = Arrays.asList(new ACL(Perms.ALL, BOB), new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE));
        staying.create(top + "/owned", bytes("bob's"), Collections.singletonList(new ACL(Perms.ALL, BOB)), CreateMode.PERSISTENT);
        staying.setACL(top + "/null", owned, 0);

        staying.multi(Arrays.asList(
                Op.check(top, 0),
                Op.create(top + "/multi", bytes("m"), OPEN, CreateMode.PERSISTENT),
                Op.create(top + "/multi/child", bytes("n"), OPEN, CreateMode.PERSISTENT),
                Op.setData(top + "/multi", bytes("set in the same multi"), 0),
                Op.delete(top + "/seq-0000000006", -1)));
        // Failures are transactions too: an error of its own, and a multi made of errors.
        fails(() -> staying.create(top, null, OPEN, CreateMode.PERSISTENT));
        fails(() -> staying.multi(Arrays.asList(
                Op.create(top + "/never", null, OPEN, CreateMode.PERSISTENT),
                Op.check(top, 42),
                Op.delete(top + "/multi", -1))));
    }

    interface Request {
        void run() throws Exception;
    }

    static void fails(Request request) throws Exception {
        try {
            request.run();
        } catch (KeeperException expected) {
            return;
        }
        throw new AssertionError("a request succeeded that must fail");
    }

    static ZooKeeper connect(String hosts) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper zk = new ZooKeeper(hosts, 10_000, event -> {
            if (event.getState() == KeeperState.SyncConnected) connected.countDown();
        });
        connected.await();
        return zk;
    }

    static byte[] random(Random random) {
        byte[] out = new byte[1 + random.nextInt(40)];
        random.nextBytes(out);
        return out;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
