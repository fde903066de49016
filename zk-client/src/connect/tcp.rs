//! Dialling over TCP: resolves the name, tries its addresses, sets the socket up.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use tokio::net::{TcpStream, lookup_host};

use super::{Connection, Dialer};
use crate::hosts::Host;
use crate::limits::{ADDRESSES_PER_HOST_MAX, HOSTS_REMEMBERED_MAX};

/// Plain TCP with `TCP_NODELAY`, the default [`Dialer`].
///
/// A name is resolved at every attempt, not remembered. Its addresses, of IPv4 and IPv6, are tried in turn,
/// beginning with another one at each attempt, so that one that swallows packets does not hide the others behind
/// it.
#[derive(Debug, Default)]
pub struct TcpDialer {
    /// How often each host was dialled: says with which address to begin.
    attempts: Mutex<BTreeMap<String, usize>>,
}

impl TcpDialer {
    /// A dialer that has dialled nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn count_attempt(&self, host: String) -> usize {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= HOSTS_REMEMBERED_MAX {
            attempts.clear();
        }
        let next = attempts.entry(host).or_default();
        let attempt = *next;
        *next = attempt.wrapping_add(1);
        attempt
    }
}

#[async_trait::async_trait]
impl Dialer for TcpDialer {
    /// # Errors
    /// The resolver's, or that of the last address; `NotFound` when there is none.
    async fn dial(&self, host: &Host) -> io::Result<Box<dyn Connection>> {
        let attempt = self.count_attempt(host.to_string());
        let addresses: Vec<_> = match lookup_host((host.name.as_str(), host.port)).await {
            Ok(addresses) => addresses.take(ADDRESSES_PER_HOST_MAX).collect(),
            Err(error) => {
                return Err(io::Error::new(error.kind(), format!("cannot resolve {:?}: {error}", host.name)));
            }
        };
        Ok(Box::new(connect(addresses, attempt).await?))
    }
}

async fn connect(mut addresses: Vec<SocketAddr>, attempt: usize) -> io::Result<TcpStream> {
    let begin = attempt % addresses.len().max(1);
    addresses.rotate_left(begin);
    let mut outcome = Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for address in addresses {
        outcome = TcpStream::connect(address)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("cannot connect to {address}: {error}")));
        if let Ok(stream) = &outcome {
            // Requests are batched already; waiting for more would only add latency.
            stream.set_nodelay(true)?;
            break;
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn a_dead_address_does_not_hide_the_next() {
        let (closed, dead) = listener().await;
        drop(closed);
        let (_open, alive) = listener().await;
        for attempt in 0..2 {
            let stream = connect(vec![dead, alive], attempt).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), alive);
            assert!(stream.nodelay().unwrap());
        }
        let error = connect(vec![dead], 0).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().contains(&dead.to_string()), "{error}");
        assert_eq!(connect(vec![], 3).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn every_attempt_begins_with_another_address() {
        let ((_a, first), (_b, second)) = (listener().await, listener().await);
        for attempt in 0..4 {
            let stream = connect(vec![first, second], attempt).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), [first, second][attempt % 2]);
        }
    }

    #[test]
    fn each_host_has_a_turn_of_its_own_and_memory_is_bounded() {
        let dialer = TcpDialer::new();
        // Two hosts dialled alternately: a turn shared by both would give each the same address for ever.
        let turns: Vec<_> = ["a", "b", "a", "b", "a"].map(|h| dialer.count_attempt(h.into())).into();
        assert_eq!(turns, [0, 0, 1, 1, 2]);
        for n in 0..3 * HOSTS_REMEMBERED_MAX {
            dialer.count_attempt(n.to_string());
        }
        assert!(dialer.attempts.lock().unwrap().len() <= HOSTS_REMEMBERED_MAX);
    }

    #[tokio::test]
    async fn ipv6_literals_are_dialled() {
        let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
        let host = Host { name: "::1".into(), port: listener.local_addr().unwrap().port() };
        TcpDialer::new().dial(&host).await.map(drop).unwrap();
    }
}
