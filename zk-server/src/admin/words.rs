//! The four-letter words: recognising one in the first four bytes of a connection, and which of them a server
//! may answer. What they answer is in [`super::answers`].

use std::collections::BTreeSet;
use std::fmt;

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident $text:literal $answered:literal),* $(,)?) => {
        /// A four-letter word, sent instead of a handshake. The answer is text, then the connection is closed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Word { $($(#[$meta])* $name),* }

        impl Word {
            /// Every word that ZooKeeper knows.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word itself.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// Whether this server has an answer; the others are refused as if they were not allowed.
            #[must_use]
            pub const fn is_answered(self) -> bool {
                match self { $(Self::$name => $answered),* }
            }
        }
    };
}

words! {
    /// The configuration.
    Conf "conf" true,
    /// Every connection in full.
    Cons "cons" true,
    /// Resets the connections' counters.
    Crst "crst" false,
    /// Bytes on disk.
    Dirs "dirs" true,
    /// Sessions and their ephemeral nodes.
    Dump "dump" true,
    /// The server's surroundings.
    Envi "envi" true,
    /// The trace mask.
    Gtmk "gtmk" false,
    /// Recent digests of the tree.
    Hash "hash" false,
    /// Whether the server is read-only.
    Isro "isro" true,
    /// Everything that is measured.
    Mntr "mntr" true,
    /// Whether the process is up, which says nothing about whether it serves.
    Ruok "ruok" true,
    /// The server in short.
    Srvr "srvr" true,
    /// Resets the server's counters.
    Srst "srst" false,
    /// The server in short, and its connections.
    Stat "stat" true,
    /// Sets the trace mask.
    Stmk "stmk" false,
    /// Watches by session.
    Wchc "wchc" false,
    /// Watches by path.
    Wchp "wchp" false,
    /// Watches in short.
    Wchs "wchs" true,
}

impl Word {
    /// The word in the first four bytes of a connection, read as a big-endian number: where a client would send
    /// the length of its handshake. No handshake is as long as any word says.
    #[must_use]
    pub fn parse(first: u32) -> Option<Self> {
        let bytes = first.to_be_bytes();
        Self::ALL.iter().copied().find(|word| word.name().as_bytes() == bytes)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The words a server answers: `4lw.commands.whitelist`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whitelist {
    allowed: BTreeSet<Word>,
}

/// Only `srvr`, as ZooKeeper.
impl Default for Whitelist {
    fn default() -> Self {
        Self { allowed: BTreeSet::from([Word::Srvr]) }
    }
}

impl Whitelist {
    /// Every word that has an answer.
    #[must_use]
    pub fn all() -> Self {
        Self { allowed: Word::ALL.iter().copied().filter(|word| word.is_answered()).collect() }
    }

    /// Reads words separated by commas, or `*` for all of them. Also returns what is no word with an answer
    /// here.
    #[must_use]
    pub fn parse(text: &str) -> (Self, Vec<String>) {
        let mut allowed = BTreeSet::new();
        let mut unknown = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if name == "*" {
                return (Self::all(), Vec::new());
            }
            match Word::ALL.iter().find(|word| word.name() == name && word.is_answered()) {
                Some(word) => {
                    allowed.insert(*word);
                }
                None => unknown.push(name.to_owned()),
            }
        }
        (Self { allowed }, unknown)
    }

    /// Whether the word is answered.
    #[must_use]
    pub fn allows(&self, word: Word) -> bool {
        self.allowed.contains(&word)
    }
}

/// What a word that is not allowed gets.
#[must_use]
pub fn refusal(word: Word) -> String {
    format!("{word} is not executed because it is not in the whitelist.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_the_first_four_bytes_and_nothing_else_is() {
        assert_eq!(Word::parse(0x7275_6f6b), Some(Word::Ruok));
        assert_eq!(Word::parse(u32::from_be_bytes(*b"mntr")), Some(Word::Mntr));
        for first in [0, 44, 45, 0xf_ffff, u32::from_be_bytes(*b"MNTR"), u32::from_be_bytes(*b"GET ")] {
            assert_eq!(Word::parse(first), None);
        }
        for word in Word::ALL {
            let first = u32::from_be_bytes(word.name().as_bytes().try_into().unwrap());
            assert_eq!(Word::parse(first), Some(*word));
            assert!(first as usize > zk_proto::limits::FRAME_BYTES_DEFAULT, "no frame is so long");
        }
    }

    #[test]
    fn only_srvr_is_allowed_unless_configured() {
        let list = Whitelist::default();
        assert_eq!(Word::ALL.iter().filter(|w| list.allows(**w)).collect::<Vec<_>>(), [&Word::Srvr]);
        assert_eq!(refusal(Word::Ruok), "ruok is not executed because it is not in the whitelist.\n");
    }

    #[test]
    fn lists_and_the_star() {
        let (list, unknown) = Whitelist::parse(" mntr, ruok ,,nope,wchc");
        assert!(list.allows(Word::Mntr) && list.allows(Word::Ruok) && !list.allows(Word::Srvr));
        assert_eq!(unknown, ["nope", "wchc"]);
        let (list, unknown) = Whitelist::parse("srvr, *");
        assert!(list.allows(Word::Dump) && !list.allows(Word::Wchp) && unknown.is_empty());
        assert_eq!(Whitelist::parse("").0, Whitelist { allowed: BTreeSet::new() });
    }
}
