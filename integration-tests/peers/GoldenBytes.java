/*
 * Prints the bytes that Java's own encoder gives for every record of the client protocol and of the transaction
 * log, for zk-proto/tests/golden/records.txt.
 *
 *   java -cp "$ZK_PEER_ZOOKEEPER_CP" GoldenBytes.java
 *
 * One line per record: `name hex fields`, separated by one blank; `fields` is what was encoded, written as
 *   field=value,...     integers in decimal, booleans true/false
 *   "text"  x0a0b       strings (no quote, blank or backslash inside), buffers
 *   null  [a,b]  {..}   nothing, vectors, nested records
 * The name is the Java class, with `.case` behind it where one record is shown in several shapes.
 */
import java.io.ByteArrayOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.apache.jute.BinaryOutputArchive;
import org.apache.jute.Record;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.MultiOperationRecord;
import org.apache.zookeeper.MultiResponse;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.data.*;
import org.apache.zookeeper.proto.*;
import org.apache.zookeeper.server.persistence.FileHeader;
import org.apache.zookeeper.server.quorum.LearnerInfo;
import org.apache.zookeeper.server.quorum.QuorumPacket;
import org.apache.zookeeper.txn.*;

public class GoldenBytes {
    static final byte[] DATA = {0, 1, 2, (byte) 0xfe, (byte) 0xff};
    static final byte[] EMPTY = {};
    static final byte[] PASSWD = new byte[16];
    static final List<String> NONE = Collections.emptyList();
    static final ACL WORLD = new ACL(31, new Id("world", "anyone"));
    static final ACL DIGEST = new ACL(5, new Id("digest", "bob:2Jmhy2uKXG5BaYW4K6U7kKqcjbQ="));
    static final List<ACL> ACLS = Arrays.asList(WORLD, DIGEST);
    static final Stat STAT = new Stat(0x0102030405060708L, 0x1112131415161718L, 1700000000123L, 1700000000456L,
            0x21222324, 0x31323334, 0x41424344, 0x5152535455565758L, 0x61626364, 0x71727374, 0x0807060504030201L);

    public static void main(String[] args) throws Exception {
        // The locale of the machine must not show in the output.
        System.setOut(new PrintStream(new FileOutputStream(FileDescriptor.out), true, "UTF-8"));
        for (int i = 0; i < PASSWD.length; i++) PASSWD[i] = (byte) (0xa0 + i);
        vocabulary();
        session();
        requests();
        replies();
        multi();
        txns();
        quorumAndFiles();
    }

    static void vocabulary() throws Exception {
        show("Id", new Id("digest", "bob:secret"));
        show("Id.empty", new Id("", ""));
        show("Id.null", new Id(null, null));
        show("Id.non_ascii", new Id("s\u00e9", "\u20ac"));
        // One character outside the BMP: Java writes each UTF-16 half as three bytes, which is not UTF-8.
        show("Id.surrogates", new Id("x", "\ud83d\ude00"));
        show("ACL", DIGEST);
        show("Stat", STAT);
        show("Stat.negative", new Stat(-1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11));
        show("StatPersisted", new StatPersisted(1, 2, 3, 4, 5, 6, 7, 8, 9));
        show("ClientInfo", new ClientInfo("digest", "bob"));
    }

    static void session() throws Exception {
        // Up to 3.8 readOnly is no field of these two records: client and server append it by hand. Same bytes.
        connect("ConnectRequest", true, 0, 0x0000000300000007L, 30000, 0x1000000deadbeefL, PASSWD);
        connect("ConnectRequest.new_session", false, 0, 0L, 4000, 0L, new byte[16]);
        connect("ConnectResponse", true, 0, 30000, 0x1000000deadbeefL, PASSWD);
        connect("ConnectResponse.expired", false, 0, 0, 0L, new byte[16]);
        show("RequestHeader", new RequestHeader(0x01020304, 12));
        show("RequestHeader.ping", new RequestHeader(-2, 11));
        show("ReplyHeader", new ReplyHeader(0x01020304, 0x0000000500000009L, -101));
        show("ReplyHeader.event", new ReplyHeader(-1, -1, 0));
        show("AuthPacket", new AuthPacket(0, "digest", "bob:secret".getBytes(StandardCharsets.UTF_8)));
        show("AuthPacket.null_auth", new AuthPacket(0, "ip", null));
        show("GetSASLRequest", new GetSASLRequest(DATA));
        show("SetSASLRequest", new SetSASLRequest(DATA));
        show("SetSASLResponse", new SetSASLResponse(DATA));
        show("SetSASLResponse.null", new SetSASLResponse(null));
        show("WatcherEvent", new WatcherEvent(3, 3, "/a/b"));
        show("SetWatches", new SetWatches(0x0000000300000007L, Arrays.asList("/d1", "/d2"), NONE, Arrays.asList("/c")));
        show("SetWatches.null", new SetWatches(1, null, null, null));
        show("SetWatches2", new SetWatches2(0x0000000300000007L, Arrays.asList("/d1", "/d2"), Arrays.asList("/e"),
                NONE, Arrays.asList("/p"), Arrays.asList("/r1", "/r2")));
    }

    static void requests() throws Exception {
        show("CreateRequest", new CreateRequest("/a/n-", DATA, ACLS, 3));
        show("CreateRequest.empty_data", new CreateRequest("/a", EMPTY, ACLS, 0));
        show("CreateRequest.null_data", new CreateRequest("/a", null, ACLS, 1));
        show("CreateRequest.null_acl", new CreateRequest("/a", DATA, null, 0));
        show("CreateRequest.empty_acl", new CreateRequest("/a", DATA, Collections.<ACL>emptyList(), 4));
        show("CreateTTLRequest", new CreateTTLRequest("/ttl", DATA, ACLS, 5, 0x0000000a0b0c0d0eL));
        show("DeleteRequest", new DeleteRequest("/a/b", 0x01020304));
        show("DeleteRequest.any_version", new DeleteRequest("/a/b", -1));
        show("SetDataRequest", new SetDataRequest("/a/b", DATA, 0x01020304));
        show("SetDataRequest.null_data", new SetDataRequest("/a/b", null, -1));
        show("GetDataRequest", new GetDataRequest("/a/b", true));
        show("GetDataRequest.no_watch", new GetDataRequest("/a/b", false));
        show("ExistsRequest", new ExistsRequest("/a/b", true));
        show("GetChildrenRequest", new GetChildrenRequest("/a/b", true));
        show("GetChildren2Request", new GetChildren2Request("/a/b", true));
        show("GetAllChildrenNumberRequest", new GetAllChildrenNumberRequest("/a/b"));
        show("GetACLRequest", new GetACLRequest("/a/b"));
        show("SyncRequest", new SyncRequest("/a/b"));
        show("SetACLRequest", new SetACLRequest("/a/b", ACLS, 0x01020304));
        show("CheckVersionRequest", new CheckVersionRequest("/a/b", 0x01020304));
        show("ReconfigRequest", new ReconfigRequest("server.4=h4:1:2;3", "2,3", null, 0x0000000500000009L));
        show("AddWatchRequest", new AddWatchRequest("/a/b", 1));
        show("CheckWatchesRequest", new CheckWatchesRequest("/a/b", 3));
        show("RemoveWatchesRequest", new RemoveWatchesRequest("/a/b", 2));
        show("GetEphemeralsRequest", new GetEphemeralsRequest("/a"));
        // A record of its own since 3.9 only, and never sent by a client.
        Constructor<?> container = constructor("org.apache.zookeeper.DeleteContainerRequest", 1);
        if (container != null) show("DeleteContainerRequest", (Record) container.newInstance("/a/b"));
    }

    static void replies() throws Exception {
        show("CreateResponse", new CreateResponse("/a/n-0000000001"));
        show("Create2Response", new Create2Response("/a/n-0000000001", STAT));
        show("SetDataResponse", new SetDataResponse(STAT));
        show("SetACLResponse", new SetACLResponse(STAT));
        show("ExistsResponse", new ExistsResponse(STAT));
        show("GetDataResponse", new GetDataResponse(DATA, STAT));
        show("GetDataResponse.null_data", new GetDataResponse(null, STAT));
        show("GetChildrenResponse", new GetChildrenResponse(Arrays.asList("b", "c")));
        show("GetChildrenResponse.empty", new GetChildrenResponse(NONE));
        show("GetChildrenResponse.null", new GetChildrenResponse(null));
        show("GetChildren2Response", new GetChildren2Response(Arrays.asList("b", "c"), STAT));
        show("GetACLResponse", new GetACLResponse(ACLS, STAT));
        show("GetAllChildrenNumberResponse", new GetAllChildrenNumberResponse(0x01020304));
        show("GetEphemeralsResponse", new GetEphemeralsResponse(Arrays.asList("/a/e1", "/a/e2")));
        show("SyncResponse", new SyncResponse("/a/b"));
        show("WhoAmIResponse", new WhoAmIResponse(Arrays.asList(new ClientInfo("ip", "10.0.0.1"),
                new ClientInfo("digest", "bob"))));
        show("ErrorResponse", new ErrorResponse(-103));
        show("MultiHeader", new MultiHeader(5, false, -1));
        show("MultiHeader.end", new MultiHeader(-1, true, -1));
    }

    static void multi() throws Exception {
        List<Op> writes = Arrays.asList(
                Op.create("/m/create", DATA, ACLS, CreateMode.EPHEMERAL.toFlag()),
                Op.create("/m/container", DATA, ACLS, CreateMode.CONTAINER),
                Op.create("/m/ttl", DATA, ACLS, CreateMode.PERSISTENT_WITH_TTL, 5000),
                Op.delete("/m/delete", 7),
                Op.setData("/m/set", DATA, 8),
                Op.check("/m/check", 9));
        show("MultiOperationRecord.write", new MultiOperationRecord(writes), describeOps(writes));
        // The Java client never puts create2 (15) into a multi, Curator and others do. Same body as create (1).
        show("MultiOperationRecord.create2", new MultiHeader(15, false, -1), new CreateRequest("/m/create2", DATA, ACLS, 0),
                new MultiHeader(-1, true, -1));
        List<Op> reads = Arrays.asList(Op.getData("/m/a"), Op.getChildren("/m"));
        show("MultiOperationRecord.read", new MultiOperationRecord(reads), describeOps(reads));
        List<Op> nothing = Collections.emptyList();
        show("MultiOperationRecord.empty", new MultiOperationRecord(nothing), "[]");

        MultiResponse done = new MultiResponse();
        done.add(new OpResult.CreateResult("/m/create"));
        done.add(new OpResult.CreateResult("/m/create2", STAT));
        done.add(new OpResult.DeleteResult());
        done.add(new OpResult.SetDataResult(STAT));
        done.add(new OpResult.CheckResult());
        show("MultiResponse.success", done, describeResults(done));
        MultiResponse failed = new MultiResponse();
        for (int err : new int[] {0, -103, -2}) failed.add(new OpResult.ErrorResult(err));
        show("MultiResponse.failure", failed, describeResults(failed));
        MultiResponse read = new MultiResponse();
        read.add(new OpResult.GetDataResult(DATA, STAT));
        read.add(new OpResult.GetChildrenResult(Arrays.asList("b", "c")));
        read.add(new OpResult.ErrorResult(-101));
        show("MultiResponse.read", read, describeResults(read));
        show("MultiResponse.empty", new MultiResponse(), "[]");
    }

    static void txns() throws Exception {
        TxnHeader header = new TxnHeader(0x1000000deadbeefL, 0x01020304, 0x0000000500000009L, 1700000000123L, 14);
        CreateTxn create = new CreateTxn("/t/e", DATA, ACLS, true, 0x21222324);
        SetDataTxn set = new SetDataTxn("/t/s", DATA, 0x31323334);
        show("TxnHeader", header);
        show("CreateTxn", create);
        show("CreateTxn.null_data", new CreateTxn("/t", null, Arrays.asList(WORLD), false, 1));
        show("CreateTxnV0", new CreateTxnV0("/t/e", DATA, ACLS, true));
        show("CreateTTLTxn", new CreateTTLTxn("/t/ttl", DATA, ACLS, 0x21222324, 0x0000000a0b0c0d0eL));
        show("CreateContainerTxn", new CreateContainerTxn("/t/c", DATA, ACLS, 0x21222324));
        show("DeleteTxn", new DeleteTxn("/t/d"));
        show("SetDataTxn", set);
        show("SetDataTxn.null_data", new SetDataTxn("/t/s", null, 2));
        show("SetACLTxn", new SetACLTxn("/t/a", ACLS, 0x21222324));
        show("CheckVersionTxn", new CheckVersionTxn("/t/v", 0x21222324));
        show("CreateSessionTxn", new CreateSessionTxn(30000));
        show("CloseSessionTxn", new CloseSessionTxn(Arrays.asList("/t/e", "/t/f")));
        show("CloseSessionTxn.empty", new CloseSessionTxn(NONE));
        show("CloseSessionTxn.null", new CloseSessionTxn(null));
        show("ErrorTxn", new ErrorTxn(-110));
        show("SetMaxChildrenTxn", new SetMaxChildrenTxn("/t", 0x21222324));
        MultiTxn multi = new MultiTxn(Arrays.asList(new Txn(1, encode(create)), new Txn(5, encode(set))));
        show("MultiTxn", multi);
        // As the server logs it: what came before the failure keeps its own type, yet nothing of it may be applied.
        show("MultiTxn.failed", new MultiTxn(Arrays.asList(new Txn(1, encode(create)), new Txn(-1, encode(new ErrorTxn(-103))),
                new Txn(-1, encode(new ErrorTxn(-2))))));
        TxnDigest digest = new TxnDigest(2, 0x5152535455565758L);
        show("TxnDigest", digest);
        // As a log entry and a PROPOSAL carry them: header, transaction, digest.
        show("entry.multi", header, multi, digest);
    }

    static void quorumAndFiles() throws Exception {
        show("QuorumPacket", new QuorumPacket(2, 0x0000000500000009L, DATA, Arrays.asList(new Id("digest", "bob:secret"))));
        show("QuorumPacket.null", new QuorumPacket(5, -1, null, null));
        show("LearnerInfo", new LearnerInfo(3L, 0x10000, 0x0000000500000009L));
        show("FileHeader.log", new FileHeader(0x5a4b4c47, 2, 0));
        show("FileHeader.snapshot", new FileHeader(0x5a4b534e, 2, -1));
    }

    /** A handshake record: constructor arguments, then readOnly, inside or behind the record as the version has it. */
    static void connect(String name, boolean readOnly, Object... fields) throws Exception {
        String type = "org.apache.zookeeper.proto." + name.split("\\.")[0];
        Constructor<?> inside = constructor(type, fields.length + 1);
        if (inside != null) {
            Object[] all = Arrays.copyOf(fields, fields.length + 1);
            all[fields.length] = readOnly;
            show(name, (Record) inside.newInstance(all));
            return;
        }
        Record record = (Record) constructor(type, fields.length).newInstance(fields);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        BinaryOutputArchive archive = BinaryOutputArchive.getArchive(out);
        record.serialize(archive, "connect");
        archive.writeBool(readOnly, "readOnly");
        print(name, out.toByteArray(), fieldsOf(record) + ",readOnly=" + readOnly);
    }

    static Constructor<?> constructor(String type, int arguments) {
        try {
            for (Constructor<?> c : Class.forName(type).getConstructors()) {
                if (c.getParameterCount() == arguments) return c;
            }
        } catch (ClassNotFoundException e) {
            return null;
        }
        return null;
    }

    static void show(String name, Record record) throws Exception {
        show(name, record, fieldsOf(record));
    }

    static void show(String name, Record record, String fields) throws Exception {
        print(name, encode(record), fields);
    }

    /** Several records in a row, as they follow each other in one body. */
    static void show(String name, Record... records) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        List<String> fields = new ArrayList<>();
        for (Record record : records) {
            out.write(encode(record));
            fields.add(value(record));
        }
        print(name, out.toByteArray(), String.join("+", fields));
    }

    static void print(String name, byte[] bytes, String fields) {
        System.out.println(name + " " + hex(bytes) + " " + fields);
    }

    static byte[] encode(Record record) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        record.serialize(BinaryOutputArchive.getArchive(out), "r");
        return out.toByteArray();
    }

    static String describeOps(List<Op> ops) throws Exception {
        List<String> out = new ArrayList<>();
        for (Op op : ops) out.add(op.getType() + ":" + value(op.toRequestRecord()));
        return "[" + String.join(",", out) + "]";
    }

    static String describeResults(MultiResponse response) throws Exception {
        List<String> out = new ArrayList<>();
        for (OpResult result : response) {
            // A result is no jute record. Its own fields are final, the type is in the parent class.
            out.add(result.getType() + ":{" + fieldsOf(result) + "}");
        }
        return "[" + String.join(",", out) + "]";
    }

    /** The declared fields in order; for a generated record that is the order on the wire. */
    static String fieldsOf(Object record) throws Exception {
        List<String> out = new ArrayList<>();
        for (Field field : record.getClass().getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers())) continue;
            field.setAccessible(true);
            out.add(field.getName() + "=" + value(field.get(record)));
        }
        return String.join(",", out);
    }

    static String value(Object v) throws Exception {
        if (v == null) return "null";
        if (v instanceof String) return "\"" + v + "\"";
        if (v instanceof byte[]) return "x" + hex((byte[]) v);
        if (v instanceof List) {
            List<String> out = new ArrayList<>();
            for (Object item : (List<?>) v) out.add(value(item));
            return "[" + String.join(",", out) + "]";
        }
        if (v instanceof Record) return "{" + fieldsOf(v) + "}";
        return String.valueOf(v);
    }

    static String hex(byte[] bytes) {
        StringBuilder out = new StringBuilder();
        for (byte b : bytes) out.append(String.format("%02x", b));
        return out.toString();
    }
}
