//! Who a connection is, and what that allows: the schemes `world`, `auth`, `digest`, `ip` and `super`.

use std::net::IpAddr;

use zk_proto::acl::{AuthId, Perms, digest_id};
use zk_proto::{Acl, ErrorCode};

/// The scheme that passes every check.
pub const SUPER: &str = "super";

/// Whether `acl` gives one of `ids` one of `perms`. `super` passes always.
#[must_use]
pub fn allows(acl: &[Acl], perms: Perms, ids: &[AuthId]) -> bool {
    ids.iter().any(|id| id.scheme == SUPER)
        || acl.iter().any(|entry| {
            entry.perms.allows(perms) && (is_anyone(&entry.id) || ids.iter().any(|id| matches(&entry.id, id)))
        })
}

fn is_anyone(id: &AuthId) -> bool {
    id.scheme == "world" && id.id == "anyone"
}

fn matches(wanted: &AuthId, have: &AuthId) -> bool {
    wanted.scheme == have.scheme
        && match wanted.scheme.as_str() {
            "ip" => Network::parse(&wanted.id)
                .zip(have.id.parse().ok())
                .is_some_and(|(network, address)| network.contains(address)),
            "digest" => wanted.id == have.id,
            _ => false,
        }
}

/// The ids that an auth packet adds.
///
/// # Errors
/// [`ErrorCode::AuthFailed`] for a scheme that is not known or credentials of the wrong form; the connection is
/// then closed.
pub fn authenticate(
    scheme: &str,
    credentials: &[u8],
    peer: IpAddr,
    super_digest: Option<&str>,
) -> Result<Vec<AuthId>, ErrorCode> {
    match scheme {
        "ip" => Ok(vec![AuthId::new("ip", peer.to_string())]),
        "digest" => {
            let text = std::str::from_utf8(credentials).map_err(|_| ErrorCode::AuthFailed)?;
            let user = text.split(':').next().unwrap_or_default();
            let id = digest_id(user, text);
            let mut ids = Vec::new();
            if super_digest.is_some_and(|expected| constant_time_eq(expected, &id)) {
                ids.push(AuthId::new(SUPER, ""));
            }
            ids.push(AuthId::new("digest", id));
            Ok(ids)
        }
        _ => Err(ErrorCode::AuthFailed),
    }
}

fn constant_time_eq(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

/// An ACL as it is stored: doubles removed, `auth` replaced by the connection's authenticated ids.
///
/// # Errors
/// [`ErrorCode::InvalidAcl`] when nothing is left, or an id is not valid for its scheme.
pub fn fix_up(acl: &[Acl], ids: &[AuthId]) -> Result<Vec<Acl>, ErrorCode> {
    let mut fixed: Vec<Acl> = Vec::new();
    let mut add = |entry: Acl| {
        if !fixed.contains(&entry) {
            fixed.push(entry);
        }
    };
    for entry in acl {
        match entry.id.scheme.as_str() {
            "world" if entry.id.id == "anyone" => add(entry.clone()),
            "auth" => {
                let mut authenticated = ids.iter().filter(|id| id.scheme == "digest").peekable();
                authenticated.peek().ok_or(ErrorCode::InvalidAcl)?;
                for id in authenticated {
                    add(Acl::new(entry.perms, id.clone()));
                }
            }
            "ip" if Network::parse(&entry.id.id).is_some() => add(entry.clone()),
            "digest" if entry.id.id.split(':').count() == 2 => add(entry.clone()),
            _ => return Err(ErrorCode::InvalidAcl),
        }
    }
    if fixed.is_empty() { Err(ErrorCode::InvalidAcl) } else { Ok(fixed) }
}

/// An ACL as those see it who may read but not administer: digests without their secret part
/// (ZOOKEEPER-1392).
#[must_use]
pub fn masked(acl: &[Acl]) -> Vec<Acl> {
    let mut acl = acl.to_vec();
    for entry in acl.iter_mut().filter(|e| e.id.scheme == "digest") {
        entry.id.id = format!("{}:x", user_of(&entry.id));
    }
    acl
}

/// The user part of an id, without secrets.
#[must_use]
pub fn user_of(id: &AuthId) -> &str {
    match id.scheme.as_str() {
        "digest" => id.id.split(':').next().unwrap_or_default(),
        SUPER => "",
        _ => &id.id,
    }
}

/// An address, or `address/bits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { address, bits })
    }

    fn contains(self, other: IpAddr) -> bool {
        let (a, b, width) = match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        (a ^ b).checked_shr(width - self.bits).unwrap_or(0) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(credentials: &str) -> Vec<AuthId> {
        authenticate(
            "digest",
            credentials.as_bytes(),
            [127, 0, 0, 1].into(),
            Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU="),
        )
        .unwrap()
    }

    #[test]
    fn digest_authenticates_and_matches() {
        let acl = fix_up(&Acl::creator(), &ids("bob:secret")).unwrap();
        assert!(allows(&acl, Perms::READ, &ids("bob:secret")));
        assert!(!allows(&acl, Perms::READ, &ids("bob:wrong")));
        assert!(allows(&acl, Perms::READ, &ids("super:test")), "the super user passes");
        assert_eq!(masked(&acl)[0].id.id, "bob:x");
    }

    #[test]
    fn networks_match_by_prefix() {
        let acl = [Acl::new(Perms::READ, AuthId::new("ip", "10.1.0.0/16"))];
        assert!(allows(&acl, Perms::READ, &[AuthId::new("ip", "10.1.2.3")]));
        assert!(!allows(&acl, Perms::READ, &[AuthId::new("ip", "10.2.2.3")]));
        assert!(Network::parse("10.0.0.0/33").is_none() && Network::parse("x").is_none());
        let all = [Acl::new(Perms::READ, AuthId::new("ip", "0.0.0.0/0"))];
        assert!(allows(&all, Perms::READ, &[AuthId::new("ip", "1.2.3.4")]));
    }

    #[test]
    fn invalid_acls_are_refused() {
        let refused = |acl: &[Acl]| fix_up(acl, &[]).unwrap_err() == ErrorCode::InvalidAcl;
        assert!(refused(&[]));
        assert!(refused(&Acl::creator()), "auth without an authenticated id");
        assert!(refused(&[Acl::new(Perms::ALL, AuthId::new("world", "someone"))]));
        assert!(refused(&[Acl::new(Perms::ALL, AuthId::new("digest", "nocolon"))]));
        assert!(refused(&[Acl::new(Perms::ALL, AuthId::new("nosuch", "x"))]));
        let twice = [Acl::open(), Acl::open()].concat();
        assert_eq!(fix_up(&twice, &[]).unwrap(), Acl::open());
    }

    #[test]
    fn unknown_schemes_fail() {
        assert_eq!(authenticate("nosuch", b"", [127, 0, 0, 1].into(), None), Err(ErrorCode::AuthFailed));
    }
}
