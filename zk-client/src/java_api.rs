//! ZooKeeper's Java API beside ours: where to find what, for those who know the other. Documentation alone.
//!
//! The Java side is `org.apache.zookeeper` 3.9.5: every public method of `ZooKeeper`, `ZooKeeperAdmin` and
//! `Transaction`, and of the types that go in and out of them. A method that is not here names its reason. Methods
//! that Java has twice, waiting and with a callback, are one builder here: `.await` it, or take the future from
//! `.send()` and await that later (see [AsyncCallback](#asynccallback)).
//!
//! # `ZooKeeper`: connecting and the session
//!
//! | Java | here | |
//! |---|---|---|
//! | `new ZooKeeper(connectString, sessionTimeout, watcher)` | [`Client::connect`], [`Client::builder`] | Waits for the first session; [`Builder::session_timeout`] asks for the timeout. There is no default watcher: session events come from [`Client::session_state`]. |
//! | `new ZooKeeper(.., canBeReadOnly)` | [`Builder::read_only`] | |
//! | `new ZooKeeper(.., sessionId, sessionPasswd)` | [`Builder::resume`] | With a [`SessionTicket`](crate::SessionTicket), which also has the timeout and the last zxid. |
//! | `new ZooKeeper(.., hostProvider)` | [`hosts`](crate::hosts), [`Builder::dialer`] | The order of servers is the client's own (shuffled, names resolved at each attempt); where a connection leads is the dialer's. |
//! | `new ZooKeeper(.., clientConfig)` | [`Builder`] | See [properties](#zkclientconfig-and-system-properties). |
//! | `updateServerList` | [`Client::update_servers`] | |
//! | `getSessionId` | [`Client::session_id`] | |
//! | `getSessionPasswd` | [`Client::session_ticket`] | |
//! | `getSessionTimeout` | [`SessionInfo::timeout`](crate::SessionInfo::timeout) | Of [`Client::session_state`]. |
//! | `getState` | [`Client::session_state`] | See [States](#states). |
//! | `addAuthInfo` | [`Client::add_auth`], [`Builder::auth`] | Waits for the server's answer, which Java does not. |
//! | `register(watcher)` | [`Client::session_state`] | There is no default watcher to replace. |
//! | `close()` | [`Client::close`] | Dropping the last clone closes too, in the background. |
//! | `close(waitForShutdownTimeoutMs)` | [`Client::close`] | Waits at most [`CLOSE_MAX`](crate::limits::CLOSE_MAX); `tokio::time::timeout` for less. |
//! | `getClientConfig` | none | Options are given to the builder and not changed afterwards. |
//! | `getSaslClient` | none | A detail of Java's SASL; whether it succeeded is in [`Client::session_state`] and [`Client::who_am_i`]. |
//! | `getTestable` | none | For ZooKeeper's own tests (`injectSessionExpiration`, `queueEvent`, `closeSocket`). To end a session, close it from a second connection; `EmbeddedServer` of `zk-server` can expire one. |
//! | `toString` | `Debug` of [`Client`] | |
//! | `ZOOKEEPER_CLIENT_CNXN_SOCKET`, `SECURE_CLIENT` | `Builder::tls`, [`Builder::dialer`] | Names of properties. |
//!
//! # `ZooKeeper`: operations
//!
//! | Java | here | |
//! |---|---|---|
//! | `create(path, data, acl, mode)` | [`Client::create`] | Data and path are arguments; [`acl`](Create::acl) is open unless said; the mode by [`ephemeral`](Create::ephemeral), [`sequential`](Create::sequential), [`container`](Create::container) or [`mode`](Create::mode). |
//! | `create(.., stat)` | [`Created::stat`] | Always there. |
//! | `create(.., stat, ttl)` | [`Create::ttl`] | |
//! | `delete(path, version)` | [`Client::delete`], [`Delete::version`] | |
//! | `exists(path, watch)` | [`Client::exists`] | `None` for no node; [`Exists::watch`]. |
//! | `getData(path, watch, stat)` | [`Client::get`] | A [`Node`] has both; [`Get::watch`]. |
//! | `setData(path, data, version)` | [`Client::set`], [`Set::version`] | |
//! | `getACL(path, stat)` | [`Client::get_acl`] | |
//! | `setACL(path, acl, aclVersion)` | [`Client::set_acl`], [`SetAcl::version`] | |
//! | `getChildren(path, watch)` | [`GetChildren::without_stat`] | |
//! | `getChildren(path, watch, stat)` | [`Client::get_children`] | [`GetChildren::watch`]. |
//! | `getAllChildrenNumber(path)` | [`Client::get_all_children_number`] | |
//! | `getEphemerals()`, `getEphemerals(prefixPath)` | [`Client::get_ephemerals`] | `"/"` for all of them. Only what lies in the chroot, without the chroot. |
//! | `sync(path)` | [`Client::sync`] | |
//! | `multi(ops)` | [`Client::transaction`], [`Client::multi_read`] | See [Op](#op-and-opresult). |
//! | `transaction()` | [`Client::transaction`] | |
//! | `getConfig(watch, stat)` | [`Client::get_config`] | Parsed: [`EnsembleConfig`](crate::ensemble::EnsembleConfig); [`GetConfig::watch`]. |
//! | `whoAmI()` | [`Client::who_am_i`] | |
//! | `addWatch(path, watcher, mode)`, `addWatch(path, mode)` | [`Client::watch`] | A [`WatchStream`]; see [AddWatchMode](#addwatchmode-and-watchertype). |
//! | `removeWatches(path, watcher, type, local)` | dropping the [`Watch`] or [`WatchStream`] | Each interest is a value of its own; the last one to go of a path takes the watch away from the server. |
//! | `removeAllWatches(path, type, local)` | [`Client::remove_watches`] | |
//!
//! `local` of the last two lets Java forget a watch that the server cannot be asked to remove; here the interest is
//! gone at once, connected or not.
//!
//! # `ZooKeeperAdmin`
//!
//! | Java | here | |
//! |---|---|---|
//! | `new ZooKeeperAdmin(..)` | [`Client`] | One type for all. |
//! | `reconfigure(joining, leaving, newMembers, fromConfig, stat)` | [`Client::reconfig`] | [`join`](Reconfig::join), [`leave`](Reconfig::leave); or [`member`](Reconfig::member), [`membership`](Reconfig::membership); [`version`](Reconfig::version). |
//!
//! # `Op` and `OpResult`
//!
//! | Java | here | |
//! |---|---|---|
//! | `Op.create(path, data, acl, flags)`, `Op.create(path, data, acl, mode)` | [`Transaction::create`], [`Transaction::create_with`] | |
//! | `Op.create(.., ttl)` | [`Transaction::create_with_ttl`] | |
//! | `Op.create(path, data, options)` | [`Transaction::create_with`], [`Transaction::create_with_ttl`] | `CreateOptions` (`newBuilder`, `withTtl`, `build`, `getAcl`, `getCreateMode`, `getTtl`) are their arguments. |
//! | `Op.delete(path, version)` | [`Transaction::delete`], [`Transaction::delete_version`] | |
//! | `Op.setData(path, data, version)` | [`Transaction::set`], [`Transaction::set_version`] | |
//! | `Op.check(path, version)` | [`Transaction::check`] | |
//! | `Op.getData(path)` | [`MultiRead::get`] | |
//! | `Op.getChildren(path)` | [`MultiRead::get_children`] | |
//! | `getType`, `getPath`, `getKind`, `toRequestRecord` of an `Op` | none | A step is not a value of its own. |
//! | `OpResult` (`getType`), `CreateResult` (`getPath`, `getStat`), `SetDataResult`, `DeleteResult`, `CheckResult` | [`TransactionResult`] | The stat of a created node comes from ZooKeeper 3.9 on. |
//! | `GetDataResult`, `GetChildrenResult` | [`ReadResult`] | |
//! | `ErrorResult` (`getErr`) | [`ErrorKind::Transaction`], an [`Error`] for each step of a [`MultiRead`] | |
//! | `Transaction` (`create`, `delete`, `check`, `setData`, `commit`) | [`Transaction`] | |
//!
//! # `CreateMode`
//!
//! | Java | here | |
//! |---|---|---|
//! | `PERSISTENT`, `PERSISTENT_SEQUENTIAL` | [`CreateMode::Persistent`], [`CreateMode::PersistentSequential`] | |
//! | `EPHEMERAL`, `EPHEMERAL_SEQUENTIAL` | [`CreateMode::Ephemeral`], [`CreateMode::EphemeralSequential`] | |
//! | `CONTAINER` | [`CreateMode::Container`] | |
//! | `PERSISTENT_WITH_TTL`, `PERSISTENT_SEQUENTIAL_WITH_TTL` | [`CreateMode::PersistentTtl`], [`CreateMode::PersistentSequentialTtl`] | |
//! | `isEphemeral`, `isSequential`, `isTTL` | [`CreateMode::is_ephemeral`], [`CreateMode::is_sequential`], [`CreateMode::has_ttl`] | |
//! | `isContainer` | `== CreateMode::Container` | |
//! | `toFlag`, `fromFlag` | [`CreateMode::flags`], [`CreateMode::from_flags`] | |
//! | `values`, `valueOf` | [`CreateMode::ALL`] | Names are Rust's own; there is no parsing of Java's. |
//!
//! # `Watcher`
//!
//! | Java | here | |
//! |---|---|---|
//! | `Watcher.process(event)` | `.await` of a [`Watch`]; the items of a [`WatchStream`]; [`Client::session_state`] | No callback: whoever waits has the event. |
//! | `WatchedEvent` (`getType`, `getPath`, `getZxid`) | [`WatchedEvent`] | |
//! | `WatchedEvent.getState` | [`Client::session_state`] | Changes of the session are not mixed into the events of nodes: a watch that outlived its session ends with an [`Error`], a stream says [`Resync`](crate::WatchItem::Resync). |
//! | `NodeCreated`, `NodeDeleted`, `NodeDataChanged`, `NodeChildrenChanged` | [`EventType`] | |
//! | `None` | [`Client::session_state`] | |
//! | `DataWatchRemoved`, `ChildWatchRemoved`, `PersistentWatchRemoved` | an error of kind [`WatchRemoved`](crate::ErrorKind::WatchRemoved) | |
//! | `KeeperState`: `SyncConnected`, `ConnectedReadOnly` | [`SessionState::Connected`], [`SessionInfo::read_only`](crate::SessionInfo::read_only) | |
//! | `KeeperState`: `Disconnected` | [`SessionState::Suspended`] | |
//! | `KeeperState`: `Expired` | [`SessionState::Expired`] | A new session follows, unless [`Builder::expiry_is_terminal`]. |
//! | `KeeperState`: `AuthFailed` | [`SessionState::AuthFailed`] | |
//! | `KeeperState`: `SaslAuthenticated` | [`SessionState::Connected`] | A session is said to be connected once its credentials are taken. |
//! | `KeeperState`: `Closed` | [`SessionState::Closed`] | |
//! | `KeeperState`: `Unknown`, `NoSyncConnected` | none | Deprecated in Java, and never sent. |
//!
//! ## `AddWatchMode` and `WatcherType`
//!
//! | Java | here | |
//! |---|---|---|
//! | `PERSISTENT` | [`Client::watch`] | |
//! | `PERSISTENT_RECURSIVE` | [`AddWatch::recursive`](crate::ops::AddWatch::recursive) | |
//! | `WatcherType`: `Children`, `Data`, `Persistent`, `PersistentRecursive`, `Any` | which [`Watch`] or stream is dropped | [`Client::remove_watches`] is `Any`. |
//!
//! # `States`
//!
//! | Java | here | |
//! |---|---|---|
//! | `CONNECTING`, `ASSOCIATING`, `NOT_CONNECTED` | [`SessionState::Connecting`], or [`SessionState::Suspended`] with a session to save | |
//! | `CONNECTED`, `CONNECTEDREADONLY` | [`SessionState::Connected`] | |
//! | `CLOSED` | [`SessionState::Closed`], [`SessionState::Expired`] | Java closes a client whose session has expired. |
//! | `AUTH_FAILED` | [`SessionState::AuthFailed`] | |
//! | `isAlive` | [`SessionState::session`] | |
//! | `isConnected` | [`SessionState::is_connected`] | |
//!
//! # `AsyncCallback`
//!
//! | Java | here | |
//! |---|---|---|
//! | `StatCallback`, `DataCallback`, `ACLCallback`, `ChildrenCallback`, `Children2Callback`, `Create2Callback`, `StringCallback`, `VoidCallback`, `MultiCallback`, `AllChildrenNumberCallback`, `EphemeralsCallback` (`processResult`) | [`Pending`] of the operation's output | `.send()` sends at once and in order, as Java's asynchronous methods do. There is no context object: the future is the caller's own. |
//!
//! # `KeeperException`
//!
//! | Java | here | |
//! |---|---|---|
//! | `code`, `getCode` | [`Error::code`] | [`ErrorCode`] has all of `KeeperException.Code`, under Rust's spelling: `NONODE` is [`ErrorCode::NoNode`]. `OK` is not an error. |
//! | `getPath` | [`Error::path`] | |
//! | `getMessage` | `Display` of [`Error`] | |
//! | `getResults` of a failed multi | [`ErrorKind::Transaction`] | Which step failed, and why: the others say no more. |
//! | `create`, `setCode` | none | Errors are made by the client alone. |
//! | `CONNECTIONLOSS` | [`ErrorKind::ConnectionLoss`] | Reads are sent again first ([`RetryPolicy`], `.resend(bool)`); of writes [`Error::outcome_unknown`] tells. |
//! | `SESSIONEXPIRED` | [`ErrorKind::SessionExpired`] | |
//! | `REQUESTTIMEOUT` | `tokio::time::timeout` | |
//! | `APIERROR`, `INVALIDCALLBACK` | [`ErrorCode::Unknown`], [`ErrorCode::InvalidCallback`] | Of Java alone. |
//!
//! # `ZKUtil` and `ZooDefs`
//!
//! | Java | here | |
//! |---|---|---|
//! | `ZKUtil.deleteRecursive` | [`Client::delete_recursive`] | |
//! | `ZKUtil.listSubTreeBFS` | [`Client::walk`] | |
//! | `ZKUtil.visitSubTreeDFS` | [`Client::walk`] | Breadth first. |
//! | `ZKUtil.getPermString`, `ZKUtil.aclToString` | `Display` of [`Perms`] and [`Acl`] | |
//! | `ZKUtil.validateFileInput` | none | About files, not about ZooKeeper. |
//! | `ZooDefs.Ids`: `ANYONE_ID_UNSAFE`, `AUTH_IDS` | [`AuthId::anyone`], [`AuthId::new`] | |
//! | `ZooDefs.Ids`: `OPEN_ACL_UNSAFE`, `CREATOR_ALL_ACL`, `READ_ACL_UNSAFE` | [`Acl::open`], [`Acl::creator`], [`Acl::read_only`] | |
//! | `ZooDefs.Perms` | [`Perms`] | |
//!
//! # `ZKClientConfig` and system properties
//!
//! | Java | here | |
//! |---|---|---|
//! | `jute.maxbuffer` | [`Builder::frame_limit`] | The same default, 1048575. Held against what is sent too. |
//! | `zookeeper.request.timeout` | `tokio::time::timeout` around any operation | A dropped operation that was not sent is not sent. |
//! | `zookeeper.client.secure`, `zookeeper.clientCnxnSocket`, `zookeeper.ssl.*` | `Builder::tls` | |
//! | `zookeeper.disableAutoWatchReset` | none | Watches are always armed again; dropping one forgets it. |
//! | `zookeeper.sasl.client`, `zookeeper.sasl.clientconfig`, `zookeeper.sasl.client.username`, `zookeeper.sasl.client.canonicalize.hostname`, `zookeeper.server.principal`, `zookeeper.server.realm`, `zookeeper.kinit`, `sun.security.jgss.native` | [`Builder::sasl`] | A mechanism's options are its own; there is no JAAS. |
//! | `HostProvider` (`size`, `next`, `onConnected`, `updateServerList`) | [`hosts`](crate::hosts), [`Client::update_servers`] | |
//!
//! # Here and not there
//!
//! [`Client::ensure_path`], [`Client::upsert`], [`Create::parents`], [`Create::protected`], [`Set::idempotent`],
//! [`Delete::idempotent`], `.in_session(id)`, [`Client::session_deadline`].

#[allow(unused_imports, reason = "for the links above")]
use crate::{
    Acl, AuthId, Builder, Client, CreateMode, Created, Error, ErrorCode, ErrorKind, EventType, Node, Pending,
    Perms, ReadResult, RetryPolicy, SessionState, TransactionResult, Watch, WatchStream, WatchedEvent,
    ops::{
        Create, Delete, Exists, Get, GetChildren, GetConfig, MultiRead, Reconfig, Set, SetAcl, Transaction,
    },
};
