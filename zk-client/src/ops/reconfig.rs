//! `reconfig`: changes who is in the ensemble.

use zk_proto::ops::reconfig::ReconfigRequest;

use super::draft::operation;
use super::get_config::decode;
use super::{ConfigNode, Draft};
use crate::core::Request;
use crate::ensemble::{CONFIG_PATH, EnsembleConfig};
use crate::error::Error;
use crate::pending::Pending;

/// Changes the ensemble while it runs (since ZooKeeper 3.5). Made by [`crate::Client::reconfig`].
///
/// Either incremental, with [`Reconfig::join`] and [`Reconfig::leave`], or the whole membership at once, with
/// [`Reconfig::member`] or [`Reconfig::membership`]. Answers with the new configuration.
///
/// Servers allow it only with `reconfigEnabled=true` (`ReconfigDisabled` if not), not standalone
/// (`Unimplemented`), and to ids that may write `/zookeeper/config`: by its default ACL nobody but a superuser
/// (`NoAuth`). `NewConfigNoQuorum` says that too few of the new servers are connected and up to date,
/// `BadVersion` that the configuration is not [`Reconfig::version`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct Reconfig<'a> {
    draft: Draft<'a>,
    joining: Vec<String>,
    leaving: Vec<String>,
    members: Vec<String>,
    version: i64,
}
operation!(Reconfig => ConfigNode);

impl<'a> Reconfig<'a> {
    pub(crate) fn new(draft: Draft<'a>) -> Self {
        let (joining, leaving, members) = Default::default();
        Self { draft, joining, leaving, members, version: -1 }
    }

    /// Adds this server, or changes its addresses and role. `address` is what a configuration says of a server:
    /// `host:port:port[:role];[host:]port`, or an [`EnsembleServer`](crate::ensemble::EnsembleServer) as text.
    pub fn join(mut self, id: i64, address: impl std::fmt::Display) -> Self {
        self.joining.push(format!("server.{id}={address}"));
        self
    }

    /// Removes this server.
    pub fn leave(mut self, id: i64) -> Self {
        self.leaving.push(id.to_string());
        self
    }

    /// Says the whole new membership, server by server, written as for [`Reconfig::join`]. Whoever is not said is
    /// removed.
    pub fn member(mut self, id: i64, address: impl std::fmt::Display) -> Self {
        self.members.push(format!("server.{id}={address}"));
        self
    }

    /// Says the whole new membership by a configuration, with its groups and weights: one that was read and changed.
    /// Its version is not looked at; see [`Reconfig::version`].
    pub fn membership(mut self, config: &EnsembleConfig) -> Self {
        self.members.extend(config.servers.iter().map(|server| format!("server.{}={server}", server.id)));
        self.members.extend(config.quorum_lines.iter().cloned());
        self
    }

    /// Only if the configuration has this version ([`EnsembleConfig::version`]); -1, the
    /// default, is any.
    pub fn version(mut self, version: i64) -> Self {
        self.version = version;
        self
    }

    fn start(self) -> Pending<ConfigNode> {
        self.draft.send(self.request(), |answered| decode(answered).map(|(node, _)| node))
    }

    fn request(&self) -> Result<Request, Error> {
        let incremental = !self.joining.is_empty() || !self.leaving.is_empty();
        let why = match (incremental, self.members.is_empty()) {
            (true, false) => "joining and leaving do not go with a whole membership",
            (false, true) => "nobody joins or leaves, and there is no new membership",
            _ => {
                let list = |lines: &[String]| (!lines.is_empty()).then(|| lines.join(","));
                return Ok(Request::Reconfig(ReconfigRequest {
                    joining_servers: list(&self.joining),
                    leaving_servers: list(&self.leaving),
                    new_members: list(&self.members),
                    cur_config_id: self.version,
                }));
            }
        };
        Err(self.draft.invalid(CONFIG_PATH, why))
    }
}
