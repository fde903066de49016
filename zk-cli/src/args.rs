//! The command line. Owns its grammar; never shows credentials.

use clap::Parser;
use std::time::Duration;

use crate::commands::Command;
use crate::failure::Failure;
use crate::limits::{TIMEOUT_DEFAULT_SECONDS, TIMEOUT_MAX_SECONDS};

/// ZooKeeper from the command line. Without a command: a shell, or, when standard input is not a terminal, a
/// script with one command a line.
#[derive(Parser)]
#[command(name = "zk", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) target: Target,
    /// In a script: go on after a command that failed; the exit code is the first failure's
    #[arg(long)]
    pub(crate) keep_going: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 the operation failed; 2 wrong usage; 3 no connection, or it or \
the session was lost.";

/// Which servers, who we are, and how patient.
#[derive(clap::Args)]
pub(crate) struct Target {
    /// The servers: host:port,host:port/chroot
    #[arg(long, global = true, value_name = "HOSTS", env = "ZK_CONNECT", default_value = "127.0.0.1:2181")]
    pub(crate) server: String,
    /// How long to wait for a session, and then for each answer
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        default_value = TIMEOUT_DEFAULT_SECONDS,
        value_parser = seconds
    )]
    pub(crate) timeout: Duration,
    /// Credentials, such as digest:user:password; may be given several times. Other users of this machine can
    /// see a command line: prefer the environment variable
    // Taken apart later: clap would show a value that it cannot parse.
    #[arg(long, global = true, value_name = "SCHEME:CREDENTIALS", env = "ZK_AUTH", hide_env_values = true)]
    auth: Vec<String>,
}

/// One pair of scheme and secret. Cannot be printed.
pub(crate) struct Credentials<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) secret: &'a str,
}

impl Target {
    /// The credentials, taken apart.
    pub(crate) fn credentials(&self) -> Result<Vec<Credentials<'_>>, Failure> {
        // A variable that is set to nothing is as good as unset.
        self.auth.iter().filter(|text| !text.is_empty()).map(|text| credentials(text)).collect()
    }
}

fn credentials(text: &str) -> Result<Credentials<'_>, Failure> {
    match text.split_once(':') {
        Some((scheme, secret)) if !scheme.is_empty() => Ok(Credentials { scheme, secret }),
        _ => Err(Failure::usage(
            "--auth (or ZK_AUTH): not SCHEME:CREDENTIALS; write it as in digest:user:password",
        )),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= TIMEOUT_MAX_SECONDS => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(format!("give seconds above 0, up to {TIMEOUT_MAX_SECONDS}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn credentials_split_at_the_first_colon() {
        let both = credentials("digest:user:p:w").ok().unwrap();
        assert_eq!((both.scheme, both.secret), ("digest", "user:p:w"));
        assert!(credentials("secret").is_err() && credentials(":secret").is_err());
    }

    #[test]
    fn seconds_have_bounds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "nan", "inf", "1e9", "x", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
