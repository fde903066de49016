//! The DATA argument: the bytes themselves, or `-` for standard input.

use bytes::Bytes;
use std::ffi::OsString;
use std::io::{self, Read as _};

use super::Invocation;
use crate::failure::{Doing, Failure};
use crate::limits::VALUE_BYTES_MAX;

/// A value as it was given.
#[derive(Debug, Clone)]
pub(crate) struct Value(OsString);

impl From<OsString> for Value {
    fn from(text: OsString) -> Self {
        Self(text)
    }
}

impl Value {
    /// Refuses `-` where standard input is taken.
    pub(super) fn check(&self, doing: Doing<'_>, invocation: Invocation) -> Result<(), Failure> {
        let Doing { command, path } = doing;
        if self.is_stdin() && invocation == Invocation::Line {
            return Err(Failure::usage(format_args!(
                "{command} {path}: standard input brings the commands here; give the data itself, or use \
                 `zk {command} {path} -`"
            )));
        }
        Ok(())
    }

    /// The bytes. Reads standard input to its end if that is what was asked for.
    pub(super) fn read(self, doing: Doing<'_>) -> Result<Bytes, Failure> {
        let Doing { command, path } = doing;
        if !self.is_stdin() {
            // The bytes the user typed: on Unix an argument is any bytes.
            return Ok(Bytes::from(self.0.into_encoded_bytes()));
        }
        let mut data = Vec::new();
        io::stdin().lock().take(VALUE_BYTES_MAX as u64 + 1).read_to_end(&mut data).map_err(|error| {
            Failure::local(format_args!("{command} {path}: cannot read standard input: {error}"))
        })?;
        if data.len() > VALUE_BYTES_MAX {
            return Err(Failure::local(format_args!(
                "{command} {path}: standard input has more than {VALUE_BYTES_MAX} bytes; ZooKeeper is for \
                 small values, keep large ones elsewhere"
            )));
        }
        Ok(Bytes::from(data))
    }

    fn is_stdin(&self) -> bool {
        self.0 == "-"
    }
}
