//! The network, behind one seam: how a connection to a server comes about. The handshake's words are the core's.
//!
//! | file | its job |
//! |---|---|
//! | `dialer` | the seam: [`Dialer`], [`Connection`] |
//! | `tcp` | the default: [`TcpDialer`] |

mod dialer;
mod tcp;

pub use dialer::{Connection, Dialer};
pub use tcp::TcpDialer;
