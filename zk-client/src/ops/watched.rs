//! `.watch()`: a read that leaves a one-shot watch, and returns it beside its output.

use std::future::IntoFuture;
use zk_proto::SessionId;

use super::{Children, ConfigNode, Exists, Get, GetChildNames, GetChildren, GetConfig, Node};
use crate::error::Error;
use crate::pending::Pending;
use crate::watch::Watch;
use zk_proto::Stat;

/// A read with a watch. Made by `.watch()` of [`Get`], [`Exists`], [`GetChildren`], [`GetChildNames`] and
/// [`GetConfig`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct Watched<R>(pub(super) R);

macro_rules! watched {
    ($($name:ident => $output:ty),*) => {$(
        impl<'a> Watched<$name<'a>> {
            /// Sends it in this session or not at all: when the client's session is another one, it fails with
            /// [`crate::ErrorKind::SessionExpired`].
            pub fn in_session(self, session: SessionId) -> Self {
                Self(self.0.in_session(session))
            }

            /// Whether the read is sent again when its answer was lost with the connection, whatever
            /// [`crate::RetryPolicy::resend_reads`] says.
            pub fn resend(self, resend: bool) -> Self {
                Self(self.0.resend(resend))
            }

            /// Takes its place in the session's order now; the answer is awaited later.
            pub fn send(self) -> Pending<($output, Watch)> {
                self.0.start_watched()
            }
        }

        impl<'a> IntoFuture for Watched<$name<'a>> {
            type Output = Result<($output, Watch), Error>;
            type IntoFuture = Pending<($output, Watch)>;

            fn into_future(self) -> Self::IntoFuture {
                self.0.start_watched()
            }
        }
    )*};
}
watched!(
    Get => Node,
    Exists => Option<Stat>,
    GetChildren => Children,
    GetChildNames => Vec<String>,
    GetConfig => ConfigNode
);
