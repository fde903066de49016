//! The chroot: a prefix put before every path that leaves and taken off every path that comes back.

use std::sync::Arc;
use zk_proto::path;

use crate::error::{Error, ErrorKind};

/// A prefix without trailing slash; none for the root itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chroot(Option<Arc<str>>);

impl Chroot {
    /// The chroot of this path; `""` and `"/"` are none.
    pub(crate) fn new(prefix: &str) -> Result<Self, Error> {
        if matches!(prefix, "" | "/") {
            return Ok(Self(None));
        }
        path::validate(prefix)
            .map_err(|why| Error::new(ErrorKind::Config, "connect").with_path(prefix).with_detail(why))?;
        Ok(Self(Some(prefix.into())))
    }

    /// The path on the server. `/` is the chroot itself.
    pub(crate) fn prefix(&self, path: String) -> String {
        match &self.0 {
            None => path,
            Some(root) if path == "/" => root.as_ref().to_owned(),
            Some(root) => {
                let mut full = String::with_capacity(root.len() + path.len());
                full.push_str(root);
                full.push_str(&path);
                full
            }
        }
    }

    /// As [`Chroot::prefix`], of a prefix to which a sequence number is appended: `/` is then not the chroot
    /// itself but a nameless child of it.
    pub(crate) fn prefix_of_name(&self, path: String) -> String {
        match &self.0 {
            Some(root) if path == "/" => format!("{root}/"),
            _ => self.prefix(path),
        }
    }

    /// The caller's path of a path on the server. One outside the chroot (which the server only sends when asked
    /// to) is left as it is.
    pub(crate) fn strip(&self, full: String) -> String {
        let Some(root) = &self.0 else { return full };
        match full.strip_prefix(root.as_ref()) {
            Some("") => "/".to_owned(),
            Some(rest) if rest.starts_with('/') => rest.to_owned(),
            _ => full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_out_and_come_back() {
        let app = Chroot::new("/app").unwrap();
        assert_eq!(app.prefix("/".into()), "/app");
        assert_eq!(app.prefix("/a".into()), "/app/a");
        assert_eq!(app.prefix_of_name("/".into()), "/app/");
        assert_eq!(app.strip("/app".into()), "/");
        assert_eq!(app.strip("/app/a".into()), "/a");
        assert_eq!(app.strip("/apple".into()), "/apple");
        let none = Chroot::new("/").unwrap();
        assert_eq!(none.prefix("/a".into()), "/a");
        assert_eq!(none.strip("/a".into()), "/a");
        assert!(Chroot::new("/a//b").is_err());
    }
}
