/*
 * Prints the whole tree of a server, one line per node, sorted by path: what two servers that opened the same data
 * directory must agree on.
 *
 *   java -cp "$ZK_PEER_ZOOKEEPER_CP" DumpTree.java HOSTS
 *
 *   path czxid mzxid pzxid version cversion aversion owner data ctime mtime acl
 *
 * zxids and owner in hex without 0x, data in hex (`-` when empty, `null` when null), acl as `perms:scheme:id`
 * joined by commas. Reads as digest bob:secret, the owner of the nodes that WriteDataDir.java protects.
 */
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;

public class DumpTree {
    public static void main(String[] args) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper zk = new ZooKeeper(args[0], 10_000, event -> {
            if (event.getState() == KeeperState.SyncConnected) connected.countDown();
        });
        connected.await();
        zk.addAuthInfo("digest", "bob:secret".getBytes(StandardCharsets.UTF_8));
        Map<String, String> lines = new TreeMap<>();
        walk(zk, "/", lines);
        zk.close();
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, "UTF-8");
        for (Map.Entry<String, String> line : lines.entrySet()) out.println(line.getKey() + " " + line.getValue());
    }

    static void walk(ZooKeeper zk, String path, Map<String, String> lines) throws Exception {
        Stat s = new Stat();
        byte[] data = zk.getData(path, false, s);
        List<String> acls = new ArrayList<>();
        for (ACL acl : zk.getACL(path, new Stat())) {
            acls.add(acl.getPerms() + ":" + acl.getId().getScheme() + ":" + acl.getId().getId());
        }
        lines.put(path, String.format("%x %x %x %d %d %d %x %s %d %d %s", s.getCzxid(), s.getMzxid(), s.getPzxid(),
                s.getVersion(), s.getCversion(), s.getAversion(), s.getEphemeralOwner(), hex(data), s.getCtime(),
                s.getMtime(), String.join(",", acls)));
        for (String child : zk.getChildren(path, false)) {
            walk(zk, path.equals("/") ? "/" + child : path + "/" + child, lines);
        }
    }

    static String hex(byte[] bytes) {
        if (bytes == null) return "null";
        if (bytes.length == 0) return "-";
        StringBuilder out = new StringBuilder();
        for (byte b : bytes) out.append(String.format("%02x", b));
        return out.toString();
    }
}
