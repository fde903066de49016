//! What the kernel says of a process, from `/proc`: resident memory and CPU time. Linux only; elsewhere an error.

use std::fs;
use std::io;
use std::time::Duration;

/// Resident memory of a process, in bytes.
///
/// # Errors
/// When the process is gone or `/proc` is not there.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("no VmRSS in /proc"))
}

/// CPU time a process has used so far, user and system together.
///
/// # Errors
/// When the process is gone or `/proc` is not there.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Fields are counted behind the command's name, which may itself hold spaces.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<u64>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok(Duration::from_millis((user + system) * TICK_MS)),
        _ => Err(io::Error::other("no CPU times in /proc")),
    }
}

/// Linux counts in hundredths of a second on every platform we run on (`getconf CLK_TCK`).
const TICK_MS: u64 = 10;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_time() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).unwrap() > 100_000);
        assert!(cpu_time(pid).is_ok());
    }
}
