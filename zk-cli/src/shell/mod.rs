//! Commands by the line: from a person at a terminal, or from a script.
//!
//! | room | its job |
//! |---|---|
//! | [`words`] | a line into words, with quotes, and back |
//! | [`place`] | the current node, and paths relative to it |
//! | [`mod@line`] | a line's words into something to do, and doing it |
//! | [`script`] | lines from standard input, to the first failure |
//! | [`interactive`] | lines from a person |
//! | [`prompt`] | server and state, and what happened to the session |
//! | [`completion`] | what Tab offers |
//! | [`history`] | where lines are remembered |

mod completion;
mod history;
mod line;
mod place;
mod prompt;
mod words;

pub(crate) mod interactive;
pub(crate) mod script;
