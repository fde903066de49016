//! `multiRead`: several reads in one request, each for itself.

use zk_proto::Decode as _;
use zk_proto::ops::data::{GetChildrenRequest, GetDataRequest};
use zk_proto::ops::multi::{MultiOp, MultiRequest, MultiResponse, MultiResult};

use super::data::detach;
use super::draft::read_operation;
use super::{Draft, Node};
use crate::core::Request;
use crate::error::Error;
use crate::pending::{Answered, Pending};

/// What one step of a [`MultiRead`] has read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadResult {
    /// Of [`MultiRead::get`].
    Node(Node),
    /// Of [`MultiRead::get_children`]: the children's names, in no order.
    Children(Vec<String>),
}

impl ReadResult {
    /// What `get` has read.
    #[must_use]
    pub fn into_node(self) -> Option<Node> {
        match self {
            Self::Node(node) => Some(node),
            Self::Children(_) => None,
        }
    }

    /// What `get_children` has read.
    #[must_use]
    pub fn into_children(self) -> Option<Vec<String>> {
        match self {
            Self::Node(_) => None,
            Self::Children(names) => Some(names),
        }
    }
}

/// Several reads in one request (since ZooKeeper 3.6), answered from one state of the server. Made by
/// [`crate::Client::multi_read`].
///
/// Each step ends for itself: the output has one result for each step, in order, and a step that was refused has
/// an error with the step's path, its number (from 0) in [`Error::detail`], and the server's code. The whole fails
/// when there is no answer, or when it is larger than the frame limit.
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct MultiRead<'a> {
    draft: Draft<'a>,
    steps: Vec<MultiOp>,
    /// The first step that cannot be sent.
    broken: Option<Error>,
}
read_operation!(MultiRead => Vec<Result<ReadResult, Error>>);

impl<'a> MultiRead<'a> {
    pub(crate) fn new(draft: Draft<'a>) -> Self {
        Self { draft, steps: Vec::new(), broken: None }
    }

    /// Reads a node's data and stat.
    pub fn get(self, path: impl Into<String>) -> Self {
        self.step(path.into(), |path| MultiOp::GetData(GetDataRequest { path, watch: false }))
    }

    /// Lists a node's children.
    pub fn get_children(self, path: impl Into<String>) -> Self {
        self.step(path.into(), |path| MultiOp::GetChildren(GetChildrenRequest { path, watch: false }))
    }

    fn step(mut self, path: String, make: impl FnOnce(String) -> MultiOp) -> Self {
        match self.draft.path(path) {
            Ok(path) => self.steps.push(make(path)),
            Err(error) => self.broken = self.broken.or(Some(error)),
        }
        self
    }

    fn start(self) -> Pending<Vec<Result<ReadResult, Error>>> {
        let Self { draft, steps, broken } = self;
        let request = match broken {
            Some(error) => Err(error),
            None => Ok(Request::MultiRead(MultiRequest { ops: steps })),
        };
        draft.send(request, decode)
    }
}

fn decode(answered: Answered<'_>) -> Result<Vec<Result<ReadResult, Error>>, Error> {
    let operation = answered.operation();
    let (reply, rest) = answered.reply()?;
    let results = match MultiResponse::from_bytes(reply.body) {
        Ok(response) => response.results,
        Err(why) => return Err(rest.bad_reply(operation, why)),
    };
    let asked: &[MultiOp] = match &*rest.request {
        Request::MultiRead(request) => &request.ops,
        _ => &[],
    };
    let fits = |(result, step): (&MultiResult, &MultiOp)| {
        matches!(
            (result, step),
            (MultiResult::GetData(_), MultiOp::GetData(_))
                | (MultiResult::GetChildren(_), MultiOp::GetChildren(_))
                | (MultiResult::Error(Err(_)), _)
        )
    };
    if results.len() != asked.len() || !results.iter().zip(asked).all(fits) {
        return Err(rest.bad_reply(operation, "the results are not those of the steps"));
    }
    let mut read = Vec::with_capacity(results.len());
    for (index, (result, step)) in results.into_iter().zip(asked).enumerate() {
        read.push(match result {
            MultiResult::GetData(r) => Ok(ReadResult::Node(Node { data: detach(r.data), stat: r.stat })),
            MultiResult::GetChildren(r) => Ok(ReadResult::Children(r.children)),
            MultiResult::Error(Err(code)) => Err(Error::server(code, operation)
                .with_path(rest.chroot.strip(step.path().to_owned()))
                .with_zxid(reply.zxid)
                .with_detail(format_args!("step {index}"))),
            _ => continue,
        });
    }
    Ok(read)
}
