//! What a change does to nodes, counters and the digest.

use super::*;

fn new(path: &str, zxid: i64, parent_cversion: i32) -> NewNode<'_> {
    NewNode {
        path,
        data: Some(b"d"),
        acl: &[],
        owner: Owner::Persistent,
        parent_cversion,
        zxid: Zxid(zxid),
        time_ms: 5,
    }
}

#[test]
fn the_first_tree_is_javas() {
    let tree = Tree::initial(1);
    assert_eq!(tree.digest(), 1_371_985_504);
    assert_eq!(tree.get("/zookeeper/config").unwrap().data.as_deref(), Some(&[][..]));
    assert_eq!(tree.children("/zookeeper").collect::<Vec<_>>(), ["config", "quota"]);
    assert_eq!(tree.get("/").unwrap().stat().num_children, 1);
    assert_eq!(tree.get("/").unwrap().stat().cversion, -1);
}

#[test]
fn stat_counts_as_zookeeper_does() {
    let mut tree = Tree::initial(1);
    tree.create(new("/a", 1, 1)).unwrap();
    tree.create(new("/a/b", 2, 1)).unwrap();
    tree.create(new("/a/c", 3, 2)).unwrap();
    tree.delete("/a/b", Zxid(4)).unwrap();
    let stat = tree.get("/a").unwrap().stat();
    assert_eq!((stat.cversion, stat.num_children, stat.pzxid), (3, 1, Zxid(4)));
    tree.set_data("/a", Some(b"xyz"), 1, Zxid(5), 9).unwrap();
    let stat = tree.get("/a").unwrap().stat();
    assert_eq!((stat.version, stat.mzxid, stat.mtime, stat.data_length), (1, Zxid(5), 9, 3));
    assert_eq!(tree.create(new("/no/x", 6, 1)), Err(ErrorCode::NoNode));
    assert_eq!(tree.delete("/a/b", Zxid(7)).unwrap_err(), ErrorCode::NoNode);
}

#[test]
fn ephemerals_are_listed_by_session() {
    let mut tree = Tree::initial(1);
    tree.create(NewNode { owner: Owner::Session(7), ..new("/e", 1, 1) }).unwrap();
    assert_eq!(tree.ephemerals(SessionId(7)).collect::<Vec<_>>(), ["/e"]);
    assert_eq!(tree.get("/e").unwrap().stat().ephemeral_owner, SessionId(7));
    tree.delete("/e", Zxid(2)).unwrap();
    assert_eq!(tree.ephemerals(SessionId(7)).count(), 0);
}

#[test]
fn a_frozen_tree_does_not_change() {
    let mut tree = Tree::initial(1);
    for i in 0..100 {
        tree.create(new(&format!("/n{i}"), i + 1, i as i32 + 1)).unwrap();
    }
    let frozen = tree.freeze();
    let before = tree.digest();
    for i in 0..100 {
        tree.delete(&format!("/n{i}"), Zxid(200 + i)).unwrap();
    }
    let nodes = frozen.nodes();
    assert_eq!(nodes.len(), 104);
    assert_eq!(nodes[0].0, "/");
    let sum = nodes.iter().map(|(p, n)| digest::of_node(p, n.data.as_deref(), &n.stat)).sum::<i64>();
    assert_eq!((sum, frozen.digest), (before, before));
}

#[test]
fn replaying_a_create_raises_counters_and_nothing_else() {
    let mut tree = Tree::initial(1);
    tree.create(new("/a", 1, 1)).unwrap();
    tree.set_data("/a", Some(b"new"), 3, Zxid(9), 9).unwrap();
    assert_eq!(tree.create(new("/a", 1, 1)), Err(ErrorCode::NodeExists));
    assert_eq!(tree.get("/a").unwrap().stat().version, 3);
    assert_eq!(tree.get("/").unwrap().stat.pzxid, Zxid(1));
}
