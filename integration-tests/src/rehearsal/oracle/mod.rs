//! Rules that several recipes share.
//!
//! | file | its job |
//! |---|---|
//! | [`claims`] | what holders of something note, the section that notes it, and what may be said of all claims |
//! | [`exclusive`] | who may hold at the same time, and that tokens rise |

pub mod claims;
pub mod exclusive;
