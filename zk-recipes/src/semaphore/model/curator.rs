//! A peer that follows `InterProcessSemaphoreV2` as Curator has it: the mutex, a lease, and then all children of the
//! leases' node count. Each step is one request, carried out at once; its session may end between any two.

use super::{LEASES, LOCKS, Permits, TIMEOUT, World};
use crate::semaphore::layout::Layout;
use rand::RngExt as _;
use zk_proto::{SessionId, path};

#[derive(Debug, Default)]
pub(super) struct Curator {
    session: Option<SessionId>,
    stage: Stage,
    pub(super) permits: Option<Permits>,
    pub(super) grants: usize,
}

#[derive(Debug, Default, Clone)]
enum Stage {
    #[default]
    Idle,
    Joined {
        lock: String,
    },
    Leased {
        lock: String,
        lease: String,
        /// The children's version at the last look; it looks again when its watch goes off.
        seen: Option<u64>,
    },
    /// In, and the mutex is still to be released.
    Leaving {
        lock: String,
    },
    In,
}

impl Curator {
    pub(super) const fn waits(&self) -> bool {
        matches!(self.stage, Stage::Joined { .. } | Stage::Leased { .. })
    }

    pub(super) const fn is_at_rest(&self) -> bool {
        matches!(self.stage, Stage::Idle | Stage::In)
    }
}

impl World {
    /// One request of one Curator; tells whether it did anything.
    pub(super) fn curate(&mut self, which: usize) -> bool {
        let curator = &mut self.curators[which];
        let alive = curator.session.filter(|session| self.tree.sessions.contains_key(session));
        let Some(session) = alive else {
            self.tree.next_session += 1;
            let session = SessionId(self.tree.next_session);
            self.tree.sessions.insert(session, self.now + TIMEOUT);
            *curator = Curator { session: Some(session), grants: curator.grants, ..Curator::default() };
            return true;
        };
        self.tree.sessions.insert(session, self.now + TIMEOUT);
        let (stage, mut events) = (curator.stage.clone(), Vec::new());
        let next = match stage {
            Stage::Idle => {
                self.create(session, LOCKS, "lock", &mut events).map(|lock| Stage::Joined { lock })
            }
            Stage::Joined { lock } => match self.tree.nodes.get(&lock) {
                None => Some(Stage::Idle),
                Some(own) => {
                    let line = self.tree.nodes.iter().filter(|(path, _)| path.starts_with(LOCKS));
                    let first = line.map(|(_, node)| node.czxid).min() == Some(own.czxid);
                    if first {
                        let lease = self.create(session, LEASES, "lease", &mut events);
                        lease.map(|lease| Stage::Leased { lock, lease, seen: None })
                    } else {
                        None
                    }
                }
            },
            Stage::Leased { seen: Some(seen), .. } if seen == self.tree.leases_version => None,
            Stage::Leased { lock, lease, .. } => match self.tree.nodes.get(&lease) {
                None => {
                    events.extend(self.tree.remove(&lock));
                    Some(Stage::Idle)
                }
                Some(node) => {
                    let token = node.czxid;
                    let children = self.tree.names(LEASES).unwrap_or_default().len();
                    if children <= self.tree.size as usize {
                        self.grants += 1;
                        let (paths, size, turn) = (vec![lease], self.tree.size, self.grants);
                        let curator = &mut self.curators[which];
                        curator.permits = Some(Permits { session, paths, token, size, turn });
                        curator.grants += 1;
                        Some(Stage::Leaving { lock })
                    } else {
                        Some(Stage::Leased { lock, lease, seen: Some(self.tree.leases_version) })
                    }
                }
            },
            Stage::Leaving { lock } => {
                events.extend(self.tree.remove(&lock));
                Some(Stage::In)
            }
            Stage::In if self.rng.random_range(0..4) == 0 => {
                self.let_go(which);
                None
            }
            Stage::In => None,
        };
        let moved = next.is_some();
        if let Some(next) = next {
            self.curators[which].stage = next;
        }
        self.notify(events);
        self.check();
        // Dies now and then, wherever it stands.
        if self.rng.random_range(0..40) == 0 {
            self.curators[which].permits = None;
            self.expire(session);
        }
        moved
    }

    pub(super) fn let_go(&mut self, which: usize) {
        if !matches!(self.curators[which].stage, Stage::In) {
            return;
        }
        self.curators[which].stage = Stage::Idle;
        if let Some(permits) = self.curators[which].permits.take() {
            let events = permits.paths.iter().flat_map(|path| self.tree.remove(path)).collect();
            self.notify(events);
        }
    }

    fn create(
        &mut self,
        session: SessionId,
        parent: &str,
        kind: &str,
        events: &mut Vec<String>,
    ) -> Option<String> {
        assert_eq!(self.layout, Layout::Curator);
        let first = self.tree.first_counter;
        self.tree.parents.entry(parent.to_owned()).or_insert(first);
        let id: u64 = self.rng.random();
        let prefix = path::join(parent, &format!("_c_{id:x}-{kind}-"));
        self.tree.create(session, &[prefix], true, events).ok()?.paths.pop()
    }
}
