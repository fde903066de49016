//! What every builder holds, and the one way from a builder to a place in line.

use zk_proto::path::{self, PathError};
use zk_proto::{Acl, SessionId};

use crate::client::Client;
use crate::core::Request;
use crate::error::{Error, ErrorKind};
use crate::pending::{About, Decoder, Pending};

/// An operation being described.
#[derive(Debug, Clone)]
pub(crate) struct Draft<'a> {
    pub(crate) client: &'a Client,
    pub(crate) operation: &'static str,
    pub(crate) session: Option<SessionId>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(client: &'a Client, operation: &'static str) -> Self {
        Self { client, operation, session: None }
    }

    /// The path on the server, checked by ZooKeeper's rules.
    pub(crate) fn path(&self, path: String) -> Result<String, Error> {
        self.check(&path, path::validate(&path))?;
        Ok(self.client.chroot().prefix(path))
    }

    /// As [`Draft::path`], of a prefix to which the server appends a number. It may end with a slash.
    pub(crate) fn sequential_path(&self, path: String) -> Result<String, Error> {
        self.check(&path, path::validate(&path::sequential(&path, 0)))?;
        Ok(self.client.chroot().prefix_of_name(path))
    }

    fn check(&self, path: &str, outcome: Result<(), PathError>) -> Result<(), Error> {
        outcome.map_err(|why| Error::invalid_path(self.operation, path, &why))
    }

    /// Java's client refuses an empty ACL too: the server would.
    pub(crate) fn acl(&self, path: &str, acl: &[Acl]) -> Result<(), Error> {
        if acl.is_empty() { Err(self.invalid(path, "the ACL is empty")) } else { Ok(()) }
    }

    pub(crate) fn invalid(&self, path: &str, why: &str) -> Error {
        Error::new(ErrorKind::InvalidArgument, self.operation).with_path(path).with_detail(why)
    }

    /// Takes the place in line, or fails without one.
    pub(crate) fn send<T>(&self, request: Result<Request, Error>, decode: Decoder<T>) -> Pending<T> {
        match request {
            Ok(request) => {
                let about = About { operation: self.operation, chroot: self.client.chroot().clone() };
                Pending::in_line(self.client.submit(request, self.session), about, decode)
            }
            Err(error) => Pending::failed(error),
        }
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
