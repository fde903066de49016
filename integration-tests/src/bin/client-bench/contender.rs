//! What a client must be able to do to be compared.

use std::future::Future;

use crate::Failure;

/// A client under measurement. Each call takes its place in the client's order at once; the future is the answer.
pub(crate) trait Contender: Clone + Send + Sync + 'static {
    /// Reads a node.
    fn get(&self, path: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Replaces a node's data.
    fn set(&self, path: &str, data: &'static [u8]) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Creates a sequential node.
    fn create(
        &self,
        prefix: &'static str,
        data: &'static [u8],
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads a node and leaves a watch; the future within ends when it has fired.
    fn watch(
        &self,
        path: &str,
    ) -> impl Future<Output = Result<impl Future<Output = Result<(), Failure>> + Send, Failure>> + Send;

    /// Ends the session.
    fn close(self) -> impl Future<Output = ()> + Send;
}
