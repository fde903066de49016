//! Leaders: elections around a function, selectors, latches.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use integration_tests::critical_section::{CriticalSection, Mode};
use integration_tests::targets::Failure;
use tokio::sync::{Mutex, watch};
use zk_client::{Client, async_trait};
use zk_recipes::{
    CloseMode, Election, Error, LeaderLatch, LeaderSelector, LeaderSelectorListener, Leadership, Outcome,
    Participant, RunningLatch,
};

use crate::actor::Arguments;
use crate::locks::{dialect, pass};

/// Latches that run, by path.
#[derive(Default)]
pub(crate) struct Leaders {
    latches: HashMap<String, RunningLatch>,
}

impl Leaders {
    pub(crate) async fn perform(
        &mut self,
        who: &str,
        client: &Client,
        verb: &str,
        arguments: Arguments<'_>,
    ) -> Result<String, Failure> {
        let path = arguments.text(0)?;
        match verb {
            "lead" => {
                let (kind, option) = arguments.text(3)?.split_once(':').ok_or("no dialect")?;
                let (count, log, dialect) = (arguments.number(1)?, arguments.text(2)?, dialect(option)?);
                if kind == "selector" {
                    let (turns, left) = Turns::new(CriticalSection::open(Path::new(log), who)?, count);
                    let selector = LeaderSelector::builder(client, path, turns).identifier(who);
                    return select(&selector.dialect(dialect).auto_requeue(true).build(), left).await;
                }
                let election = Election::builder(client, path).identifier(who).dialect(dialect).build();
                lead(&election, who, count, Path::new(log)).await
            }
            "latch-start" => {
                let latch = LeaderLatch::builder(client, path).identifier(who).build();
                self.latches.insert(path.to_owned(), latch.start()?);
                Ok(String::new())
            }
            "latch-await" => {
                let limit = Duration::from_millis(arguments.number(1)?);
                match self.latch(path)?.wait_leader_within(limit).await {
                    Ok(leadership) => Ok(leadership.fencing_token().get().to_string()),
                    Err(Error::Timeout { .. }) => Ok("none".to_owned()),
                    Err(error) => Err(error.into()),
                }
            }
            "latch-leader" => {
                let leader = self.latch(path)?.leader().await?;
                Ok(leader.ok_or("nobody leads")?.identifier())
            }
            "latch-participants" => {
                let all = self.latch(path)?.participants().await?;
                let mut names: Vec<_> = all.iter().map(Participant::identifier).collect();
                names.sort();
                Ok(names.join(" "))
            }
            "latch-stop" => {
                let latch = self.latches.remove(path).ok_or("no latch runs")?;
                latch.close(CloseMode::Silent).await?;
                Ok(String::new())
            }
            _ => Err(format!("no such verb: {verb}").into()),
        }
    }

    pub(crate) fn runs(&self, path: &str) -> bool {
        self.latches.contains_key(path)
    }

    fn latch(&self, path: &str) -> Result<&RunningLatch, Failure> {
        Ok(self.latches.get(path).ok_or("no latch runs")?)
    }
}

/// What a selector does when it leads; tells how many sections are left, or what went wrong.
struct Turns {
    section: Mutex<CriticalSection>,
    left: watch::Sender<Result<usize, String>>,
}

impl Turns {
    fn new(section: CriticalSection, count: usize) -> (Self, watch::Receiver<Result<usize, String>>) {
        let (left, told) = watch::channel(Ok(count));
        (Self { section: Mutex::new(section), left }, told)
    }
}

#[async_trait]
impl LeaderSelectorListener for Turns {
    async fn take_leadership(&self, leadership: &Leadership) {
        if !matches!(*self.left.borrow(), Ok(1..)) {
            return;
        }
        let done = pass(&**leadership, &mut *self.section.lock().await, Mode::Alone, None).await;
        self.left.send_modify(|left| match done {
            Ok(whole) => *left = left.clone().map(|left| left - usize::from(whole)),
            Err(problem) => *left = Err(problem.to_string()),
        });
    }
}

/// Stands for election until there is nothing left to do.
async fn select(
    selector: &LeaderSelector,
    mut left: watch::Receiver<Result<usize, String>>,
) -> Result<String, Failure> {
    let running = selector.start()?;
    let end = left.wait_for(|left| !matches!(left, Ok(1..))).await?.clone();
    running.close().await;
    Ok(format!("{} left", end?))
}

/// Is leader until `count` sections were whole.
async fn lead(election: &Election, who: &str, count: usize, log: &Path) -> Result<String, Failure> {
    let mut section = CriticalSection::open(log, who)?;
    let (mut whole, mut lost) = (0, 0);
    while whole < count {
        let mut token = 0;
        let outcome = election.run(async |leadership| {
            token = leadership.fencing_token().get();
            pass(&*leadership, &mut section, Mode::Alone, None).await
        });
        match outcome.await? {
            Outcome::Finished(Ok(true)) => whole += 1,
            Outcome::Finished(Err(problem)) => return Err(problem),
            Outcome::Finished(Ok(false)) | Outcome::Cancelled => lost += 1,
            // Dropped wherever it was.
            Outcome::LostLeadership(_) => {
                section.lost(token)?;
                lost += 1;
            }
        }
    }
    Ok(format!("{whole} {lost}"))
}
