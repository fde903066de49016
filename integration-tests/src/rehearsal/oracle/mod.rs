//! Rules that several recipes share.
//!
//! | file | its job |
//! |---|---|
//! | [`claims`] | what holders of something note, the section that notes it, and what may be said of all claims |
//! | [`capacity`] | how much may be held at the same time |
//! | [`exclusive`] | who may hold at the same time, and that tokens rise |

pub mod capacity;
pub mod claims;
pub mod exclusive;
