//! A subscriber that remembers: every span with its parent and fields, every event.
#![allow(clippy::unwrap_used, reason = "a test's own subscriber")]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// One span or event.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) target: String,
    /// The span's name, or the event's message.
    pub(crate) name: String,
    pub(crate) level: Level,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) parent: Option<u64>,
    pub(crate) closed: bool,
}

#[derive(Default)]
struct Memory {
    spans: Vec<Seen>,
    events: Vec<Seen>,
    entered: Vec<u64>,
    handles: BTreeMap<u64, usize>,
}

/// Clones share what is remembered. Of one thread: spans entered are not told apart by thread.
#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<Mutex<Memory>>);

impl Capture {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap()
    }

    pub(crate) fn spans(&self, target: &str) -> Vec<Seen> {
        self.memory().spans.iter().filter(|span| span.target == target).cloned().collect()
    }

    pub(crate) fn span_id(&self, name: &str) -> Option<u64> {
        self.memory().spans.iter().position(|span| span.name == name).map(|at| at as u64 + 1)
    }

    pub(crate) fn events(&self, message: &str) -> Vec<Seen> {
        self.memory().events.iter().filter(|event| event.name == message).cloned().collect()
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        let memory = self.memory();
        memory.spans.iter().chain(&memory.events).cloned().collect()
    }
}

impl Seen {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    fn of(metadata: &Metadata<'_>, parent: Option<u64>) -> Self {
        Self {
            target: metadata.target().to_owned(),
            name: metadata.name().to_owned(),
            level: *metadata.level(),
            fields: BTreeMap::new(),
            parent,
            closed: false,
        }
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Subscriber for Capture {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("zk_client::") || metadata.target() == "test"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut memory = self.memory();
        let parent = match attributes.parent() {
            Some(parent) => Some(parent.into_u64()),
            None if attributes.is_contextual() => memory.entered.last().copied(),
            None => None,
        };
        let mut seen = Seen::of(attributes.metadata(), parent);
        attributes.record(&mut seen);
        memory.spans.push(seen);
        let id = memory.spans.len() as u64;
        memory.handles.insert(id, 1);
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut memory = self.memory();
        let at = span.into_u64() as usize - 1;
        values.record(&mut memory.spans[at]);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut memory = self.memory();
        let parent = match event.parent() {
            Some(parent) => Some(parent.into_u64()),
            None if event.is_contextual() => memory.entered.last().copied(),
            None => None,
        };
        let mut seen = Seen::of(event.metadata(), parent);
        event.record(&mut seen);
        seen.name = seen.fields.remove("message").unwrap_or_default();
        memory.events.push(seen);
    }

    fn enter(&self, span: &Id) {
        self.memory().entered.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        let mut memory = self.memory();
        let at = memory.entered.iter().rposition(|id| *id == span.into_u64());
        at.map(|at| memory.entered.remove(at));
    }

    fn clone_span(&self, span: &Id) -> Id {
        *self.memory().handles.get_mut(&span.into_u64()).unwrap() += 1;
        span.clone()
    }

    fn try_close(&self, span: Id) -> bool {
        let mut memory = self.memory();
        let id = span.into_u64();
        let handles = memory.handles.get_mut(&id).unwrap();
        *handles -= 1;
        let closed = *handles == 0;
        if closed {
            memory.spans[id as usize - 1].closed = true;
        }
        closed
    }
}
