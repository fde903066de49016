//! The client on ensembles of three Java servers: a server that dies, a quorum that is lost, members that come and
//! go.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use integration_tests::peers::{JavaEnsemble, JavaVersion, Peers, free_port, or_skip, skipped};
use integration_tests::targets::{Failure, PATIENCE};
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};
use zk_client::{Builder, Client, ErrorCode, ErrorKind, EventType, SessionState};

type Outcome = Result<(), Failure>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_apache_zookeeper_3_8() -> Outcome {
    on(JavaVersion::V3_8).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_apache_zookeeper_3_9() -> Outcome {
    on(JavaVersion::V3_9_5).await
}

/// All on one ensemble, which every scenario leaves whole.
async fn on(version: JavaVersion) -> Outcome {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    if !peers.versions().any(|v| v == version) {
        skipped(format_args!("no Apache ZooKeeper {version} on this machine"));
        return Ok(());
    }
    let mut ensemble = block_in_place(|| JavaEnsemble::start(&peers, version, 3))?;
    a_killed_server_costs_no_session(&mut ensemble).await?;
    a_session_is_carried_on_at_another_server(&mut ensemble).await?;
    clients_spread_over_added_servers(&mut ensemble).await?;
    a_read_only_session_finds_a_writable_server(&peers, version, &mut ensemble).await?;
    without_a_quorum_there_are_reads(&peers, version).await?;
    the_list_follows_the_ensemble(&mut ensemble).await
}

fn builder() -> Builder {
    Client::builder().session_timeout(Duration::from_secs(20))
}

/// The index of the member that the client is connected to.
fn member_of(ensemble: &JavaEnsemble, zk: &Client) -> Option<usize> {
    ensemble.index_of(zk.server()?.port)
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Outcome {
    let polled = async {
        while !holds() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, polled).await.map_err(|_| format!("never {what}").into())
}

async fn connected(zk: &Client) -> Outcome {
    timeout(PATIENCE, zk.session_state().wait_for(SessionState::is_connected)).await??;
    Ok(())
}

/// Under load: the session goes on at another server, its ephemeral node stays, its watch fires.
async fn a_killed_server_costs_no_session(ensemble: &mut JavaEnsemble) -> Outcome {
    let zk = builder().connect(&ensemble.hosts()).await?;
    let session = zk.session_id().unwrap();
    zk.create("/mine", "").ephemeral().await?;
    zk.create("/watched", "").await?;
    zk.create("/load", "").await?;
    let (_, changed) = zk.get("/watched").watch().await?;

    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));
    let load = {
        let (zk, stop, done) = (zk.clone(), Arc::clone(&stop), Arc::clone(&done));
        tokio::spawn(async move {
            let mut unknown = 0;
            while !stop.load(Ordering::Relaxed) {
                let (write, read) = (zk.set("/load", "x").send(), zk.get("/load").send());
                match write.await {
                    Ok(_) => _ = done.fetch_add(1, Ordering::Relaxed),
                    Err(e) if e.kind() == ErrorKind::ConnectionLoss && e.outcome_unknown() => unknown += 1,
                    Err(e) => panic!("{e}"),
                }
                read.await.unwrap();
            }
            unknown
        })
    };
    until("under load", || done.load(Ordering::Relaxed) > 20).await?;
    let killed = member_of(ensemble, &zk).unwrap();
    block_in_place(|| ensemble.server(killed).kill9())?;
    until("at another server", || member_of(ensemble, &zk).is_some_and(|at| at != killed)).await?;
    zk.set("/load", "after").await?;
    stop.store(true, Ordering::Relaxed);
    let unknown = load.await?;
    assert!(unknown <= 2, "{unknown} writes of unknown outcome");

    assert_eq!(zk.session_id(), Some(session));
    let other = builder().connect(&ensemble.hosts()).await?;
    assert_eq!(other.exists("/mine").await?.map(|stat| stat.ephemeral_owner), Some(session));
    other.set("/watched", "x").await?;
    assert_eq!(timeout(PATIENCE, changed).await??.event_type, EventType::NodeDataChanged);
    zk.close().await;
    other.close().await;
    block_in_place(|| ensemble.server(killed).restart())?;
    Ok(())
}

async fn a_session_is_carried_on_at_another_server(ensemble: &mut JavaEnsemble) -> Outcome {
    let first = builder().connect(&ensemble.server(0).hosts()).await?;
    let made = first.create("/handed-over", "").ephemeral().await?;
    let session = first.session_id().unwrap();
    let ticket = first.detach().await.unwrap();
    assert!(ticket.last_zxid() >= made.stat.czxid);
    let second = builder().resume(ticket).connect(&ensemble.server(1).hosts()).await?;
    assert_eq!(second.session_id(), Some(session));
    assert_eq!(second.exists("/handed-over").await?.map(|stat| stat.ephemeral_owner), Some(session));
    second.close().await;
    Ok(())
}

/// All begin at one server; the load is even when two were added, and when one is taken away only its clients move.
async fn clients_spread_over_added_servers(ensemble: &mut JavaEnsemble) -> Outcome {
    const CLIENTS: u64 = 30;
    let mut clients = Vec::new();
    for seed in 0..CLIENTS {
        clients.push(builder().seed(seed).connect(&ensemble.server(0).hosts()).await?);
    }
    let sessions: Vec<_> = clients.iter().map(Client::session_id).collect();
    let all = ensemble.hosts();
    let moved = |clients: &[Client]| -> Result<(), Failure> {
        clients.iter().try_for_each(|zk| zk.update_servers(&all).map_err(Into::into))
    };
    moved(&clients)?;
    // Reads are answered, or asked again elsewhere: a move costs nothing.
    for zk in &clients {
        zk.get("/").await?;
        connected(zk).await?;
    }
    let spread = |clients: &[Client]| {
        let mut spread = BTreeMap::new();
        for zk in clients {
            *spread.entry(member_of(ensemble, zk)).or_insert(0) += 1;
        }
        spread
    };
    let load = spread(&clients);
    assert!((0..3).all(|at| load.get(&Some(at)).is_some_and(|n| (4..=16).contains(n))), "{load:?}");

    let before: Vec<_> = clients.iter().map(Client::server).collect();
    let two: Vec<&str> = all.split(',').take(2).collect();
    for zk in &clients {
        zk.update_servers(&two.join(","))?;
    }
    until("away from the third", || clients.iter().all(|zk| matches!(member_of(ensemble, zk), Some(0 | 1))))
        .await?;
    for (zk, before) in clients.iter().zip(before) {
        let stayed = before.as_ref().is_some_and(|host| two.contains(&host.to_string().as_str()));
        assert!(!stayed || zk.server() == before);
    }
    assert_eq!(clients.iter().map(Client::session_id).collect::<Vec<_>>(), sessions);
    for zk in clients {
        zk.close().await;
    }
    Ok(())
}

/// A server that is alone in its partition serves read-only for good; only the search leads away from it.
async fn a_read_only_session_finds_a_writable_server(
    peers: &Peers,
    version: JavaVersion,
    ensemble: &mut JavaEnsemble,
) -> Outcome {
    let mut partitioned = block_in_place(|| JavaEnsemble::spawn_read_only(peers, version, 3, 1))?;
    block_in_place(|| partitioned.wait_mode(0, "read-only"))?;
    let lone = partitioned.server(0).hosts();
    let zk = builder().read_only(true).connect(&format!("{lone},127.0.0.1:{}", free_port()?)).await?;
    let at_first = match *zk.session_state().borrow() {
        SessionState::Connected(info) if info.read_only => info.id,
        state => panic!("{state:?}"),
    };
    assert_eq!(zk.session_ticket(), None);
    zk.get("/").await?;
    let refused = zk.create("/a", "").await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::NotReadOnly), "{refused}");
    assert!(!refused.outcome_unknown());
    // As many servers as before, so that nothing but the search can move it.
    zk.update_servers(&format!("{lone},{}", ensemble.server(2).hosts()))?;
    let mut state = zk.session_state();
    let writable = |s: &SessionState| matches!(s, SessionState::Connected(info) if !info.read_only);
    timeout(PATIENCE, state.wait_for(writable)).await??;
    assert_ne!(zk.session_id(), Some(at_first));
    assert_eq!(member_of(ensemble, &zk), Some(2));
    zk.create("/written", "").ephemeral().await?;
    zk.close().await;
    Ok(())
}

async fn without_a_quorum_there_are_reads(peers: &Peers, version: JavaVersion) -> Outcome {
    let mut ensemble = block_in_place(|| {
        let mut ensemble = JavaEnsemble::spawn_read_only(peers, version, 3, 3)?;
        ensemble.wait_serving()?;
        std::io::Result::Ok(ensemble)
    })?;
    let hosts = ensemble.hosts();
    let before = builder().read_only(true).connect(&hosts).await?;
    before.create("/kept", "x").ephemeral().await?;
    let session = before.session_id();
    block_in_place(|| {
        ensemble.server(0).kill9()?;
        ensemble.server(1).kill9()?;
        ensemble.wait_mode(2, "read-only")
    })?;
    let zk = builder().read_only(true).connect(&hosts).await?;
    assert_eq!(zk.get("/kept").await?.data.as_ref(), b"x");
    assert!(zk.session_state().borrow().session().is_some_and(|info| info.read_only));
    assert_eq!(zk.set("/kept", "y").await.unwrap_err().code(), Some(ErrorCode::NotReadOnly));
    let error = builder().connect_timeout(Duration::from_secs(2)).connect(&hosts).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let told = error.to_string();
    assert!(told.contains("instead of opening a session") && told.contains("refused"), "{told}");
    // The servers keep sessions that had a quorum for the quorum.
    assert!(!before.session_state().borrow().is_connected());

    block_in_place(|| ensemble.server(0).restart())?;
    let mut state = zk.session_state();
    let writable = |s: &SessionState| matches!(s, SessionState::Connected(info) if !info.read_only);
    timeout(PATIENCE, state.wait_for(writable)).await??;
    zk.set("/kept", "y").await?;
    connected(&before).await?;
    assert_eq!(before.session_id(), session);
    assert_eq!(before.get("/kept").await?.stat.ephemeral_owner, session.unwrap());
    zk.close().await;
    before.close().await;
    Ok(())
}

/// The last scenario: it leaves another ensemble behind.
async fn the_list_follows_the_ensemble(ensemble: &mut JavaEnsemble) -> Outcome {
    let hosts = ensemble.hosts();
    let setup = builder().connect(&hosts).await?;
    setup.create("/app", "").await?;
    setup.close().await;
    // One server is enough to find the others, under whatever chroot.
    let one = ensemble.server(0).hosts();
    let zk = builder().follow_ensemble(true).connect(&format!("{one}/app")).await?;
    let listed = |zk: &Client| {
        let mut names: Vec<_> = zk.servers().iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    let sorted = |hosts: &str| {
        let mut names: Vec<_> = hosts.split(',').map(str::to_owned).collect();
        names.sort();
        names
    };
    until("all three listed", || listed(&zk) == sorted(&hosts)).await?;
    let session = zk.session_id();
    zk.create("/here", "").ephemeral().await?;

    let joiner = block_in_place(|| {
        let joiner = ensemble.spawn_joiner()?;
        let line = ensemble.line(joiner);
        ensemble.reconfigure(0, &line, "")?;
        ensemble.server(joiner).wait_serving()?;
        std::io::Result::Ok(joiner)
    })?;
    let four = ensemble.hosts();
    until("the fourth listed", || listed(&zk) == sorted(&four)).await?;

    zk.get("/here").await?;
    connected(&zk).await?;
    let left = member_of(ensemble, &zk).unwrap();
    let via = (0..=joiner).find(|other| *other != left).unwrap();
    let id = ensemble.id(left).to_string();
    block_in_place(|| ensemble.reconfigure(via, "", &id))?;
    until("away from the removed", || member_of(ensemble, &zk).is_some_and(|at| at != left)).await?;
    assert_eq!(zk.servers().len(), 3);
    assert_eq!(zk.session_id(), session);
    assert_eq!(zk.exists("/here").await?.map(|stat| stat.ephemeral_owner), session);
    zk.close().await;
    Ok(())
}
