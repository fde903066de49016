//! One participant: which verb is whose. The recipes are in the other files.

use std::time::Duration;

use integration_tests::targets::Failure;
use zk_client::Client;

use crate::leaders::Leaders;
use crate::locks::Locks;
use crate::queues::Queues;
use crate::shared::{Shared, number};

/// A session, and what is held in it.
pub(crate) struct Actor {
    pub(crate) name: String,
    client: Option<Client>,
    locks: Locks,
    leaders: Leaders,
    shared: Shared,
    queues: Queues,
}

impl Actor {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            client: None,
            locks: Locks::default(),
            leaders: Leaders::default(),
            shared: Shared::default(),
            queues: Queues::default(),
        }
    }

    /// Does what a line asks, and returns the words of the answer.
    pub(crate) async fn perform(&mut self, verb: &str, arguments: &[String]) -> Result<String, Failure> {
        let arguments = Arguments(arguments);
        match verb {
            "open" => self.open(arguments).await,
            "close" => {
                self.queues.stop();
                if let Some(client) = self.client.take() {
                    client.close().await;
                }
                Ok(String::new())
            }
            _ => {
                let client = self.client.as_ref().ok_or("no session is open")?;
                match verb {
                    "acquire" | "release" | "contend" | "hold" | "leave" | "check" | "revoke"
                    | "await-revoked" => self.locks.perform(&self.name, client, verb, arguments).await,
                    "lead" | "latch-start" | "latch-await" | "latch-leader" | "latch-participants" => {
                        self.leaders.perform(&self.name, client, verb, arguments).await
                    }
                    "barrier-set" | "barrier-remove" | "barrier-wait" | "rounds" | "count-start"
                    | "count-set" | "count-add" | "count-await" | "lease" | "multi-lease" => {
                        self.shared.perform(&self.name, client, verb, arguments).await
                    }
                    "put" | "take" | "consume" => {
                        self.queues.perform(&self.name, client, verb, arguments).await
                    }
                    "stop" if self.queues.runs(arguments.text(0)?) => {
                        self.queues.perform(&self.name, client, "consume-stop", arguments).await
                    }
                    "add" | "force-set" => number(client, verb, arguments).await,
                    "stop" if self.shared.runs(arguments.text(0)?) => {
                        self.shared.perform(&self.name, client, "count-stop", arguments).await
                    }
                    "stop" if self.leaders.runs(arguments.text(0)?) => {
                        self.leaders.perform(&self.name, client, "latch-stop", arguments).await
                    }
                    _ => Err(format!("no such verb: {verb}").into()),
                }
            }
        }
    }

    async fn open(&mut self, arguments: Arguments<'_>) -> Result<String, Failure> {
        let timeout = Duration::from_millis(arguments.number(1)?);
        let client = Client::builder().session_timeout(timeout).connect(arguments.text(0)?).await?;
        let session = client.session_id().ok_or("no session after connect")?;
        self.client = Some(client);
        Ok(session.0.to_string())
    }
}

/// What follows a verb.
#[derive(Clone, Copy)]
pub(crate) struct Arguments<'a>(&'a [String]);

impl<'a> Arguments<'a> {
    pub(crate) fn text(self, index: usize) -> Result<&'a str, Failure> {
        Ok(self.0.get(index).ok_or_else(|| format!("argument {index} is missing"))?)
    }

    pub(crate) fn number<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
        self,
        index: usize,
    ) -> Result<T, Failure> {
        Ok(self.text(index)?.parse()?)
    }
}
