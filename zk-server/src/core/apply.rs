//! Transaction to state. Everything here also runs when a log is replayed over a snapshot, so a transaction that
//! finds its work done already changes nothing else and is no failure of the server.

use zk_proto::ops::create::{Create2Response, CreateResponse};
use zk_proto::ops::data::StatResponse;
use zk_proto::ops::multi::MultiResult;
use zk_proto::storage::Owner;
use zk_proto::txn::{CreateTxn, Txn, TxnEntry, TxnHeader};
use zk_proto::{Acl, ErrorCode, EventType, Stat, path};

use super::acl_table::AclRef;
use super::committed::Committed;
use super::tree::NewNode;

/// Something that watchers may want to hear.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// What happened.
    pub event: EventType,
    /// To which node.
    pub path: String,
    /// The ACL that says who may hear of it (CVE-2024-23944).
    pub acl: AclRef,
}

/// What a transaction came to, for the reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A node was created; the reply has its path only.
    Created(CreateResponse),
    /// A node was created; the reply has its stat too.
    Created2(Create2Response),
    /// Data or ACL was set.
    Stat(StatResponse),
    /// Nothing to tell but success.
    Done,
    /// A multi's results.
    Multi(Vec<MultiResult>),
    /// It failed its checks, and that is what the transaction says.
    Failed(ErrorCode),
}

/// Applies `entry`, notes what watchers may want to hear, and answers with what to tell the client.
pub fn apply(state: &mut Committed, entry: &TxnEntry, triggers: &mut Vec<Trigger>) -> Outcome {
    let outcome = match &entry.txn {
        Txn::Multi(parts) => Outcome::Multi(multi(state, &entry.header, parts, triggers)),
        single => one(state, &entry.header, single, triggers).unwrap_or_else(Outcome::Failed),
    };
    state.last_zxid = state.last_zxid.max(entry.header.zxid);
    if entry
        .digest
        .is_some_and(|d| d.version == zk_proto::txn::DIGEST_VERSION && d.tree_digest != state.tree.digest())
    {
        state.digest_mismatches += 1;
    }
    outcome
}

fn multi(
    state: &mut Committed,
    header: &TxnHeader,
    parts: &[Txn],
    triggers: &mut Vec<Trigger>,
) -> Vec<MultiResult> {
    // One error voids the whole: nothing is applied, and every part answers with an error of its own.
    if parts.iter().any(|part| matches!(part, Txn::Error(_))) {
        let outcome = |part: &Txn| match part {
            Txn::Error(outcome) => *outcome,
            _ => Ok(()),
        };
        return parts.iter().map(|part| MultiResult::Error(outcome(part))).collect();
    }
    let result = |part: &Txn, outcome| match (part, outcome) {
        (_, Ok(Outcome::Created(r))) => MultiResult::Create(r),
        (_, Ok(Outcome::Created2(r))) => MultiResult::Create2(r),
        (_, Ok(Outcome::Stat(r))) => MultiResult::SetData(r),
        (Txn::Check(_), Ok(_)) => MultiResult::Check,
        (_, Ok(_)) => MultiResult::Delete,
        (_, Err(code)) => MultiResult::Error(Err(code)),
    };
    parts.iter().map(|part| result(part, one(state, header, part, triggers))).collect()
}

fn one(
    state: &mut Committed,
    header: &TxnHeader,
    txn: &Txn,
    triggers: &mut Vec<Trigger>,
) -> Result<Outcome, ErrorCode> {
    let zxid = header.zxid;
    Ok(match txn {
        Txn::Create(t) => {
            create_plain(state, header, t, triggers)?;
            Outcome::Created(CreateResponse { path: t.path.clone() })
        }
        Txn::Create2(t) => created2(&t.path, create_plain(state, header, t, triggers)?),
        Txn::CreateTtl(t) => {
            let owner = Owner::Ttl(t.ttl_ms);
            let new = new_node(header, &t.path, t.data.as_deref(), &t.acl, owner, t.parent_cversion);
            created2(&t.path, create(state, new, triggers)?)
        }
        Txn::CreateContainer(t) => {
            let owner = Owner::Container;
            let new = new_node(header, &t.path, t.data.as_deref(), &t.acl, owner, t.parent_cversion);
            created2(&t.path, create(state, new, triggers)?)
        }
        Txn::Delete(t) | Txn::DeleteContainer(t) => {
            delete(state, &t.path, header, triggers)?;
            Outcome::Done
        }
        Txn::SetData(t) | Txn::Reconfig(t) => {
            state.tree.set_data(&t.path, t.data.as_deref(), t.version, zxid, header.time_ms)?;
            trigger(state, EventType::NodeDataChanged, &t.path, triggers);
            Outcome::Stat(StatResponse { stat: stat_of(state, &t.path) })
        }
        Txn::SetAcl(t) => {
            state.tree.set_acl(&t.path, &t.acl, t.version)?;
            Outcome::Stat(StatResponse { stat: stat_of(state, &t.path) })
        }
        Txn::Check(_) => Outcome::Done,
        Txn::CreateSession(t) => {
            state.sessions.insert(header.client_id, t.timeout_ms);
            Outcome::Done
        }
        Txn::CloseSession(t) => {
            close_session(state, header, t.as_ref().map_or(&[], |t| &t.paths_to_delete), triggers);
            Outcome::Done
        }
        Txn::Error(outcome) => return Err(outcome.err().unwrap_or(ErrorCode::SystemError)),
        Txn::Multi(_) => return Err(ErrorCode::MarshallingError),
    })
}

fn new_node<'a>(
    header: &TxnHeader,
    path: &'a str,
    data: Option<&'a [u8]>,
    acl: &'a [Acl],
    owner: Owner,
    parent_cversion: i32,
) -> NewNode<'a> {
    NewNode { path, data, acl, owner, parent_cversion, zxid: header.zxid, time_ms: header.time_ms }
}

fn create_plain(
    state: &mut Committed,
    header: &TxnHeader,
    t: &CreateTxn,
    triggers: &mut Vec<Trigger>,
) -> Result<Stat, ErrorCode> {
    let owner = if t.ephemeral { Owner::Session(header.client_id.0) } else { Owner::Persistent };
    create(state, new_node(header, &t.path, t.data.as_deref(), &t.acl, owner, t.parent_cversion), triggers)
}

fn create(state: &mut Committed, new: NewNode<'_>, triggers: &mut Vec<Trigger>) -> Result<Stat, ErrorCode> {
    state.tree.create(new)?;
    trigger(state, EventType::NodeCreated, new.path, triggers);
    trigger_parent(state, new.path, triggers);
    Ok(stat_of(state, new.path))
}

fn created2(path: &str, stat: Stat) -> Outcome {
    Outcome::Created2(Create2Response { path: path.to_owned(), stat })
}

fn delete(
    state: &mut Committed,
    path: &str,
    header: &TxnHeader,
    triggers: &mut Vec<Trigger>,
) -> Result<(), ErrorCode> {
    // The ACL must be read before it goes with its last node.
    let acl = state.tree.get(path).map(|node| state.tree.acls().get(node.acl));
    state.tree.delete(path, header.zxid)?;
    if let Some(acl) = acl {
        triggers.push(Trigger { event: EventType::NodeDeleted, path: path.to_owned(), acl });
    }
    trigger_parent(state, path, triggers);
    Ok(())
}

/// The listed nodes, then whatever else the session still owns: an old log may list none.
fn close_session(state: &mut Committed, header: &TxnHeader, paths: &[String], triggers: &mut Vec<Trigger>) {
    let session = header.client_id;
    let left: Vec<String> = state
        .tree
        .ephemerals(session)
        .filter(|p| !paths.iter().any(|listed| listed == p))
        .map(str::to_owned)
        .collect();
    for path in paths.iter().chain(&left) {
        // Gone already: the log is being replayed over a snapshot that shows it.
        let _gone = delete(state, path, header, triggers);
    }
    state.sessions.remove(&session);
}

fn stat_of(state: &Committed, path: &str) -> Stat {
    state.tree.get(path).map(super::tree::ZNode::stat).unwrap_or_default()
}

fn trigger(state: &Committed, event: EventType, path: &str, triggers: &mut Vec<Trigger>) {
    if let Some(node) = state.tree.get(path) {
        triggers.push(Trigger { event, path: path.to_owned(), acl: state.tree.acls().get(node.acl) });
    }
}

fn trigger_parent(state: &Committed, path: &str, triggers: &mut Vec<Trigger>) {
    if let Some(parent) = path::parent(path) {
        trigger(state, EventType::NodeChildrenChanged, parent, triggers);
    }
}
