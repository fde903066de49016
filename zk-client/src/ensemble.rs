//! The configuration of an ensemble as `/zookeeper/config` tells it: who is in it, in which role, and where clients
//! are served. Owns the text's grammar; reads and watches nothing.
//!
//! ```text
//! server.1=zk1:2888:3888:participant;0.0.0.0:2181
//! server.2=zk2:2888:3888|zk2b:2888:3888:observer;2181
//! version=100000003
//! ```

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::hosts::Host;

/// Where the configuration is kept, whatever the chroot.
pub(crate) const CONFIG_PATH: &str = "/zookeeper/config";

/// Who is in an ensemble. Parsed from text with [`str::parse`]; `Display` is the text that servers write.
///
/// A standalone server has an empty configuration: no servers and no version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EnsembleConfig {
    /// The servers, in ascending order of their ids.
    pub servers: Vec<EnsembleServer>,
    /// The configuration's version, which rises with each change: the zxid that made it, 0 of one that was never
    /// changed. `None` where no version is given, as on standalone servers.
    pub version: Option<i64>,
    /// The lines about groups and weights of servers (hierarchical quorums), as they stand.
    pub quorum_lines: Vec<String>,
}

/// One server of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnsembleServer {
    /// Its id (`myid`).
    pub id: i64,
    /// Where the other servers reach it; more than one where `multiAddress` is in use (since ZooKeeper 3.6).
    pub addresses: Vec<PeerAddress>,
    /// Whether it votes.
    pub role: ServerRole,
    /// Where it serves clients, as written: the name may be absent or a wildcard. `None` when the configuration
    /// does not say, as with static ones. See [`EnsembleServer::client_host`].
    pub client: Option<ClientAddress>,
}

/// An address of a server for other servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// A name or an IP address, without brackets.
    pub name: String,
    /// The port for followers.
    pub quorum_port: u16,
    /// The port for elections.
    pub election_port: u16,
}

/// Where a server serves clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAddress {
    /// A name or an IP address, without brackets; `None` stands for every address of the server.
    pub name: Option<String>,
    /// The port.
    pub port: u16,
}

/// Whether a server takes part in votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerRole {
    /// It votes.
    #[default]
    Participant,
    /// It follows without a vote.
    Observer,
}

/// A line that is not one of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnsembleParseError {
    line: String,
    why: &'static str,
}

impl fmt::Display for EnsembleParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in '{}'", self.why, self.line)
    }
}

impl std::error::Error for EnsembleParseError {}

impl EnsembleConfig {
    /// Where clients are served, of each server that says so: what to connect to.
    pub fn client_hosts(&self) -> impl Iterator<Item = Host> {
        self.servers.iter().filter_map(EnsembleServer::client_host)
    }

    /// Whether every server says where it serves clients. Those whose client port stands in a file of their own do
    /// not.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.servers.iter().all(|server| server.client.is_some())
    }

    /// The server of this id.
    #[must_use]
    pub fn server(&self, id: i64) -> Option<&EnsembleServer> {
        self.servers.iter().find(|server| server.id == id)
    }
}

impl EnsembleServer {
    /// Where a client can reach it. An absent or wildcard name means that it listens on every address: the
    /// name that the other servers use is then taken.
    #[must_use]
    pub fn client_host(&self) -> Option<Host> {
        let ClientAddress { name, port } = self.client.as_ref()?;
        let own = name.as_ref().filter(|name| !is_wildcard(name));
        let name = own.or_else(|| self.addresses.first().map(|address| &address.name))?;
        Some(Host { name: name.clone(), port: *port })
    }
}

fn is_wildcard(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

impl FromStr for EnsembleConfig {
    type Err = EnsembleParseError;

    /// Keys that are not of the ensemble are passed over: newer servers may write more of them.
    fn from_str(text: &str) -> Result<Self, EnsembleParseError> {
        let mut config = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let refuse = |why| EnsembleParseError { line: line.to_owned(), why };
            let (key, value) = line.split_once('=').ok_or_else(|| refuse("no '='"))?;
            let (key, value) = (key.trim(), value.trim());
            if let Some(id) = key.strip_prefix("server.") {
                let id = id.parse().map_err(|_| refuse("a server id that is not a number"))?;
                config.servers.push(server(id, value).map_err(refuse)?);
            } else if key == "version" {
                let version = i64::from_str_radix(value, 16);
                config.version = Some(version.map_err(|_| refuse("a version that is not hexadecimal"))?);
            } else if key.starts_with("group") || key.starts_with("weight") {
                config.quorum_lines.push(line.to_owned());
            }
        }
        config.servers.sort_by_key(|server| server.id);
        Ok(config)
    }
}

/// `host:port:port[:role][|host:port:port[:role]...][;[host:]port]`.
fn server(id: i64, value: &str) -> Result<EnsembleServer, &'static str> {
    let mut parts = value.split(';');
    let mut role = None;
    let mut addresses = Vec::new();
    for text in parts.next().unwrap_or_default().split('|') {
        let fields = fields(text.trim())?;
        let (name, quorum, election, said) = match fields.as_slice() {
            [name, quorum, election] => (name, quorum, election, None),
            [name, quorum, election, said] => (name, quorum, election, Some(said)),
            _ => return Err("not host:port:port or host:port:port:role"),
        };
        role = match said {
            None => role,
            Some(said) if said.eq_ignore_ascii_case("participant") => Some(ServerRole::Participant),
            Some(said) if said.eq_ignore_ascii_case("observer") => Some(ServerRole::Observer),
            Some(_) => return Err("a role that is neither participant nor observer"),
        };
        addresses.push(PeerAddress {
            name: named(name)?,
            quorum_port: port(quorum)?,
            election_port: port(election)?,
        });
    }
    let client = match parts.next().map(str::trim) {
        None | Some("") => None,
        Some(text) => Some(match fields(text)?.as_slice() {
            [number] | ["", number] => ClientAddress { name: None, port: port(number)? },
            [name, number] => ClientAddress { name: Some(named(name)?), port: port(number)? },
            _ => return Err("a client address that is neither port nor host:port"),
        }),
    };
    Ok(EnsembleServer { id, addresses, role: role.unwrap_or_default(), client })
}

fn port(text: &str) -> Result<u16, &'static str> {
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or("a port that is not a number from 1 to 65535")
}

fn named(name: &str) -> Result<String, &'static str> {
    if name.is_empty() { Err("an empty name") } else { Ok(name.to_owned()) }
}

/// What stands between colons; an IPv6 address in brackets is one field, without them.
fn fields(text: &str) -> Result<Vec<&str>, &'static str> {
    let Some(bracketed) = text.strip_prefix('[') else { return Ok(text.split(':').map(str::trim).collect()) };
    let (name, rest) = bracketed.split_once(']').ok_or("'[' without ']'")?;
    let rest = rest.strip_prefix(':').ok_or("nothing behind ']'")?;
    Ok(std::iter::once(name).chain(rest.split(':')).map(str::trim).collect())
}

impl fmt::Display for EnsembleConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for server in &self.servers {
            writeln!(f, "server.{}={server}", server.id)?;
        }
        for line in &self.quorum_lines {
            writeln!(f, "{line}")?;
        }
        self.version.map_or(Ok(()), |version| write!(f, "version={version:x}"))
    }
}

/// What stands behind `server.N=`, as `reconfig` takes it.
impl fmt::Display for EnsembleServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, PeerAddress { name, quorum_port, election_port }) in self.addresses.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "|" })?;
            write!(f, "{}:{quorum_port}:{election_port}", Bracketed(name))?;
        }
        f.write_str(match self.role {
            ServerRole::Participant => ":participant",
            ServerRole::Observer => ":observer",
        })?;
        match &self.client {
            None => Ok(()),
            Some(ClientAddress { name: None, port }) => write!(f, ";{port}"),
            Some(ClientAddress { name: Some(name), port }) => write!(f, ";{}:{port}", Bracketed(name)),
        }
    }
}

/// A host, an IPv6 address in brackets.
struct Bracketed<'a>(&'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> EnsembleConfig {
        text.parse().unwrap()
    }

    #[test]
    fn what_servers_write_is_understood_and_written_the_same() {
        let text = "server.1=zk1:2888:3888:participant;0.0.0.0:2181\n\
                    server.2=zk2:2888:3888|10.0.0.2:2889:3889:observer;2182\n\
                    server.3=[fe80::3]:2888:3888:participant;[::]:2183\n\
                    group.1=1:2:3\nweight.1=1\nversion=10000000a";
        let config = parse(text);
        assert_eq!(config.version, Some(0x1_0000_000a));
        assert_eq!(config.to_string(), text);
        let hosts: Vec<_> = config.client_hosts().map(|host| host.to_string()).collect();
        assert_eq!(hosts, ["zk1:2181", "zk2:2182", "[fe80::3]:2183"]);
        assert!(config.is_complete());
        let second = config.server(2).unwrap();
        assert_eq!((second.role, second.addresses.len()), (ServerRole::Observer, 2));
        assert_eq!(second.addresses[1].election_port, 3889);
    }

    #[test]
    fn what_people_write_is_understood_too() {
        let config =
            parse("# static\n\n server.3 = c:1:2\nserver.1=a:1:2:OBSERVER ; b:2181\nclientPort=2181\n");
        assert_eq!(config.version, None);
        let ids: Vec<_> = config.servers.iter().map(|server| (server.id, server.role)).collect();
        assert_eq!(ids, [(1, ServerRole::Observer), (3, ServerRole::Participant)]);
        assert_eq!(config.servers[0].client_host(), Some(Host { name: "b".into(), port: 2181 }));
        assert!(!config.is_complete());
        assert_eq!(config.servers[1].client_host(), None);
        assert_eq!(parse(""), EnsembleConfig::default());
    }

    fn clients(text: &str) -> Vec<String> {
        parse(text).client_hosts().map(|host| host.to_string()).collect()
    }

    #[test]
    fn wildcards_brackets_and_several_addresses() {
        assert_eq!(clients("server.1=zk1:1:2;2181"), ["zk1:2181"]);
        assert_eq!(clients("server.1=[fe80::1]:1:2:participant;[::]:2181"), ["[fe80::1]:2181"]);
        assert_eq!(clients("server.1=a:1:2|[fe80::1]:3:4:observer;2181"), ["a:2181"]);
        assert_eq!(clients("server.1=a:1:2:participant;[fe80::2]:2181"), ["[fe80::2]:2181"]);
        assert_eq!(
            clients("server.1=zk1:1:2;0.0.0.0:2181\nserver.2=zk2:1:2;10.0.0.2:2182\nserver.3=zk3:1:2"),
            ["zk1:2181", "10.0.0.2:2182"]
        );
        let several = parse("server.7=a:1:2:observer|b:3:4:observer;5");
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
    fn a_wrong_line_is_named() {
        for (line, why) in [
            ("server.1", "no '='"),
            ("server.x=a:1:2", "a server id that is not a number"),
            ("server.1=a:1", "not host:port:port or host:port:port:role"),
            ("server.1=a:1:2:leader", "a role that is neither participant nor observer"),
            ("server.1=a:1:99999", "a port that is not a number from 1 to 65535"),
            ("server.1=a:1:0", "a port that is not a number from 1 to 65535"),
            ("server.1=:1:2", "an empty name"),
            ("server.1=a:1:2;b:c:d", "a client address that is neither port nor host:port"),
            ("server.1=[::1:1:2", "'[' without ']'"),
            ("server.1=[::1]", "nothing behind ']'"),
            ("server.1=a:1:2|", "not host:port:port or host:port:port:role"),
            ("server.1=a:1:2;b:x", "a port that is not a number from 1 to 65535"),
            ("version=xyz", "a version that is not hexadecimal"),
        ] {
            let error = line.parse::<EnsembleConfig>().unwrap_err();
            assert_eq!(error.to_string(), format!("{why} in '{line}'"));
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(server\\.|version=|[0-9a-f:;|\\[\\]=\n .]){0,60}") {
            if let Ok(config) = text.parse::<EnsembleConfig>() {
                // A second reading tells what the first did.
                prop_assert_eq!(parse(&config.to_string()), config);
            }
            let _ = format!("server.1={text}").parse::<EnsembleConfig>();
        }
    }
}
