//! `auth`: adds credentials to the session's connections.

use bytes::Bytes;
use std::fmt;
use zk_proto::ops::auth::AuthPacket;

use super::Draft;
use super::draft::operation;
use crate::core::Request;
use crate::pending::Pending;

/// Adds credentials, for now and after every reconnect. Made by [`crate::Client::add_auth`].
///
/// Credentials that the server refuses end the client, as they end Java's: state
/// [`crate::SessionState::AuthFailed`].
#[derive(Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct AddAuth<'a> {
    draft: Draft<'a>,
    scheme: String,
    credentials: Bytes,
}
operation!(AddAuth => ());

impl<'a> AddAuth<'a> {
    pub(crate) fn new(draft: Draft<'a>, scheme: String, credentials: Bytes) -> Self {
        Self { draft, scheme, credentials }
    }

    fn start(self) -> Pending<()> {
        let Self { draft, scheme, credentials } = self;
        let request = Request::Auth(AuthPacket { auth_type: 0, scheme, auth: credentials.into() });
        draft.send(Ok(request), |answered| answered.reply().map(|_| ()))
    }
}

/// Without the credentials.
impl fmt::Debug for AddAuth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddAuth").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}
