//! Each key of `zoo.cfg`: what it accepts and where it goes. Unknown keys are warned about, wrong values refused
//! with their line; nothing that security depends on is ignored.

use super::error::{ConfigError, ConfigWarning};
use super::properties::{self, Property};
use super::server_config::{Secret, ServerConfig};
use super::values::{boolean, bytes, directory, interval, number, yes_no};
use crate::admin::words::Whitelist;
use crate::storage::limits::{SNAP_COUNT_MIN, SNAPSHOTS_KEPT_MIN};

/// Milliseconds of a tick. ZooKeeper's default; the sample files of distributions say 2000.
pub const TICK_TIME_MS_DEFAULT: u32 = 3000;

/// Connections from one address.
pub const MAX_CLIENT_CNXNS_DEFAULT: u32 = 60;

/// Keys of ZooKeeper that mean nothing to a single server or have no counterpart here, and that nobody misses.
const WITHOUT_EFFECT: &[&str] = &[
    "electionAlg",
    "quorumListenOnAllIPs",
    "reconfigEnabled",
    "connectToLearnerMasterLimit",
    "electionPortBindRetry",
    "cnxTimeout",
    "leaderServes",
    "syncEnabled",
    "commitLogCount",
    "globalOutstandingLimit",
    "fsync.warningthresholdms",
];

/// Switches that demand something of clients which this server cannot demand yet.
const NOT_TO_BE_IGNORED: &[&str] =
    &["sessionRequireClientSASLAuth", "enforce.auth.enabled", "audit.enable", "enforceQuota"];

/// What only becomes known when all lines are read.
#[derive(Default)]
struct Pending {
    data_dir: bool,
    data_log_dir: bool,
    client_port: bool,
    min_timeout: Option<(i32, usize)>,
    max_timeout: Option<(i32, usize)>,
    servers: Vec<Property>,
    /// The line that asks for an ensemble without naming its servers.
    distributed: Option<usize>,
}

/// Reads a configuration; `file` is its name in errors.
pub(super) fn read(file: &str, text: &str) -> Result<ServerConfig, ConfigError> {
    let properties = properties::parse(text).map_err(|(line, what)| ConfigError::Syntax {
        file: file.to_owned(),
        line,
        what,
    })?;
    let mut config = ServerConfig::new("", 0);
    let mut pending = Pending::default();
    for (index, property) in properties.iter().enumerate() {
        // The last one counts, as with Java.
        if let Some(later) = properties[index + 1..].iter().find(|p| p.key == property.key) {
            config.warn(property, format!("set again on line {}, which counts", later.line));
            continue;
        }
        assign(&mut config, &mut pending, property).map_err(|expected| bad(file, property, expected))?;
        refuse_unsafe(file, property)?;
    }
    finish(file, config, &pending)
}

impl ServerConfig {
    fn warn(&mut self, property: &Property, what: String) {
        self.warnings.push(ConfigWarning { line: property.line, key: property.key.clone(), what });
    }
}

fn bad(file: &str, property: &Property, expected: String) -> ConfigError {
    let secret = property.key.contains("superDigest") || property.key.contains("password");
    let value = if secret { "***".to_owned() } else { property.value.clone() };
    ConfigError::Value {
        file: file.to_owned(),
        line: property.line,
        key: property.key.clone(),
        value,
        expected,
    }
}

fn refuse_unsafe(file: &str, p: &Property) -> Result<(), ConfigError> {
    let advice = match p.key.as_str() {
        "secureClientPort" => "remove the line, or put a TLS proxy in front of clientPort",
        key if NOT_TO_BE_IGNORED.contains(&key) && boolean(&p.value) != Ok(false) => {
            "remove the line to run without it"
        }
        key if key.starts_with("authProvider.") => "remove the line; digest, ip and world are built in",
        _ => return Ok(()),
    };
    Err(ConfigError::Unsupported { file: file.to_owned(), line: p.line, key: p.key.clone(), advice })
}

fn assign(c: &mut ServerConfig, pending: &mut Pending, p: &Property) -> Result<(), String> {
    let v = p.value.as_str();
    let count = |low: i64| number(v, low..=i64::from(i32::MAX));
    match p.key.as_str() {
        "dataDir" => (c.data_dir, pending.data_dir) = (directory(v)?, true),
        "dataLogDir" => (c.data_log_dir, pending.data_log_dir) = (directory(v)?, true),
        "clientPort" => (c.client_port, pending.client_port) = (number(v, 0..=65535)? as u16, true),
        "clientPortAddress" if v.is_empty() => return Err("an address or a host name".to_owned()),
        "clientPortAddress" => c.client_port_address = Some(v.to_owned()),
        "clientPortListenBacklog" => c.listen_backlog = u32::try_from(count(-1)?).ok(),
        // Twenty of them must fit the longest timeout.
        "tickTime" => c.tick_time_ms = number(v, 1..=i64::from(i32::MAX / 20))? as u32,
        "minSessionTimeout" => pending.min_timeout = Some((timeout(v)?, p.line)),
        "maxSessionTimeout" => pending.max_timeout = Some((timeout(v)?, p.line)),
        "maxClientCnxns" => c.max_client_cnxns = count(0)? as u32,
        "maxCnxns" => c.max_cnxns = count(0)? as u32,
        "initLimit" => c.init_limit = Some(count(1)? as u32),
        "syncLimit" => c.sync_limit = Some(count(1)? as u32),
        "snapCount" => c.snapshots.snap_count = at_least(c, p, count(0)? as u64, SNAP_COUNT_MIN),
        "snapSizeLimitInKb" => {
            c.snapshots.snap_size_bytes = u64::try_from(number(v, -1..=1 << 40)?).unwrap_or(0) << 10;
        }
        "preAllocSize" => c.log.preallocate_bytes = (count(0)? as u64) << 10,
        "forceSync" => c.log.force_sync = yes_no(v)?,
        "autopurge.snapRetainCount" => {
            c.purge.keep = at_least(c, p, count(0)? as u64, SNAPSHOTS_KEPT_MIN as u64) as usize;
        }
        "autopurge.purgeInterval" => c.purge.every = interval(v)?,
        "4lw.commands.whitelist" => {
            let (words, unknown) = Whitelist::parse(v);
            c.words = words;
            if !unknown.is_empty() {
                c.warn(p, format!("not answered here: {}", unknown.join(", ")));
            }
        }
        "jute.maxbuffer" => c.max_frame_bytes = bytes(v)?,
        "extendedTypesEnabled" => c.extended_types = boolean(v)?,
        "digest.enabled" => c.digest = boolean(v)?,
        "skipACL" => c.skip_acl = yes_no(v)?,
        "snapshot.trust.empty" => c.recovery.trust_empty = boolean(v)?,
        "DigestAuthenticationProvider.superDigest" => c.super_digest = Some(super_digest(v)?),
        "standaloneEnabled" if boolean(v)? => {}
        "standaloneEnabled" | "dynamicConfigFile" => pending.distributed = Some(p.line),
        "peerType" if !matches!(v, "participant" | "observer") => {
            return Err("participant or observer".to_owned());
        }
        "admin.enableServer" if boolean(v)? => c.warn(p, "there is no admin HTTP server yet".to_owned()),
        key if key.starts_with("server.") => pending.servers.push(p.clone()),
        key if key == "peerType" || key.starts_with("admin.") || WITHOUT_EFFECT.contains(&key) => {}
        // `refuse_unsafe` has a word to say about these.
        key if NOT_TO_BE_IGNORED.contains(&key) || key == "secureClientPort" => {}
        key if key.starts_with("authProvider.") => {}
        key => {
            let hint = match key.strip_prefix("zookeeper.") {
                Some(short) => format!("unknown key, ignored; in this file it would be {short}"),
                None => "unknown key, ignored".to_owned(),
            };
            c.warn(p, hint);
        }
    }
    Ok(())
}

fn super_digest(text: &str) -> Result<Secret, String> {
    match text.split_once(':') {
        Some((user, hash)) if !user.is_empty() && !hash.is_empty() => Ok(Secret(text.to_owned())),
        _ => Err("user:hash, the hash being base64(sha1(user:password))".to_owned()),
    }
}

/// Milliseconds, -1 for the default.
fn timeout(text: &str) -> Result<i32, String> {
    match number(text, -1..=i64::from(i32::MAX)) {
        Ok(0) | Err(_) => Err("milliseconds, or -1 for the default".to_owned()),
        Ok(ms) => Ok(ms as i32),
    }
}

fn at_least(c: &mut ServerConfig, p: &Property, given: u64, least: u64) -> u64 {
    if given < least {
        c.warn(p, format!("{given} is too few, using {least}"));
    }
    given.max(least)
}

fn finish(file: &str, mut c: ServerConfig, pending: &Pending) -> Result<ServerConfig, ConfigError> {
    let missing = |key, example| ConfigError::Missing { file: file.to_owned(), key, example };
    let ensemble = pending.servers.get(1).map(|second| second.line).or(pending.distributed);
    if let Some(line) = ensemble {
        return Err(ConfigError::Ensemble { file: file.to_owned(), line });
    }
    if !pending.data_dir {
        return Err(missing("dataDir", "dataDir=/var/lib/zookeeper"));
    }
    if !pending.data_log_dir {
        c.data_log_dir.clone_from(&c.data_dir);
    }
    let own_line = pending.servers.first();
    let port =
        own_line.map(|p| server_line(&mut c, p).map_err(|expected| bad(file, p, expected))).transpose()?;
    match (pending.client_port, port.flatten()) {
        (false, Some(port)) => c.client_port = port,
        (false, None) => return Err(missing("clientPort", "clientPort=2181")),
        (true, Some(port)) if port != c.client_port => {
            if let Some(p) = own_line {
                c.warn(
                    p,
                    format!("names client port {port}, but clientPort is {} and counts", c.client_port),
                );
            }
        }
        (true, _) => {}
    }
    session_timeouts(file, &mut c, pending)?;
    c.warnings.sort_by_key(|w| w.line);
    Ok(c)
}

fn session_timeouts(file: &str, c: &mut ServerConfig, pending: &Pending) -> Result<(), ConfigError> {
    let or_ticks = |given: Option<(i32, usize)>, ticks: i32| match given {
        Some((ms, _)) if ms != -1 => ms,
        _ => ticks * c.tick_time_ms as i32,
    };
    let (min, max) = (or_ticks(pending.min_timeout, 2), or_ticks(pending.max_timeout, 20));
    if min > max {
        let line = pending.max_timeout.or(pending.min_timeout).map_or(0, |(_, line)| line);
        let property = Property { key: "maxSessionTimeout".to_owned(), value: max.to_string(), line };
        return Err(bad(file, &property, format!("at least minSessionTimeout, which is {min}")));
    }
    (c.min_session_timeout_ms, c.max_session_timeout_ms) = (min, max);
    Ok(())
}

/// `server.N=host:quorumPort:electionPort[:role][;[address:]clientPort]`: the id and the client port count.
fn server_line(c: &mut ServerConfig, p: &Property) -> Result<Option<u16>, String> {
    let id = p.key.strip_prefix("server.").and_then(|id| id.parse::<u8>().ok());
    c.server_id = Some(id.ok_or("server.N with N from 0 to 255")?);
    let Some((_, client)) = p.value.split_once(';') else { return Ok(None) };
    let (address, port) = match client.rsplit_once(':') {
        Some((address, port)) => (Some(address), port),
        None => (None, client),
    };
    if let (Some(address), None) = (address, &c.client_port_address) {
        c.client_port_address = Some(address.to_owned());
    }
    port.trim().parse().map(Some).map_err(|_| "host:port:port;clientPort".to_owned())
}

#[cfg(test)]
mod tests;
