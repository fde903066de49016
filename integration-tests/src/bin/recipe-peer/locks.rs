//! Locks: taken, kept, contended for.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use integration_tests::critical_section::{CriticalSection, Mode, Verdict};
use integration_tests::targets::Failure;
use zk_client::Client;
use zk_proto::{Acl, CreateMode};
use zk_recipes::semaphore::Layout;
use zk_recipes::{Dialect, Error, Lock, MultiLock, RwLock, Semaphore};

use crate::actor::Arguments;
use crate::guard::{Guard, Holder};

/// How long a section takes.
const INSIDE: Duration = Duration::from_millis(1);

/// What is held, by `KIND PATH`.
#[derive(Default)]
pub(crate) struct Locks {
    held: HashMap<String, Guard>,
}

/// `curator`, `kazoo` or `both`, behind the colon of a kind.
pub(crate) fn dialect(name: &str) -> Result<Dialect, Failure> {
    match name {
        "curator" => Ok(Dialect::Curator),
        "kazoo" => Ok(Dialect::Kazoo),
        "both" => Ok(Dialect::Both),
        _ => Err(format!("no such dialect: {name}").into()),
    }
}

impl Locks {
    pub(crate) async fn perform(
        &mut self,
        who: &str,
        client: &Client,
        verb: &str,
        arguments: Arguments<'_>,
    ) -> Result<String, Failure> {
        let (kind, path) = (arguments.text(0)?, arguments.text(1)?);
        let key = format!("{kind} {path}");
        match verb {
            "acquire" => {
                let ms: i64 = arguments.number(2)?;
                let Some(guard) = Taker::new(client, kind, path, who)?.take(ms).await? else {
                    return Ok("none".to_owned());
                };
                let answer = format!("{} {}", guard.node(), guard.token());
                self.held.insert(key, guard);
                Ok(answer)
            }
            "release" => {
                let guard = self.held.remove(&key).ok_or("nothing is held")?;
                guard.release().await
            }
            "hold" => {
                let guard = Taker::new(client, kind, path, who)?.take(-1).await?.ok_or("not taken")?;
                let token = guard.token();
                let log = Path::new(arguments.text(2)?);
                if CriticalSection::open(log, who)?.enter(token, mode(kind))? == Verdict::Refused {
                    return Err("refused".into());
                }
                let answer = format!("{} {token}", guard.node());
                self.held.insert(key, guard);
                Ok(answer)
            }
            "leave" => {
                let guard = self.held.remove(&key).ok_or("nothing is held")?;
                let mut section = CriticalSection::open(Path::new(arguments.text(2)?), who)?;
                let whole = left(&guard, &mut section, mode(kind))?;
                guard.release().await?;
                Ok(if whole { "left" } else { "lost" }.to_owned())
            }
            // What the guard says, and what ZooKeeper says to a write of its holder, however late.
            "check" => {
                let guard = self.held.get(&key).ok_or("nothing is held")?;
                let held = guard.is_held();
                let began = guard.transaction().is_ok();
                Ok(format!("held={held} transaction={began}"))
            }
            // Asks the holder of this node to let go.
            "revoke" => {
                let lock = Lock::new(client, path);
                let all = lock.participants().await?;
                let node = arguments.text(2)?;
                let asked = all.iter().find(|one| one.nodes.iter().any(|own| own == node));
                Ok(lock.revoke(asked.ok_or("no such participant")?).await?.to_string())
            }
            "await-revoked" => {
                let guard = self.held.get(&key).ok_or("nothing is held")?;
                let limit = Duration::from_millis(arguments.number(2)?);
                Ok(tokio::time::timeout(limit, guard.revoked()).await.is_ok().to_string())
            }
            "contend" => {
                let taker = Taker::new(client, kind, path, who)?;
                let (count, log) = (arguments.number(2)?, Path::new(arguments.text(3)?));
                let fence = arguments.text(4).ok();
                contend(&taker, mode(kind), who, count, log, fence).await
            }
            _ => Err(format!("no such verb: {verb}").into()),
        }
    }
}

/// `read` may be had by several at once, and so may a permit.
fn mode(kind: &str) -> Mode {
    if kind.starts_with(['r', 'd']) || kind.starts_with("semaphore") { Mode::Shared } else { Mode::Alone }
}

enum Taker {
    Lock(Lock),
    Read(RwLock),
    Write(RwLock),
    /// A writer that goes on as a reader.
    Downgrade(RwLock),
    Permit(Semaphore),
    Multi(MultiLock),
}

impl Taker {
    /// `mutex:DIALECT`, `read:DIALECT`, `write:DIALECT`, `downgrade:DIALECT`, `semaphore:SIZE:LAYOUT`,
    /// `multi:DIALECT` of several mutexes, their paths with commas between, `semaphore-count:PATH` where a shared count says the size.
    fn new(client: &Client, kind: &str, path: &str, who: &str) -> Result<Self, Failure> {
        let (what, option) = kind.split_once(':').unwrap_or((kind, "curator"));
        match what {
            "mutex" => {
                let builder = Lock::builder(client, path).identifier(who);
                Ok(Self::Lock(builder.dialect(dialect(option)?).build()))
            }
            "read" | "write" | "downgrade" => {
                let lock = RwLock::builder(client, path).identifier(who).dialect(dialect(option)?).build();
                Ok(match what {
                    "read" => Self::Read(lock),
                    "write" => Self::Write(lock),
                    _ => Self::Downgrade(lock),
                })
            }
            "multi" => {
                let dialect = dialect(option)?;
                let one = |path| Lock::builder(client, path).identifier(who).dialect(dialect).build();
                let all =
                    path.split(',').map(one).fold(MultiLock::builder(client), |all, one| all.lock(&one));
                Ok(Self::Multi(all.build()))
            }
            "semaphore" => {
                let (size, layout) = option.split_once(':').ok_or("no layout")?;
                let layout = if layout == "kazoo" { Layout::Kazoo } else { Layout::Curator };
                let builder = Semaphore::builder(client, path).identifier(who).layout(layout);
                Ok(Self::Permit(builder.permits(size.parse()?).build()))
            }
            "semaphore-count" => Ok(Self::Permit(
                Semaphore::builder(client, path).identifier(who).permits_from(option).build(),
            )),
            _ => Err(format!("no such kind: {kind}").into()),
        }
    }

    /// Nothing when it was not had in time; below 0 there is all the time.
    async fn take(&self, ms: i64) -> Result<Option<Guard>, Failure> {
        let limit = u64::try_from(ms).ok().map(Duration::from_millis);
        let taken = match self {
            Self::Lock(lock) => match limit {
                Some(limit) => lock.acquire_within(limit).await.map(Guard::Lock),
                None => lock.acquire().await.map(Guard::Lock),
            },
            Self::Read(lock) => match limit {
                Some(limit) => lock.read_within(limit).await.map(Guard::Read),
                None => lock.read().await.map(Guard::Read),
            },
            Self::Write(lock) => match limit {
                Some(limit) => lock.write_within(limit).await.map(Guard::Write),
                None => lock.write().await.map(Guard::Write),
            },
            Self::Permit(semaphore) => match limit {
                Some(limit) => semaphore.acquire_within(limit).await.map(Guard::Permit),
                None => semaphore.acquire().await.map(Guard::Permit),
            },
            Self::Multi(lock) => match limit {
                Some(limit) => lock.acquire_within(limit).await.map(Guard::Multi),
                None => lock.acquire().await.map(Guard::Multi),
            },
            Self::Downgrade(lock) => match lock.write().await {
                Ok(guard) => guard.downgrade().await.map(Guard::Read),
                Err(error) => Err(error),
            },
        };
        match taken {
            Ok(guard) => Ok(Some(guard)),
            Err(Error::Timeout { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Takes the lock, appends its section, writes to ZooKeeper as its holder only may, gives it back; until `count` sections
/// were whole. What was lost on the way is told, and does not count.
async fn contend(
    taker: &Taker,
    mode: Mode,
    who: &str,
    count: usize,
    log: &Path,
    fence: Option<&str>,
) -> Result<String, Failure> {
    let mut section = CriticalSection::open(log, who)?;
    let (mut whole, mut lost) = (0, 0);
    while whole < count {
        let Some(guard) = taker.take(-1).await? else { continue };
        if pass(&guard, &mut section, mode, fence).await? {
            whole += 1;
        } else {
            lost += 1;
        }
        match guard.release().await {
            // The connection went; the node is deleted in the background.
            Err(error) if matches!(error.downcast_ref(), Some(Error::ReleasePending { .. })) => {}
            done => drop(done?),
        }
    }
    Ok(format!("{whole} {lost}"))
}

/// One section; whether it was whole. What is stale must have been known by the guard.
pub(crate) async fn pass(
    guard: &(impl Holder + ?Sized),
    section: &mut CriticalSection,
    mode: Mode,
    fence: Option<&str>,
) -> Result<bool, Failure> {
    let token = guard.token();
    if !guard.is_held() {
        return Ok(false);
    }
    if section.enter(token, mode)? == Verdict::Refused {
        return refused(guard, section);
    }
    if let Some(fence) = fence {
        match written(guard, fence).await {
            Ok(()) => {}
            Err(Error::Lost { .. }) => {
                section.lost(token)?;
                return Ok(false);
            }
            // Whether it happened is not known, and another question than whether the lock is still ours.
            Err(Error::Client { source, .. }) if source.outcome_unknown() => {}
            Err(error) if guard.is_held() => return Err(error.into()),
            Err(_) => {
                section.lost(token)?;
                return Ok(false);
            }
        }
    }
    tokio::time::sleep(INSIDE).await;
    left(guard, section, mode)
}

/// The end of a section; whether it was whole.
fn left(guard: &(impl Holder + ?Sized), section: &mut CriticalSection, mode: Mode) -> Result<bool, Failure> {
    let token = guard.token();
    if !guard.is_held() {
        section.lost(token)?;
        return Ok(false);
    }
    match section.exit(token, mode)? {
        Verdict::Written => Ok(true),
        Verdict::Refused => refused(guard, section),
    }
}

async fn written(guard: &(impl Holder + ?Sized), fence: &str) -> Result<(), Error> {
    let token = guard.token().to_string();
    let acl = Acl::open();
    let write = guard.transaction()?.create_with(
        format!("{fence}/by-"),
        token,
        CreateMode::PersistentSequential,
        acl,
    );
    write.commit().await.map(drop)
}

fn refused(guard: &(impl Holder + ?Sized), section: &mut CriticalSection) -> Result<bool, Failure> {
    let token = guard.token();
    if guard.is_held() || guard.transaction().is_ok() {
        return Err(format!("the guard of {token} says held, and a later holder was there").into());
    }
    section.lost(token)?;
    Ok(false)
}
