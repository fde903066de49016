//! Which number stands for which server. A number keeps its server for as long as that is listed or in use, and is
//! never given to another.

use std::collections::BTreeMap;

use super::Host;

/// The servers by number. Those of the first list are `0..len`.
#[derive(Debug)]
pub(crate) struct Directory {
    names: BTreeMap<usize, Host>,
    next: usize,
}

impl Directory {
    pub(crate) fn new(hosts: Vec<Host>) -> Self {
        let mut directory = Self { names: BTreeMap::new(), next: 0 };
        for host in hosts {
            directory.number(host);
        }
        directory
    }

    pub(crate) fn get(&self, number: usize) -> Option<&Host> {
        self.names.get(&number)
    }

    /// Takes another list and returns its numbers. Servers that are no longer listed are forgotten, except
    /// `in_use`.
    pub(crate) fn update(&mut self, hosts: Vec<Host>, in_use: Option<usize>) -> Vec<usize> {
        let listed: Vec<usize> = hosts.into_iter().map(|host| self.number(host)).collect();
        self.names.retain(|number, _| listed.contains(number) || in_use == Some(*number));
        listed
    }

    fn number(&mut self, host: Host) -> usize {
        if let Some((number, _)) = self.names.iter().find(|(_, known)| **known == host) {
            return *number;
        }
        let number = self.next;
        self.next += 1;
        self.names.insert(number, host);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(names: &[&str]) -> Vec<Host> {
        names.iter().map(|name| Host { name: (*name).into(), port: 2181 }).collect()
    }

    #[test]
    fn a_number_stays_with_its_server() {
        let mut directory = Directory::new(hosts(&["a", "b", "a"]));
        assert_eq!(directory.get(2), None);
        assert_eq!(directory.update(hosts(&["c", "b"]), Some(0)), [2, 1]);
        assert_eq!(directory.get(0).map(|h| h.name.as_str()), Some("a"), "still in use");
        assert_eq!(directory.update(hosts(&["a", "c"]), None), [0, 2]);
        assert_eq!(directory.update(hosts(&["b"]), None), [3], "forgotten, so it is another one");
        assert_eq!(directory.names.len(), 1);
    }
}
