//! The current node, and paths relative to it. Arithmetic on names: asks no server.

use crate::failure::Failure;

/// The current node's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place(String);

impl Default for Place {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl Place {
    /// As a path.
    pub(super) fn path(&self) -> &str {
        &self.0
    }

    /// `path` from here, without `.`, `..`, and doubled or trailing slashes. Above the root is the root.
    pub(super) fn resolve(&self, path: &str) -> Result<Self, Failure> {
        if path.is_empty() {
            // A variable that came out empty must not mean the current node: think of `rm -r ""`.
            return Err(Failure::usage("the path is empty; write . for the current node"));
        }
        let mut at: Vec<&str> = if path.starts_with('/') { Vec::new() } else { names(&self.0).collect() };
        for name in names(path) {
            match name {
                "." => {}
                ".." => drop(at.pop()),
                name => at.push(name),
            }
        }
        Ok(Self(format!("/{}", at.join("/"))))
    }

    /// As [`Place::resolve`], of the beginning of a name: a slash at the end stays.
    pub(super) fn resolve_prefix(&self, path: &str) -> Result<String, Failure> {
        let Self(mut resolved) = self.resolve(path)?;
        if path.ends_with('/') && resolved != "/" {
            resolved.push('/');
        }
        Ok(resolved)
    }
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(here: &str, path: &str) -> String {
        Place(here.to_owned()).resolve(path).unwrap().0
    }

    #[test]
    fn paths_are_relative_to_the_current_node() {
        assert_eq!(from("/", "a"), "/a");
        assert_eq!(from("/a/b", "c/d"), "/a/b/c/d");
        assert_eq!(from("/a/b", "."), "/a/b");
        assert_eq!(from("/a/b", ".."), "/a");
        assert_eq!(from("/a/b", "../../../.."), "/");
        assert_eq!(from("/a", "/b//c/./d/../"), "/b/c");
        assert_eq!(from("/a", "/"), "/");
    }

    #[test]
    fn nothing_is_not_here() {
        assert!(Place::default().resolve("").is_err());
    }

    #[test]
    fn a_prefix_keeps_its_slash() {
        let here = Place("/a".to_owned());
        assert_eq!(here.resolve_prefix("jobs/").unwrap(), "/a/jobs/");
        assert_eq!(here.resolve_prefix("j-").unwrap(), "/a/j-");
        assert_eq!(here.resolve_prefix("/").unwrap(), "/");
    }
}
