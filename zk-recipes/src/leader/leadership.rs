//! Leadership: what a leader has in hand, and the term it is held for.

use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;

use crate::contender::{GivenUp, Holding};
use crate::held::Held;
use crate::loss::LossReason;

/// Leadership, as far as it lasts. What one may ask of it is in [`Held`]: the fencing token, fenced transactions,
/// the state, and the future of its loss.
///
/// It is given up by whoever gave it out: the latch, the selector, the election. Clones are the same leadership, and
/// dropping them ends nothing. What is over stays over, even if the same candidate comes to lead again: that is
/// another `Leadership`.
#[derive(Clone)]
pub struct Leadership {
    held: Arc<Held>,
    interrupted: watch::Receiver<bool>,
}

impl Leadership {
    /// Resolves when the work under it should stop: at once when it is lost or given up, and when somebody
    /// [interrupts](super::RunningSelector::interrupt_leadership) it, while it is still held. The future stands on
    /// its own.
    ///
    /// # Cancellation
    /// May be dropped at any time, and asked for again.
    pub fn interrupted(&self) -> impl Future<Output = ()> + Send + 'static {
        let (lost, mut interrupted) = (self.lost(), self.interrupted.clone());
        async move {
            let asked = async {
                if interrupted.wait_for(|interrupted| *interrupted).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                _ = lost => {}
                () = asked => {}
            }
        }
    }
}

impl Deref for Leadership {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.held
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leadership")
            .field("node", &self.node())
            .field("token", &self.fencing_token())
            .finish_non_exhaustive()
    }
}

/// The one owner of a leadership: it is given up with this, however many clones are about.
#[derive(Debug)]
pub(super) struct Term {
    leadership: Leadership,
    interrupt: watch::Sender<bool>,
}

/// How the work of a term ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WorkEnd<T> {
    /// By itself.
    Done(T),
    /// Leadership was lost.
    Lost(LossReason),
    /// It was asked to stop.
    Interrupted,
}

impl Term {
    pub(super) fn new(holding: Holding) -> Self {
        let (interrupt, interrupted) = watch::channel(false);
        let held = Arc::new(Held::new(holding));
        Self { leadership: Leadership { held, interrupted }, interrupt }
    }

    pub(super) const fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    pub(super) fn holding(&self) -> &Holding {
        self.leadership.held.holding()
    }

    /// Gives it up; the deletion of its node is sent now, after everybody who looks sees that it is over.
    pub(super) fn give_up(self) -> GivenUp {
        self.holding().give_up()
    }

    /// Does the work: looks at the clock before each step of it, and drops it when leadership is lost or `stop`
    /// resolves. With a `grace` the work hears of it by [`Leadership::interrupted`] and has so much time left;
    /// what it says then is not listened to.
    pub(super) async fn work<T>(
        &self,
        grace: Duration,
        stop: impl Future<Output = ()>,
        work: impl Future<Output = T>,
    ) -> WorkEnd<T> {
        let mut lost = pin!(self.leadership.lost());
        let mut stop = pin!(stop);
        let mut work = pin!(work);
        let end = poll_fn(|cx| {
            // By the clock, and published to `lost`.
            let _ = self.leadership.is_held();
            if let Poll::Ready(reason) = lost.as_mut().poll(cx) {
                return Poll::Ready(WorkEnd::Lost(reason));
            }
            if stop.as_mut().poll(cx).is_ready() {
                return Poll::Ready(WorkEnd::Interrupted);
            }
            work.as_mut().poll(cx).map(WorkEnd::Done)
        })
        .await;
        if !matches!(end, WorkEnd::Done(_)) && !grace.is_zero() {
            self.interrupt.send_replace(true);
            // Whether it used the time well shows in what it did.
            let _ = tokio::time::timeout(grace, work).await;
        }
        end
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        self.holding().end();
    }
}
