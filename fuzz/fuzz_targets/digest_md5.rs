//! A DIGEST-MD5 challenge of a stranger: answered within the bound or refused; no text of a stranger proves a server.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zk_proto::limits::DIGEST_RESPONSE_BYTES_MAX;
use zk_proto::sasl::{Account, Service, respond};

fuzz_target!(|text: &[u8]| {
    let account = Account::new("bob", "secret");
    if let Ok(answer) = respond(&account, &Service::ZOOKEEPER, "cnonce", text) {
        assert!(answer.token.len() <= DIGEST_RESPONSE_BYTES_MAX);
        assert!(answer.check(text).is_err());
    }
    let known = b"realm=r,nonce=n,algorithm=md5-sess";
    if let Ok(answer) = respond(&account, &Service::ZOOKEEPER, "cnonce", known) {
        assert!(answer.check(text).is_err());
    }
});
