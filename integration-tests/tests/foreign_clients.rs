//! Other people's clients on our server: Kazoo, Java's command line.

use integration_tests::our_server::OurServer;
use integration_tests::peers::{Peers, or_skip};
use integration_tests::targets::Failure;

#[test]
fn kazoo_is_at_home() -> Result<(), Failure> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = OurServer::start(dir.path(), "")?;
    let said = peers.python("kazoo_plain.py", &[&server.hosts()])?.success()?;
    let checks = said.lines().filter(|l| l.starts_with("ok ")).count();
    assert!(checks >= 20, "only {checks} checks ran:\n{said}");
    Ok(())
}

#[test]
fn javas_command_line_is_at_home() -> Result<(), Failure> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    for version in peers.versions() {
        let dir = tempfile::tempdir()?;
        let server = OurServer::start(dir.path(), "")?;
        let said = peers.shell("zkcli_script.sh", &[&server.hosts(), version.name()])?.success()?;
        let checks = said.lines().filter(|l| l.starts_with("ok ")).count();
        assert!(checks >= 12, "only {checks} checks ran:\n{said}");
    }
    Ok(())
}
