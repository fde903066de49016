//! What contenders leave behind, deleted however long it takes while the session lives: the steps of the recipes'
//! reaper, which runs on tokio, as events. Never gives up before the session ends.

use std::time::Duration;

use zk_client::SessionId;
use zk_client::core::{OpId, Request};
use zk_proto::ops::delete::DeleteRequest;
use zk_proto::path;
use zk_recipes::contender::{Answer, Leftover, Refusal, Request as Asked};
use zk_recipes::limits::REAPER_PAUSE_MIN;
use zk_recipes::sequence;

use super::client::Client;
use super::kernel::Kernel;
use super::lock_requests::request;

#[derive(Debug)]
struct Job {
    session: Option<SessionId>,
    prefix: String,
    name: Option<String>,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Creating(OpId),
    Deleting(OpId),
    /// The second is the listing, sent right behind.
    Syncing(OpId, OpId),
    Listing(OpId),
    Pausing(Duration),
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    jobs: Vec<Job>,
}

impl Leftovers {
    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The session is over: the server deletes what it owned.
    pub(super) fn clear(&mut self) {
        self.jobs.clear();
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let pauses = self.jobs.iter().filter_map(|job| match job.step {
            Step::Pausing(until) => Some(until),
            _ => None,
        });
        pauses.min()
    }

    /// Takes charge of a leftover; `created` is its creation, if that is still under way.
    pub(super) fn adopt(
        &mut self,
        k: &mut Kernel,
        client: &mut Client,
        left: Leftover,
        created: Option<OpId>,
    ) {
        let job = match left {
            // The simulation has no durable locks, and no queues.
            Leftover::Claimed { .. } | Leftover::Marked { .. } => return,
            Leftover::Named { paths, session } => {
                let path = paths.into_iter().next().unwrap_or_default();
                Job { session, prefix: path.clone(), name: Some(path), step: Step::Pausing(k.now) }
            }
            Leftover::Unnamed { prefixes, session } => {
                let step = created.map_or(Step::Pausing(k.now), Step::Creating);
                let prefix = prefixes.into_iter().next().unwrap_or_default();
                Job { session, prefix, name: None, step }
            }
        };
        self.jobs.push(job);
        self.look(k, client);
    }

    pub(super) fn look(&mut self, k: &mut Kernel, client: &mut Client) {
        for job in &mut self.jobs {
            if matches!(job.step, Step::Pausing(until) if until <= k.now) {
                job.step = job.next(k, client);
            }
        }
    }

    pub(super) fn ended(&mut self, k: &mut Kernel, client: &mut Client, op: OpId, answer: &Answer) {
        let mine = |job: &Job| match job.step {
            Step::Creating(at) | Step::Deleting(at) | Step::Syncing(at, _) | Step::Listing(at) => at == op,
            Step::Pausing(_) => false,
        };
        let Some(at) = self.jobs.iter().position(mine) else { return };
        let Some(job) = self.jobs.get_mut(at) else { return };
        if job.ended(k, client, answer) {
            self.jobs.swap_remove(at);
        }
    }
}

impl Job {
    fn next(&self, k: &mut Kernel, client: &mut Client) -> Step {
        let pin = self.session;
        if let Some(name) = &self.name {
            let delete = DeleteRequest { path: name.clone(), version: -1 };
            return Step::Deleting(client.submit(k, Request::Delete(delete), pin));
        }
        let parent = path::parent(&self.prefix).unwrap_or("/").to_owned();
        let sync = client.submit(k, request(Asked::Sync { path: parent.clone() }), pin);
        let list = client.submit(k, request(Asked::List { path: parent }), pin);
        Step::Syncing(sync, list)
    }

    /// Whether the leftover is gone for good.
    fn ended(&mut self, k: &mut Kernel, client: &mut Client, answer: &Answer) -> bool {
        let again = Step::Pausing(k.now + REAPER_PAUSE_MIN);
        self.step = match (&self.step, answer) {
            (Step::Creating(_), Answer::Created(Ok(made))) => {
                self.name = made.paths.first().cloned();
                self.next(k, client)
            }
            (Step::Creating(_), Answer::Created(Err(Refusal::Unknown))) => self.next(k, client),
            (Step::Creating(_), _) => return true,
            (Step::Syncing(_, list), Answer::Synced(Ok(()))) => Step::Listing(*list),
            (Step::Listing(_), Answer::Listed(Ok(names))) => {
                let Some(found) = sequence::find(names, path::name(&self.prefix)) else { return true };
                let parent = path::parent(&self.prefix).unwrap_or("/");
                self.name = Some(path::join(parent, found));
                self.next(k, client)
            }
            (Step::Deleting(_), Answer::Synced(Ok(()) | Err(Refusal::NoNode)))
            | (_, Answer::Synced(Err(Refusal::SessionOver)) | Answer::Listed(Err(Refusal::SessionOver))) => {
                return true;
            }
            (Step::Listing(_), Answer::Listed(Err(Refusal::NoNode))) => return true,
            _ => again,
        };
        false
    }
}
