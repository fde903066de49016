//! One server under two names: `zk1:2181` in the connect string, `10.0.0.1:2181` in the ensemble's configuration.
//! Told by resolving both; never decides anything else.

use std::collections::BTreeSet;
use std::net::IpAddr;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::Host;
use crate::limits::{ADDRESSES_PER_HOST_MAX, RESOLVE_MAX};

/// `wanted`, where a server that is in `current` under another name keeps the name it has there: a client must not
/// leave its server because that is spelled differently. A name that is not resolved in time is taken as it is.
pub(crate) async fn keep_names(current: &[Host], wanted: Vec<Host>) -> Vec<Host> {
    if wanted.iter().all(|host| current.contains(host)) {
        return wanted;
    }
    let renamed = async {
        let mut known = Vec::new();
        for host in current.iter().filter(|host| !wanted.contains(host)) {
            known.push((host, addresses(host).await));
        }
        let mut renamed = Vec::new();
        for host in &wanted {
            let mut name = host;
            if !current.contains(host) && known.iter().any(|(other, _)| other.port == host.port) {
                let own = addresses(host).await;
                let same = known.iter().find(|(other, theirs)| other.port == host.port && *theirs == own);
                if let Some((other, _)) = same.filter(|_| !own.is_empty()) {
                    name = other;
                }
            }
            renamed.push(name.clone());
        }
        renamed
    };
    match timeout(RESOLVE_MAX, renamed).await {
        Ok(renamed) => renamed,
        Err(_) => wanted,
    }
}

async fn addresses(host: &Host) -> BTreeSet<IpAddr> {
    match lookup_host((host.name.as_str(), host.port)).await {
        Ok(found) => found.take(ADDRESSES_PER_HOST_MAX).map(|address| address.ip()).collect(),
        Err(_) => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.into(), port }
    }

    #[tokio::test]
    async fn a_server_keeps_the_name_it_has() {
        // The long form of the same address: what needs no resolver on any machine.
        let current = [host("0:0:0:0:0:0:0:1", 1), host("127.0.0.1", 2)];
        let wanted = vec![host("::1", 1), host("127.0.0.1", 2), host("127.0.0.1", 3)];
        let kept = keep_names(&current, wanted.clone()).await;
        assert_eq!(kept, [current[0].clone(), wanted[1].clone(), wanted[2].clone()]);
        assert_eq!(keep_names(&current, current.to_vec()).await, current);
    }
}
