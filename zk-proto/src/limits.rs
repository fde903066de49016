//! Every bound of the protocol crate, by name and with its unit.

/// Largest frame accepted by default, in bytes: `jute.maxbuffer`, 0xfffff.
pub const FRAME_BYTES_DEFAULT: usize = 0xf_ffff;

/// Bytes of a session password.
pub const PASSWORD_BYTES: usize = 16;

/// Elements reserved ahead while a vector is decoded, whatever its declared length says.
pub const VECTOR_RESERVE_MAX: usize = 1024;

/// Bytes of memory that decoding may take up for each byte of input, in the list that holds the decoded items; twice
/// that while the list grows. Held at compile time.
pub const MEMORY_PER_INPUT_BYTE_MAX: usize = 16;

/// Sub-operations of one multi accepted by the decoder. Each takes at least 9 bytes of a bounded frame, so this
/// only matters for callers that raise the frame limit.
pub const MULTI_OPS_MAX: usize = 1_000_000;

/// Sum of path lengths, in bytes, after which a client starts another re-arming request (Java's 128 KiB).
pub const REARM_BATCH_BYTES: usize = 128 * 1024;

/// Largest DIGEST-MD5 challenge read, in bytes: RFC 2831 demands less than 2048.
pub const DIGEST_CHALLENGE_BYTES_MAX: usize = 2047;

/// Largest DIGEST-MD5 response written, in bytes: RFC 2831 demands less than 4096.
pub const DIGEST_RESPONSE_BYTES_MAX: usize = 4095;
