//! The one task that owns the socket.

use std::sync::Arc;
use tokio::sync::{mpsc, watch};

use crate::core::Core;
use crate::hosts::Host;
use crate::state::SessionState;
use crate::submit::{Command, Line};

pub(crate) struct Driver {
    commands: mpsc::UnboundedReceiver<Command>,
}

impl Driver {
    pub(crate) fn new(
        _core: Core,
        _hosts: Vec<Host>,
        _frame_limit: usize,
        _line: Arc<Line>,
        commands: mpsc::UnboundedReceiver<Command>,
        _inbox: mpsc::WeakUnboundedSender<Command>,
        _state: watch::Sender<SessionState>,
    ) -> Self {
        Self { commands }
    }

    pub(crate) async fn run(mut self) {
        while self.commands.recv().await.is_some() {}
    }
}
