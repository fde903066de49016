//! The future of one operation: its place in line, then its decoded answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::chroot::Chroot;
use crate::core::{Failure, Reply, Request, into_path, opcode};
use crate::error::{Error, ErrorKind};
use crate::submit::{Answer, Ticket};
use crate::watch::{Registered, Watch, WatchStream};

/// An operation that has taken its place in the session's order.
///
/// Cancellation: dropped before it was sent, nothing is sent; dropped after, the operation still happens and its
/// answer is discarded. Either way nothing is left behind.
#[must_use = "an operation dropped before it was sent is not sent"]
pub struct Pending<T>(Stage<T>);

enum Stage<T> {
    InLine { ticket: Ticket, context: About, decode: Decoder<T> },
    Steps(Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>),
    Failed(Option<Error>),
}

/// Turns an answer into the operation's output. Runs in the caller's task, not in the driver's.
pub(crate) type Decoder<T> = fn(Answered<'_>) -> Result<T, Error>;

/// What errors and results need to know besides the answer.
pub(crate) struct About {
    pub(crate) operation: &'static str,
    pub(crate) chroot: Chroot,
    /// Whether it changes anything.
    pub(crate) write: bool,
}

/// An answer under decoding.
pub(crate) struct Answered<'a> {
    context: &'a About,
    request: Box<Request>,
    result: Result<Reply, Failure>,
    watch: Option<Registered>,
}

impl<T> Pending<T> {
    pub(crate) fn in_line(ticket: Ticket, context: About, decode: Decoder<T>) -> Self {
        Self(Stage::InLine { ticket, context, decode })
    }

    pub(crate) fn steps(steps: impl Future<Output = Result<T, Error>> + Send + 'static) -> Self {
        Self(Stage::Steps(Box::pin(steps)))
    }

    pub(crate) fn failed(error: Error) -> Self {
        Self(Stage::Failed(Some(error)))
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Stage::InLine { ticket, context, decode } => ticket.poll(cx).map(|answer| match answer {
                Ok(Answer { request, result, watch }) => decode(Answered { context, request, result, watch }),
                // The driver was dropped with its runtime: nobody knows what it had sent.
                Err(kind) => Err(Error::new(kind, context.operation).with_unknown_outcome(context.write)),
            }),
            Stage::Steps(steps) => steps.as_mut().poll(cx),
            // A future polled after its end may do anything but harm; this one never ends again.
            Stage::Failed(error) => error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error))),
        }
    }
}

/// Nothing inside is pinned in place: `Steps` is a box.
impl<T> Unpin for Pending<T> {}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = match &self.0 {
            Stage::InLine { context, .. } => context.operation,
            Stage::Steps(_) => "several steps",
            Stage::Failed(_) => "failed",
        };
        f.debug_tuple("Pending").field(&operation).finish()
    }
}

impl Answered<'_> {
    /// The reply, or the error it stands for.
    #[inline]
    pub(crate) fn reply(self) -> Result<(Reply, Rest), Error> {
        let rest = Rest { chroot: self.context.chroot.clone(), watch: self.watch, request: self.request };
        match self.result {
            Ok(reply) => Ok((reply, rest)),
            Err(failure) => Err(rest.fail(failure, self.context.operation)),
        }
    }

    /// The refusal's code, if it was refused.
    pub(crate) fn refused(&self) -> Option<zk_proto::ErrorCode> {
        match self.result {
            Err(Failure::Refused { code, .. }) => Some(code),
            _ => None,
        }
    }

    /// Reads a record from the reply and pairs it with what else came.
    #[inline]
    pub(crate) fn read<R: zk_proto::Decode>(self) -> Result<(R, Rest), Error> {
        let operation = self.context.operation;
        let (reply, rest) = self.reply()?;
        match R::from_bytes(reply.body) {
            Ok(record) => Ok((record, rest)),
            Err(why) => Err(rest.bad_reply(operation, why)),
        }
    }

    pub(crate) fn operation(&self) -> &'static str {
        self.context.operation
    }

    /// The watch alone, of an answer that is refused but watches all the same.
    pub(crate) fn into_rest(self) -> Rest {
        Rest { chroot: self.context.chroot.clone(), watch: self.watch, request: self.request }
    }
}

/// What came with a reply.
pub(crate) struct Rest {
    pub(crate) chroot: Chroot,
    pub(crate) request: Box<Request>,
    watch: Option<Registered>,
}

impl Rest {
    pub(crate) fn watch(self, operation: &'static str) -> Result<Watch, Error> {
        let (registered, path) = self.registered();
        match registered {
            Some(Registered::Once(armed)) => Ok(Watch::new(armed, path.0, path.1)),
            _ => Err(unregistered(operation, path.1)),
        }
    }

    pub(crate) fn stream(self, operation: &'static str) -> Result<WatchStream, Error> {
        let (registered, path) = self.registered();
        match registered {
            Some(Registered::Stream(feed)) => Ok(WatchStream::new(feed, path.0, path.1)),
            _ => Err(unregistered(operation, path.1)),
        }
    }

    /// The watch, and its path as the caller wrote it.
    fn registered(self) -> (Option<Registered>, (Chroot, String)) {
        let path = self.chroot.strip(into_path(*self.request).unwrap_or_default());
        (self.watch, (self.chroot, path))
    }

    pub(crate) fn bad_reply(self, operation: &'static str, why: impl fmt::Display) -> Error {
        let write = opcode(&self.request).is_write();
        self.located(Error::new(ErrorKind::BadReply, operation)).with_detail(why).with_unknown_outcome(write)
    }

    fn fail(self, failure: Failure, operation: &'static str) -> Error {
        let write = opcode(&self.request).is_write();
        let error = match failure {
            Failure::Refused { code, zxid } => Error::server(code, operation).with_zxid(zxid),
            Failure::ConnectionLoss => {
                Error::new(ErrorKind::ConnectionLoss, operation).with_unknown_outcome(write)
            }
            Failure::SessionExpired { sent } => {
                Error::new(ErrorKind::SessionExpired, operation).with_unknown_outcome(write && sent)
            }
            Failure::LastSessionExpired { sent } => Error::new(ErrorKind::SessionExpired, operation)
                .with_unknown_outcome(write && sent)
                .with_no_session_to_come(),
            Failure::Closed { sent } => {
                Error::new(ErrorKind::Closed, operation).with_unknown_outcome(write && sent)
            }
            Failure::AuthFailed { sent } => {
                Error::new(ErrorKind::AuthFailed, operation).with_unknown_outcome(write && sent)
            }
            Failure::FrameTooLarge { bytes, reply } => Error::new(ErrorKind::FrameTooLarge, operation)
                .with_detail(format_args!("{bytes} bytes, {}", if reply { "reply" } else { "request" }))
                .with_unknown_outcome(write && reply),
        };
        self.located(error)
    }

    fn located(self, error: Error) -> Error {
        match into_path(*self.request) {
            Some(path) => error.with_path(self.chroot.strip(path)),
            None => error,
        }
    }
}

/// The session ended between the answer and its delivery.
fn unregistered(operation: &'static str, path: String) -> Error {
    Error::new(ErrorKind::SessionExpired, operation).with_path(path)
}
