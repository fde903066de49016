//! What every builder holds, and the one way from a builder to a place in line.

use zk_proto::path::{self, PathError};
use zk_proto::{Acl, SessionId};

use crate::chroot::Chroot;
use crate::client::Client;
use crate::core::{Request, Terms, opcode};
use crate::error::{Error, ErrorKind};
use crate::pending::{About, Decoder, Pending};

/// An operation being described.
#[derive(Debug, Clone)]
pub(crate) struct Draft<'a> {
    pub(crate) client: &'a Client,
    pub(crate) operation: &'static str,
    pub(crate) session: Option<SessionId>,
    /// Whether a lost read is sent again, where that is not for the client's policy to say.
    pub(crate) resend: Option<bool>,
    /// Whether paths are the server's own, without the chroot.
    pub(crate) absolute: bool,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(client: &'a Client, operation: &'static str) -> Self {
        Self { client, operation, session: None, resend: None, absolute: false }
    }

    /// With paths of the server, which no chroot is put before or taken off.
    pub(crate) fn absolute(mut self) -> Self {
        self.absolute = true;
        self
    }

    pub(crate) fn owned(&self) -> OwnedDraft {
        let Self { client, operation, session, absolute, .. } = self;
        OwnedDraft { client: (*client).clone(), operation, session: *session, absolute: *absolute }
    }

    fn chroot(&self) -> Chroot {
        if self.absolute { Chroot::default() } else { self.client.chroot().clone() }
    }

    /// The path on the server, checked by ZooKeeper's rules.
    pub(crate) fn path(&self, path: String) -> Result<String, Error> {
        self.check(&path, path::validate(&path))?;
        Ok(self.chroot().prefix(path))
    }

    /// The path on the server with the chroot in front, even if the draft is an absolute one.
    pub(crate) fn chrooted(&self, path: String) -> Result<String, Error> {
        self.check(&path, path::validate(&path))?;
        Ok(self.client.chroot().prefix(path))
    }

    /// As [`Draft::path`], of a prefix to which the server appends a number. It may end with a slash.
    pub(crate) fn sequential_path(&self, path: String) -> Result<String, Error> {
        self.check(&path, path::validate(&path::sequential(&path, 0)))?;
        Ok(self.chroot().prefix_of_name(path))
    }

    fn check(&self, path: &str, outcome: Result<(), PathError>) -> Result<(), Error> {
        outcome.map_err(|why| Error::invalid_path(self.operation, path, &why))
    }

    /// Java's client refuses an empty ACL too: the server would.
    pub(crate) fn acl(&self, path: &str, acl: &[Acl]) -> Result<(), Error> {
        if acl.is_empty() {
            let error = Error::new(ErrorKind::InvalidAcl, self.operation).with_path(path);
            return Err(error.with_detail("the ACL is empty"));
        }
        Ok(())
    }

    pub(crate) fn invalid(&self, path: &str, why: &str) -> Error {
        Error::new(ErrorKind::InvalidArgument, self.operation).with_path(path).with_detail(why)
    }

    /// Takes the place in line, or fails without one.
    pub(crate) fn send<T>(&self, request: Result<Request, Error>, decode: Decoder<T>) -> Pending<T> {
        match request {
            Ok(request) => {
                let about = About {
                    operation: self.operation,
                    chroot: self.chroot(),
                    write: opcode(&request).is_write(),
                };
                let terms = Terms::in_session(self.session).resend(self.resend);
                let ticket = self.client.submit(request, terms, &about.chroot);
                Pending::in_line(ticket, about, decode)
            }
            Err(error) => Pending::failed(error),
        }
    }
}

/// A draft without a lifetime, for futures of several steps. It keeps the client, and with it the session, open.
#[derive(Debug, Clone)]
pub(crate) struct OwnedDraft {
    client: Client,
    operation: &'static str,
    session: Option<SessionId>,
    absolute: bool,
}

impl OwnedDraft {
    /// A new draft of the same operation. What it reads is sent again after losses, whatever the policy: it is a
    /// step of something larger.
    pub(crate) fn draft(&self) -> Draft<'_> {
        let Self { client, operation, session, absolute } = self;
        Draft { client, operation, session: *session, resend: Some(true), absolute: *absolute }
    }

    /// Sends everything in this session or not at all.
    pub(crate) fn pin(&mut self, session: SessionId) {
        self.session = Some(session);
    }

    /// The client's session, as far as it is known.
    pub(crate) fn session(&self) -> Option<SessionId> {
        self.client.session_id()
    }

    /// The caller's path of a path on the server.
    pub(crate) fn strip(&self, path: String) -> String {
        self.client.chroot().strip(path)
    }

    pub(crate) fn frame_limit(&self) -> usize {
        self.client.frame_limit()
    }
}

/// `in_session`, `send` and `IntoFuture` of one builder, from its `fn start(&self) -> Pending<Output>`.
macro_rules! operation {
    ($name:ident => $output:ty) => {
        impl<'a> $name<'a> {
            /// Sends it in this session or not at all: when the client's session is another one, it fails with
            /// [`crate::ErrorKind::SessionExpired`].
            pub fn in_session(mut self, session: ::zk_proto::SessionId) -> Self {
                self.draft.session = Some(session);
                self
            }

            /// Takes its place in the session's order now; the answer is awaited later.
            pub fn send(self) -> $crate::pending::Pending<$output> {
                self.start()
            }
        }

        impl<'a> ::std::future::IntoFuture for $name<'a> {
            type Output = Result<$output, $crate::error::Error>;
            type IntoFuture = $crate::pending::Pending<$output>;

            fn into_future(self) -> Self::IntoFuture {
                self.start()
            }
        }
    };
}
pub(super) use operation;

/// As `operation!`, of a read: with `resend` too.
macro_rules! read_operation {
    ($name:ident => $output:ty) => {
        $crate::ops::draft::operation!($name => $output);

        impl<'a> $name<'a> {
            /// Whether this read is sent again when its answer was lost with the connection, whatever
            /// [`crate::RetryPolicy::resend_reads`] says; if not, it fails with
            /// [`crate::ErrorKind::ConnectionLoss`].
            pub fn resend(mut self, resend: bool) -> Self {
                self.draft.resend = Some(resend);
                self
            }
        }
    };
}
pub(super) use read_operation;
