//! Numbers that everybody may change: [`AtomicValue`] with an encoding.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;
use zk_client::Client;
use zk_proto::Acl;

use super::number::{Number, Text};
use super::optimistic::Change;
use super::value::{AtomicValue, AtomicValueBuilder};
use crate::contender::Parents;
use crate::error::Error;

/// A 64-bit number in Curator's layout (`DistributedAtomicLong`): 8 bytes, big-endian. See [`Atomic`].
pub type AtomicI64 = Atomic<i64>;

/// A 32-bit number in Curator's layout (`DistributedAtomicInteger`, `SharedCount`), and Kazoo's with
/// `support_curator=True`: 4 bytes, big-endian. See [`Atomic`].
pub type AtomicI32 = Atomic<i32>;

/// A number in Kazoo's layout (`Counter`): decimal text. See [`Atomic`].
pub type KazooCounter = Atomic<Text<i64>>;

/// A number in Kazoo's layout (`Counter(default=0.0)`): decimal text. See [`Atomic`].
pub type KazooFloatCounter = Atomic<Text<f64>>;

/// A number that everybody may change.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use zk_client::Client;
/// use zk_recipes::AtomicI64;
///
/// let zk = Client::connect("zk1:2181,zk2:2181").await?;
/// let orders = AtomicI64::new(&zk, "/counters/orders");
/// let change = orders.add(3).await?;
/// println!("{} -> {} in {} tries", change.before, change.after, change.tries.optimistic);
/// # Ok(())
/// # }
/// ```
///
/// Layout, cost, guarantees, loss and cancellation are [`AtomicValue`]'s. A missing node and an empty one are zero,
/// as they are to Curator and Kazoo.
///
/// # Differences from Curator and Kazoo
/// A sum that does not fit is an error, and wraps only when [asked to](AtomicBuilder::wrapping), as Java's does.
/// A step is never counted twice: see [`AtomicValue`]. Errors are errors, instead of results one must ask whether
/// they succeeded.
pub struct Atomic<N> {
    value: AtomicValue,
    wrapping: bool,
    number: PhantomData<fn() -> N>,
}

/// Options of an [`Atomic`].
#[must_use = "a builder does nothing until .build()"]
pub struct AtomicBuilder<N> {
    value: AtomicValueBuilder,
    wrapping: bool,
    number: PhantomData<fn() -> N>,
}

impl<N: Number> AtomicBuilder<N> {
    /// See [`AtomicValueBuilder::acl`].
    pub fn acl(self, acl: Vec<Acl>) -> Self {
        self.with(|value| value.acl(acl))
    }

    /// See [`AtomicValueBuilder::parents`].
    pub fn parents(self, parents: Parents) -> Self {
        self.with(|value| value.parents(parents))
    }

    /// See [`AtomicValueBuilder::tries`].
    pub fn tries(self, tries: u32) -> Self {
        self.with(|value| value.tries(tries))
    }

    /// See [`AtomicValueBuilder::promote_to_lock`].
    pub fn promote_to_lock(self, path: impl Into<String>, limit: Duration) -> Self {
        self.with(|value| value.promote_to_lock(path, limit))
    }

    /// See [`AtomicValueBuilder::exact`].
    pub fn exact(self, exact: bool) -> Self {
        self.with(|value| value.exact(exact))
    }

    /// Whether sums go around the end of the range, as Java's do; an error unless said.
    pub fn wrapping(mut self, wrapping: bool) -> Self {
        self.wrapping = wrapping;
        self
    }

    /// The number. Nothing is sent.
    #[must_use]
    pub fn build(self) -> Atomic<N> {
        Atomic { value: self.value.build(), wrapping: self.wrapping, number: PhantomData }
    }

    fn with(self, change: impl FnOnce(AtomicValueBuilder) -> AtomicValueBuilder) -> Self {
        Self { value: change(self.value), ..self }
    }
}

impl<N: Number> Atomic<N> {
    /// A number at `path`, with default options.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self::builder(client, path).build()
    }

    /// Options first.
    pub fn builder(client: &Client, path: impl Into<String>) -> AtomicBuilder<N> {
        AtomicBuilder { value: AtomicValue::builder(client, path), wrapping: false, number: PhantomData }
    }

    /// The number's node.
    #[must_use]
    pub fn path(&self) -> &str {
        self.value.path()
    }

    /// The number.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Client`], [`Error::ClientEnded`].
    pub async fn get(&self) -> Result<N, Error> {
        let data = self.value.get().await?;
        self.decode(data.as_deref())
    }

    /// Adds one.
    ///
    /// # Errors
    /// As [`Atomic::update`], and [`Error::Overflow`].
    pub async fn increment(&self) -> Result<Change<N>, Error> {
        self.add(N::ONE).await
    }

    /// Takes one away.
    ///
    /// # Errors
    /// As [`Atomic::update`], and [`Error::Overflow`].
    pub async fn decrement(&self) -> Result<Change<N>, Error> {
        self.subtract(N::ONE).await
    }

    /// Adds.
    ///
    /// # Errors
    /// As [`Atomic::update`], and [`Error::Overflow`].
    pub async fn add(&self, delta: N) -> Result<Change<N>, Error> {
        let change = self.try_update(|now| match self.wrapping {
            true => Ok(Some(now.wrapping_add(delta))),
            false => now.checked_add(delta).map(Some).ok_or_else(|| self.overflow()),
        });
        self.always(change.await?)
    }

    /// Takes away.
    ///
    /// # Errors
    /// As [`Atomic::update`], and [`Error::Overflow`].
    pub async fn subtract(&self, delta: N) -> Result<Change<N>, Error> {
        self.add(delta.checked_neg().ok_or_else(|| self.overflow())?).await
    }

    /// Changes the number to what `next` makes of it, which may be asked several times; `None` of it leaves the
    /// number as it is.
    ///
    /// # Errors
    /// [`Error::Corrupted`] when the node holds no such number, and those of [`AtomicValue::update`].
    pub async fn update(&self, mut next: impl FnMut(N) -> Option<N>) -> Result<Option<Change<N>>, Error> {
        self.try_update(|now| Ok(next(now))).await
    }

    /// Replaces the number if it is `expected`.
    ///
    /// # Errors
    /// As [`Atomic::update`].
    pub async fn compare_and_set(&self, expected: N, next: N) -> Result<Option<Change<N>>, Error> {
        self.update(|now| (now == expected).then_some(next)).await
    }

    /// Replaces the number, whatever it is, by the same tries as any change.
    ///
    /// # Errors
    /// As [`Atomic::update`].
    pub async fn try_set(&self, next: N) -> Result<Change<N>, Error> {
        self.always(self.update(|_| Some(next)).await?)
    }

    /// Replaces the number without looking: the last one wins. It is written again when the answer was lost, maybe
    /// over a change that was made in between.
    ///
    /// # Errors
    /// [`Error::Client`], [`Error::ClientEnded`].
    pub async fn force_set(&self, next: N) -> Result<(), Error> {
        self.value.force_set(next.encode()).await
    }

    /// Makes the node with this number, unless it is there. Returns whether it was made.
    ///
    /// # Errors
    /// As [`AtomicValue::update`].
    pub async fn initialize(&self, first: N) -> Result<bool, Error> {
        self.value.initialize(first.encode()).await
    }

    async fn try_update(
        &self,
        mut next: impl FnMut(N) -> Result<Option<N>, Error>,
    ) -> Result<Option<Change<N>>, Error> {
        let mut values = None;
        let change = self.value.0.change(|now| {
            let before = self.decode(now)?;
            let after = next(before)?;
            values = after.map(|after| (before, after));
            Ok(after.map(N::encode))
        });
        let (written, tries) = change.await?;
        Ok(values.filter(|_| written).map(|(before, after)| Change { before, after, tries }))
    }

    fn decode(&self, data: Option<&[u8]>) -> Result<N, Error> {
        let Some(data) = data else { return Ok(N::ZERO) };
        N::decode(data).ok_or_else(|| Error::Corrupted {
            path: self.path().to_owned(),
            why: format!("{} bytes that are no number of this kind", data.len()),
        })
    }

    fn overflow(&self) -> Error {
        Error::Overflow { path: self.path().to_owned() }
    }

    /// A change that is always wanted.
    fn always(&self, change: Option<Change<N>>) -> Result<Change<N>, Error> {
        change.ok_or_else(|| Error::Conflict { path: self.path().to_owned(), tries: 0 })
    }
}

impl<N> Clone for Atomic<N> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), wrapping: self.wrapping, number: PhantomData }
    }
}

impl<N> fmt::Debug for Atomic<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Atomic").field("path", &self.value.path()).finish_non_exhaustive()
    }
}

impl<N> fmt::Debug for AtomicBuilder<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AtomicBuilder").field(&self.value).finish()
    }
}
