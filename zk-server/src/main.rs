//! `zk-server zoo.cfg`: a standalone ZooKeeper server.

fn main() {}
