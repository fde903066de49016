//! What a client shows of itself: spans and events of `tracing`, and with the feature `metrics` the metrics of the
//! facade of that name. These names are part of the API: dashboards and alerts hang on them.
//!
//! Nothing here shows a secret: no password, no credentials, no data of a node.
//!
//! # Spans
//!
//! | target | span | level | fields | from, to |
//! |---|---|---|---|---|
//! | `zk_client::request` | `request` | debug | `operation`, `path`, then `latency_us`, `zxid`, `error` | taking a place in line, the answer. A child of the span its caller was in |
//! | `zk_client::connect` | `connect` | debug | `server`, `attempt`, then `latency_us`, `error` | dialling, the session established or the attempt failed |
//!
//! `operation` is named as the method of [`Client`](crate::Client) that asks for it; one call may make several
//! requests, as a create of missing parents does. `path` is as the caller wrote it, without the chroot. A span
//! whose caller gave up before anything was sent ends with the error `cancelled`.
//!
//! # Events
//!
//! | target | message | level | fields |
//! |---|---|---|---|
//! | `zk_client::connect` | `connecting` | debug | `server`, `attempt` |
//! | `zk_client::connect` | `connect failed` | warn, limited | `server`, `reason`, `error`, `suppressed` |
//! | `zk_client::connect` | `connection lost` | warn, limited | `server`, `reason`, `error`, `suppressed` |
//! | `zk_client::connect` | `connection left` | debug | `server`, `reason` |
//! | `zk_client::connect` | `list of servers` | debug | `servers` |
//! | `zk_client::connect` | `the ensemble has changed` | info | `servers` |
//! | `zk_client::connect` | `the ensemble's configuration cannot be followed` | warn | `error` |
//! | `zk_client::session` | `session established` | info | `session`, `server`, `timeout_ms`, `read_only` |
//! | `zk_client::session` | `session suspended` | warn, limited | `session`, `suppressed` |
//! | `zk_client::session` | `session expired` | warn, limited | `session`, `suppressed` |
//! | `zk_client::session` | `authentication failed` | error | |
//! | `zk_client::session` | `session closed` | info | |
//! | `zk_client::watch` | `watch registered` | trace | `operation`, `path` |
//! | `zk_client::watch` | `watch fired` | debug | `event`, `path`, `zxid`, `watchers` |
//! | `zk_client::watch` | `streams resynced` | debug | `streams` |
//! | `zk_client::watch` | `watches lost` | debug | `reason`, `watches` |
//!
//! What is said besides of TLS certificates that change and of servers asked whether they are writable comes with
//! the target `zk_client::connect`, in words that may change.
//!
//! In the events of watches `path` is the path on the server. A *limited* warning is repeated at most
//! [`WARNINGS_BURST`](crate::limits::WARNINGS_BURST) times at once and then once in
//! [`WARNING_EVERY`](crate::limits::WARNING_EVERY); what is held back comes at level debug instead, and the next
//! warning says in `suppressed` how many there were.
//!
//! # Metrics
//!
//! A client finds the recorder when it is built: install one first.
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `zk_client_requests_total` | counter | `operation`, `outcome`: `ok`, `refused`, `connection_loss`, `session_expired`, `closed`, `auth_failed`, `frame_too_large`, `cancelled` |
//! | `zk_client_request_duration_seconds` | histogram | `operation`; of requests that a server answered |
//! | `zk_client_connect_failures_total` | counter | `reason` |
//! | `zk_client_connection_losses_total` | counter | `reason` |
//! | `zk_client_reconnects_total` | counter | |
//! | `zk_client_session_expirations_total` | counter | |
//! | `zk_client_watches` | gauge | |
//! | `zk_client_watch_events_total` | counter | `event` |
//! | `zk_client_queue_units` | gauge | |
//! | `zk_client_received_bytes_total` | counter | |
//! | `zk_client_sent_bytes_total` | counter | |
//!
//! `reason` is one of `refused`, `closed_by_server`, `reset`, `unreachable`, `timed_out`, `not_found`, `io`
//! (what the network said), `connect_timeout`, `silent`, `out_of_order`, `malformed`, `frame_too_large`,
//! `rearm_refused`, `session_refused`, `refused_by_server` (an error in place of a session), `sasl_failed`,
//! `sasl_timeout`, `sasl_protocol`, `sasl_refused`, `sasl_ignored`, `auth_demanded` (why the client gave the
//! connection up), `rebalanced`, `writable_found` (it left for another server: counted among the losses). Several
//! clients of one process add up in one gauge.
//!
//! | file | what it owns |
//! |---|---|
//! | `request` | the span and the count of one request |
//! | `journal` | what the driver tells of connections, sessions and watches |
//! | `reason` | why a connection ended, in one word |
//! | `rate` | which warning is one too many |
//! | `metrics`, `unmetered` | the meters, and their absence |

mod journal;
mod rate;
mod reason;
mod request;

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "unmetered.rs"]
mod metrics;

pub(crate) use journal::Journal;
pub(crate) use metrics::Meters;
pub(crate) use reason::Loss;
pub(crate) use request::RequestSeen;
