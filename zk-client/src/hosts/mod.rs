//! Which servers there are, and which is tried next.
//!
//! | file | what it owns |
//! |---|---|
//! | `connect_string` | servers and chroot, as an application writes them |
//! | `order` | the order of attempts, over numbers that stand for servers |
//! | `rebalance` | whether to move when the list changes, so that clients stay evenly spread |
//! | `directory` | which number stands for which server |
//! | `same_server` | one server under two names, told by its addresses |

mod connect_string;
mod directory;
mod order;
mod rebalance;
mod same_server;

pub use connect_string::{ConnectString, Host, PORT_DEFAULT};
pub use order::Order;
pub use rebalance::{Plan, plan};

pub(crate) use directory::Directory;
pub(crate) use same_server::keep_names;
