//! `whoAmI`: as whom the server knows the connection.

use zk_proto::ops::introspect::{ClientInfo, WhoAmIResponse};

use super::Draft;
use super::draft::read_operation;
use crate::core::Request;
use crate::pending::Pending;

/// Asks for every id of the client's connection (since ZooKeeper 3.7): its address (`ip`) and what
/// [`crate::Client::add_auth`] and TLS or SASL have added. Made by [`crate::Client::who_am_i`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct WhoAmI<'a> {
    draft: Draft<'a>,
}
read_operation!(WhoAmI => Vec<ClientInfo>);

impl<'a> WhoAmI<'a> {
    pub(crate) fn new(draft: Draft<'a>) -> Self {
        Self { draft }
    }

    fn start(self) -> Pending<Vec<ClientInfo>> {
        self.draft.send(Ok(Request::WhoAmI), |answered| {
            let (reply, _): (WhoAmIResponse, _) = answered.read()?;
            Ok(reply.client_info)
        })
    }
}
