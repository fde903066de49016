//! `getConfig`: the ensemble's configuration, wherever the chroot is.

use zk_proto::Stat;
use zk_proto::ops::data::{GetDataRequest, GetDataResponse};

use super::draft::read_operation;
use super::{Draft, Watched};
use crate::core::Request;
use crate::ensemble::{CONFIG_PATH, EnsembleConfig};
use crate::error::Error;
use crate::pending::{Answered, Pending, Rest};
use crate::watch::Watch;

/// An ensemble's configuration and the stat of the node that holds it, of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigNode {
    /// The configuration; empty on standalone servers.
    pub config: EnsembleConfig,
    /// The stat of `/zookeeper/config`.
    pub stat: Stat,
}

/// Reads the ensemble's configuration (since ZooKeeper 3.5). Made by [`crate::Client::get_config`].
///
/// It is `/zookeeper/config` of the server that is read, whatever the chroot; everybody may read it unless its ACL
/// was changed. Older data may be read after a reconnect to a server that is behind: see [`crate::Client::sync`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct GetConfig<'a> {
    draft: Draft<'a>,
}
read_operation!(GetConfig => ConfigNode);

impl<'a> GetConfig<'a> {
    pub(crate) fn new(draft: Draft<'a>) -> Self {
        Self { draft: draft.absolute() }
    }

    /// Leaves a watch, which fires when the configuration changes.
    pub fn watch(self) -> Watched<Self> {
        Watched(self)
    }

    fn start(self) -> Pending<ConfigNode> {
        self.draft.send(Ok(request(false)), |answered| decode(answered).map(|(node, _)| node))
    }

    pub(super) fn start_watched(self) -> Pending<(ConfigNode, Watch)> {
        self.draft.send(Ok(request(true)), |answered| {
            let operation = answered.operation();
            let (node, rest) = decode(answered)?;
            Ok((node, rest.watch(operation)?))
        })
    }
}

fn request(watch: bool) -> Request {
    Request::GetData(GetDataRequest { path: CONFIG_PATH.to_owned(), watch })
}

/// Of `getConfig` and of `reconfig`, which answer alike.
pub(super) fn decode(answered: Answered<'_>) -> Result<(ConfigNode, Rest), Error> {
    let operation = answered.operation();
    let (reply, rest): (GetDataResponse, _) = answered.read()?;
    let data = reply.data.unwrap_or_default();
    let parsed = std::str::from_utf8(&data).map_err(|why| why.to_string());
    match parsed
        .and_then(|text| text.parse().map_err(|why: crate::ensemble::EnsembleParseError| why.to_string()))
    {
        Ok(config) => Ok((ConfigNode { config, stat: reply.stat }, rest)),
        Err(why) => Err(rest.bad_reply(operation, why)),
    }
}
