//! Runs a list of scenarios on every server there is: each alone on an embedded one, and all of them on each Apache
//! ZooKeeper that is installed and on the server that `ZK_CONNECT` names.

/// Makes the tests. A scenario is an `async fn(Place) -> Result<(), Failure>` in the file that calls this.
#[macro_export]
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() -> Result<(), $crate::targets::Failure> {
                    let target = $crate::targets::Target::embedded().await?;
                    super::$name(target.place(stringify!($name)).await?).await
                }
            )*
        }

        async fn all(target: $crate::targets::Target) -> Result<(), $crate::targets::Failure> {
            $(
                let place = target.place(stringify!($name)).await?;
                $name(place).await.map_err(|e| format!("{}: {e}", stringify!($name)))?;
            )*
            Ok(())
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn on_apache_zookeeper_3_8() -> Result<(), $crate::targets::Failure> {
            match $crate::targets::Target::java_or_skip($crate::peers::JavaVersion::V3_8)? {
                Some(target) => all(target).await,
                None => Ok(()),
            }
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn on_apache_zookeeper_3_9() -> Result<(), $crate::targets::Failure> {
            match $crate::targets::Target::java_or_skip($crate::peers::JavaVersion::V3_9_5)? {
                Some(target) => all(target).await,
                None => Ok(()),
            }
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn on_the_given_server() -> Result<(), $crate::targets::Failure> {
            match $crate::targets::Target::given() {
                Some(target) => all(target).await,
                None => Ok($crate::peers::skipped("ZK_CONNECT is not set")),
            }
        }
    };
}
