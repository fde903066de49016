//! RFC 2831's own exchanges, the rules one by one, and texts of strangers.

use proptest::prelude::*;

use super::directive::{Directive, parse};
use super::{Account, DigestMd5Error, Service, respond};

const IMAP: &str =
    r#"realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8"#;
/// As ZooKeeper 3.9 on Java 17 sends it.
const JAVA: &str = r#"realm="zk-sasl-md5",nonce="MfMZ2nBN6G6v0Hqm3hOdNxCE9zPvvN+5m3vQWQrE",charset=utf-8,algorithm=md5-sess"#;

fn chris() -> Account {
    Account::new("chris", "secret")
}

fn answer(account: &Account, challenge: &str) -> Result<Vec<Directive>, DigestMd5Error> {
    let answer = respond(account, &Service::ZOOKEEPER, "cn", challenge.as_bytes())?;
    Ok(parse(&answer.token).unwrap())
}

fn said<'a>(list: &'a [Directive], name: &str) -> Option<&'a [u8]> {
    list.iter().find(|d| d.name == name).map(|d| d.value.as_slice())
}

#[test]
fn the_exchanges_of_the_rfc() {
    let imap = Service { protocol: "imap", server: "elwood.innosoft.com" };
    let answer = respond(&chris(), &imap, "OA6MHXh6VqTrRk", IMAP.as_bytes()).unwrap();
    let list = parse(&answer.token).unwrap();
    assert_eq!(said(&list, "response"), Some(&b"d388dad90d4bbd760a152321f2143af7"[..]));
    assert_eq!(said(&list, "digest-uri"), Some(&b"imap/elwood.innosoft.com"[..]));
    answer.check(b"rspauth=ea40f60335c427b5527b84dbabcdfffd").unwrap();

    let acap = Service { protocol: "acap", server: "elwood.innosoft.com" };
    let challenge = IMAP.replace("OA6MG9tEQGm2hh", "OA9BSXrbuRhWay");
    let answer = respond(&chris(), &acap, "OA9BSuZWMSpW8m", challenge.as_bytes()).unwrap();
    let list = parse(&answer.token).unwrap();
    assert_eq!(said(&list, "response"), Some(&b"6084c6db3fede7352c551284490fd0fc"[..]));
    answer.check(b"rspauth=\"2f0b3d7c3c2e486600ef710726aa2eae\"").unwrap();
}

#[test]
fn a_server_must_prove_itself() {
    let answer = respond(&chris(), &Service::ZOOKEEPER, "cn", JAVA.as_bytes()).unwrap();
    let wrong = [
        (&b"rspauth=ea40f60335c427b5527b84dbabcdfffd"[..], DigestMd5Error::ServerNotProven),
        (b"rspauth=ea40", DigestMd5Error::ServerNotProven),
        (b"rspauth=\"\"", DigestMd5Error::ServerNotProven),
        (b"", DigestMd5Error::Missing("rspauth")),
        (b"nonce=x", DigestMd5Error::Missing("rspauth")),
        (b"rspauth=a,rspauth=a", DigestMd5Error::Repeated("rspauth")),
        (b"rspauth", DigestMd5Error::Malformed { at: 7 }),
    ];
    for (last_word, error) in wrong {
        assert_eq!(answer.check(last_word), Err(error));
    }
}

#[test]
fn challenges_that_cannot_be_answered_are_refused_by_name() {
    let cases = [
        ("algorithm=md5-sess", DigestMd5Error::Missing("nonce")),
        ("nonce=\"\",algorithm=md5-sess", DigestMd5Error::Missing("nonce")),
        ("nonce=a", DigestMd5Error::Missing("algorithm")),
        ("nonce=a,nonce=b,algorithm=md5-sess", DigestMd5Error::Repeated("nonce")),
        ("nonce=a,algorithm=md5-sess,charset=utf-8,charset=utf-8", DigestMd5Error::Repeated("charset")),
        ("nonce=a,algorithm=md5", unsupported("algorithm", "md5")),
        ("nonce=a,algorithm=md5-sess,charset=koi8", unsupported("charset", "koi8")),
        ("nonce=a,algorithm=md5-sess,qop=\"auth-int, auth-conf\"", unsupported("qop", "auth-int, auth-conf")),
    ];
    for (challenge, error) in cases {
        assert_eq!(answer(&chris(), challenge), Err(error), "{challenge}");
    }
    let long = format!("nonce=a,algorithm=md5-sess,x={}", "y".repeat(2048));
    assert_eq!(answer(&chris(), &long), Err(DigestMd5Error::TooLong { bytes: long.len() }));
}

fn unsupported(directive: &'static str, value: &str) -> DigestMd5Error {
    DigestMd5Error::Unsupported { directive, value: value.into() }
}

#[test]
fn the_realm_is_the_accounts_or_the_servers_first() {
    let two = r#"realm="one",realm="t\"wo",nonce=a,algorithm=md5-sess"#;
    assert_eq!(said(&answer(&chris(), two).unwrap(), "realm"), Some(&b"one"[..]));
    let of = |realm: &str| Account { realm: Some(realm.into()), ..chris() };
    assert_eq!(said(&answer(&of("t\"wo"), two).unwrap(), "realm"), Some(&b"t\"wo"[..]));
    let error = answer(&of("three"), two).unwrap_err();
    assert_eq!(error.to_string(), r#"the server has no realm "three", only ["one", "t\"wo"]"#);
    let none = "nonce=a,algorithm=md5-sess";
    assert_eq!(said(&answer(&chris(), none).unwrap(), "realm"), None);
    assert_eq!(said(&answer(&of("mine"), none).unwrap(), "realm"), Some(&b"mine"[..]));
}

/// "jürgen" is hashed the same whether it travels as one byte a letter or as UTF-8; "Юля" only travels as UTF-8.
#[test]
fn latin_letters_are_hashed_as_such_and_others_need_utf8() {
    let plain = "realm=r,nonce=a,algorithm=md5-sess";
    let utf8 = "realm=r,nonce=a,algorithm=md5-sess,charset=utf-8";
    let juergen = Account::new("jürgen", "pässwörd");
    let (one, two) = (answer(&juergen, plain).unwrap(), answer(&juergen, utf8).unwrap());
    assert_eq!(said(&one, "response"), said(&two, "response"));
    assert_eq!(said(&one, "username"), Some(&b"j\xfcrgen"[..]));
    assert_eq!(said(&two, "username"), Some("jürgen".as_bytes()));
    assert_eq!((said(&one, "charset"), said(&two, "charset")), (None, Some(&b"utf-8"[..])));

    let julia = Account::new("Юля", "secret");
    assert_eq!(answer(&julia, plain), Err(DigestMd5Error::NotLatin1("user name")));
    assert_eq!(said(&answer(&julia, utf8).unwrap(), "username"), Some("Юля".as_bytes()));
    let secret = Account::new("julia", "пароль");
    assert_eq!(answer(&secret, plain), Err(DigestMd5Error::NotLatin1("password")));
    // One Latin, one not: each is hashed by its own letters.
    let mixed = Account::new("jürgen", "пароль");
    assert_ne!(said(&answer(&mixed, utf8).unwrap(), "response"), said(&two, "response"));
}

#[test]
fn whom_to_act_as_is_part_of_the_proof() {
    let other = Account { authzid: Some("boss".into()), ..chris() };
    let (own, other) = (answer(&chris(), JAVA).unwrap(), answer(&other, JAVA).unwrap());
    assert_eq!((said(&own, "authzid"), said(&other, "authzid")), (None, Some(&b"boss"[..])));
    assert_ne!(said(&own, "response"), said(&other, "response"));
}

#[test]
fn an_answer_stays_below_its_bound() {
    let long = Account::new("x".repeat(5000), "secret");
    assert!(matches!(answer(&long, JAVA), Err(DigestMd5Error::AnswerTooLong { .. })));
}

#[test]
fn passwords_are_not_shown() {
    let answer = respond(&chris(), &Service::ZOOKEEPER, "cn", JAVA.as_bytes()).unwrap();
    let shown = format!("{:?} {answer:?}", chris());
    assert!(!shown.contains("secret") && !shown.contains("response"), "{shown}");
}

/// Pieces of challenges, so that arbitrary texts get further than their first byte.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"nonce=".to_vec()),
        Just(b"nonce=\"abc\",".to_vec()),
        Just(b"algorithm=md5-sess,".to_vec()),
        Just(b"realm=\"".to_vec()),
        Just(b"charset=utf-8".to_vec()),
        Just(b"qop=\"auth\"".to_vec()),
        Just(b"rspauth=".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"\\".to_vec()),
        Just(b",".to_vec()),
        Just(b"=".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_answered_or_refused(text in pieces(), user in ".{0,40}", password in ".{0,40}") {
        if let Ok(answer) = respond(&Account::new(user.clone(), password), &Service::ZOOKEEPER, "cn", &text) {
            prop_assert!(answer.token.len() < 4096);
            let list = parse(&answer.token).unwrap();
            let travelled = said(&list, "username").unwrap();
            prop_assert!(travelled == user.as_bytes() || said(&list, "charset").is_none());
            prop_assert!(answer.check(&text).is_err());
        }
    }

    #[test]
    fn any_last_word_is_refused(text in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let answer = respond(&chris(), &Service::ZOOKEEPER, "cn", JAVA.as_bytes()).unwrap();
        prop_assert!(answer.check(&text).is_err());
    }
}
