//! Arming every watch again on a new connection: requests below the frame limit, and what their answers mean.

use std::collections::VecDeque;
use zk_proto::header::ReplyHeader;
use zk_proto::watch::SetWatches2;
use zk_proto::{ErrorCode, Zxid};

use super::machine::Core;
use super::output::{DropReason, Output, WatchLost};
use super::request::OpId;
use super::watches::{Kind, Watches};

/// Bytes of a re-arming request besides its paths: header, zxid and the five counts.
const OVERHEAD_BYTES: usize = 8 + 8 + 5 * 4;

/// Re-arming on one connection.
#[derive(Debug, Default)]
pub(super) struct Rearm {
    /// Requests still to be sent.
    due: VecDeque<SetWatches2>,
    /// The streams armed by each request that was sent and is not answered.
    flying: VecDeque<Streams>,
}

/// Paths of persistent and of recursive watches.
type Streams = (Vec<String>, Vec<String>);

impl Rearm {
    /// Everything in `watches`, in requests of at most `limit` bytes unless a single path is longer.
    pub(super) fn of(watches: &Watches, since: Zxid, limit: usize) -> Self {
        let mut due = VecDeque::new();
        let mut batch = empty(since);
        let mut bytes = OVERHEAD_BYTES;
        for (kind, path) in watches.kinds() {
            let cost = 4 + path.len();
            if bytes + cost > limit && bytes > OVERHEAD_BYTES {
                due.push_back(std::mem::replace(&mut batch, empty(since)));
                bytes = OVERHEAD_BYTES;
            }
            bytes += cost;
            match kind {
                Kind::Data => &mut batch.data_watches,
                Kind::Exist => &mut batch.exist_watches,
                Kind::Child => &mut batch.child_watches,
                Kind::Persistent => &mut batch.persistent_watches,
                Kind::Recursive => &mut batch.persistent_recursive_watches,
            }
            .push(path.to_string());
        }
        if bytes > OVERHEAD_BYTES {
            due.push_back(batch);
        }
        Self { due, flying: VecDeque::new() }
    }

    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// The next request; it counts as sent.
    pub(super) fn next(&mut self) -> Option<SetWatches2> {
        let batch = self.due.pop_front()?;
        self.flying.push_back((batch.persistent_watches.clone(), batch.persistent_recursive_watches.clone()));
        Some(batch)
    }
}

impl Core {
    /// A batch of watches is armed again. The server replays nothing to a persistent watch, so its streams hear
    /// that they may have missed something: from here on they do not.
    ///
    /// A server that would not leaves us deaf: another may do better. One that does not know the operation (before
    /// 3.6) cannot keep streams at all, and they end.
    pub(super) fn rearmed(&mut self, now: std::time::Duration, header: ReplyHeader) {
        let Some((persistent, recursive)) = self.rearm.flying.pop_front() else { return };
        match header.outcome {
            Ok(()) => {
                let mut streams: Vec<OpId> = Vec::new();
                for (kind, paths) in [(Kind::Persistent, persistent), (Kind::Recursive, recursive)] {
                    streams.extend(paths.iter().flat_map(|path| self.watches.streams(kind, path)));
                }
                if !streams.is_empty() {
                    streams.sort_unstable();
                    self.push(Output::Resync { streams });
                }
            }
            Err(code) => {
                if code == ErrorCode::Unimplemented {
                    let watches = self.watches.lose_streams();
                    self.lose_watches(watches, WatchLost::Unsupported);
                }
                self.drop_connection(now, DropReason::RearmRefused);
            }
        }
    }

    /// Tells whoever waited for `watches` that they wait in vain.
    pub(super) fn lose_watches(&mut self, watches: Vec<OpId>, why: WatchLost) {
        if !watches.is_empty() {
            self.push(Output::WatchesLost { watches, why });
        }
    }
}

fn empty(since: Zxid) -> SetWatches2 {
    SetWatches2 {
        relative_zxid: since,
        data_watches: Vec::new(),
        exist_watches: Vec::new(),
        child_watches: Vec::new(),
        persistent_watches: Vec::new(),
        persistent_recursive_watches: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zk_proto::Encode as _;

    #[test]
    fn rearming_comes_in_batches_below_the_limit() {
        let mut watches = Watches::default();
        let kinds = [Kind::Data, Kind::Exist, Kind::Child, Kind::Persistent, Kind::Recursive];
        for n in 0..1000u64 {
            watches.register(kinds[(n % 5) as usize], &format!("/some/path-{n}"), OpId(n), false);
            // A second interest in the same path costs nothing.
            watches.register(kinds[(n % 5) as usize], &format!("/some/path-{n}"), OpId(1000 + n), false);
        }
        let mut rearm = Rearm::of(&watches, Zxid(9), 500);
        let mut paths = 0;
        while let Some(b) = rearm.next() {
            paths += b.data_watches.len() + b.exist_watches.len() + b.child_watches.len();
            paths += b.persistent_watches.len() + b.persistent_recursive_watches.len();
            assert!(8 + b.to_bytes().len() <= 500 && b.relative_zxid == Zxid(9));
        }
        assert_eq!(paths, 1000);
        assert!(!Rearm::of(&Watches::default(), Zxid(9), 500).is_due());
    }

    #[test]
    fn a_path_longer_than_the_limit_goes_alone() {
        let mut watches = Watches::default();
        for path in ["/a", "/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "/c"] {
            watches.register(Kind::Data, path, OpId(0), false);
        }
        let mut rearm = Rearm::of(&watches, Zxid(1), 50);
        let lens: Vec<usize> = std::iter::from_fn(|| rearm.next()).map(|b| b.data_watches.len()).collect();
        assert_eq!(lens, [1, 1, 1]);
    }
}
