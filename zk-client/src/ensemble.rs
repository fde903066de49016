//! The configuration of an ensemble as ZooKeeper keeps it in `/zookeeper/config` (ZOOKEEPER-107): text to servers.
//! Reads no node and resolves no name.

use std::net::IpAddr;

use crate::error::{Error, ErrorKind};
use crate::hosts::Host;

/// The servers of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnsembleConfig {
    /// The members, as listed.
    pub servers: Vec<EnsembleServer>,
    /// The zxid of the change that made this configuration; 0 of the one that the ensemble was started with.
    pub version: u64,
}

/// One member of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnsembleServer {
    /// Its number, `N` in `server.N`.
    pub id: i64,
    /// Where the other servers reach it; at least one address, several where it has several networks
    /// (ZOOKEEPER-3188).
    pub addresses: Vec<PeerAddress>,
    /// Whether it votes.
    pub role: ServerRole,
    /// Where clients reach it; `None` when the configuration does not say. A server that listens on every address
    /// is named by its first one.
    pub client: Option<Host>,
}

/// Where a server reaches another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// A DNS name or an address, without brackets.
    pub name: String,
    /// Port of the leader for its learners.
    pub quorum_port: u16,
    /// Port of elections.
    pub election_port: u16,
}

/// Whether a server votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerRole {
    /// It does.
    Participant,
    /// It only follows.
    Observer,
}

impl EnsembleConfig {
    /// Where clients reach the servers, in the order listed; without those that do not say.
    pub fn client_hosts(&self) -> impl Iterator<Item = &Host> {
        self.servers.iter().filter_map(|server| server.client.as_ref())
    }

    /// Whether every server says where clients reach it. Those whose client port stands in a file of their own do
    /// not.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.servers.iter().all(|server| server.client.is_some())
    }
}

/// Lines `server.N=name:port:port[|name:port:port...][:role][;[name:]port]` and `version=hex`; other keys (`group`,
/// `weight`) say nothing of interest here.
impl std::str::FromStr for EnsembleConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut config = Self { servers: Vec::new(), version: 0 };
        for line in text.lines().map(str::trim) {
            let Some((key, value)) = line.split_once('=') else { continue };
            let bad = |why: &str| {
                Error::new(ErrorKind::Config, "ensemble configuration")
                    .with_detail(format_args!("{line:?}: {why}"))
            };
            let (key, value) = (key.trim(), value.trim());
            if key == "version" {
                config.version = u64::from_str_radix(value, 16)
                    .map_err(|_| bad("the version is not a hexadecimal number"))?;
            } else if let Some(id) = key.strip_prefix("server.") {
                let id = id.parse().map_err(|_| bad("the server's number is not one"))?;
                config.servers.push(server_of(id, value).map_err(bad)?);
            }
        }
        Ok(config)
    }
}

fn server_of(id: i64, text: &str) -> Result<EnsembleServer, &'static str> {
    let mut parts = text.split(';');
    let mut role = ServerRole::Participant;
    let mut addresses = Vec::new();
    for address in parts.next().unwrap_or_default().split('|') {
        let (name, ports) = name_of(address.trim())?;
        let mut ports = ports.split(':');
        let quorum_port = port_of(ports.next())?;
        let election_port = port_of(ports.next())?;
        match ports.next().map(str::to_ascii_lowercase).as_deref() {
            None | Some("participant") => {}
            Some("observer") => role = ServerRole::Observer,
            Some(_) => return Err("the role is neither participant nor observer"),
        }
        addresses.push(PeerAddress { name: name.to_owned(), quorum_port, election_port });
    }
    let client = match (parts.next().map(str::trim), addresses.first()) {
        (None | Some(""), _) | (_, None) => None,
        (Some(client), Some(first)) => Some(client_of(client, &first.name)?),
    };
    Ok(EnsembleServer { id, addresses, role, client })
}

fn client_of(text: &str, server: &str) -> Result<Host, &'static str> {
    let (name, port) = if text.contains(':') { name_of(text)? } else { ("", text) };
    let anywhere = name.is_empty() || name.parse().is_ok_and(|address: IpAddr| address.is_unspecified());
    let name = if anywhere { server } else { name };
    Ok(Host { name: name.to_owned(), port: port_of(Some(port))? })
}

/// What stands before the first colon that is not part of an IPv6 address, and what stands behind it.
fn name_of(text: &str) -> Result<(&str, &str), &'static str> {
    let (name, rest) = match text.strip_prefix('[') {
        Some(text) => {
            let (name, rest) = text.split_once(']').ok_or("an address in brackets does not end")?;
            (name, rest.strip_prefix(':').ok_or("a port is missing")?)
        }
        None => text.split_once(':').ok_or("a port is missing")?,
    };
    if name.is_empty() { Err("a name is empty") } else { Ok((name, rest)) }
}

fn port_of(text: Option<&str>) -> Result<u16, &'static str> {
    text.and_then(|text| text.trim().parse().ok())
        .filter(|port| *port != 0)
        .ok_or("a port is not a number from 1 to 65535")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clients(text: &str) -> Vec<String> {
        text.parse::<EnsembleConfig>().unwrap().client_hosts().map(ToString::to_string).collect()
    }

    #[test]
    fn the_text_of_a_java_ensemble_is_read() {
        let config: EnsembleConfig = "server.1=zk1:2888:3888:participant;0.0.0.0:2181\n\
             server.2=zk2:2888:3888:observer;10.0.0.2:2182\nserver.3=zk3:2888:3888:participant\n\
             group.1=1:2\nversion=100000003"
            .parse()
            .unwrap();
        assert_eq!(config.version, 0x1_0000_0003);
        let roles: Vec<_> = config.servers.iter().map(|server| (server.id, server.role)).collect();
        let (votes, follows) = (ServerRole::Participant, ServerRole::Observer);
        assert_eq!(roles, [(1, votes), (2, follows), (3, votes)]);
        assert_eq!(config.servers[0].addresses[0].election_port, 3888);
        let clients: Vec<_> = config.client_hosts().map(ToString::to_string).collect();
        assert_eq!(clients, ["zk1:2181", "10.0.0.2:2182"]);
        assert!(!config.is_complete());
    }

    #[test]
    fn wildcards_brackets_and_several_addresses() {
        assert_eq!(clients("server.1=zk1:1:2;2181"), ["zk1:2181"]);
        assert_eq!(clients("server.1=[fe80::1]:1:2:participant;[::]:2181"), ["[fe80::1]:2181"]);
        assert_eq!(clients("server.1=a:1:2|[fe80::1]:3:4:observer;2181"), ["a:2181"]);
        assert_eq!(clients("server.1=a:1:2:participant;[fe80::2]:2181"), ["[fe80::2]:2181"]);
        let several: EnsembleConfig = "server.7=a:1:2:observer|b:3:4:observer;5".parse().unwrap();
        assert_eq!(several.servers[0].addresses.len(), 2);
        assert_eq!(several.servers[0].role, ServerRole::Observer);
    }

    #[test]
    fn nothing_to_follow_is_no_error() {
        assert_eq!(clients(""), Vec::<String>::new());
        assert_eq!(clients("version=0"), Vec::<String>::new());
        assert_eq!(clients("server.1=a:1:2\n"), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_server_is_refused_with_its_line() {
        for bad in [
            "server.x=a:1:2",
            "server.1=a",
            "server.1=a:1",
            "server.1=a:1:0",
            "server.1=:1:2",
            "server.1=[::1:1:2",
            "server.1=a:1:2:boss",
            "server.1=a:1:2;b:x",
            "server.1=a:1:2|",
            "version=q",
        ] {
            let error = bad.parse::<EnsembleConfig>().unwrap_err();
            assert!(error.kind() == ErrorKind::Config && error.to_string().contains(bad), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[a-z0-9.:;|=\\[\\]\n]{0,80}") {
            let _ = text.parse::<EnsembleConfig>();
            let _ = format!("server.1={text}").parse::<EnsembleConfig>();
        }
    }
}
