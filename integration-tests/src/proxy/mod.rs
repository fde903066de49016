//! A proxy for faults: it stands between clients and one server, understands the frames, and delays, swallows,
//! cuts, corrupts or holds the ones that a test has chosen.
//!
//! ```
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! use integration_tests::proxy::Proxy;
//! use zk_client::Client;
//! use zk_proto::OpCode;
//!
//! let server = zk_server::EmbeddedServer::start().await?;
//! let proxy = Proxy::before(server.connect_string()).await?;
//! let zk = Client::connect(&proxy.hosts()).await?;
//!
//! // The server creates the node; its answer never arrives.
//! let cut = proxy.on_reply(OpCode::Create2).path("/a").cut_before();
//! let error = zk.create("/a", "").await.unwrap_err();
//! assert!(error.outcome_unknown());
//! assert_eq!(cut.acted().await.path.as_deref(), Some("/a"));
//! assert!(zk.exists("/a").await?.is_some());
//! # zk.close().await; Ok(()) }
//! ```
//!
//! **Choosing.** [`Proxy::on_request`], [`Proxy::on_reply`], [`Proxy::on_event`], [`Proxy::on_greeting`],
//! [`Proxy::on_welcome`], [`Proxy::on_any`] begin a [`Pick`]; `.path()`, `.connection()`, `.matching()` narrow it;
//! `.nth(3)`, `.times(2)`, `.every()` say which of the frames that match. A reply is known by its request: its
//! operation and its path are the request's. Without a word about it the first frame that matches is meant, once.
//!
//! **Acting.** A pick becomes a [`Rule`] by what is to be done: `cut_before()`, `cut_after()`, `cut_at(bytes)`,
//! `swallow()`, `hold()`, `delay(time)`, `corrupt(how)`, `half_open()`, `notice()`. [`Rule::acted`] waits until
//! that has happened, so that no test sleeps. All rules count all frames; of several that are due at one frame the
//! oldest acts, the others at their next.
//!
//! **All at once.** [`Proxy::cut_all`], [`Proxy::refuse`], [`Proxy::half_open`], [`Proxy::limit`],
//! [`Proxy::heal`], [`Proxy::set_server`].
//!
//! **Looking.** [`Proxy::record`] is what came, in order; [`Proxy::seen`] waits for it.
//!
//! A cut is orderly unless [`Pick::by_reset`] says otherwise: what went through before it arrives, on both sides,
//! and then the stream ends. So after `on_request(op).cut_after()` the server has the request, and after
//! `on_reply(op).cut_after()` the client has the answer.
//!
//! Two proxies before one server are two servers for a client: `"{a},{b}/root"`. What is not made of frames (TLS,
//! four-letter words) passes as bytes, unseen.
//!
//! | file | what it owns |
//! |---|---|
//! | `front` | the listener, the switches for everything at once, the record |
//! | `connection` | one client's two streams, frame by frame |
//! | `message` | what a frame is: kind, operation, path |
//! | `flying` | which request a reply answers |
//! | `rule` | picks, rules, and which rule acts |
//! | `places` | proxies before the server of a scenario |

mod connection;
mod flying;
mod front;
mod message;
mod places;
mod rule;

pub use front::Proxy;
pub use message::{Direction, Fate, Kind, Message};
pub use places::eager;
pub use rule::{Pick, Rule};
