//! The seam between the client and the network. Owns no connection and decides nothing.

use std::fmt;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::hosts::Host;

/// Both directions of a connection to a server. Implemented for everything that can be one: a TCP or Unix socket,
/// a TLS stream, one end of [`tokio::io::duplex`].
///
/// The client flushes after it has written, so a connection may buffer.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + ?Sized> Connection for T {}

/// Opens connections to servers: the client's only way to the network.
///
/// [`TcpDialer`](crate::TcpDialer) unless [`Builder::dialer`](crate::Builder::dialer) says otherwise: for a proxy, a
/// Unix socket, an in-memory network in tests. One dialer may serve several clients.
///
/// ```
/// use std::io;
/// use zk_client::hosts::Host;
/// use zk_client::{Connection, Dialer, async_trait};
///
/// /// Reaches every server through a local port forwarder.
/// #[derive(Debug)]
/// struct Forwarded;
///
/// #[async_trait]
/// impl Dialer for Forwarded {
///     async fn dial(&self, _host: &Host) -> io::Result<Box<dyn Connection>> {
///         Ok(Box::new(tokio::net::TcpStream::connect("127.0.0.1:12181").await?))
///     }
/// }
/// ```
#[async_trait::async_trait]
pub trait Dialer: fmt::Debug + Send + Sync + 'static {
    /// Opens a connection to `host`, ready for the first byte of the ZooKeeper protocol.
    ///
    /// # Errors
    /// The text reaches the application when no server can be reached: say what was tried, why it failed and what
    /// to do about it.
    ///
    /// # Cancellation
    /// The client drops the future when it has waited long enough for this server. Nothing may stay behind.
    async fn dial(&self, host: &Host) -> io::Result<Box<dyn Connection>>;
}
