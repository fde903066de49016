//! What can be read, what is said of what cannot, and rotation. Connections are tested across crates, in
//! `integration-tests/tests/client_tls.rs`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::{Tls, TlsBuilder};
use crate::error::ErrorKind;

const RSA: &str = include_str!("../../tests/tls/rsa.pem");
const RSA_PKCS1: &str = include_str!("../../tests/tls/rsa-pkcs1.key");
const EC: &str = include_str!("../../tests/tls/ec.pem");
const EC_SEC1: &str = include_str!("../../tests/tls/ec-sec1.key");
const EC_PKCS8: &str = include_str!("../../tests/tls/ec-pkcs8.key");
const EC_ENCRYPTED: &str = include_str!("../../tests/tls/ec-encrypted.key");

fn refusal(options: TlsBuilder) -> String {
    let error = options.build().unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, "tls"));
    error.to_string()
}

fn new_ca(name: &str) -> String {
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
}

#[test]
fn keys_of_every_format_are_read() {
    for (chain, key) in [(RSA, RSA_PKCS1), (EC, EC_SEC1), (EC, EC_PKCS8)] {
        Tls::builder().ca_pem(EC).identity_pem(chain, key).build().unwrap();
    }
    // One file with everything in it, as many deployments have it.
    let both = format!("{EC_PKCS8}{EC}");
    Tls::builder().ca_pem(&both).identity_pem(&both, &both).build().unwrap();
    Tls::builder().ca_pem(EC).ca_pem(format!("{RSA}{EC}")).server_name("10.0.0.1").build().unwrap();
}

#[test]
fn what_cannot_be_used_is_said_with_its_file_and_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let file = |name: &str, text: &[u8]| {
        fs::write(path(name), text).unwrap();
        path(name)
    };
    let ca = Tls::builder().ca_pem(EC);
    let with = |chain: &Path, key: &Path| ca.clone().identity_files(chain, key);
    let (chain, key) = (file("chain.pem", EC.as_bytes()), file("key.pem", EC_SEC1.as_bytes()));
    let foreign = file("rsa.key", RSA_PKCS1.as_bytes());
    let encrypted = file("encrypted.key", EC_ENCRYPTED.as_bytes());
    let der = file("store.jks", &[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]);
    let cut = file("cut.pem", &EC.as_bytes()[..300]);
    let huge = file("huge.pem", &vec![b'x'; 5 * 1024 * 1024]);
    let not_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cases = [
        (Tls::builder().ca_file(path("gone.pem")), "gone.pem: No such file or directory"),
        (Tls::builder().ca_file(&der), "store.jks holds no certificate"),
        (Tls::builder().ca_file(&cut), "cut.pem is not valid PEM"),
        (Tls::builder().ca_file(&huge), "huge.pem is larger than 4194304 bytes"),
        (Tls::builder().ca_pem(not_x509), "certificate 1 of the CA certificate given as bytes"),
        (with(&path("gone.pem"), &key), "cannot read the client certificate"),
        (with(&chain, &path("gone.key")), "cannot read the client key"),
        (with(&chain, &foreign), "rsa.key does not belong to the client certificate"),
        (with(&chain, &encrypted), "encrypted.key is encrypted: store it without a password"),
        (with(&chain, &chain), "chain.pem holds no private key"),
        (ca.clone().server_name("no name"), "\"no name\" is neither a DNS name nor an address"),
    ];
    for (options, expected) in cases {
        let text = refusal(options);
        assert!(text.contains(expected), "{expected:?} is not in {text:?}");
    }
}

#[test]
fn keys_are_shown_nowhere() {
    let secret = EC_PKCS8.lines().nth(1).unwrap();
    let options = Tls::builder().ca_pem(EC).identity_pem(EC, EC_PKCS8);
    let builder = crate::Client::builder().tls(options.clone().build().unwrap());
    let shown = format!("{options:?} {:?} {builder:?}", options.clone().build().unwrap());
    assert!(!shown.contains(secret) && shown.contains("given as bytes"), "{shown}");
    // A key whose text is broken must not appear in the message either.
    for broken in [EC_PKCS8.replace("-----END", "----END"), EC_PKCS8.replace(secret, &format!("?{secret}"))] {
        let text = refusal(Tls::builder().ca_pem(EC).identity_pem(EC, &broken));
        assert!(!text.contains(&secret[4..]), "{text}");
    }
}

#[test]
fn rotated_files_are_used_and_broken_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let [ca, chain, key] = ["ca.pem", "chain.pem", "key.pem"].map(|name| dir.path().join(name));
    let write = |path: &Path, text: &str| fs::write(path, text).unwrap();
    write(&ca, &new_ca("one"));
    write(&chain, EC);
    write(&key, EC_SEC1);
    let tls = Tls::builder().ca_file(&ca).identity_files(&chain, &key).build().unwrap();
    let first = tls.read_again();
    assert!(first.stale.is_none());
    assert!(Arc::ptr_eq(&first.config, &tls.read_again().config), "nothing has changed");

    write(&ca, &new_ca("two"));
    let second = tls.read_again();
    assert!(second.stale.is_none() && !Arc::ptr_eq(&first.config, &second.config));

    // Half of a rotation: the certificate is there, its key is not yet.
    write(&chain, RSA);
    let half = tls.read_again();
    assert!(Arc::ptr_eq(&half.config, &second.config));
    assert!(half.stale.unwrap().0.contains("does not belong"));
    fs::remove_file(&key).unwrap();
    let gone = tls.read_again();
    assert!(Arc::ptr_eq(&gone.config, &second.config) && gone.stale.is_some());

    write(&key, RSA_PKCS1);
    let third = tls.read_again();
    assert!(third.stale.is_none() && !Arc::ptr_eq(&third.config, &second.config));
    assert!(tls.read_again().stale.is_none());
}

#[test]
fn without_a_ca_the_platform_is_trusted() {
    // A bare container trusts nobody; then the caller is told what to give.
    if let Err(error) = Tls::builder().build() {
        assert!(error.to_string().contains("name the servers' CA with ca_file"), "{error}");
    }
}

#[tokio::test]
async fn memory_alone_is_read_once() {
    let tls = Tls::builder().ca_pem(EC).build().unwrap();
    let (first, second) = (tls.in_use().await, tls.in_use().await);
    assert!(Arc::ptr_eq(&first.config, &second.config) && first.stale.is_none());
}
