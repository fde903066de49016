//! Where the peers are, and what to do when one is missing. Runs nothing.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fmt, fs, io};

/// A version of Apache ZooKeeper that the tests know how to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JavaVersion {
    /// 3.8, from the distribution.
    V3_8,
    /// 3.9.5, from PyPI's pyspark.
    V3_9_5,
}

impl JavaVersion {
    /// The name that `peers/java_server.sh` takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V3_8 => "3.8",
            Self::V3_9_5 => "3.9.5",
        }
    }

    const fn zookeeper_key(self) -> &'static str {
        match self {
            Self::V3_8 => "ZK_PEER_ZOOKEEPER_CP",
            Self::V3_9_5 => "ZK_PEER_ZOOKEEPER395_CP",
        }
    }

    const fn curator_key(self) -> &'static str {
        match self {
            Self::V3_8 => "ZK_PEER_CURATOR_CP",
            Self::V3_9_5 => "ZK_PEER_CURATOR59_CP",
        }
    }
}

impl fmt::Display for JavaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why there is no peer to test against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Neither the environment nor `peers.env`, looked for at this path, names it.
    Unnamed {
        /// The variable that would.
        key: &'static str,
        /// The file that was looked in.
        env_file: PathBuf,
    },
    /// It is named, but one of the files is not there.
    NoFile {
        /// The variable that names it.
        key: &'static str,
        /// The file that is not there.
        path: PathBuf,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed { key, env_file } => {
                write!(
                    f,
                    "{key} is neither set nor in {}; .ci/peers.sh installs the peers",
                    env_file.display()
                )
            }
            Self::NoFile { key, path } => {
                write!(f, "{key} names {}, which does not exist; run .ci/peers.sh again", path.display())
            }
        }
    }
}

impl std::error::Error for Missing {}

/// Turns a missing peer into `None` and a printed reason, or into an error when `ZK_REQUIRE_PEERS=1`.
pub fn or_skip<T>(found: Result<T, Missing>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(missing) if env::var_os("ZK_REQUIRE_PEERS").is_some_and(|v| v == "1") => {
            Err(io::Error::new(io::ErrorKind::NotFound, missing))
        }
        Err(missing) => {
            skipped(missing);
            Ok(None)
        }
    }
}

/// Says which test is skipped, and why. Written past the test runner's capture: a test that passes because it did
/// nothing must not look like one that ran.
pub fn skipped(why: impl fmt::Display) {
    let thread = std::thread::current();
    // Without a place to say it there is nobody to tell.
    let _untold = writeln!(io::stderr(), "skipped {}: {why}", thread.name().unwrap_or("a test"));
}

/// The peers of this machine: at least Java with ZooKeeper 3.8 and Curator 5.4, and Python with Kazoo.
#[derive(Clone, Debug)]
pub struct Peers {
    dir: PathBuf,
    values: BTreeMap<&'static str, String>,
}

const REQUIRED: [&str; 5] =
    ["ZK_PEER_JAVA", "ZK_PEER_JAVAC", "ZK_PEER_PYTHON", "ZK_PEER_ZOOKEEPER_CP", "ZK_PEER_CURATOR_CP"];
const OPTIONAL: [&str; 2] = ["ZK_PEER_ZOOKEEPER395_CP", "ZK_PEER_CURATOR59_CP"];

impl Peers {
    /// Looks in the environment first, then in `$ZK_PEERS_DIR/peers.env` (default `~/.cache/zk-peers`).
    pub fn find() -> Result<Self, Missing> {
        let dir = env::var_os("ZK_PEERS_DIR").map_or_else(
            || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache/zk-peers"),
            PathBuf::from,
        );
        Self::find_in(&dir, |key| env::var(key).ok().filter(|value| !value.is_empty()))
    }

    /// [`Peers::find`] with the environment passed in.
    pub fn find_in(dir: &Path, environment: impl Fn(&str) -> Option<String>) -> Result<Self, Missing> {
        let env_file = dir.join("peers.env");
        let text = fs::read_to_string(&env_file).unwrap_or_default();
        let in_file: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let value = |key| environment(key).or_else(|| in_file.get(key).map(ToString::to_string));

        let mut values = BTreeMap::new();
        for key in REQUIRED {
            let found = value(key).ok_or_else(|| Missing::Unnamed { key, env_file: env_file.clone() })?;
            values.insert(key, exists(key, found)?);
        }
        for key in OPTIONAL {
            if let Some(found) = value(key) {
                values.insert(key, exists(key, found)?);
            }
        }
        Ok(Self { dir: dir.to_owned(), values })
    }

    /// The versions of ZooKeeper that are here, oldest first.
    pub fn versions(&self) -> impl Iterator<Item = JavaVersion> + '_ {
        [JavaVersion::V3_8, JavaVersion::V3_9_5]
            .into_iter()
            .filter(|version| self.values.contains_key(version.zookeeper_key()))
    }

    /// The class path of ZooKeeper's server, client and tools.
    pub fn zookeeper_class_path(&self, version: JavaVersion) -> Result<&str, Missing> {
        self.get(version.zookeeper_key())
    }

    /// The class path of Curator's recipes: 5.4 with ZooKeeper 3.8, 5.9 with 3.9.5.
    pub fn curator_class_path(&self, version: JavaVersion) -> Result<&str, Missing> {
        self.get(version.curator_key())
    }

    /// Where things made from the peers may be kept between runs.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn get(&self, key: &'static str) -> Result<&str, Missing> {
        let unnamed = || Missing::Unnamed { key, env_file: self.dir.join("peers.env") };
        self.values.get(key).map(String::as_str).ok_or_else(unnamed)
    }

    /// All that was found, for the scripts in `peers/`, which take it from the environment.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values.iter().map(|(key, value)| (*key, value.as_str()))
    }
}

/// Every file of a class path, or a single program.
fn exists(key: &'static str, value: String) -> Result<String, Missing> {
    match value.split(':').map(Path::new).find(|path| !path.exists()) {
        Some(path) => Err(Missing::NoFile { key, path: path.to_owned() }),
        None => Ok(value),
    }
}
