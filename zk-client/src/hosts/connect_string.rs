//! The connect string: servers and chroot, as an application writes them. Never resolves a name: that happens at
//! each attempt to connect.

use std::collections::BTreeSet;
use std::fmt;

use crate::error::{Error, ErrorKind};

/// ZooKeeper's client port.
pub const PORT_DEFAULT: u16 = 2181;

/// One server as it was named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    /// A DNS name or an address, without brackets.
    pub name: String,
    /// The client port.
    pub port: u16,
}

/// Brackets around an IPv6 address.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// A connect string taken apart: `host[:port][,host[:port]...][/chroot]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectString {
    /// The servers in the order written, each once; at least one.
    pub hosts: Vec<Host>,
    /// The chroot, `""` if there is none.
    pub chroot: String,
}

impl std::str::FromStr for ConnectString {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (servers, chroot) = match text.find('/') {
            Some(slash) => text.split_at(slash),
            None => (text, ""),
        };
        let hosts =
            servers.split(',').map(|host| host_of(host.trim())).collect::<Result<Vec<_>, &'static str>>();
        let mut hosts = hosts.map_err(|why| {
            Error::new(ErrorKind::Config, "connect")
                .with_detail(format_args!("connect string {text:?}: {why}"))
        })?;
        let mut seen = BTreeSet::new();
        hosts.retain(|host| seen.insert(host.clone()));
        Ok(Self { hosts, chroot: chroot.to_owned() })
    }
}

fn host_of(text: &str) -> Result<Host, &'static str> {
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (name, port) = rest.split_once(']').ok_or("an address in brackets does not end")?;
        match port.strip_prefix(':') {
            Some(port) => (name, Some(port)),
            None if port.is_empty() => (name, None),
            None => return Err("something other than a port follows an address in brackets"),
        }
    } else {
        match text.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err("an IPv6 address needs brackets"),
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        }
    };
    if name.is_empty() {
        return Err("a host is empty");
    }
    let port = match port {
        Some(port) => {
            port.parse().ok().filter(|p| *p != 0).ok_or("a port is not a number from 1 to 65535")?
        }
        None => PORT_DEFAULT,
    };
    Ok(Host { name: name.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Vec<String>, String) {
        let parsed: ConnectString = text.parse().unwrap();
        (parsed.hosts.iter().map(ToString::to_string).collect(), parsed.chroot)
    }

    #[test]
    fn connect_strings_are_taken_apart() {
        assert_eq!(parse("a"), (vec!["a:2181".into()], String::new()));
        assert_eq!(parse("a:2181,b,a"), (vec!["a:2181".into(), "b:2181".into()], String::new()));
        assert_eq!(parse("a:1, b:2/app/x"), (vec!["a:1".into(), "b:2".into()], "/app/x".into()));
        assert_eq!(
            parse("[::1]:3,[fe80::1]/"),
            (vec!["[::1]:3".into(), "[fe80::1]:2181".into()], "/".into())
        );
    }

    #[test]
    fn what_cannot_be_a_server_is_refused() {
        for bad in ["", "a,,b", "a:x", "a:0", "a:70000", "::1", "[::1", "[::1]x", ":1", "/app"] {
            let error = bad.parse::<ConnectString>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
        }
    }
}
