//! A life of the client's session core: see `zk_fuzz::session`.
#![no_main]

#[global_allocator]
static HEAP: zk_fuzz::heap::Counting = zk_fuzz::heap::Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| zk_fuzz::session::play(input));
