//! The harness for real peers against the real peers: if these fail, no other interop test means anything.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use integration_tests::critical_section::{self, log_in};
use integration_tests::peers::{
    JavaServer, JavaServerOptions, JavaVersion, Missing, Peers, free_port, or_skip,
};
use integration_tests::recipe_peers::RecipePeer;
use integration_tests::targets::Failure;

#[test]
fn missing_peers_are_named() {
    let nowhere = Path::new("/nowhere");
    let none = Peers::find_in(nowhere, |_| None).unwrap_err();
    assert_eq!(none, Missing::Unnamed { key: "ZK_PEER_JAVA", env_file: PathBuf::from("/nowhere/peers.env") });
    let gone = Peers::find_in(nowhere, |_| Some("/bin/sh:/no/such.jar".to_owned())).unwrap_err();
    assert_eq!(gone, Missing::NoFile { key: "ZK_PEER_JAVA", path: PathBuf::from("/no/such.jar") });
}

#[test]
fn environment_wins_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let lines = "ZK_PEER_JAVA=/bin/sh\nZK_PEER_JAVAC=/bin/sh\nZK_PEER_PYTHON=/bin/sh\n\
                 ZK_PEER_ZOOKEEPER_CP=/bin\nZK_PEER_CURATOR_CP=/bin:/bin/sh\n";
    std::fs::write(dir.path().join("peers.env"), lines).unwrap();
    let environment = |key: &str| (key == "ZK_PEER_ZOOKEEPER_CP").then(|| "/".to_owned());
    let peers = Peers::find_in(dir.path(), environment).unwrap();
    assert_eq!(peers.zookeeper_class_path(JavaVersion::V3_8), Ok("/"));
    assert_eq!(peers.curator_class_path(JavaVersion::V3_8), Ok("/bin:/bin/sh"));
    assert_eq!(peers.versions().collect::<Vec<_>>(), [JavaVersion::V3_8]);
    assert!(peers.zookeeper_class_path(JavaVersion::V3_9_5).is_err());
}

/// Kazoo and zkCli as plain clients of every Java server there is.
#[test]
fn clients_pass_on_java() -> io::Result<()> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    for version in peers.versions() {
        let data = tempfile::tempdir()?;
        let server = JavaServer::start(&peers, version, data.path(), None)?;
        assert_eq!(server.four_letter("ruok")?, "imok");
        let said = peers.python("kazoo_plain.py", &[&server.hosts()])?.success()?;
        assert!(said.lines().all(|line| line.starts_with("ok ")), "{said}");
        peers.shell("zkcli_script.sh", &[&server.hosts(), version.name()])?.success()?;
    }
    Ok(())
}

/// A directory that Java wrote shows the same tree after a kill and after an orderly end.
#[test]
fn java_reopens_its_data_directory() -> io::Result<()> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    for version in peers.versions() {
        let class_path = peers.zookeeper_class_path(version).map_err(io::Error::other)?;
        let data = tempfile::tempdir()?;
        let mut server = JavaServer::start(&peers, version, data.path(), None)?;
        let dump = |server: &JavaServer| peers.java("DumpTree", class_path, &[&server.hosts()])?.success();
        peers.java("WriteDataDir", class_path, &[&server.hosts(), "2"])?.success()?;
        let before = dump(&server)?;
        server.restart()?;
        assert_eq!(dump(&server)?, before);
        server.signal("TERM")?;
        while server.four_letter("ruok").is_ok() {}
        server.restart()?;
        assert_eq!(dump(&server)?, before);
        assert!(before.contains("/round-1/multi/child "), "{before}");
    }
    Ok(())
}

/// Every record under `zk-proto/tests/golden` is what each installed Java still prints. A later one may know more.
#[test]
fn golden_records_are_current() -> io::Result<()> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../zk-proto/tests/golden/records.txt");
    let golden = std::fs::read_to_string(golden)?;
    for version in peers.versions() {
        let class_path = peers.zookeeper_class_path(version).map_err(io::Error::other)?;
        let said = peers.java("GoldenBytes", class_path, &[])?.success()?;
        let said: BTreeSet<&str> = said.lines().collect();
        for line in golden.lines() {
            assert!(said.contains(line), "Java {version} does not print {line}");
        }
    }
    Ok(())
}

/// Every Java reads the data directories that any Java wrote for `zk-proto`'s golden files, from log or snapshot.
#[test]
fn java_opens_the_golden_directories() -> io::Result<()> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    let disk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../zk-proto/tests/golden/disk");
    for (version, written_by) in peers.versions().flat_map(|v| [(v, "3.8"), (v, "3.9.5")]) {
        let class_path = peers.zookeeper_class_path(version).map_err(io::Error::other)?;
        let expected = std::fs::read_to_string(disk.join(written_by).join("tree.txt"))?;
        for files in [&["snapshot.0", "log.1"][..], &["snapshot.19"]] {
            let data = tempfile::tempdir()?;
            std::fs::create_dir(data.path().join("version-2"))?;
            for file in files {
                std::fs::copy(disk.join(written_by).join(file), data.path().join("version-2").join(file))?;
            }
            let server = JavaServer::start(&peers, version, data.path(), None)?;
            let tree = peers.java("DumpTree", class_path, &[&server.hosts()])?.success()?;
            assert_eq!(tree, expected, "Java {version} on {files:?} of Java {written_by}");
        }
    }
    Ok(())
}

/// Curator and Kazoo under Curator's node names never hold the lock together, and a killed holder's lock passes on once
/// its session has expired.
#[tokio::test]
async fn contenders_exclude_each_other() -> Result<(), Failure> {
    const SESSION: Duration = Duration::from_secs(20);
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    for version in peers.versions() {
        let data = tempfile::tempdir()?;
        let server = JavaServer::start(&peers, version, data.path(), None)?;
        let path = log_in(data.path());
        let log = path.display();
        let (curator, kazoo) = (RecipePeer::curator(&peers, version)?, RecipePeer::kazoo(&peers)?);
        let java = curator.actor("java", &server.hosts(), SESSION).await?;
        let python = kazoo.actor("python", &server.hosts(), SESSION).await?;
        let contending = java.ask(&format!("contend mutex /lock 50 {log}"));
        python.ask(&format!("contend mutex:curator /lock 50 {log}")).await?;
        contending.await?;
        assert_eq!(critical_section::check(&path)?.passages, 100);

        // Of those who are to lose it, the session is short.
        let doomed = curator.actor("doomed", &server.hosts(), SESSION / 10).await?;
        doomed.ask(&format!("hold mutex /lock {log}")).await?;
        let next = python.ask(&format!("hold mutex:curator /lock {log}"));
        curator.kill(&path)?;
        next.await?;
        python.ask(&format!("leave mutex:curator /lock {log}")).await?;
        assert_eq!(critical_section::check(&path)?.overtaken, 1);
    }
    Ok(())
}

/// Three Java servers form an ensemble; the harness does not wait for one that cannot serve alone.
#[test]
fn java_ensemble_forms() -> io::Result<()> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    for version in peers.versions() {
        let data = tempfile::tempdir()?;
        let mut servers = spawn_ensemble(&peers, version, data.path())?;
        let mut modes = Vec::new();
        for server in &mut servers {
            server.wait_serving()?;
            let answer = server.four_letter("srvr")?;
            modes.extend(answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned));
        }
        modes.sort_unstable();
        assert_eq!(modes, ["follower", "follower", "leader"], "Java {version}");
    }
    Ok(())
}

fn spawn_ensemble(peers: &Peers, version: JavaVersion, data: &Path) -> io::Result<Vec<JavaServer>> {
    let mut config = Vec::new();
    for id in 1..=3 {
        config.push((format!("server.{id}"), format!("127.0.0.1:{}:{}", free_port()?, free_port()?)));
    }
    let member = |id: usize| {
        let data_dir = data.join(id.to_string());
        std::fs::create_dir_all(&data_dir)?;
        std::fs::write(data_dir.join("myid"), id.to_string())?;
        let (port, config) = (free_port()?, config.clone());
        let options = JavaServerOptions { version, data_dir, port, config, jvm_flags: Vec::new() };
        JavaServer::spawn(peers, options)
    };
    (1..=3).map(member).collect()
}
