//! What can be wrong with a configuration: where, and what would be right. Never shows a secret.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration file {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not a property.
    #[error("{file}:{line}: {what}")]
    Syntax {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A value that the key does not accept.
    #[error("{file}:{line}: {key}={value} is not valid: expected {expected}")]
    Value {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The value; hidden when it is a secret.
        value: String,
        /// What it should be.
        expected: String,
    },
    /// A key that must be there is not.
    #[error("{file}: {key} is not set; add a line such as {example}")]
    Missing {
        /// The file.
        file: String,
        /// The key.
        key: &'static str,
        /// A line that would do.
        example: &'static str,
    },
    /// More than one server.
    #[error(
        "{file}:{line}: ensembles come with a later version; remove the server.N lines or keep a single one"
    )]
    Ensemble {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// Something that cannot be left out without changing what the operator relies on.
    #[error("{file}:{line}: {key} is not supported yet, and ignoring it would not be safe; {advice}")]
    Unsupported {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// What to do.
        advice: &'static str,
    },
    /// A data directory cannot be used.
    #[error(
        "{key}={} cannot be used: {source}. Create it and let the server's user write to it, or set {key} to \
         another directory", .path.display()
    )]
    Directory {
        /// `dataDir` or `dataLogDir`.
        key: &'static str,
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Files of one kind in the directory of the other, as after a change of `dataLogDir` without moving them.
    #[error(
        "{} holds {file}, which belongs into {}: move the {kind} files there, then start again",
        .found_in.display(), .belongs_into.display()
    )]
    Misplaced {
        /// A misplaced file.
        file: String,
        /// `log` or `snapshot`.
        kind: &'static str,
        /// Where it is.
        found_in: PathBuf,
        /// Where it should be.
        belongs_into: PathBuf,
    },
}

/// Something that is odd, but no reason not to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigWarning {
    /// The line, from 1.
    pub line: usize,
    /// The key.
    pub key: String,
    /// What is odd.
    pub what: String,
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.key, self.what)
    }
}
