//! Paths: the rules of a valid one, and the small arithmetic on them.

use std::fmt;

/// Why a path is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// It is empty.
    Empty,
    /// It does not start with `/`.
    NotAbsolute,
    /// It ends with `/`.
    TrailingSlash,
    /// It has an empty component (`//`).
    EmptyComponent,
    /// It has a `.` or `..` component.
    Relative,
    /// It has a character ZooKeeper forbids.
    ForbiddenCharacter(char),
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("path is empty"),
            Self::NotAbsolute => f.write_str("path does not start with '/'"),
            Self::TrailingSlash => f.write_str("path ends with '/'"),
            Self::EmptyComponent => f.write_str("path has an empty component"),
            Self::Relative => f.write_str("path has a '.' or '..' component"),
            Self::ForbiddenCharacter(c) => {
                write!(f, "path has the forbidden character U+{:04X}", u32::from(*c))
            }
        }
    }
}

impl std::error::Error for PathError {}

/// Checks a path by the rules of ZooKeeper's `PathUtils`.
///
/// # Errors
/// [`PathError`] names the first rule broken.
pub fn validate(path: &str) -> Result<(), PathError> {
    if path == "/" {
        return Ok(());
    }
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    let Some(rest) = path.strip_prefix('/') else { return Err(PathError::NotAbsolute) };
    if path.ends_with('/') {
        return Err(PathError::TrailingSlash);
    }
    for component in rest.split('/') {
        match component {
            "" => return Err(PathError::EmptyComponent),
            "." | ".." => return Err(PathError::Relative),
            _ => {}
        }
    }
    path.chars().find(|c| forbidden(*c)).map_or(Ok(()), |c| Err(PathError::ForbiddenCharacter(c)))
}

/// Java checks UTF-16 units, so every supplementary character is a forbidden surrogate.
const fn forbidden(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{10ffff}')
}

/// The parent's path and the node's name; `None` for the root and for what is not absolute.
#[must_use]
pub fn split(path: &str) -> Option<(&str, &str)> {
    let (parent, name) = path.rsplit_once('/')?;
    match (parent, name) {
        ("", "") => None,
        ("", name) => Some(("/", name)),
        both => Some(both),
    }
}

/// The parent's path; `None` for the root.
#[must_use]
pub fn parent(path: &str) -> Option<&str> {
    split(path).map(|(parent, _)| parent)
}

/// The node's name; empty for the root.
#[must_use]
pub fn name(path: &str) -> &str {
    split(path).map_or("", |(_, name)| name)
}

/// `parent` and `name` as one path.
#[must_use]
pub fn join(parent: &str, name: &str) -> String {
    if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") }
}

/// The proper ancestors of `path`, nearest first, the root last.
pub fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(path), |p| parent(p))
}

/// Whether `path` lies below `ancestor`.
#[must_use]
pub fn is_below(path: &str, ancestor: &str) -> bool {
    if ancestor == "/" {
        return path.len() > 1;
    }
    path.strip_prefix(ancestor).is_some_and(|rest| rest.starts_with('/'))
}

/// The name of a sequential node: the prefix and the parent's counter as `%010d` (a negative counter keeps its
/// sign within the width, as Java prints it).
#[must_use]
pub fn sequential(prefix: &str, counter: i32) -> String {
    format!("{prefix}{counter:010}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_follows_path_utils() {
        for good in ["/", "/a", "/a/b-1", "/.hidden", "/a..b", "/漢", "/zookeeper/config"] {
            assert_eq!(validate(good), Ok(()), "{good}");
        }
        assert_eq!(validate(""), Err(PathError::Empty));
        assert_eq!(validate("a"), Err(PathError::NotAbsolute));
        assert_eq!(validate("/a/"), Err(PathError::TrailingSlash));
        assert_eq!(validate("/a//b"), Err(PathError::EmptyComponent));
        assert_eq!(validate("/a/./b"), Err(PathError::Relative));
        assert_eq!(validate("/a/.."), Err(PathError::Relative));
        for c in ['\0', '\u{1}', '\u{7f}', '\u{9f}', '\u{e000}', '\u{fff0}', '😀'] {
            assert_eq!(validate(&format!("/a{c}")), Err(PathError::ForbiddenCharacter(c)));
        }
    }

    #[test]
    fn splitting_and_joining() {
        assert_eq!(split("/"), None);
        assert_eq!(split("/a"), Some(("/", "a")));
        assert_eq!(split("/a/b"), Some(("/a", "b")));
        assert_eq!(join("/", "a"), "/a");
        assert_eq!(join("/a", "b"), "/a/b");
        assert_eq!(ancestors("/a/b/c").collect::<Vec<_>>(), ["/a/b", "/a", "/"]);
        assert!(
            is_below("/a/b", "/a") && !is_below("/ab", "/a") && is_below("/a", "/") && !is_below("/", "/")
        );
    }

    #[test]
    fn sequence_numbers_print_as_java_does() {
        assert_eq!(sequential("/a-", 7), "/a-0000000007");
        assert_eq!(sequential("/a-", i32::MIN), "/a--2147483648");
        assert_eq!(sequential("/a-", -1), "/a--000000001");
    }
}
