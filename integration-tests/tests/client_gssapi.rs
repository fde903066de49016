//! SASL with Kerberos against Apache ZooKeeper: a realm of the test's own, a server with a keytab, and the client as a
//! process with a ticket, with a keytab, or with nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use integration_tests::kdc::{Kdc, REALM};
use integration_tests::peers::{Extra, JavaServer, JavaVersion, Peers, or_skip, skipped};
use integration_tests::targets::Failure;
use tempfile::TempDir;

type Outcome = Result<(), Failure>;

const PATIENCE_MS: &str = "30000";

/// A realm with a server and a user, and the server itself.
struct Stage {
    server: JavaServer,
    kdc: Kdc,
    user: PathBuf,
    _dir: TempDir,
}

impl Stage {
    fn set(peers: &Peers, version: JavaVersion) -> Result<Self, Failure> {
        let kdc = Kdc::start()?;
        let user = kdc.keytab("app")?;
        let own = kdc.keytab("zookeeper/localhost")?;
        let dir = tempfile::tempdir()?;
        let jaas = dir.path().join("jaas.conf");
        std::fs::write(&jaas, jaas_of(&own))?;
        let login = format!("-Djava.security.auth.login.config={}", jaas.display());
        let realm = format!("-Djava.security.krb5.conf={}", kdc.config().display());
        let extra = Extra {
            config: &[
                "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
                "sessionRequireClientSASLAuth=true",
            ],
            jvm: &[&login, &realm],
        };
        let server = JavaServer::start_with(peers, version, dir.path(), extra)?;
        Ok(Self { server, kdc, user, _dir: dir })
    }

    /// A client with these settings besides the realm's, and these options.
    fn client(
        &self,
        environment: &[(&str, String)],
        timeout_ms: &str,
        options: &[&str],
    ) -> Result<Running, Failure> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gssapi-client"))
            .arg(format!("localhost:{}", self.server.address().port()))
            .arg(timeout_ms)
            .args(options)
            .envs(self.kdc.environment())
            .envs(environment.iter().map(|(key, value)| (*key, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Ok(Running { child, input, output })
    }

    fn keytab(&self) -> (&'static str, String) {
        ("KRB5_CLIENT_KTNAME", format!("FILE:{}", self.user.display()))
    }

    /// A cache that MIT's library may fill by itself.
    fn cache(&self, name: &str) -> (&'static str, String) {
        ("KRB5CCNAME", format!("FILE:{}", self.kdc.dir().join(name).display()))
    }
}

fn jaas_of(keytab: &Path) -> String {
    format!(
        "Server {{\n  com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true \
         useTicketCache=false keyTab=\"{}\" principal=\"zookeeper/localhost@{REALM}\";\n}};\n",
        keytab.display()
    )
}

struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn get(&mut self) -> Result<String, Failure> {
        writeln!(self.input, "get")?;
        self.line()
    }

    fn end(mut self) -> Outcome {
        drop(self.input);
        assert!(self.child.wait()?.success());
        Ok(())
    }
}

fn stages() -> Result<Vec<Stage>, Failure> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(Vec::new()) };
    if let Err(missing) = Kdc::installed() {
        if std::env::var_os("ZK_REQUIRE_PEERS").is_some_and(|v| v == "1") {
            return Err(format!("{missing} is not installed; see .ci/peers.sh").into());
        }
        skipped(format_args!("no {missing} on this machine"));
        return Ok(Vec::new());
    }
    peers.versions().map(|version| Stage::set(&peers, version)).collect()
}

#[test]
fn a_ticket_or_a_keytab_lets_in_and_a_reconnect_proves_it_again() -> Outcome {
    for mut stage in stages()? {
        let ticket = stage.kdc.ticket("app", &stage.user)?;
        let options = [
            (vec![("KRB5CCNAME", ticket.clone())], vec![]),
            (vec![stage.keytab(), stage.cache("filled")], vec!["client=app@ZK.TEST"]),
            (vec![("KRB5CCNAME", ticket)], vec!["host=localhost", "realm=ZK.TEST", "service=zookeeper"]),
        ];
        let mut clients = Vec::new();
        for (environment, options) in options {
            let mut client = stage.client(&environment, PATIENCE_MS, &options)?;
            assert_eq!(client.line()?, format!("connected sasl:app@{REALM}"));
            assert_eq!(client.get()?, "got mine");
            clients.push(client);
        }
        stage.server.restart()?;
        for mut client in clients {
            assert_eq!(client.get()?, "got mine");
            client.end()?;
        }
    }
    Ok(())
}

#[test]
fn what_is_missing_here_is_said_and_tried_again() -> Outcome {
    for mut stage in stages()?.into_iter().take(1) {
        let mut nothing = stage.client(&[], "4000", &[])?;
        let said = nothing.line()?;
        assert!(said.starts_with("refused connect: timed out"), "{said}");
        assert!(
            said.contains("last: localhost:") && said.contains(": SASL GSSAPI: no ticket (run kinit"),
            "{said}"
        );

        let ticket = ("KRB5CCNAME", stage.kdc.ticket("app", &stage.user)?);
        let mut stranger = stage.client(&[ticket], "4000", &["service=nosuch"])?;
        let said = stranger.line()?;
        assert!(said.contains("nosuch@localhost: ") && said.contains("not found in Kerberos"), "{said}");

        // The KDC is away for a while.
        stage.kdc.kill9()?;
        let mut early = stage.client(&[stage.keytab(), stage.cache("late")], "4000", &[])?;
        let said = early.line()?;
        assert!(said.contains("SASL GSSAPI: ") && said.contains("Cannot contact any KDC"), "{said}");
        let mut patient = stage.client(&[stage.keytab(), stage.cache("patient")], PATIENCE_MS, &[])?;
        std::thread::sleep(std::time::Duration::from_millis(500));
        stage.kdc.launch()?;
        assert_eq!(patient.line()?, format!("connected sasl:app@{REALM}"));
        patient.end()?;
    }
    Ok(())
}
