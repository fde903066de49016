//! What one may know of others at a semaphore, and do about them: who holds and who waits, how many permits are left,
//! asking a holder to give up, and an operator's last resort.

use zk_proto::path;

use super::handle::Semaphore;
use super::layout::{Layout, Room};
use crate::asking::explain;
use crate::contender::Rule;
use crate::error::Error;
use crate::fence::FencingToken;
use crate::limits::PARTICIPANTS_AT_ONCE;
use crate::participants::{self, Participant};
use crate::sequence::{CURATOR_LEASE, MUTEX, REVOKE, Sequence};

impl Semaphore {
    /// Who holds permits (`admitted`), in the order in which they were made, and then who waits, in the order of the
    /// line. Several permits that were acquired together are one participant of several nodes. Costs two lists, and
    /// one request for each node. Who tries its luck at this moment may be taken for a holder.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        let setup = self.setup();
        let (client, layout) = (&setup.context.client, setup.layout());
        let failed = |source| explain(self.path(), source);
        let line = Rule::exclusive(&MUTEX);
        let waiting = participants::list(client, &layout.locks(self.path()), &line).await.map_err(failed)?;
        let leases = layout.leases(self.path());
        let holding = match layout {
            Layout::Curator => participants::list(client, &leases, &Rule::exclusive(&[CURATOR_LEASE]))
                .await
                .map_err(failed)?,
            Layout::Kazoo => self.unnumbered(&leases).await.map_err(failed)?,
        };
        Ok(together(holding, waiting))
    }

    /// Who holds permits.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn holders(&self) -> Result<Vec<Participant>, Error> {
        let mut all = self.participants().await?;
        all.retain(|participant| participant.admitted);
        Ok(all)
    }

    /// How many permits are neither out nor about to be: a hint, for it may be otherwise a moment later. Two
    /// requests at most.
    ///
    /// # Errors
    /// [`Error::Client`], [`Error::Mismatch`], [`Error::Corrupted`].
    pub async fn available(&self) -> Result<u32, Error> {
        let setup = self.setup();
        let (client, layout) = (&setup.context.client, setup.layout());
        let list = client.get_children(layout.leases(self.path())).send();
        let size = match setup.outfit.size.fixed() {
            Some(size) => size,
            None => match client.get(setup.outfit.size.path()).await {
                Ok(node) => setup.outfit.size.read(Some(&node.data))?,
                Err(error) if error.is_no_node() => setup.outfit.size.read(None)?,
                Err(source) => return Err(explain(self.path(), source)),
            },
        };
        let names = match list.await {
            Ok(list) => list.names,
            Err(error) if error.is_no_node() => Vec::new(),
            Err(source) => return Err(explain(self.path(), source)),
        };
        let taken = match layout.room(&names, &[]) {
            Room::Taken(taken) => u32::try_from(taken).unwrap_or(u32::MAX),
            Room::Gone => 0,
        };
        Ok(size.saturating_sub(taken))
    }

    /// Asks a holder, or somebody who waits, to give up: writes `__REVOKE__` to its first node. Ours hear it by
    /// [`Held::revoked`](crate::Held::revoked); whether they follow is up to them. What the node said of its owner is
    /// overwritten. Returns whether it was still there.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn revoke(&self, participant: &Participant) -> Result<bool, Error> {
        match self.setup().context.client.set(participant.node(), REVOKE).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_no_node() => Ok(false),
            Err(source) => Err(explain(self.path(), source)),
        }
    }

    /// Takes permits away from whoever holds them, or takes somebody out of the line: deletes its nodes. One of ours
    /// hears at once that it has lost; stock Curator and Kazoo do not notice. The next one gets in while the evicted
    /// may still be at work: only fencing keeps it from harm. Returns whether it was still there.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn evict(&self, participant: &Participant) -> Result<bool, Error> {
        let client = &self.setup().context.client;
        let deletes: Vec<_> =
            participant.nodes.iter().map(|node| client.delete(node.as_str()).send()).collect();
        let mut evicted = false;
        for delete in deletes {
            match delete.await {
                Ok(()) => evicted = true,
                Err(error) if error.is_no_node() => {}
                Err(source) => return Err(explain(self.path(), source)),
            }
        }
        Ok(evicted)
    }

    /// Leases whose names have no numbers, in the order in which they were made.
    async fn unnumbered(&self, leases: &str) -> Result<Vec<Participant>, zk_client::Error> {
        let client = &self.setup().context.client;
        let names = match client.get_children(leases).await {
            Ok(list) => list.names,
            Err(error) if error.is_no_node() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut all: Vec<Participant> = Vec::with_capacity(names.len());
        for some in names.chunks(PARTICIPANTS_AT_ONCE) {
            let gets: Vec<_> = some.iter().map(|name| client.get(path::join(leases, name)).send()).collect();
            for (name, get) in some.iter().zip(gets) {
                let node = match get.await {
                    Ok(node) => node,
                    Err(error) if error.is_no_node() => continue,
                    Err(error) => return Err(error),
                };
                let (token, session) = (FencingToken::from_zxid(node.stat.czxid), node.stat.ephemeral_owner);
                let nodes = vec![path::join(leases, name)];
                match all.iter_mut().find(|known| (known.token, known.session) == (token, session)) {
                    Some(known) => known.nodes.extend(nodes),
                    None => all.push(Participant {
                        nodes,
                        data: node.data,
                        session,
                        sequence: Sequence(0),
                        token,
                        since_ms: node.stat.ctime,
                        marker: String::new(),
                        admitted: true,
                    }),
                }
            }
        }
        all.sort_by_key(|participant| participant.token);
        Ok(all)
    }
}

/// Holders and waiters in one list. The head of the line has its leases already: those are its own, and no permits.
fn together(holding: Vec<Participant>, mut waiting: Vec<Participant>) -> Vec<Participant> {
    for waiter in &mut waiting {
        waiter.admitted = false;
    }
    let mut all = Vec::with_capacity(holding.len() + waiting.len());
    for mut holder in holding {
        match waiting.first_mut().filter(|head| head.session == holder.session && head.token < holder.token) {
            Some(head) => head.nodes.append(&mut holder.nodes),
            None => all.push(Participant { admitted: true, ..holder }),
        }
    }
    all.append(&mut waiting);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use zk_proto::{SessionId, Zxid};

    fn one(node: &str, session: i64, token: i64) -> Participant {
        Participant {
            nodes: vec![node.into()],
            data: Bytes::new(),
            session: SessionId(session),
            sequence: Sequence(0),
            token: FencingToken::from_zxid(Zxid(token)),
            since_ms: 0,
            marker: String::new(),
            admitted: false,
        }
    }

    #[test]
    fn the_heads_leases_are_no_permits() {
        let holding = vec![one("a", 1, 10), one("b", 2, 12), one("h", 1, 25)];
        let waiting = vec![one("head", 1, 20), one("next", 2, 21)];
        let all = together(holding, waiting);
        let shown: Vec<_> = all.iter().map(|one| (one.nodes.join(" "), one.admitted)).collect();
        let expected = [("a", true), ("b", true), ("head h", false), ("next", false)];
        assert_eq!(shown, expected.map(|(nodes, admitted)| (nodes.to_owned(), admitted)));
    }
}
