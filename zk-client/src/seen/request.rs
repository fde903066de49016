//! The span and the count of one request, from its place in line to its answer.

use std::fmt;
use tokio::time::Instant;
use tracing::field::{Empty, display};
use tracing::{Span, debug_span};

use super::Meters;
use crate::chroot::Chroot;
use crate::core::{Failure, Reply, Request};

/// A request under way, as seen from outside. Takes no memory of its own while nobody listens.
pub(crate) struct RequestSeen {
    operation: Operation,
    /// Only while somebody wants its latency.
    begun: Option<Instant>,
    span: Option<Box<Span>>,
}

/// Declares the operations with the names that spans and metrics have for them.
macro_rules! operations {
    ($($variant:ident = $name:literal,)*) => {
        /// What a request asks for. Named as the client's methods.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Operation { $($variant),* }

        impl Operation {
            #[cfg(any(feature = "metrics", test))]
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

operations! {
    Create = "create",
    Delete = "delete",
    Exists = "exists",
    Get = "get",
    Set = "set",
    GetChildren = "get_children",
    GetAcl = "get_acl",
    SetAcl = "set_acl",
    Sync = "sync",
    Ping = "ping",
    Check = "check",
    Transaction = "transaction",
    MultiRead = "multi_read",
    Reconfig = "reconfig",
    CheckWatches = "check_watches",
    RemoveWatches = "remove_watches",
    Watch = "watch",
    SetWatches = "set_watches",
    AddAuth = "add_auth",
    Sasl = "sasl",
    GetEphemerals = "get_ephemerals",
    GetAllChildrenNumber = "get_all_children_number",
    WhoAmI = "who_am_i",
    CloseSession = "close_session",
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    Refused,
    ConnectionLoss,
    SessionExpired,
    Closed,
    AuthFailed,
    FrameTooLarge,
    Cancelled,
}

impl RequestSeen {
    /// To be called in the caller's own task: the span's parent is the one the caller is in.
    pub(crate) fn begin(request: &Request, chroot: &Chroot) -> Self {
        let (operation, path) = what(request);
        let span = debug_span!(
            target: "zk_client::request",
            "request",
            operation = operation.name(),
            path = path.map(|path| chroot.strip(path.to_owned())),
            latency_us = Empty,
            zxid = Empty,
            error = Empty,
        );
        let span = (!span.is_disabled()).then(|| Box::new(span));
        let begun = (Meters::WANT_LATENCY || span.is_some()).then(Instant::now);
        Self { operation, begun, span }
    }

    /// The answer is in.
    pub(crate) fn end(self, result: &Result<Reply, Failure>, meters: &Meters) {
        let (outcome, zxid) = match result {
            Ok(reply) => (Outcome::Ok, Some(reply.zxid)),
            Err(Failure::Refused { zxid, .. }) => (Outcome::Refused, Some(*zxid)),
            Err(Failure::ConnectionLoss) => (Outcome::ConnectionLoss, None),
            Err(Failure::SessionExpired { .. } | Failure::LastSessionExpired { .. }) => {
                (Outcome::SessionExpired, None)
            }
            Err(Failure::Closed { .. }) => (Outcome::Closed, None),
            Err(Failure::AuthFailed { .. }) => (Outcome::AuthFailed, None),
            Err(Failure::FrameTooLarge { .. }) => (Outcome::FrameTooLarge, None),
        };
        if let Some(span) = &self.span {
            if let Some(zxid) = zxid {
                span.record("zxid", display(zxid));
            }
            match result {
                Ok(_) => {}
                Err(Failure::Refused { code, .. }) => {
                    span.record("error", display(code));
                }
                Err(_) => {
                    span.record("error", outcome.word());
                }
            }
        }
        self.finish(outcome, meters);
    }

    /// It was taken back before anything was sent.
    pub(crate) fn cancelled(self, meters: &Meters) {
        if let Some(span) = &self.span {
            span.record("error", Outcome::Cancelled.word());
        }
        self.finish(Outcome::Cancelled, meters);
    }

    fn finish(self, outcome: Outcome, meters: &Meters) {
        let Some(begun) = self.begun else { return };
        let latency = begun.elapsed();
        if let Some(span) = &self.span {
            span.record("latency_us", u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        }
        meters.request(self.operation, outcome, latency);
    }
}

impl fmt::Debug for RequestSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation.name())
    }
}

impl Outcome {
    #[cfg(any(feature = "metrics", test))]
    pub(super) const ALL: [Self; 8] = [
        Self::Ok,
        Self::Refused,
        Self::ConnectionLoss,
        Self::SessionExpired,
        Self::Closed,
        Self::AuthFailed,
        Self::FrameTooLarge,
        Self::Cancelled,
    ];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::ConnectionLoss => "connection_loss",
            Self::SessionExpired => "session_expired",
            Self::Closed => "closed",
            Self::AuthFailed => "auth_failed",
            Self::FrameTooLarge => "frame_too_large",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The operation of a request, and the path on the server that it is about.
pub(super) fn what(request: &Request) -> (Operation, Option<&str>) {
    match request {
        Request::Create(r) | Request::Create2(r) | Request::CreateContainer(r) => {
            (Operation::Create, Some(&r.path))
        }
        Request::CreateTtl(r) => (Operation::Create, Some(&r.path)),
        Request::Delete(r) => (Operation::Delete, Some(&r.path)),
        Request::Exists(r) => (Operation::Exists, Some(&r.path)),
        Request::GetData(r) => (Operation::Get, Some(&r.path)),
        Request::SetData(r) => (Operation::Set, Some(&r.path)),
        Request::GetChildren(r) | Request::GetChildren2(r) => (Operation::GetChildren, Some(&r.path)),
        Request::GetAcl(r) => (Operation::GetAcl, Some(&r.path)),
        Request::SetAcl(r) => (Operation::SetAcl, Some(&r.path)),
        Request::Sync(r) => (Operation::Sync, Some(&r.path)),
        Request::Ping => (Operation::Ping, None),
        Request::Check(r) => (Operation::Check, Some(&r.path)),
        Request::Multi(_) => (Operation::Transaction, None),
        Request::MultiRead(_) => (Operation::MultiRead, None),
        Request::Reconfig(_) => (Operation::Reconfig, None),
        Request::CheckWatches(r) => (Operation::CheckWatches, Some(&r.path)),
        Request::RemoveWatches(r) => (Operation::RemoveWatches, Some(&r.path)),
        Request::AddWatch(r) => (Operation::Watch, Some(&r.path)),
        Request::SetWatches(_) => (Operation::SetWatches, None),
        Request::Auth(_) => (Operation::AddAuth, None),
        Request::Sasl(_) => (Operation::Sasl, None),
        Request::GetEphemerals(_) => (Operation::GetEphemerals, None),
        Request::GetAllChildrenNumber(r) => (Operation::GetAllChildrenNumber, Some(&r.path)),
        Request::WhoAmI => (Operation::WhoAmI, None),
        Request::CloseSession => (Operation::CloseSession, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_indexed_by_their_own_order() {
        for (at, operation) in Operation::ALL.iter().enumerate() {
            assert_eq!(*operation as usize, at);
            assert!(!operation.name().is_empty());
        }
        for (at, outcome) in Outcome::ALL.iter().enumerate() {
            assert_eq!(*outcome as usize, at);
        }
    }
}
