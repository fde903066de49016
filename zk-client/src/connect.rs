//! Dialling a server: resolves its name, tries its addresses, sets the socket up. The handshake's words are the
//! core's.

use std::io;
use tokio::net::{TcpStream, lookup_host};

use crate::hosts::Host;
use crate::limits::ADDRESSES_PER_HOST_MAX;

/// Opens a connection to `host`. The name is resolved now, not remembered. Its addresses are tried in turn,
/// beginning with another one at each `attempt`, so that a dead one does not hide the others behind it.
///
/// # Errors
/// Those of the last address; `NotFound` when there is none.
pub(crate) async fn dial(host: Host, attempt: usize) -> io::Result<TcpStream> {
    let mut addresses: Vec<_> =
        lookup_host((host.name.as_str(), host.port)).await?.take(ADDRESSES_PER_HOST_MAX).collect();
    let begin = attempt % addresses.len().max(1);
    addresses.rotate_left(begin);
    let mut outcome = Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for address in addresses {
        outcome = TcpStream::connect(address).await;
        if let Ok(stream) = &outcome {
            // Requests are batched already; waiting for more would only add latency.
            stream.set_nodelay(true)?;
            break;
        }
    }
    outcome
}
