//! The client over TLS: through a relay in front of the embedded server always, and on the secure port of every
//! Apache ZooKeeper that is installed. There, a client certificate is also an identity in ACLs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use integration_tests::certificates::{Authority, Certified};
use integration_tests::peers::{
    JavaServer, JavaServerOptions, JavaVersion, Peers, free_port, or_skip, skipped,
};
use integration_tests::targets::{Failure, PATIENCE};
use integration_tests::tls_relay::{RelayTls, TlsRelay};
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use zk_client::hosts::Host;
use zk_client::tls::{Tls, TlsBuilder};
use zk_client::{Acl, AuthId, Client, ErrorCode, ErrorKind, Perms, SessionId, TcpDialer, Zxid};
use zk_proto::connect::{ConnectRequest, Password, ReadOnlyFlag};
use zk_proto::frame;
use zk_server::EmbeddedServer;

type Outcome = Result<(), Failure>;

/// The one name in the servers' certificates; 127.0.0.1 is not in them.
const NAME: &str = "localhost";

/// A server that wants a client certificate of `ca`.
struct Secured {
    ca: Authority,
    /// The port with TLS.
    port: u16,
    /// The port without.
    plain_port: u16,
}

impl Secured {
    /// Trusts the server's CA; says nothing of itself.
    fn trusting(&self) -> TlsBuilder {
        Tls::builder().ca_pem(self.ca.pem())
    }

    fn tls(&self, identity: &Certified) -> Result<Tls, Failure> {
        Ok(self.trusting().identity_pem(&identity.chain, &identity.key).build()?)
    }

    async fn client(&self, tls: Tls, name: &str) -> Result<Client, Failure> {
        Ok(Client::builder().tls(tls).connect(&format!("{name}:{}", self.port)).await?)
    }

    /// Why no session can be had.
    async fn reason(&self, tls: &Tls, name: &str) -> String {
        reason(tls, name, self.port).await
    }
}

/// What a connection fails with, in the handshake or before the server's first answer.
async fn reason(tls: &Tls, name: &str, port: u16) -> String {
    let hello = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: 10_000,
        session_id: SessionId::NONE,
        password: Password::default(),
        read_only: ReadOnlyFlag::Present(false),
    };
    let attempt = async {
        let host = Host { name: name.to_owned(), port };
        let mut connection = tls.over(Arc::new(TcpDialer::new())).dial(&host).await?;
        // As the driver does: an answer that is there is read even when writing fails.
        let written = connection.write_all(&frame::of(&hello)).await;
        match connection.read(&mut [0; 4]).await {
            Ok(0) => written,
            Ok(_) => panic!("the server has answered"),
            Err(error) => Err(error),
        }
    };
    timeout(PATIENCE, attempt).await.unwrap().unwrap_err().to_string()
}

fn assert_says(reason: &str, expected: &[&str]) {
    for part in expected {
        assert!(reason.contains(part), "{part:?} is not in {reason:?}");
    }
}

/// What holds of every server.
async fn everywhere(server: &Secured) -> Outcome {
    sessions_work(server).await?;
    names_are_verified(server).await?;
    refusals_say_why(server).await?;
    words_are_answered(server).await
}

async fn sessions_work(server: &Secured) -> Outcome {
    let zk = server.client(server.tls(&server.ca.certify("worker", &[])?)?, NAME).await?;
    zk.create("/large", vec![7_u8; 900_000]).await?;
    assert_eq!(zk.get("/large").await?.data.len(), 900_000);
    let writes: Vec<_> = (0..500).map(|n| zk.set("/large", format!("{n}")).send()).collect();
    for (n, write) in join_all(writes).await.into_iter().enumerate() {
        assert_eq!(write?.version, n as i32 + 1);
    }
    zk.delete("/large").await?;
    zk.close().await;
    Ok(())
}

async fn names_are_verified(server: &Secured) -> Outcome {
    let alice = server.ca.certify("alice", &[])?;
    let with_identity = || server.trusting().identity_pem(&alice.chain, &alice.key);
    let says = server.reason(&with_identity().build()?, "127.0.0.1").await;
    assert_says(&says, &["is not for 127.0.0.1", NAME, "server_name"]);
    let says = server.reason(&with_identity().server_name("zk.example").build()?, NAME).await;
    assert_says(&says, &["is not for zk.example", "check server_name"]);
    let fixed = with_identity().server_name(NAME).build()?;
    server.client(fixed, "127.0.0.1").await?.close().await;
    let any = with_identity().dangerously_accept_any_host_name();
    server.client(any.build()?, "127.0.0.1").await?.close().await;
    // Any name, but not anybody's.
    let stranger = Tls::builder().ca_pem(Authority::new("stranger")?.pem());
    let says = server.reason(&stranger.dangerously_accept_any_host_name().build()?, "127.0.0.1").await;
    assert_says(&says, &["not signed by a CA we trust"]);
    Ok(())
}

async fn refusals_say_why(server: &Secured) -> Outcome {
    let dir = tempfile::tempdir()?;
    let other_ca = Authority::new("another")?;
    let ca_file = dir.path().join("ca.pem");
    fs::write(&ca_file, other_ca.pem())?;
    let wrong_ca = Tls::builder().ca_file(&ca_file).build()?;
    let says = server.reason(&wrong_ca, NAME).await;
    assert_says(&says, &["not signed by a CA we trust", ca_file.to_str().unwrap()]);

    let says = server.reason(&server.trusting().build()?, NAME).await;
    assert_says(&says, &["client certificate, and none was given"]);
    let strangers = server.tls(&other_ca.certify("alice", &[])?)?;
    assert_says(&server.reason(&strangers, NAME).await, &["our client certificate"]);
    let expired = server.tls(&server.ca.certify_expired("alice", &[])?)?;
    assert_says(&server.reason(&expired, NAME).await, &["our client certificate", "expired"]);

    let good = server.tls(&server.ca.certify("alice", &[])?)?;
    let says = reason(&good, NAME, server.plain_port).await;
    assert_says(&says, &["secureClientPort"]);
    // There is no way back to plain text.
    let plain = format!("{NAME}:{}", server.plain_port);
    let connecting = Client::builder().tls(good).connect_timeout(Duration::from_secs(1)).connect(&plain);
    let error = connecting.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_says(&error.to_string(), &["TLS: ", "secureClientPort"]);
    // With TLS 1.3 the refusal comes behind the handshake, when the client takes itself for connected.
    let address = format!("{NAME}:{}", server.port);
    let connecting =
        Client::builder().tls(strangers).connect_timeout(Duration::from_secs(1)).connect(&address);
    let error = connecting.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_says(&error.to_string(), &["TLS: ", "our client certificate"]);
    Ok(())
}

/// Four-letter words go the same way, and end as they do without TLS.
async fn words_are_answered(server: &Secured) -> Outcome {
    let dialer = server.tls(&server.ca.certify("probe", &[])?)?.over(Arc::new(TcpDialer::new()));
    let mut connection = dialer.dial(&Host { name: NAME.to_owned(), port: server.port }).await?;
    connection.write_all(b"isro").await?;
    connection.flush().await?;
    let mut answer = String::new();
    timeout(PATIENCE, connection.read_to_string(&mut answer)).await??;
    assert_eq!(answer, "rw");
    Ok(())
}

/// The embedded server behind a relay that wants certificates of a new CA.
async fn relayed(version: Option<&'static rustls::SupportedProtocolVersion>) -> Result<Relayed, Failure> {
    let server = EmbeddedServer::start().await?;
    let ca = Authority::new("ca")?;
    let tls = RelayTls { identity: ca.certify("server", &[NAME])?, client_ca: Some(ca.pem()), version };
    let relay = TlsRelay::start(server.address(), &tls).await?;
    let secured = Secured { ca, port: relay.port(), plain_port: server.address().port() };
    Ok(Relayed { secured, tls, relay, _server: server })
}

struct Relayed {
    secured: Secured,
    tls: RelayTls,
    relay: TlsRelay,
    _server: EmbeddedServer,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_relay_with_tls_1_3() -> Outcome {
    everywhere(&relayed(Some(&TLS13)).await?.secured).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_relay_with_tls_1_2() -> Outcome {
    let place = relayed(Some(&TLS12)).await?;
    everywhere(&place.secured).await?;
    let says = place.secured.reason(&place.secured.trusting().tls13_only().build()?, NAME).await;
    assert_says(&says, &["no TLS version or cipher in common"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_server_is_refused() -> Outcome {
    let Relayed { secured, tls, relay, _server } = relayed(None).await?;
    relay.rotate(&RelayTls { identity: secured.ca.certify_expired("server", &[NAME])?, ..tls })?;
    let says = secured.reason(&secured.trusting().build()?, NAME).await;
    assert_says(&says, &["has expired", "days ago"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_lose_nothing() -> Outcome {
    let Relayed { secured, relay, _server, .. } = relayed(None).await?;
    let zk = secured.client(secured.tls(&secured.ca.certify("worker", &[])?)?, NAME).await?;
    let session = zk.session_id();
    let value = vec![1_u8; 50_000];
    zk.create("/n", value.clone()).await?;
    for round in 2..12 {
        let reads: Vec<_> = (0..100).map(|_| zk.get("/n").send()).collect();
        sleep(Duration::from_millis(2 * round)).await;
        relay.cut();
        for read in timeout(PATIENCE, join_all(reads)).await? {
            assert_eq!(read?.data, value);
        }
    }
    assert_eq!(zk.session_id(), session);
    assert!(relay.accepted() > 5, "{} connections", relay.accepted());
    zk.close().await;
    Ok(())
}

/// Cuts the connections and waits for one that is let in anew.
async fn reconnected(relay: &TlsRelay) -> Outcome {
    let before = relay.accepted();
    relay.cut();
    let accepted = async {
        while relay.accepted() == before {
            sleep(Duration::from_millis(5)).await;
        }
    };
    Ok(timeout(PATIENCE, accepted).await?)
}

/// Everything is replaced under a client that runs: the server's CA and certificate, and the client's own. A
/// rotation caught half way changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotated_certificates_are_used_without_a_restart() -> Outcome {
    let Relayed { secured, tls, relay, _server } = relayed(None).await?;
    let dir = tempfile::tempdir()?;
    let file = |name: &str| dir.path().join(name);
    let put = |ca: &Authority, identity: &Certified| -> Outcome {
        fs::write(file("ca.pem"), ca.pem())?;
        fs::write(file("client.pem"), &identity.chain)?;
        Ok(fs::write(file("client.key"), &identity.key)?)
    };
    put(&secured.ca, &secured.ca.certify("worker", &[])?)?;
    let options = Tls::builder().ca_file(file("ca.pem"));
    let options = options.identity_files(file("client.pem"), file("client.key"));
    let zk = secured.client(options.build()?, NAME).await?;
    zk.create("/e", "").ephemeral().await?;
    let session = zk.session_id();

    fs::write(file("client.key"), "half a file")?;
    reconnected(&relay).await?;
    timeout(PATIENCE, zk.exists("/e")).await??;

    let next = Authority::new("next")?;
    let identity = next.certify("server", &[NAME])?;
    relay.rotate(&RelayTls { identity, client_ca: Some(next.pem()), ..tls })?;
    put(&next, &next.certify("worker", &[])?)?;
    reconnected(&relay).await?;
    assert!(timeout(PATIENCE, zk.exists("/e")).await??.is_some());
    assert_eq!(zk.session_id(), session);
    zk.close().await;
    Ok(())
}

/// A Java server with a secure port.
struct Java {
    secured: Secured,
    _server: JavaServer,
    _dir: TempDir,
}

fn java(version: JavaVersion) -> Result<Option<Java>, Failure> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(None) };
    if !peers.versions().any(|v| v == version) {
        skipped(format_args!("no Apache ZooKeeper {} on this machine", version.name()));
        return Ok(None);
    }
    let dir = tempfile::tempdir()?;
    let ca = Authority::new("ca")?;
    let identity = ca.certify("server", &[NAME])?;
    // Both stores are PEM, which ZooKeeper knows by the name.
    let store = |name: &str, text: &str| -> Result<String, Failure> {
        let path = dir.path().join(name);
        fs::write(&path, text)?;
        Ok(path.to_str().unwrap().to_owned())
    };
    let port = free_port()?;
    let config = [
        ("secureClientPort", port.to_string()),
        ("secureClientPortAddress", "127.0.0.1".to_owned()),
        ("serverCnxnFactory", "org.apache.zookeeper.server.NettyServerCnxnFactory".to_owned()),
        ("ssl.keyStore.location", store("server.pem", &format!("{}{}", identity.key, identity.chain))?),
        ("ssl.trustStore.location", store("ca.pem", &ca.pem())?),
        ("authProvider.x509", "org.apache.zookeeper.server.auth.X509AuthenticationProvider".to_owned()),
    ];
    let options = JavaServerOptions {
        version,
        data_dir: Path::join(dir.path(), "data"),
        port: free_port()?,
        config: config.map(|(key, value)| (key.to_owned(), value)).into(),
        jvm_flags: Vec::new(),
    };
    let plain_port = options.port;
    let mut server = JavaServer::spawn(&peers, options)?;
    server.wait_serving()?;
    Ok(Some(Java { secured: Secured { ca, port, plain_port }, _server: server, _dir: dir }))
}

async fn on_java(version: JavaVersion) -> Outcome {
    let Some(java) = java(version)? else { return Ok(()) };
    everywhere(&java.secured).await?;
    certificates_are_identities(&java.secured).await
}

async fn certificates_are_identities(server: &Secured) -> Outcome {
    let alice = server.client(server.tls(&server.ca.certify("alice", &[])?)?, NAME).await?;
    let bob = server.client(server.tls(&server.ca.certify("bob", &[])?)?, NAME).await?;
    let nobody = Client::connect(&format!("127.0.0.1:{}", server.plain_port)).await?;
    alice.create("/hers", "secret").acl(Acl::creator()).await?;
    let (acl, _) = alice.get_acl("/hers").await?;
    let hers = AuthId::new("x509", "CN=alice,O=Test");
    assert_eq!(acl, [Acl::new(Perms::ALL, hers.clone())]);
    assert_eq!(alice.get("/hers").await?.data.as_ref(), b"secret");
    for other in [&bob, &nobody] {
        assert_eq!(other.get("/hers").await.unwrap_err().code(), Some(ErrorCode::NoAuth));
    }
    // The identity is the subject, not the key: a rotated certificate is the same person.
    let rotated = server.client(server.tls(&server.ca.certify("alice", &[])?)?, NAME).await?;
    assert_eq!(rotated.get("/hers").await?.data.as_ref(), b"secret");
    let his = AuthId::new("x509", "CN=bob,O=Test");
    let shared = vec![Acl::new(Perms::ALL, hers), Acl::new(Perms::READ, his)];
    alice.set_acl("/hers", shared).await?;
    assert_eq!(bob.get("/hers").await?.data.as_ref(), b"secret");
    assert_eq!(bob.set("/hers", "mine").await.unwrap_err().code(), Some(ErrorCode::NoAuth));
    assert_eq!(nobody.get("/hers").await.unwrap_err().code(), Some(ErrorCode::NoAuth));
    for zk in [alice, bob, nobody, rotated] {
        zk.close().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_apache_zookeeper_3_8() -> Outcome {
    on_java(JavaVersion::V3_8).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_apache_zookeeper_3_9() -> Outcome {
    on_java(JavaVersion::V3_9_5).await
}
