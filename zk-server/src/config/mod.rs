//! Configuration files: ZooKeeper's `zoo.cfg`, checked before anything is opened.
//!
//! | file | its job |
//! |---|---|
//! | [`properties`] | the syntax of Java's properties files |
//! | [`server_config`] | what a server needs to know, typed, with its defaults |
//! | [`keys`] | each key of `zoo.cfg`: what it accepts and where it goes |
//! | [`values`] | numbers, durations and switches as ZooKeeper writes them |
//! | [`error`] | what is wrong, where, and what would be right |

pub mod error;
pub mod keys;
pub mod properties;
pub mod server_config;
pub mod values;

pub use error::{ConfigError, ConfigWarning};
pub use server_config::{Purge, Secret, ServerConfig};
