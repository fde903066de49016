//! Requests and answers that are lost, of every kind of operation: what the error claims is what has happened, reads
//! are asked again in their place, credentials come before everything.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use integration_tests::proxy::{Message, Pick, Proxy, eager};
use integration_tests::targets::{Failure, Place};
use std::time::Duration;
use zk_client::{Acl, Client, Error, ErrorCode, ErrorKind, RetryPolicy};
use zk_proto::OpCode;

use crate::{Outcome, connected, disconnected, only_tasks, soon, tasks};

integration_tests::scenarios!(
    lost_writes_are_unknown_and_not_sent_again,
    lost_reads_are_asked_again_in_their_place,
    reads_are_not_asked_again_where_that_is_off,
    credentials_come_before_everything,
    what_was_not_sent_was_not_done,
    a_lost_close_is_a_close,
    answers_that_say_nothing_fail_their_operation_alone,
);

pub(crate) type Started = BoxFuture<'static, Result<String, Error>>;

/// An operation on the node at a path, which has one child, `old`.
pub(crate) struct Kind {
    pub(crate) op: OpCode,
    pub(crate) start: fn(&Client, &str) -> Started,
}

/// `start`, its answer as text.
macro_rules! kind {
    ($op:ident, |$zk:ident, $path:ident| $start:expr) => {
        Kind {
            op: OpCode::$op,
            start: |$zk, $path| $start.map(|outcome| outcome.map(|answer| format!("{answer:?}"))).boxed(),
        }
    };
}

pub(crate) fn writes() -> [Kind; 9] {
    [
        kind!(Create2, |zk, path| zk.create(format!("{path}/new"), "x").send()),
        kind!(Create2, |zk, path| zk.create(format!("{path}/s-"), "x").ephemeral().sequential().send()),
        kind!(CreateContainer, |zk, path| zk.create(format!("{path}/new"), "x").container().send()),
        kind!(CreateTtl, |zk, path| zk.create(format!("{path}/t"), "").ttl(Duration::from_secs(60)).send()),
        kind!(Delete, |zk, path| zk.delete(format!("{path}/old")).send()),
        kind!(SetData, |zk, path| zk.set(path, "x").version(0).send()),
        kind!(SetAcl, |zk, path| zk.set_acl(path, Acl::open()).version(0).send()),
        kind!(Multi, |zk, path| zk.transaction().check(path, 0).create(format!("{path}/a"), "").send()),
        kind!(Multi, |zk, path| zk.transaction().delete(format!("{path}/old")).set(path, "y").commit()),
    ]
}

pub(crate) fn reads() -> [Kind; 9] {
    [
        kind!(GetData, |zk, path| zk.get(path).send()),
        kind!(GetData, |zk, path| zk.get(path).watch().send().map(|o| o.map(|(node, _)| node))),
        kind!(Exists, |zk, path| zk.exists(path).send()),
        kind!(Exists, |zk, path| zk.exists(format!("{path}/nothing")).send()),
        kind!(Exists, |zk, path| zk.exists(path).watch().send().map(|o| o.map(|(stat, _)| stat))),
        kind!(GetChildren2, |zk, path| zk.get_children(path).send()),
        kind!(GetChildren2, |zk, path| zk.get_children(path).watch().send().map(|o| o.map(|(list, _)| list))),
        kind!(GetAcl, |zk, path| zk.get_acl(path).send()),
        kind!(Sync, |zk, path| zk.sync(path).send()),
    ]
}

/// Loses the next one's request or its answer, and the connection with it.
fn losses(proxy: &Proxy, op: OpCode) -> [(Pick<'_>, bool); 2] {
    [(proxy.on_request(op), false), (proxy.on_reply(op), true)]
}

pub(crate) async fn prepared(direct: &Client, path: &str) -> Outcome {
    direct.create(path, "data").await?;
    direct.create(format!("{path}/old"), "").await?;
    Ok(())
}

/// All that a write here can change.
async fn state(direct: &Client, path: &str) -> Result<String, Failure> {
    let mut list = direct.get_children(path).await?;
    list.names.sort();
    Ok(format!("{list:?}"))
}

fn requests(proxy: &Proxy, op: OpCode) -> usize {
    proxy.count(|m| m.requested() == Some(op))
}

async fn lost_writes_are_unknown_and_not_sent_again(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    let direct = place.client().await?;
    for (n, kind) in writes().into_iter().enumerate() {
        for (lost, done) in losses(&proxy, kind.op) {
            let path = format!("/{n}-{done}");
            prepared(&direct, &path).await?;
            proxy.take_record();
            let before = state(&direct, &path).await?;
            let cut = lost.cut_before();
            let operation = (kind.start)(&zk, &path);
            let behind = zk.get(&path).send();
            let error = soon(operation).await?.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionLoss, "{error}");
            assert!(error.outcome_unknown() && error.is_retryable() && !error.is_session_lost(), "{error}");
            assert!(
                kind.op == OpCode::Multi || error.path().is_some_and(|p| p.starts_with(&path)),
                "{error}"
            );
            // The read behind it was lost with it, and sees what it did, if it did.
            let seen = soon(behind).await??;
            let after = state(&direct, &path).await?;
            assert_eq!(before != after, done, "{:?}: {after}", kind.op);
            assert!(after.contains(&format!(" version: {},", seen.stat.version)), "{seen:?} {after}");
            assert_eq!((cut.times(), requests(&proxy, kind.op)), (1, 1), "{:?} was sent again", kind.op);
        }
    }
    zk.close().await;
    direct.close().await;
    Ok(())
}

async fn lost_reads_are_asked_again_in_their_place(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    prepared(&zk, "/n").await?;
    for kind in reads() {
        let expected = (kind.start)(&zk, "/n").await?;
        for (lost, _) in losses(&proxy, kind.op) {
            proxy.take_record();
            let cut = lost.cut_before();
            // In front, between reads of other nodes, and behind.
            let front = zk.get("/n/old").send();
            let operation = (kind.start)(&zk, "/n");
            let behind = zk.exists("/").send();
            let (front, answer, behind) =
                soon(async { (front.await, operation.await, behind.await) }).await?;
            assert_eq!(answer?, expected);
            assert_eq!((front?.stat.data_length, behind?.is_some()), (0, true));
            assert_eq!(cut.times(), 1);
            let asked: Vec<OpCode> = proxy
                .record()
                .iter()
                .filter(|m| m.connection == proxy.connections())
                .filter_map(Message::requested)
                .filter(|op| ![OpCode::SetWatches, OpCode::Ping, OpCode::RemoveWatches].contains(op))
                .collect();
            // The read in front may have been answered before the cut.
            let again = [OpCode::GetData, kind.op, OpCode::Exists];
            assert!(again.ends_with(&asked) && asked.len() >= 2, "{asked:?}");
        }
    }
    zk.close().await;
    Ok(())
}

async fn reads_are_not_asked_again_where_that_is_off(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let retry = RetryPolicy::default().initial(Duration::from_millis(1)).resend_reads(false);
    let zk = eager().retry(retry).connect(&place.through(&[&proxy])).await?;
    prepared(&zk, "/n").await?;
    for kind in reads() {
        let _cut = proxy.on_reply(kind.op).cut_before();
        let error = soon((kind.start)(&zk, "/n")).await?.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionLoss, "{error}");
        assert!(
            !error.outcome_unknown() && error.is_retryable(),
            "a read has no outcome to be unknown: {error}"
        );
        connected(&zk).await?;
    }
    zk.close().await;
    Ok(())
}

/// What the newest connection was asked, from its beginning.
fn beginning(proxy: &Proxy) -> Vec<OpCode> {
    let record = proxy.record();
    let newest = record.iter().filter(|m| m.connection == proxy.connections());
    newest.filter_map(Message::requested).collect()
}

async fn credentials_come_before_everything(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().auth("digest", "a:1").connect(&place.through(&[&proxy])).await?;
    for (lost, _) in losses(&proxy, OpCode::Auth) {
        let cut = lost.cut_before();
        soon(zk.add_auth("digest", format!("b:{}", cut.times())).send()).await??;
        assert_eq!(cut.times(), 1);
    }
    zk.create("/mine", "secret").acl(Acl::creator()).await?;
    let (_, watch) = zk.get("/mine").watch().await?;
    // Cut in each place of the prelude: before a session, among the credentials, among the watches.
    let picks: [fn(&Proxy) -> Pick<'_>; 7] = [
        Proxy::on_greeting,
        Proxy::on_welcome,
        |proxy| proxy.on_request(OpCode::Auth),
        |proxy| proxy.on_request(OpCode::Auth).nth(2),
        |proxy| proxy.on_reply(OpCode::Auth).nth(2),
        |proxy| proxy.on_request(OpCode::SetWatches),
        |proxy| proxy.on_reply(OpCode::SetWatches),
    ];
    for pick in picks {
        let cut = pick(&proxy).cut_before();
        let reads: Vec<_> = (0..4).map(|_| zk.get("/mine").send()).collect();
        proxy.cut_all();
        soon(cut.acted()).await?;
        for read in reads {
            // Never an answer from before the credentials, which would be `NoAuth`.
            assert_eq!(soon(read).await??.data, "secret");
        }
        soon(zk.get("/mine").send()).await??;
        let asked = beginning(&proxy);
        let prelude = [OpCode::Auth, OpCode::Auth, OpCode::SetWatches];
        assert!(
            asked.starts_with(&prelude[..]) && asked[3..].iter().all(|op| *op == OpCode::GetData),
            "{asked:?}"
        );
    }
    zk.set("/mine", "changed").await?;
    soon(watch).await??;
    zk.close().await;
    Ok(())
}

async fn what_was_not_sent_was_not_done(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    let direct = place.client().await?;
    let old = connected(&zk).await?.id;
    proxy.refuse();
    // Sent, and answered to nobody.
    let held = proxy.on_reply(OpCode::Create2).path(place.path("/sent")).hold();
    let sent = zk.create("/sent", "").in_session(old).send();
    let read = zk.exists("/").in_session(old).send();
    soon(held.acted()).await?;
    proxy.cut_all();
    disconnected(&zk).await?;
    let error = soon(sent).await?.unwrap_err();
    assert!(error.kind() == ErrorKind::ConnectionLoss && error.outcome_unknown(), "{error}");
    // Not sent: of the old session, and of whichever it may be.
    let pinned = zk.create("/pinned", "").in_session(old).send();
    let free = zk.create("/free", "").ephemeral().send();
    place.end_session(old).await?;
    proxy.heal();
    for error in [soon(pinned).await?.unwrap_err(), soon(read).await?.unwrap_err()] {
        assert!(error.kind() == ErrorKind::SessionExpired && !error.outcome_unknown(), "{error}");
    }
    let made = soon(free).await??;
    let new = connected(&zk).await?.id;
    assert_ne!(new, old);
    assert_eq!(made.stat.ephemeral_owner, new);
    let there = [direct.exists("/sent").await?.is_some(), direct.exists("/pinned").await?.is_some()];
    assert_eq!(there, [true, false]);
    zk.close().await;
    let error = zk.create("/late", "").await.unwrap_err();
    assert!(error.kind() == ErrorKind::Closed && !error.outcome_unknown(), "{error}");
    direct.close().await;
    Ok(())
}

async fn a_lost_close_is_a_close(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    for (lost, _) in losses(&proxy, OpCode::CloseSession) {
        let before = tasks();
        let zk = eager().connect(&place.through(&[&proxy])).await?;
        zk.set("/", "x").await?;
        let cut = lost.cut_before();
        soon(zk.close()).await?;
        assert_eq!(cut.times(), 1);
        drop(zk);
        // Of the proxy's connection, and of an embedded server's, something may linger a little longer.
        only_tasks(before).await?;
    }
    // Nobody there to close it with.
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    proxy.refuse();
    proxy.cut_all();
    disconnected(&zk).await?;
    let write = zk.set("/", "y").send();
    soon(zk.close()).await?;
    let error = soon(write).await?.unwrap_err();
    assert!(error.kind() == ErrorKind::Closed && !error.outcome_unknown(), "{error}");
    Ok(())
}

async fn answers_that_say_nothing_fail_their_operation_alone(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    prepared(&zk, "/n").await?;
    for kind in reads().into_iter().chain(writes()) {
        if kind.op == OpCode::Sync || kind.op == OpCode::Delete {
            continue;
        }
        // The header alone: four bytes of prefix, sixteen of header.
        let _rule =
            proxy.on_reply(kind.op).matching(|m| m.outcome.is_ok() && m.bytes > 20).corrupt(|frame| {
                frame.truncate(20);
                frame[3] = 16;
            });
        let before = zk.sync("/n").send();
        let outcome = soon((kind.start)(&zk, "/n")).await?;
        before.await?;
        // Nothing there is an answer without a body too; then the next one is hit.
        let Err(error) = outcome else { continue };
        if error.kind() == ErrorKind::BadReply {
            assert_eq!(error.outcome_unknown(), kind.op.is_write(), "{error}");
        } else {
            assert!(matches!(error.code(), Some(ErrorCode::NodeExists | ErrorCode::BadVersion)), "{error}");
        }
        proxy.clear_rules();
    }
    assert_eq!(proxy.connections(), 1, "an answer that cannot be read is not the connection's fault");
    zk.close().await;
    Ok(())
}
