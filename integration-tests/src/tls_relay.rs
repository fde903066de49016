//! A relay that ends TLS in front of a server that speaks plain text: what `secureClientPort` is to ZooKeeper, for
//! tests that have nothing installed. Certificates can be rotated and connections cut while it runs.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::certificates::Certified;
use crate::targets::Failure;

/// How long a client that was refused may take to read why.
const REFUSAL_LINGER: Duration = Duration::from_secs(2);

/// What the relay shows and asks for.
#[derive(Clone, Debug)]
pub struct RelayTls {
    /// The server's certificate.
    pub identity: Certified,
    /// The CA, in PEM, that must have signed the client's certificate; `None` asks for no certificate.
    pub client_ca: Option<String>,
    /// The only version spoken; `None` for any.
    pub version: Option<&'static SupportedProtocolVersion>,
}

impl RelayTls {
    fn server_config(&self) -> Result<Arc<ServerConfig>, Failure> {
        let provider = Arc::new(ring::default_provider());
        let both = [&TLS13, &TLS12];
        let versions = self.version.as_ref().map_or(&both[..], std::slice::from_ref);
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build()?)
            }
        };
        let chain =
            CertificateDer::pem_slice_iter(self.identity.chain.as_bytes()).collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(self.identity.key.as_bytes())?;
        Ok(Arc::new(builder.with_single_cert(chain, key)?))
    }
}

/// A running relay; it ends, with its connections, when dropped.
#[derive(Debug)]
pub struct TlsRelay {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    tls: Mutex<Arc<ServerConfig>>,
    /// Handshakes that succeeded.
    accepted: AtomicUsize,
    /// Changes when all connections are to be cut.
    cut: watch::Sender<()>,
}

impl TlsRelay {
    /// Listens on a free port of loopback, for the server at `target`.
    ///
    /// # Errors
    /// When the port or the certificates cannot be used.
    pub async fn start(target: SocketAddr, tls: &RelayTls) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target,
            tls: Mutex::new(tls.server_config()?),
            accepted: AtomicUsize::new(0),
            cut: watch::Sender::new(()),
        });
        let listener = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, listener })
    }

    /// The port of the relay.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What connections to come are shown and asked for.
    ///
    /// # Errors
    /// When the certificates cannot be used; nothing changes then.
    pub fn rotate(&self, tls: &RelayTls) -> Result<(), Failure> {
        *self.shared.tls.lock().unwrap_or_else(PoisonError::into_inner) = tls.server_config()?;
        Ok(())
    }

    /// Cuts every connection, in the middle of whatever it carries and without TLS's good-bye.
    pub fn cut(&self) {
        self.shared.cut.send_replace(());
    }

    /// How many connections have got through their handshake.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for TlsRelay {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let mut cut = shared.cut.subscribe();
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // However it ends, it ends for its own client alone.
            tokio::select! {
                _ = cut.changed() => {}
                _ = relay(socket, &shared) => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn relay(socket: TcpStream, shared: &Shared) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let config = Arc::clone(&shared.tls.lock().unwrap_or_else(PoisonError::into_inner));
    let mut client = match TlsAcceptor::from(config).accept(socket).into_fallible().await {
        Ok(client) => client,
        Err((error, socket)) => {
            linger(socket).await;
            return Err(error);
        }
    };
    shared.accepted.fetch_add(1, Ordering::Relaxed);
    let mut server = TcpStream::connect(shared.target).await?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await.map(|_| ())
}

/// Reads what the client still sends: closed earlier, the system would take back the alert that tells it why.
async fn linger(mut socket: TcpStream) {
    let mut rest = [0; 1024];
    let _ = socket.shutdown().await;
    let drained = async { while socket.read(&mut rest).await.is_ok_and(|n| n > 0) {} };
    let _ = tokio::time::timeout(REFUSAL_LINGER, drained).await;
}
