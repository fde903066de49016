//! A walk over a node and everything below it, in order of names: a parent is entered before its children and
//! left after them. Nodes that vanish meanwhile are passed over. Changes nothing.

use std::collections::VecDeque;
use zk_client::{Children, Pending, Stat};

use crate::connection::Connection;
use crate::failure::{Doing, Failure};
use crate::limits::IN_FLIGHT;

/// One step of a walk.
#[derive(Debug)]
pub(crate) enum Step {
    /// A node is reached.
    Enter { path: String, stat: Stat },
    /// Everything below a node was seen.
    Leave { path: String },
}

/// A walk under way. Lists the next few siblings ahead, so that a wide tree does not cost a round trip a node.
pub(crate) struct Walk<'a> {
    connection: &'a Connection,
    command: &'static str,
    root: Option<String>,
    levels: Vec<Level>,
}

struct Level {
    path: String,
    names: std::vec::IntoIter<String>,
    ahead: VecDeque<(String, Pending<Children>)>,
}

impl<'a> Walk<'a> {
    /// A walk from `root`, for `command`.
    pub(crate) fn new(connection: &'a Connection, command: &'static str, root: &str) -> Self {
        Self { connection, command, root: Some(root.to_owned()), levels: Vec::new() }
    }

    /// The next step; `None` after the root was left. A root that does not exist is a failure.
    pub(crate) async fn next(&mut self) -> Result<Option<Step>, Failure> {
        if let Some(path) = self.root.take() {
            let children = self.list(&path, self.connection.client().get_children(&path).send()).await?;
            return Ok(Some(self.enter(path, children)));
        }
        loop {
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            level.look_ahead(self.connection);
            let Some((path, listing)) = level.ahead.pop_front() else {
                return Ok(self.levels.pop().map(|level| Step::Leave { path: level.path }));
            };
            match self.list(&path, listing).await {
                Ok(children) => return Ok(Some(self.enter(path, children))),
                Err(failure) if failure.is_no_node() => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn list(&self, path: &str, listing: Pending<Children>) -> Result<Children, Failure> {
        self.connection.answer(Doing { command: self.command, path }, listing).await
    }

    fn enter(&mut self, path: String, children: Children) -> Step {
        let Children { mut names, stat, .. } = children;
        names.sort_unstable();
        self.levels.push(Level { path: path.clone(), names: names.into_iter(), ahead: VecDeque::new() });
        Step::Enter { path, stat }
    }
}

impl Level {
    fn look_ahead(&mut self, connection: &Connection) {
        while self.ahead.len() < IN_FLIGHT {
            let Some(name) = self.names.next() else { return };
            let path = join(&self.path, &name);
            let listing = connection.client().get_children(&path).send();
            self.ahead.push_back((path, listing));
        }
    }
}

/// `parent` and `name` as one path.
pub(crate) fn join(parent: &str, name: &str) -> String {
    if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") }
}
