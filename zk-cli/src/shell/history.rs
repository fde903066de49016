//! Where lines are remembered: `zk/history` in the state directory of the XDG base directory specification.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The history file of this user, in a directory that exists; `None` when there is no place for one.
pub(super) fn file() -> Option<PathBuf> {
    let path = place(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"))?;
    make_directory(path.parent()?).ok()?;
    Some(path)
}

/// By the specification a relative directory counts as unset.
fn place(state_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |dir: OsString| Some(PathBuf::from(dir)).filter(|dir| dir.is_absolute());
    let state = state_home
        .and_then(absolute)
        .or_else(|| home.and_then(absolute).map(|home| home.join(".local").join("state")))?;
    Some(state.join("zk").join("history"))
}

/// Data typed at a prompt is nobody else's business.
fn make_directory(directory: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_comes_first() {
        let place = |state: &str, home: &str| place(Some(state.into()), Some(home.into()));
        assert_eq!(place("/state", "/home/me"), Some("/state/zk/history".into()));
        assert_eq!(place("", "/home/me"), Some("/home/me/.local/state/zk/history".into()));
        assert_eq!(place("relative", "/home/me"), Some("/home/me/.local/state/zk/history".into()));
        assert_eq!(place("", ""), None);
    }
}
