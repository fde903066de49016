//! Golden texts. Where a line does not depend on our version or counters, it is what ZooKeeper 3.8.0 answered.

use super::*;
use crate::admin::report::{ConfReport, ExpiryReport, Latency, SessionReport};
use zk_proto::{SessionId, Zxid};

fn report() -> ServerReport {
    let session = SessionReport {
        id: SessionId(0x1000_0031_e5fe_0000),
        last_operation: "GETD",
        established_ms: 1_795_394_899_279,
        timeout_ms: 10_000,
        last_cxid: 20,
        last_zxid: Zxid(0x19),
        last_response_ms: 4711,
        last_latency_ms: 1,
        latency: Latency { min_ms: 0, avg_ms: 1.7, max_ms: 12 },
    };
    let connection = ConnectionReport {
        peer: "127.0.0.1:42848".parse().unwrap(),
        interest: 1,
        queued: 0,
        received: 3,
        sent: 2,
        session: Some(session),
    };
    let asking = ConnectionReport {
        peer: "[::1]:42849".parse().unwrap(),
        interest: 0,
        queued: 0,
        received: 1,
        sent: 0,
        session: None,
    };
    ServerReport {
        latency: Latency { min_ms: 0, avg_ms: 1.250_04, max_ms: 12 },
        received: 4,
        sent: 2,
        connections: 2,
        zxid: Zxid(0x19),
        nodes: 7,
        ephemerals: 1,
        data_bytes: 44,
        sessions: 1,
        watches: 3,
        watching_connections: 1,
        watched_paths: 2,
        uptime_ms: 3851,
        file_descriptors: Some((268, 20_000)),
        metrics: vec![("fsynctime_avg".to_owned(), "0.0".to_owned())],
        conf: ConfReport {
            client_port: 2181,
            data_dir: "/data/version-2".to_owned(),
            data_dir_size: 457,
            data_log_dir: "/logs/version-2".to_owned(),
            data_log_size: 67_108_880,
            tick_time_ms: 3000,
            max_client_cnxns: 60,
            min_session_timeout_ms: 6000,
            max_session_timeout_ms: 60_000,
            listen_backlog: -1,
            server_id: 0,
        },
        environment: vec![("host.name".to_owned(), "localhost".to_owned())],
        connection_list: vec![connection, asking],
        expiries: vec![ExpiryReport {
            at_ms: 1_795_396_928_000,
            sessions: vec![SessionId(0x1000_0031_e5fe_0000), SessionId(7)],
        }],
        ephemeral_paths: vec![(SessionId(7), vec!["/a".to_owned(), "/b".to_owned()])],
        ..ServerReport::default()
    }
}

fn says(word: Word) -> String {
    answer(word, Some(&report())).replace(VERSION, "VERSION")
}

#[test]
fn the_version_is_one_that_clients_can_parse() {
    // Kazoo reads digits and dots behind `zookeeper.version=`, others up to the comma.
    let digits: String = VERSION.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    assert_eq!(digits, "3.9.0");
    assert!(VERSION.split_once(", built on ").is_some_and(|(version, _)| !version.contains(' ')));
    assert!(answer(Word::Srvr, Some(&report())).starts_with("Zookeeper version: 3.9.0-"));
}

#[test]
fn ruok_and_isro_have_no_line_end() {
    assert_eq!(answer(Word::Ruok, None), "imok");
    assert_eq!(says(Word::Isro), "rw");
    let read_only = ServerReport { mode: Mode::ReadOnly, ..ServerReport::default() };
    assert_eq!(answer(Word::Isro, Some(&read_only)), "ro");
    assert_eq!(answer(Word::Isro, None), "null");
}

#[test]
fn srvr() {
    assert_eq!(
        says(Word::Srvr),
        "Zookeeper version: VERSION\nLatency min/avg/max: 0/1.25/12\nReceived: 4\nSent: 2\nConnections: 2\n\
         Outstanding: 0\nZxid: 0x19\nMode: standalone\nNode count: 7\n"
    );
    let read_only = ServerReport { mode: Mode::ReadOnly, ..ServerReport::default() };
    let text = answer(Word::Srvr, Some(&read_only));
    assert!(text.contains("READ-ONLY mode; serving only read-only clients\nLatency min/avg/max: 0/0.0/0\n"));
    assert!(text.contains("Mode: read-only\n"));
}

#[test]
fn stat_and_cons() {
    assert_eq!(
        says(Word::Stat),
        "Zookeeper version: VERSION\nClients:\n /127.0.0.1:42848[1](queued=0,recved=3,sent=2)\n \
         /[::1]:42849[0](queued=0,recved=1,sent=0)\n\nLatency min/avg/max: 0/1.25/12\nReceived: 4\nSent: 2\n\
         Connections: 2\nOutstanding: 0\nZxid: 0x19\nMode: standalone\nNode count: 7\n"
    );
    assert_eq!(
        says(Word::Cons),
        " /127.0.0.1:42848[1](queued=0,recved=3,sent=2,sid=0x10000031e5fe0000,lop=GETD,est=1795394899279,\
         to=10000,lcxid=0x14,lzxid=0x19,lresp=4711,llat=1,minlat=0,avglat=1,maxlat=12)\n \
         /[::1]:42849[0](queued=0,recved=1,sent=0)\n\n"
    );
}

#[test]
fn mntr_is_one_value_a_line_behind_a_tab() {
    let text = says(Word::Mntr);
    assert!(text.starts_with("zk_version\tVERSION\nzk_server_state\tstandalone\nzk_ephemerals_count\t1\n"));
    for line in ["zk_avg_latency\t1.25", "zk_znode_count\t7", "zk_uptime\t3851", "zk_fsynctime_avg\t0.0"] {
        assert!(text.lines().any(|l| l == line), "{line}");
    }
    assert!(text.lines().all(|l| l.starts_with("zk_") && l.split('\t').count() == 2));
}

#[test]
fn conf_dirs_envi_and_wchs() {
    assert_eq!(
        says(Word::Conf),
        "clientPort=2181\nsecureClientPort=-1\ndataDir=/data/version-2\ndataDirSize=457\n\
         dataLogDir=/logs/version-2\ndataLogSize=67108880\ntickTime=3000\nmaxClientCnxns=60\n\
         minSessionTimeout=6000\nmaxSessionTimeout=60000\nclientPortListenBacklog=-1\nserverId=0\n"
    );
    assert_eq!(says(Word::Dirs), "datadir_size: 457\nlogdir_size: 67108880\n");
    assert_eq!(says(Word::Envi), "Environment:\nzookeeper.version=VERSION\nhost.name=localhost\n");
    assert_eq!(says(Word::Wchs), "1 connections watching 2 paths\nTotal watches:3\n");
}

#[test]
fn dump() {
    assert_eq!(
        says(Word::Dump),
        "SessionTracker dump:\nSession Sets (1)/(2):\n2 expire at Mon Nov 23 01:22:08 UTC 2026:\n\
         \t0x10000031e5fe0000\n\t0x7\nephemeral nodes dump:\nSessions with Ephemerals (1):\n0x7:\n\t/a\n\t/b\n\
         Connections dump:\nConnections Sets (0)/(0):\n"
    );
}

#[test]
fn a_server_that_does_not_serve_says_so() {
    for word in
        [Word::Srvr, Word::Stat, Word::Mntr, Word::Conf, Word::Cons, Word::Wchs, Word::Dump, Word::Dirs]
    {
        assert_eq!(answer(word, None), "This ZooKeeper instance is not currently serving requests\n");
    }
    assert!(answer(Word::Envi, None).starts_with("Environment:\n"));
    assert_eq!(says(Word::Wchc), "wchc is not executed because it is not in the whitelist.\n");
}
