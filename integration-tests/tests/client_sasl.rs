//! SASL against Apache ZooKeeper: DIGEST-MD5 with a JAAS file, on every version that is installed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::time::Duration;

use integration_tests::peers::{Extra, JavaServer, Peers, or_skip};
use integration_tests::targets::{Failure, PATIENCE};
use tempfile::TempDir;
use tokio::time::timeout;
use zk_client::sasl::DigestMd5;
use zk_client::{Acl, AuthId, Builder, Client, Error, ErrorCode, ErrorKind, Perms, SessionState};

type Outcome = Result<(), Failure>;

const JAAS: &str = r#"
Server {
  org.apache.zookeeper.server.auth.DigestLoginModule required
  user_bob="bob's secret"
  user_alice="alice \"quoted\" secret"
  user_jürgen="pässwörd"
  user_Юля="пароль";
};
"#;

const PROVIDER: &str = "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider";

/// One server of every version, with SASL and these settings besides.
fn servers(config: &[&str], jvm: &[&str]) -> Result<Vec<(JavaServer, TempDir)>, Failure> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(Vec::new()) };
    peers.versions().map(|version| server(&peers, version, config, jvm)).collect()
}

fn server(
    peers: &Peers,
    version: integration_tests::peers::JavaVersion,
    config: &[&str],
    jvm: &[&str],
) -> Result<(JavaServer, TempDir), Failure> {
    let dir = tempfile::tempdir()?;
    let jaas = dir.path().join("jaas.conf");
    std::fs::write(&jaas, JAAS)?;
    let login = format!("-Djava.security.auth.login.config={}", path(&jaas));
    let config = [&[PROVIDER], config].concat();
    let jvm = [&[login.as_str()], jvm].concat();
    let extra = Extra { config: &config, jvm: &jvm };
    Ok((JavaServer::start_with(peers, version, dir.path(), extra)?, dir))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn builder() -> Builder {
    Client::builder().session_timeout(Duration::from_secs(8)).connect_timeout(PATIENCE)
}

fn bob() -> Builder {
    builder().sasl(DigestMd5::new("bob", "bob's secret"))
}

fn only(user: &str) -> Vec<Acl> {
    vec![Acl { perms: Perms::ALL, id: AuthId { scheme: "sasl".into(), id: user.into() } }]
}

fn code<T>(outcome: Result<T, Error>) -> Option<ErrorCode> {
    outcome.err().and_then(|error| error.code())
}

#[tokio::test]
async fn a_user_is_known_by_name_and_only_with_the_password() -> Outcome {
    for (server, _dir) in servers(&[], &[])? {
        let hosts = server.hosts();
        let bob = bob().connect(&hosts).await?;
        bob.create("/bobs", "for bob").acl(Acl::creator()).await?;
        let (acl, _) = bob.get_acl("/bobs").await?;
        assert_eq!(acl, only("bob"));

        let alice = builder().sasl(DigestMd5::new("alice", "alice \"quoted\" secret").realm("zk-sasl-md5"));
        let alice = alice.connect(&hosts).await?;
        assert_eq!(code(alice.get("/bobs").await), Some(ErrorCode::NoAuth));
        bob.create("/alices", "for alice").acl(only("alice")).await?;
        assert_eq!(alice.get("/alices").await?.data, "for alice");
        assert_eq!(code(bob.get("/alices").await), Some(ErrorCode::NoAuth));
        let nobody = builder().connect(&hosts).await?;
        assert_eq!(code(nobody.get("/bobs").await), Some(ErrorCode::NoAuth));

        for (user, password) in [("jürgen", "pässwörd"), ("Юля", "пароль")] {
            let zk = builder().sasl(DigestMd5::new(user, password)).connect(&hosts).await?;
            let own = format!("/of-{user}");
            zk.create(&own, "").acl(Acl::creator()).await?;
            assert_eq!(zk.get_acl(&own).await?.0, only(user));
            zk.close().await;
        }

        for (user, password) in [("bob", "guessed"), ("bob", ""), ("nobody", "nothing")] {
            let error = builder().sasl(DigestMd5::new(user, password)).connect(&hosts).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error}");
            assert!(error.to_string().contains("SASL authentication: AuthFailed (-115)"), "{error}");
        }
        let error = builder().sasl(DigestMd5::new("bob", "bob's secret").realm("elsewhere"));
        let error = error.connect_timeout(Duration::from_secs(1)).connect(&hosts).await.unwrap_err();
        assert!(error.to_string().contains(r#"no realm "elsewhere", only ["zk-sasl-md5"]"#), "{error}");
        for zk in [bob, alice, nobody] {
            zk.close().await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_reconnect_authenticates_again() -> Outcome {
    for (mut server, _dir) in servers(&["sessionRequireClientSASLAuth=true"], &[])? {
        let zk = bob().connect(&server.hosts()).await?;
        zk.create("/bobs", "one").acl(Acl::creator()).await?;
        let session = zk.session_id();
        let (_, changed) = zk.get("/bobs").watch().await?;
        let mut state = zk.session_state();
        for round in 0..2 {
            server.kill9()?;
            timeout(PATIENCE, state.wait_for(|state| matches!(state, SessionState::Suspended(_)))).await??;
            server.restart()?;
            timeout(PATIENCE, state.wait_for(SessionState::is_connected)).await??;
            assert_eq!(zk.get("/bobs").await?.data, "one", "round {round}");
        }
        assert_eq!(zk.session_id(), session);
        // The watch was armed behind the exchange: before it the server would have hung up.
        zk.set("/bobs", "two").await?;
        assert_eq!(timeout(PATIENCE, changed).await??.path, "/bobs");
        zk.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_demands_sasl_lets_nobody_else_in() -> Outcome {
    let demands: [&[&str]; 2] =
        [&["sessionRequireClientSASLAuth=true"], &["enforce.auth.enabled=true", "enforce.auth.schemes=sasl"]];
    for config in demands {
        for (server, _dir) in servers(config, &[])? {
            let hosts = server.hosts();
            let wanted = Some(ErrorCode::SessionClosedRequireSaslAuth);
            let nobody = builder().connect(&hosts).await?;
            assert_eq!(code(nobody.create("/n", "").await), wanted);
            assert_eq!(code(nobody.get("/").await), wanted);

            let error = builder().sasl(DigestMd5::new("bob", "guessed")).connect(&hosts).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AuthFailed);
            let refused = if config.len() == 1 { "(-124)" } else { "(-1" };
            assert!(error.to_string().contains(refused), "{error}");

            let zk = bob().session_timeout(Duration::from_secs(2)).connect(&hosts).await?;
            let session = zk.session_id();
            zk.create("/n", "").ephemeral().await?;
            // Idle: pings keep the session, and none went out too early.
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert!(zk.exists("/n").await?.is_some());
            assert_eq!(zk.session_id(), session);
            zk.close().await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_goes_on_without_sasl_is_not_trusted() -> Outcome {
    for (server, _dir) in servers(&[], &["-Dzookeeper.allowSaslFailedClients=true"])? {
        bob().connect(&server.hosts()).await?.close().await;
        let connect = builder().sasl(DigestMd5::new("bob", "guessed"));
        let error = connect.connect(&server.hosts()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AuthFailed);
        assert!(error.to_string().contains("zookeeper.allowSaslFailedClients"), "{error}");
    }
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    for version in peers.versions() {
        let dir = tempfile::tempdir()?;
        let server = JavaServer::start(&peers, version, dir.path(), None)?;
        let error = bob().connect(&server.hosts()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AuthFailed);
        assert!(error.to_string().contains("it has none configured"), "{error}");
    }
    Ok(())
}
