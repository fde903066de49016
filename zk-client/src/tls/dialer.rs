//! A dialer on top of another: its connections, with TLS spoken over them.

use std::io;
use std::sync::Arc;

use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::explain::Explain;
use super::reload::Tls;
use super::stream::TlsConnection;
use crate::connect::{Connection, Dialer};
use crate::hosts::Host;

#[derive(Debug)]
pub(super) struct TlsDialer {
    tls: Tls,
    under: Arc<dyn Dialer>,
}

impl TlsDialer {
    pub(super) fn new(tls: Tls, under: Arc<dyn Dialer>) -> Self {
        Self { tls, under }
    }
}

#[async_trait::async_trait]
impl Dialer for TlsDialer {
    async fn dial(&self, host: &Host) -> io::Result<Box<dyn Connection>> {
        let name = match self.tls.server_name() {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.name.clone()).map_err(|_| {
                let text =
                    format!("TLS: no certificate can carry the host name {:?}; set server_name", host.name);
                io::Error::new(io::ErrorKind::InvalidInput, text)
            })?,
        };
        let in_use = self.tls.in_use().await;
        let explain = Explain::new(self.tls.options(), &name, in_use.stale);
        let connection = self.under.dial(host).await?;
        match TlsConnector::from(in_use.config).connect(name, connection).await {
            Ok(stream) => Ok(Box::new(TlsConnection::new(stream, explain))),
            Err(error) => Err(explain.handshake(&error)),
        }
    }
}
