//! What the 64-bit owner field of a persisted node means: a session, a container, or a time to live.

/// The kind of a node, as its owner field encodes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Nobody: a persistent node.
    Persistent,
    /// Removed by the server when its last child is gone.
    Container,
    /// Removed by the server when unused for this many milliseconds.
    Ttl(i64),
    /// A session.
    Session(i64),
}

/// The longest time to live, in milliseconds: 40 bits.
pub const TTL_MS_MAX: i64 = (1 << 40) - 1;

const CONTAINER: i64 = i64::MIN;
const EXTENDED: i64 = 0xFF00_0000_0000_0000_u64 as i64;
const EXTENDED_KIND: i64 = 0x00FF_FF00_0000_0000;

impl Owner {
    /// Reads the field. The TTL form counts only where extended types are switched on
    /// (`zookeeper.extendedTypesEnabled`): otherwise a server id of 255 makes a session look like it.
    #[must_use]
    pub const fn from_field(field: i64, extended_types: bool) -> Self {
        match field {
            0 => Self::Persistent,
            CONTAINER => Self::Container,
            f if extended_types && f & EXTENDED == EXTENDED && f & EXTENDED_KIND == 0 => {
                Self::Ttl(f & TTL_MS_MAX)
            }
            session => Self::Session(session),
        }
    }

    /// Writes the field.
    #[must_use]
    pub const fn to_field(self) -> i64 {
        match self {
            Self::Persistent => 0,
            Self::Container => CONTAINER,
            Self::Ttl(ms) => EXTENDED | (ms & TTL_MS_MAX),
            Self::Session(id) => id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_field() {
        for owner in [
            Owner::Persistent,
            Owner::Container,
            Owner::Ttl(1),
            Owner::Ttl(TTL_MS_MAX),
            Owner::Session(0x100_0000_0001),
        ] {
            assert_eq!(Owner::from_field(owner.to_field(), true), owner);
        }
        assert_eq!(
            Owner::from_field(Owner::Ttl(5).to_field(), false),
            Owner::Session(Owner::Ttl(5).to_field())
        );
    }
}
