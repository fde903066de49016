//! Defaults, each key, and what is refused or warned about.

use super::*;
use std::path::Path;
use std::time::Duration;

const LEAST: &str = "dataDir=/d\nclientPort=2181\n";

fn with(lines: &str) -> Result<ServerConfig, ConfigError> {
    ServerConfig::parse(&format!("{LEAST}{lines}"))
}

fn refused(lines: &str) -> String {
    with(lines).unwrap_err().to_string()
}

fn warnings(lines: &str) -> Vec<String> {
    with(lines).unwrap().warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn the_least_that_is_needed_and_the_defaults() {
    let c = with("").unwrap();
    assert_eq!((c.data_dir.as_path(), c.data_log_dir.as_path()), (Path::new("/d"), Path::new("/d")));
    assert_eq!((c.client_port, c.tick_time_ms), (2181, 3000));
    assert_eq!((c.min_session_timeout_ms, c.max_session_timeout_ms), (6000, 60_000));
    assert_eq!((c.max_client_cnxns, c.max_cnxns), (60, 0));
    assert_eq!((c.snapshots.snap_count, c.snapshots.snap_size_bytes), (100_000, 4 << 30));
    assert_eq!((c.log.preallocate_bytes, c.log.force_sync), (64 << 20, true));
    assert_eq!((c.purge.keep, c.purge.every), (3, None));
    assert_eq!((c.max_frame_bytes, c.digest, c.extended_types, c.skip_acl), (0xf_ffff, true, false, false));
    assert!(!c.recovery.trust_empty && c.super_digest.is_none() && c.warnings.is_empty());
    assert!(
        c.words.allows(crate::admin::words::Word::Srvr) && !c.words.allows(crate::admin::words::Word::Ruok)
    );
}

#[test]
fn what_must_be_there() {
    let text = ServerConfig::parse("clientPort=1").unwrap_err().to_string();
    assert_eq!(text, "zoo.cfg: dataDir is not set; add a line such as dataDir=/var/lib/zookeeper");
    assert!(ServerConfig::parse("dataDir=/d").unwrap_err().to_string().contains("clientPort=2181"));
}

#[test]
fn a_sample_as_distributions_ship_it() {
    let c = ServerConfig::parse(
        "# The number of milliseconds of each tick\ntickTime=2000\ninitLimit=10\nsyncLimit=5\n\
         dataDir=/var/lib/zookeeper\n# Place the dataLogDir to a separate physical disc\ndataLogDir=/disk2/zookeeper\n\
         clientPort=2181\nclientPortAddress = 127.0.0.1\nmaxClientCnxns=0\nautopurge.snapRetainCount=5\n\
         autopurge.purgeInterval=24\n4lw.commands.whitelist=mntr, srvr,ruok\nadmin.enableServer=false\n\
         jute.maxbuffer=0x3fffff\npreAllocSize=1024\nsnapCount=500\nsnapSizeLimitInKb=-1\nforceSync=no\n\
         extendedTypesEnabled=true\ndigest.enabled=false\nskipACL=yes\nsnapshot.trust.empty=true\nmaxCnxns=9\n\
         clientPortListenBacklog=100\nDigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=\n",
    )
    .unwrap();
    assert_eq!((c.tick_time_ms, c.min_session_timeout_ms, c.max_session_timeout_ms), (2000, 4000, 40_000));
    assert_eq!((c.init_limit, c.sync_limit, c.listen_backlog), (Some(10), Some(5), Some(100)));
    assert_eq!(c.data_log_dir, Path::new("/disk2/zookeeper"));
    assert_eq!(c.client_port_address.as_deref(), Some("127.0.0.1"));
    assert_eq!((c.purge.keep, c.purge.every), (5, Some(Duration::from_secs(86_400))));
    assert_eq!((c.max_frame_bytes, c.log.preallocate_bytes, c.log.force_sync), (0x3f_ffff, 1 << 20, false));
    assert_eq!((c.snapshots.snap_count, c.snapshots.snap_size_bytes), (500, 0));
    assert!(c.extended_types && !c.digest && c.skip_acl && c.recovery.trust_empty);
    assert_eq!((c.max_client_cnxns, c.max_cnxns, c.warnings), (0, 9, vec![]));
    assert!(!format!("{:?}", c.super_digest).contains("InIHSb"));
}

#[test]
fn session_timeouts() {
    let c = with("minSessionTimeout=-1\nmaxSessionTimeout=5000000\n").unwrap();
    assert_eq!((c.min_session_timeout_ms, c.max_session_timeout_ms), (6000, 5_000_000));
    let text = refused("minSessionTimeout=9000\nmaxSessionTimeout=8000\n");
    assert_eq!(
        text,
        "zoo.cfg:4: maxSessionTimeout=8000 is not valid: expected at least minSessionTimeout, which is 9000"
    );
    assert!(refused("minSessionTimeout=soon\n").contains("milliseconds, or -1"));
}

#[test]
fn wrong_values_name_their_line_and_what_is_expected() {
    assert_eq!(
        refused("\n# x\ntickTime=0\n"),
        "zoo.cfg:5: tickTime=0 is not valid: expected a number from 1 to 107374182"
    );
    for line in [
        "clientPort=65536",
        "clientPort=-1",
        "maxClientCnxns=many",
        "snapCount=-5",
        "preAllocSize=64M",
        "forceSync=maybe",
        "digest.enabled=1",
        "jute.maxbuffer=big",
        "autopurge.purgeInterval=daily",
        "dataDir=",
        "dataLogDir=~/zk",
        "peerType=leader",
        "initLimit=0",
        "clientPortAddress=",
        "DigestAuthenticationProvider.superDigest=nocolon",
        "server.x=h:1:2",
        "server.1=h:1:2;x",
        "a=\\u12",
    ] {
        let text = refused(line);
        assert!(text.starts_with("zoo.cfg:3: "), "{line}: {text}");
        assert!(!text.contains("nocolon"), "a secret was printed");
    }
}

#[test]
fn unknown_keys_are_warned_about_with_their_line() {
    assert_eq!(
        warnings("tikTime=2000\nzookeeper.snapCount=5\n"),
        [
            "line 3: tikTime: unknown key, ignored",
            "line 4: zookeeper.snapCount: unknown key, ignored; in this file it would be snapCount"
        ]
    );
    assert_eq!(warnings("electionAlg=3\nadmin.serverPort=8080\n"), [] as [String; 0]);
    assert_eq!(
        warnings("tickTime=1000\ntickTime=2000\n"),
        ["line 3: tickTime: set again on line 4, which counts"]
    );
    assert_eq!(with("tickTime=1000\ntickTime=2000\n").unwrap().tick_time_ms, 2000);
}

#[test]
fn values_below_the_least_are_raised_with_a_warning() {
    let c = with("snapCount=1\nautopurge.snapRetainCount=1\n").unwrap();
    assert_eq!((c.snapshots.snap_count, c.purge.keep, c.warnings.len()), (2, 3, 2));
    assert_eq!(
        warnings("4lw.commands.whitelist=srvr,gtmk\n"),
        ["line 3: 4lw.commands.whitelist: not answered here: gtmk"]
    );
    assert_eq!(warnings("admin.enableServer=true\n").len(), 1);
}

#[test]
fn one_server_line_is_fine_and_two_are_an_ensemble() {
    let c = ServerConfig::parse("dataDir=/d\nserver.3=h:2888:3888;0.0.0.0:2182\n").unwrap();
    assert_eq!(
        (c.server_id, c.client_port, c.client_port_address.as_deref()),
        (Some(3), 2182, Some("0.0.0.0"))
    );
    assert_eq!(with("server.1=h:2888:3888\n").unwrap().client_port, 2181);
    assert_eq!(warnings("server.1=h:2888:3888;2182\n").len(), 1);
    let text = refused("server.1=a:1:2\nserver.2=b:1:2\n");
    assert_eq!(
        text,
        "zoo.cfg:4: ensembles come with a later version; remove the server.N lines or keep a single one"
    );
    assert!(matches!(with("standaloneEnabled=false\n"), Err(ConfigError::Ensemble { line: 3, .. })));
    assert!(matches!(with("dynamicConfigFile=/x\n"), Err(ConfigError::Ensemble { .. })));
}

#[test]
fn what_security_depends_on_is_not_ignored() {
    for line in [
        "secureClientPort=2281",
        "enforce.auth.enabled=true",
        "sessionRequireClientSASLAuth=true",
        "authProvider.1=x.Y",
    ] {
        assert!(matches!(with(line), Err(ConfigError::Unsupported { line: 3, .. })), "{line}");
    }
    assert!(with("enforce.auth.enabled=false\n").unwrap().warnings.is_empty());
}
