//! What operators ask a server, as text.
//!
//! | file | its job |
//! |---|---|
//! | [`words`] | the four-letter words: which there are, which are allowed |
//! | [`answers`] | the text of each answer |
//! | [`report`] | the values the answers are made of |
//! | [`date`] | a moment as Java prints it |

pub mod answers;
pub mod date;
pub mod report;
pub mod words;

pub use answers::answer;
pub use report::{ConnectionReport, Latency, Mode, ServerReport};
pub use words::{Whitelist, Word};
