//! The decision steps of an acquisition, taken when the answers of a flight are in: try for free permits, stand in
//! line, make leases at its head, count, wait for room. Admitted by a listing, never by a wake.

use std::time::Duration;
use zk_proto::path;

use super::core::{Ask, Core, Leases, Stage, Trouble, View};
use super::layout::Room;
use super::messages::{Output, Parent};
use crate::contender::{Failure, Grant, Leftover, Parents, Patience, Standing};
use crate::limits::{DEADLINE_MARGIN_PERCENT, RETRY_PAUSE};
use crate::sequence::{self, CURATOR_LEASE, Contender, Sequence};

impl Core {
    /// The last answer of a flight is in.
    pub(super) fn landed(&mut self, now: Duration, trouble: Trouble, finding: bool, out: &mut Vec<Output>) {
        match trouble {
            Trouble::Refused => self.fail(Failure::Refused, out),
            Trouble::Gone => self.fail(Failure::NodeDeleted, out),
            Trouble::NoContainers => {
                self.no_containers = true;
                self.make_parents(out);
            }
            // Never made, or removed by the server as empty containers: as often as that race is lost.
            Trouble::NoParent => match self.options.parents {
                Parents::MustExist => self.fail(Failure::Refused, out),
                Parents::Container | Parents::Persistent => self.make_parents(out),
            },
            Trouble::Unsure => self.find(out),
            Trouble::NotNow => self.stage = Stage::Pausing { until: now + RETRY_PAUSE },
            Trouble::Nothing => {
                if finding {
                    self.adopt(out);
                }
                self.advance(now, out);
            }
        }
    }

    /// Looks for what a lost answer hides: what is not there after a sync never will be.
    pub(super) fn find(&mut self, out: &mut Vec<Output>) {
        let mut asks = vec![Ask::Sync, Ask::ListLocks];
        self.ask_size(false, &mut asks);
        asks.push(Ask::ListLeases { watch: false });
        self.ask(asks, out);
        if let Stage::Asking { finding, .. } = &mut self.stage {
            *finding = true;
        }
    }

    /// After sync and lists: what of ours is there?
    fn adopt(&mut self, out: &mut Vec<Output>) {
        if std::mem::take(&mut self.unsure_lock) {
            let names = self.view.locks.as_deref().unwrap_or_default();
            let found = sequence::find(names, path::name(&self.session.lock));
            self.lock = found.map(|name| path::join(&self.options.locks, name));
        }
        if std::mem::take(&mut self.unsure_leases) {
            let names = self.view.leases.as_deref().unwrap_or_default();
            let numbered = self.options.layout.has_numbers();
            let ours = |lease: &String| {
                let name = path::name(lease);
                if numbered {
                    sequence::find(names, name)
                } else {
                    names.iter().map(String::as_str).find(|n| *n == name)
                }
            };
            let found = self.session.leases.iter().filter_map(ours);
            let paths: Vec<String> = found.map(|name| path::join(&self.options.leases, name)).collect();
            if paths.len() == self.session.leases.len() {
                self.leases = Some(Leases { paths, token: None });
            } else if !paths.is_empty() {
                // They were made together, and somebody has deleted some.
                out.push(Output::Leave(Leftover::Named { paths, session: Some(self.session.id) }));
            }
        }
    }

    /// Goes on from what is known.
    pub(super) fn advance(&mut self, now: Duration, out: &mut Vec<Output>) {
        if self.leases.as_ref().is_some_and(|leases| leases.token.is_none()) {
            return self.ask(vec![Ask::Look], out);
        }
        if self.lock.is_some() {
            return self.in_line(now, out);
        }
        if self.leases.is_some() {
            return self.tried(now, out);
        }
        let numbered = self.options.layout.has_numbers();
        let quick = self.options.quick && numbered && !self.waited;
        if quick || self.options.patience != Patience::None {
            return if quick { self.attempt(out) } else { self.join(out) };
        }
        // Where somebody was in the way lately, who will not wait looks before it writes.
        if self.view.locks.is_none() || self.view.leases.is_none() {
            self.look_around(out);
        } else if self.anybody_in_line() || !self.fits() {
            self.fail(Failure::Busy, out);
        } else if numbered {
            self.attempt(out);
        } else {
            self.join(out);
        }
    }

    /// Leases first, without standing in line: right if nobody does.
    fn attempt(&mut self, out: &mut Vec<Output>) {
        self.view = View::default();
        let mut asks = vec![Ask::Leases, Ask::ListLocks];
        self.ask_size(false, &mut asks);
        asks.push(Ask::ListLeases { watch: false });
        self.ask(asks, out);
    }

    fn tried(&mut self, now: Duration, out: &mut Vec<Output>) {
        if self.own_leases_gone() {
            return self.fail(Failure::NodeDeleted, out);
        }
        if !self.anybody_in_line() && self.fits() {
            return self.granted(now, out);
        }
        // In the way of those in line, if only for a moment: they come first.
        self.waited = true;
        if self.options.patience == Patience::None {
            return self.fail(Failure::Busy, out);
        }
        if let Some(leases) = self.leases.take() {
            let session = Some(self.session.id);
            out.push(Output::Leave(Leftover::Named { paths: leases.paths, session }));
        }
        self.join(out);
    }

    fn join(&mut self, out: &mut Vec<Output>) {
        self.view = View::default();
        self.ask(vec![Ask::Lock, Ask::ListLocks], out);
    }

    fn in_line(&mut self, now: Duration, out: &mut Vec<Output>) {
        let (Some(lock), Some(names)) = (&self.lock, &self.view.locks) else {
            return self.ask(vec![Ask::ListLocks], out);
        };
        let survey = self.line.survey(names, &[path::name(lock)]);
        if !survey.foreign.is_empty() {
            let foreign = survey.foreign.iter().map(|name| (*name).to_owned()).collect();
            out.push(Output::Foreign(Parent::Locks, foreign));
        }
        match survey.standing {
            Standing::Absent => {
                self.lock = None;
                self.fail(Failure::NodeDeleted, out);
            }
            Standing::Behind(_) if self.options.patience == Patience::None => self.fail(Failure::Busy, out),
            Standing::Behind(name) => {
                let path = path::join(&self.options.locks, name);
                self.stand_behind(path, out);
            }
            Standing::Admitted => self.at_head(now, out),
        }
    }

    fn stand_behind(&mut self, path: String, out: &mut Vec<Output>) {
        self.waited = true;
        // Counted before our turn, it counts for nothing.
        self.view.leases = None;
        match self.watch.take() {
            Some((watch, watched)) if watched == path => {
                self.watch = Some((watch, watched));
                self.stage = Stage::InLine { look: None };
            }
            other => {
                out.extend(other.map(|(watch, _)| Output::Forget(watch)));
                self.ask(vec![Ask::Watch(path)], out);
            }
        }
    }

    /// Nobody but us counts and makes leases now, save those who try without standing in line.
    fn at_head(&mut self, now: Duration, out: &mut Vec<Output>) {
        let numbered = self.options.layout.has_numbers();
        if numbered && self.leases.is_none() {
            let mut asks = vec![Ask::Leases];
            self.ask_size(false, &mut asks);
            asks.push(Ask::ListLeases { watch: false });
            return self.ask(asks, out);
        }
        if !numbered && self.leases.is_some() {
            // Made while there was room, and nobody else could.
            return self.granted(now, out);
        }
        if self.view.leases.is_none() || self.size().is_none() {
            let mut asks = Vec::new();
            self.ask_size(false, &mut asks);
            asks.push(Ask::ListLeases { watch: false });
            return self.ask(asks, out);
        }
        if self.own_leases_gone() {
            return self.fail(Failure::NodeDeleted, out);
        }
        if self.fits() {
            return if numbered { self.granted(now, out) } else { self.ask(vec![Ask::Leases], out) };
        }
        self.waited = true;
        if self.options.patience == Patience::None {
            return self.fail(Failure::Busy, out);
        }
        let mut asks = Vec::new();
        // Who takes us out of the line lets somebody else count: our leases must not be in the way then.
        let own = self.lock.clone().unwrap_or_default();
        if self.watch.as_ref().is_none_or(|(_, path)| *path != own) {
            out.extend(self.watch.take().map(|(watch, _)| Output::Forget(watch)));
            asks.push(Ask::Watch(own));
        }
        if self.size_watch.is_none() {
            self.ask_size(true, &mut asks);
        }
        if self.leases_watch.is_none() {
            asks.push(Ask::ListLeases { watch: true });
        }
        if asks.is_empty() {
            self.stage = Stage::AtHead;
        } else {
            self.ask(asks, out);
        }
    }

    /// Before anything is written, or at the head of the line after a reconnect.
    pub(super) fn look_around(&mut self, out: &mut Vec<Output>) {
        let mut asks = vec![Ask::ListLocks];
        self.ask_size(false, &mut asks);
        asks.push(Ask::ListLeases { watch: false });
        self.ask(asks, out);
    }

    fn granted(&mut self, now: Duration, out: &mut Vec<Output>) {
        let margin = self.session.timeout * DEADLINE_MARGIN_PERCENT / 100;
        if now >= self.session.until.saturating_sub(margin) {
            // The answer lay here so long that the session may be over, and somebody else admitted since.
            return self.find(out);
        }
        let Some(Leases { paths, token: Some(token) }) = self.leases.take() else { return };
        self.forget_watches(out);
        self.stage = Stage::Over;
        let session = self.session.id;
        // Goes out at once: the next in line need not wait for our caller.
        if let Some(lock) = self.lock.take() {
            out.push(Output::Leave(Leftover::Named { paths: vec![lock], session: Some(session) }));
        }
        let first = paths.first().map_or("", |path| path::name(path));
        let number = Contender::parse(first, &[CURATOR_LEASE]).map(|lease| lease.sequence);
        let grant = Grant { token, sequence: number.unwrap_or(Sequence(0)), session, version: None, paths };
        out.push(Output::Grant { grant, waited: self.waited });
    }

    fn ask_size(&self, watch: bool, asks: &mut Vec<Ask>) {
        if self.options.size.is_none() {
            asks.push(Ask::Size { watch });
        }
    }

    pub(super) fn size(&self) -> Option<u32> {
        self.options.size.or(self.view.size)
    }

    fn anybody_in_line(&self) -> bool {
        let names = self.view.locks.as_deref().unwrap_or_default();
        names.iter().any(|name| Contender::parse(name, &self.line.counts).is_some())
    }

    fn room(&self) -> Room {
        let own = self.leases.as_ref().map_or(&[][..], |leases| &leases.paths);
        let own: Vec<&str> = own.iter().map(|path| path::name(path)).collect();
        self.options.layout.room(self.view.leases.as_deref().unwrap_or_default(), &own)
    }

    fn own_leases_gone(&self) -> bool {
        self.room() == Room::Gone
    }

    fn fits(&self) -> bool {
        let size = self.size().map_or(0, |size| usize::try_from(size).unwrap_or(usize::MAX));
        matches!(self.room(), Room::Taken(taken) if taken.saturating_add(self.options.permits) <= size)
    }
}
