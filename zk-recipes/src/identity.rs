//! Who we are: the UUID in a node's name, and the text that tells humans who made it. Owns no randomness; callers
//! bring it.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

/// A random UUID (version 4). Its dashed form is in the names of Curator's layout, its bare form in Kazoo's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(u128);

impl Uuid {
    /// The UUID made of these random bits; six of them give way to version and variant (RFC 9562, 5.4).
    #[must_use]
    pub const fn from_random(bits: u128) -> Self {
        const VERSION: u128 = 0xf << 76;
        const VARIANT: u128 = 0b11 << 62;
        Self((bits & !VERSION & !VARIANT) | (0x4 << 76) | (0b10 << 62))
    }

    /// The UUID that stands for this name, the same in every process: FNV-1a (128 bits) of its bytes, as a UUID of
    /// version 8 (RFC 9562, 5.8).
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        let hash = name.bytes().fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
        let Self(bits) = Self::from_random(hash);
        Self((bits & !(0xf << 76)) | (0x8 << 76))
    }

    /// A time below `limit`, by its random bits: what many are to do after the same event they do spread over it.
    #[must_use]
    pub(crate) fn spread(self, limit: Duration) -> Duration {
        const PARTS: u32 = 1 << 16;
        limit / PARTS * u32::from(self.0 as u16)
    }

    /// 32 hex digits without dashes.
    #[must_use]
    pub fn bare(self) -> String {
        format!("{:032x}", self.0)
    }
}

/// The dashed form, 36 characters.
impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.bare();
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `host:pid`: what a lock node says of its maker unless it was told something better.
pub(crate) fn host_and_pid() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let from_env = ["HOSTNAME", "COMPUTERNAME"].iter().find_map(|name| std::env::var(name).ok());
        let host = from_env
            .or_else(|| std::fs::read_to_string("/etc/hostname").ok())
            .map(|host| host.trim().to_owned())
            .filter(|host| !host.is_empty());
        format!("{}:{}", host.as_deref().unwrap_or("localhost"), std::process::id())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_and_variant_are_in_place() {
        for bits in [0, u128::MAX, 0x2947_c1df_c94b_f2a0_cd17_b659_fb24_e72e] {
            let text = Uuid::from_random(bits).to_string();
            assert_eq!(text.len(), 36);
            assert_eq!(text.as_bytes()[14], b'4', "{text}");
            assert!(b"89ab".contains(&text.as_bytes()[19]), "{text}");
        }
        let uuid = Uuid::from_random(0x2947_c1df_c94b_f2a0_cd17_b659_fb24_e72e);
        assert_eq!(uuid.to_string(), "2947c1df-c94b-42a0-8d17-b659fb24e72e");
        assert_eq!(uuid.bare(), "2947c1dfc94b42a08d17b659fb24e72e");
    }

    #[test]
    fn a_name_has_one_identity() {
        let of = |name| Uuid::of_name(name).to_string();
        assert_eq!(of("scheduler-1"), of("scheduler-1"));
        assert_ne!(of("scheduler-1"), of("scheduler-2"));
        assert_eq!(of("").as_bytes()[14], b'8');
        assert!(b"89ab".contains(&of("").as_bytes()[19]));
    }

    #[test]
    fn there_is_always_something_to_say() {
        assert!(host_and_pid().ends_with(&format!(":{}", std::process::id())));
    }
}
