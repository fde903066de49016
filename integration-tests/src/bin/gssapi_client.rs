//! One client with Kerberos, as a process: Kerberos takes its settings from the environment, which belongs to a process.
//!
//!     gssapi-client HOSTS TIMEOUT_MS [service=S] [host=H] [realm=R] [client=P]
//!
//! Prints `connected ID`, where ID is its name in the ACL of a node it made, or `refused ERROR`. Then answers every
//! line on its input, `get` with `got DATA` or `failed ERROR`, until that ends.

use std::io::{self, BufRead as _, Write as _};
use std::time::Duration;

use zk_client::sasl::Gssapi;
use zk_client::{Acl, Client};

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let hosts = args.next().unwrap_or_default();
    let timeout =
        args.next().and_then(|text| text.parse().ok()).map_or(Duration::ZERO, Duration::from_millis);
    let gssapi = args.fold(Gssapi::new(), |gssapi, option| match option.split_once('=') {
        Some(("service", value)) => gssapi.service(value),
        Some(("host", value)) => gssapi.host(value),
        Some(("realm", value)) => gssapi.realm(value),
        Some(("client", value)) => gssapi.client_principal(value),
        _ => gssapi,
    });
    match serve(&hosts, timeout, gssapi).await {
        Ok(()) => Ok(()),
        Err(error) => say(format_args!("refused {error}")),
    }
}

async fn serve(hosts: &str, timeout: Duration, gssapi: Gssapi) -> Result<(), Box<dyn std::error::Error>> {
    let zk = Client::builder().connect_timeout(timeout).sasl(gssapi).connect(hosts).await?;
    let path = format!("/of-{}", std::process::id());
    zk.create(&path, "mine").acl(Acl::creator()).await?;
    let (acl, _) = zk.get_acl(&path).await?;
    let id = acl.first().map(|acl| format!("{}:{}", acl.id.scheme, acl.id.id)).unwrap_or_default();
    say(format_args!("connected {id}"))?;
    for line in io::stdin().lock().lines() {
        if line? == "get" {
            match zk.get(&path).await {
                Ok(node) => say(format_args!("got {}", String::from_utf8_lossy(&node.data)))?,
                Err(error) => say(format_args!("failed {error}"))?,
            }
        }
    }
    zk.close().await;
    Ok(())
}

fn say(what: std::fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(io::stdout(), "{what}")
}
