//! An operation of the application ends with the answer that came for its own request, unchanged, or with none.

use zk_client::core::Failure;

use super::{Verdict, violated};
use crate::sim::history::History;

const NAME: &str = "completion";

pub(super) fn check(history: &History) -> Verdict {
    for ((who, op), operation) in &history.operations {
        let Some(end) = &operation.end else { continue };
        let told = match &end.result {
            Ok(reply) => (reply.zxid, Ok(()), Some(&reply.body)),
            Err(Failure::Refused { code, zxid }) => (*zxid, Err(*code), None),
            Err(_) => continue,
        };
        let call = end.call.and_then(|call| history.calls.get(call));
        let fits = call.is_some_and(|call| {
            call.who == *who
                && call.request == operation.request
                && call.answer.as_ref().is_some_and(|answer| {
                    (answer.zxid, answer.outcome) == (told.0, told.1)
                        && told.2.is_none_or(|body| *body == answer.body)
                })
        });
        if !fits {
            return violated(NAME, format!("client {who} {op:?} ended as {told:?}, the answer was {call:?}"));
        }
    }
    Ok(())
}
