//! Bytes that no client sends: the connection that sent them closes, everyone else is served, memory stays flat.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod raw;

use std::net::SocketAddr;

use bytes::{BufMut, BytesMut};
use raw::Raw;
use zk_proto::header::{ReplyHeader, RequestHeader};
use zk_proto::jute::{Encode, Reader};
use zk_proto::ops::data::GetDataRequest;
use zk_proto::{ErrorCode, OpCode, frame};
use zk_server::EmbeddedServer;

/// Runs `hostile` against a server with a bystander, who must be served before and after.
fn with_server(hostile: impl FnOnce(SocketAddr)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(EmbeddedServer::start()).unwrap();
    let mut bystander = Raw::session(server.address());
    assert!(bystander.is_served());
    hostile(server.address());
    assert!(bystander.is_served(), "somebody else's bytes disturbed this connection");
    runtime.block_on(server.stop());
}

#[test]
fn frame_lengths_outside_the_limit_close_the_connection() {
    with_server(|address| {
        for len in [-1, i32::MIN, i32::MAX, 0x10_0000] {
            let mut raw = Raw::session(address);
            raw.send(&len.to_be_bytes());
            assert!(raw.is_closed(), "{len}");
        }
    });
}

#[test]
fn a_handshake_may_not_be_large_and_must_be_one() {
    with_server(|address| {
        for bytes in [&5000_i32.to_be_bytes()[..], &[0, 0, 0, 3, 1, 2, 3], b"GET / HTTP/1.1\r\n\r\n"] {
            let mut raw = Raw::dial(address);
            raw.send(bytes);
            assert!(raw.is_closed(), "{bytes:?}");
        }
    });
}

#[test]
fn requests_that_are_none_are_refused() {
    with_server(|address| {
        let root = GetDataRequest { path: "/".into(), watch: false };
        for op in [0, 10, 13, 20, 99, -1, -10, 102, i32::MAX] {
            let mut raw = Raw::session(address);
            let reply = raw.ask(1, op, &root).unwrap();
            assert_eq!(reply.outcome, Err(ErrorCode::Unimplemented), "{op}");
            assert!(raw.is_closed(), "{op}");
        }
        // A body that is not the operation's: an error for that request, and the connection goes on.
        let mut raw = Raw::session(address);
        let reply = raw.ask(1, OpCode::Create.code(), &0x7fff_ffff_i32).unwrap();
        assert_eq!(reply.outcome, Err(ErrorCode::MarshallingError));
        assert!(raw.is_served());
        // Not even a header.
        raw.send(&[0, 0, 0, 2, 1, 1]);
        assert!(raw.is_closed());
    });
}

#[test]
fn a_frame_cut_short_harms_nobody() {
    with_server(|address| {
        let mut raw = Raw::session(address);
        raw.send(&[0, 0, 1, 0, 1, 2, 3]);
        drop(raw);
    });
}

#[test]
fn bytes_one_at_a_time_are_a_request_too() {
    with_server(|address| {
        let mut raw = Raw::session(address);
        let mut out = BytesMut::new();
        frame::put(&mut out, |out| {
            RequestHeader { xid: 3, op: OpCode::GetData.code() }.encode(out);
            GetDataRequest { path: "/".into(), watch: false }.encode(out);
        });
        for byte in out {
            raw.send(&[byte]);
        }
        let header: ReplyHeader = Reader::new(raw.frame().unwrap()).read().unwrap();
        assert_eq!((header.xid, header.outcome), (3, Ok(())));
    });
}

#[test]
fn random_bytes_from_many_connections_leave_memory_flat() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).map(str::to_owned);
        line.and_then(|l| l.split_whitespace().next().and_then(|n| n.parse::<u64>().ok())).unwrap_or(0)
    };
    with_server(|address| {
        let mut seed = 1_u64;
        let mut flood = |connections: usize| {
            for _ in 0..connections {
                let mut raw = Raw::session(address);
                let mut bytes = BytesMut::new();
                // A large declared length that never comes, behind garbage that fits.
                for _ in 0..64 {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    bytes.put_u32(16);
                    bytes.put_u64(seed);
                    bytes.put_u64(seed.rotate_left(17));
                }
                bytes.put_u32(0x000f_0000);
                bytes.put_bytes(7, 100);
                raw.send(&bytes);
            }
        };
        flood(200);
        let before = resident();
        flood(1000);
        let grown = resident().saturating_sub(before);
        assert!(grown < 32 * 1024, "memory grew by {grown} KiB over 1,000 hostile connections");
    });
}
