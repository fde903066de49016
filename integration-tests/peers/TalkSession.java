/*
 * One short session of Java's client that uses the common requests once each, for capture_session.py to listen to.
 *
 *   java -cp "$ZK_PEER_ZOOKEEPER_CP" TalkSession.java HOSTS
 *
 * connect, addAuth, create, create2, getData with a watch, setData (the event comes first), getChildren2, getACL,
 * sync, addWatch, a multi that succeeds, one that fails, multiRead, exists without node, ping, close.
 */
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

public class TalkSession {
    public static void main(String[] args) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        // With 3 s the client pings after 1 s of silence.
        ZooKeeper zk = new ZooKeeper(args[0], 3_000, event -> {
            if (event.getState() == KeeperState.SyncConnected) connected.countDown();
        });
        connected.await();
        zk.addAuthInfo("digest", "bob:secret".getBytes());
        zk.create("/talk", "one".getBytes(), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        zk.create("/talk/n-", "two".getBytes(), Ids.CREATOR_ALL_ACL, CreateMode.EPHEMERAL_SEQUENTIAL, new Stat());
        zk.getData("/talk", true, new Stat());
        zk.setData("/talk", "three".getBytes(), 0);
        zk.getChildren("/talk", false, new Stat());
        zk.getACL("/talk", new Stat());
        CountDownLatch synced = new CountDownLatch(1);
        zk.sync("/talk", (rc, path, ctx) -> synced.countDown(), null);
        synced.await();
        zk.addWatch("/talk", event -> {}, AddWatchMode.PERSISTENT_RECURSIVE);
        zk.multi(Arrays.asList(
                Op.check("/talk", 1),
                Op.create("/talk/m", "four".getBytes(), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.setData("/talk/m", "five".getBytes(), 0),
                Op.delete("/talk/m", 1)));
        try {
            zk.multi(Arrays.asList(Op.setData("/talk", null, -1), Op.check("/talk", 9), Op.delete("/talk", -1)));
            throw new AssertionError("the second multi must fail");
        } catch (KeeperException.BadVersionException expected) {
            // Its reply is what the capture wants.
        }
        zk.multi(Arrays.asList(Op.getData("/talk"), Op.getChildren("/talk"), Op.getData("/missing")));
        if (zk.exists("/missing", true) != null) throw new AssertionError("/missing exists");
        Thread.sleep(1_800);
        zk.close();
    }
}
