//! The text that each four-letter word answers, line for line as ZooKeeper does. Pure.

use std::fmt::Write;

use super::date::java_date;
use super::report::{ConnectionReport, Mode, ServerReport, VERSION};
use super::words::Word;

/// What everything but `ruok`, `envi` and `isro` gets while there is no state to tell of.
const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";

/// The answer to a word, after [`super::Whitelist::allows`] said yes. `None` when the server is up but does not
/// serve.
#[must_use]
pub fn answer(word: Word, report: Option<&ServerReport>) -> String {
    match (word, report) {
        // These two have no line end.
        (Word::Ruok, _) => "imok".to_owned(),
        (Word::Isro, Some(r)) => if r.mode == Mode::ReadOnly { "ro" } else { "rw" }.to_owned(),
        (Word::Isro, None) => "null".to_owned(),
        (Word::Envi, r) => envi(r),
        (Word::Srvr, Some(r)) => format!("{}{}", version_line(), summary(r)),
        (Word::Stat, Some(r)) => stat(r),
        (Word::Mntr, Some(r)) => mntr(r),
        (Word::Conf, Some(r)) => conf(r),
        (Word::Dirs, Some(r)) => {
            format!("datadir_size: {}\nlogdir_size: {}\n", r.conf.data_dir_size, r.conf.data_log_size)
        }
        (Word::Cons, Some(r)) => cons(r),
        (Word::Wchs, Some(r)) => format!(
            "{} connections watching {} paths\nTotal watches:{}\n",
            r.watching_connections, r.watched_paths, r.watches
        ),
        (Word::Dump, Some(r)) => dump(r),
        (_, None) => NOT_SERVING.to_owned(),
        (word, Some(_)) => super::words::refusal(word),
    }
}

fn version_line() -> String {
    format!("Zookeeper version: {VERSION}\n")
}

/// A mean as Java prints it: at most four decimals, at least one.
fn mean(ms: f64) -> String {
    format!("{:?}", (ms * 10_000.0).round() / 10_000.0)
}

/// Writing to a `String` cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => {{ let _ = writeln!($out, $($arg)*); }};
}

fn summary(r: &ServerReport) -> String {
    let mut out = String::new();
    if r.mode == Mode::ReadOnly {
        line!(out, "READ-ONLY mode; serving only read-only clients");
    }
    line!(out, "Latency min/avg/max: {}/{}/{}", r.latency.min_ms, mean(r.latency.avg_ms), r.latency.max_ms);
    line!(out, "Received: {}", r.received);
    line!(out, "Sent: {}", r.sent);
    line!(out, "Connections: {}", r.connections);
    line!(out, "Outstanding: {}", r.outstanding);
    line!(out, "Zxid: {}", r.zxid);
    line!(out, "Mode: {}", r.mode.name());
    line!(out, "Node count: {}", r.nodes);
    out
}

fn stat(r: &ServerReport) -> String {
    let mut out = version_line();
    line!(out, "Clients:");
    for c in &r.connection_list {
        line!(out, "{})", connection(c));
    }
    line!(out, "");
    out + &summary(r)
}

fn connection(c: &ConnectionReport) -> String {
    format!(" /{}[{}](queued={},recved={},sent={}", c.peer, c.interest, c.queued, c.received, c.sent)
}

fn cons(r: &ServerReport) -> String {
    let mut out = String::new();
    for c in &r.connection_list {
        out.push_str(&connection(c));
        if let Some(s) = &c.session {
            let _ = write!(
                out,
                ",sid={},lop={},est={},to={}",
                s.id, s.last_operation, s.established_ms, s.timeout_ms
            );
            if s.last_cxid >= 0 {
                let _ = write!(out, ",lcxid={:#x}", s.last_cxid);
            }
            let _ = write!(
                out,
                ",lzxid={},lresp={},llat={},minlat={},avglat={},maxlat={}",
                s.last_zxid,
                s.last_response_ms,
                s.last_latency_ms,
                s.latency.min_ms,
                s.latency.avg_ms as i64,
                s.latency.max_ms
            );
        }
        out.push_str(")\n");
    }
    out.push('\n');
    out
}

fn mntr(r: &ServerReport) -> String {
    let mut out = String::new();
    line!(out, "zk_version\t{VERSION}");
    line!(out, "zk_server_state\t{}", r.mode.name());
    line!(out, "zk_ephemerals_count\t{}", r.ephemerals);
    line!(out, "zk_num_alive_connections\t{}", r.connections);
    line!(out, "zk_avg_latency\t{}", mean(r.latency.avg_ms));
    line!(out, "zk_outstanding_requests\t{}", r.outstanding);
    line!(out, "zk_znode_count\t{}", r.nodes);
    line!(out, "zk_global_sessions\t{}", r.sessions);
    line!(out, "zk_local_sessions\t0");
    line!(out, "zk_last_client_response_size\t{}", r.responses.last);
    line!(out, "zk_min_client_response_size\t{}", r.responses.min);
    line!(out, "zk_max_client_response_size\t{}", r.responses.max);
    line!(out, "zk_packets_sent\t{}", r.sent);
    line!(out, "zk_packets_received\t{}", r.received);
    line!(out, "zk_connection_drop_probability\t0.0");
    line!(out, "zk_watch_count\t{}", r.watches);
    line!(out, "zk_auth_failed_count\t{}", r.auth_failures);
    line!(out, "zk_min_latency\t{}", r.latency.min_ms);
    line!(out, "zk_max_latency\t{}", r.latency.max_ms);
    line!(out, "zk_approximate_data_size\t{}", r.data_bytes);
    if let Some((open, max)) = r.file_descriptors {
        line!(out, "zk_open_file_descriptor_count\t{open}");
        line!(out, "zk_max_file_descriptor_count\t{max}");
    }
    line!(out, "zk_uptime\t{}", r.uptime_ms);
    line!(out, "zk_outstanding_tls_handshake\t0");
    for (name, value) in &r.metrics {
        line!(out, "zk_{name}\t{value}");
    }
    out
}

fn conf(r: &ServerReport) -> String {
    let c = &r.conf;
    let mut out = String::new();
    line!(out, "clientPort={}", c.client_port);
    line!(out, "secureClientPort=-1");
    line!(out, "dataDir={}", c.data_dir);
    line!(out, "dataDirSize={}", c.data_dir_size);
    line!(out, "dataLogDir={}", c.data_log_dir);
    line!(out, "dataLogSize={}", c.data_log_size);
    line!(out, "tickTime={}", c.tick_time_ms);
    line!(out, "maxClientCnxns={}", c.max_client_cnxns);
    line!(out, "minSessionTimeout={}", c.min_session_timeout_ms);
    line!(out, "maxSessionTimeout={}", c.max_session_timeout_ms);
    line!(out, "clientPortListenBacklog={}", c.listen_backlog);
    line!(out, "serverId={}", c.server_id);
    out
}

fn envi(r: Option<&ServerReport>) -> String {
    let mut out = format!("Environment:\nzookeeper.version={VERSION}\n");
    for (key, value) in r.map_or(&[][..], |r| &r.environment) {
        line!(out, "{key}={value}");
    }
    out
}

fn dump(r: &ServerReport) -> String {
    let mut out = String::from("SessionTracker dump:\n");
    let sessions: usize = r.expiries.iter().map(|e| e.sessions.len()).sum();
    line!(out, "Session Sets ({})/({sessions}):", r.expiries.len());
    for expiry in &r.expiries {
        line!(out, "{} expire at {}:", expiry.sessions.len(), java_date(expiry.at_ms));
        for session in &expiry.sessions {
            line!(out, "\t{session}");
        }
    }
    line!(out, "ephemeral nodes dump:");
    line!(out, "Sessions with Ephemerals ({}):", r.ephemeral_paths.len());
    for (session, paths) in &r.ephemeral_paths {
        line!(out, "{session}:");
        for path in paths {
            line!(out, "\t{path}");
        }
    }
    // Idle connections are not kept in buckets of time here.
    line!(out, "Connections dump:");
    line!(out, "Connections Sets (0)/(0):");
    out
}

#[cfg(test)]
mod tests;
