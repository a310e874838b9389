//! Links by name, so that the heal list can be read without this program.

use chaos_cluster::{LinkEnd, LinkKind, Server};
use serde::{Deserialize, Serialize};

use crate::{Scene, fault::Touched};

/// One direction between two ends: `redis-1` to `redis-4`, or to or from `clients`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    pub from: String,
    pub to: String,
    pub kind: LinkKind,
}

impl Link {
    pub(crate) fn new(from: LinkEnd, to: LinkEnd, kind: LinkKind) -> Link {
        Link { from: from.to_string(), to: to.to_string(), kind }
    }

    /// `None`: no link of this suite.
    pub(crate) fn ends(&self) -> Option<(LinkEnd, LinkEnd)> {
        Some((end(&self.from)?, end(&self.to)?))
    }
}

fn end(name: &str) -> Option<LinkEnd> {
    match name.parse() {
        Ok(Server::Redis(number)) => Some(LinkEnd::Redis(number)),
        _ => (name == LinkEnd::Clients.to_string()).then_some(LinkEnd::Clients),
    }
}

impl Touched {
    /// The link as it is now, for what it will have carried later.
    pub(crate) fn now(scene: &Scene<'_>, from: LinkEnd, to: LinkEnd, kind: LinkKind) -> Touched {
        Touched { link: Link::new(from, to, kind), before: scene.cluster.links().carried(from, to, kind) }
    }
}

impl Scene<'_> {
    /// Changes one thing about each link, and leaves the rest as it is: faults may share a link.
    pub(crate) fn change<'l>(
        &self,
        links: impl IntoIterator<Item = &'l Link>,
        change: impl Fn(&mut chaos_cluster::LinkState),
    ) {
        for link in links {
            if let Some((from, to)) = link.ends() {
                let mut state = self.cluster.links().state(from, to, link.kind);
                change(&mut state);
                self.cluster.links().set(from, to, link.kind, state);
            }
        }
    }

    /// Whether any link by which this node replicates is delayed.
    pub(crate) fn delays_replication_of(&self, server: Server) -> bool {
        let from = LinkEnd::Redis(server.number());
        let others = self.cluster.servers().into_iter().filter(|other| other.is_redis() && *other != server);
        let links = self.cluster.links();
        others
            .map(|other| links.state(from, LinkEnd::Redis(other.number()), LinkKind::Replication))
            .any(|state| !state.delay.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_found_again_by_its_names() {
        let link = Link::new(LinkEnd::Redis(3), LinkEnd::Clients, LinkKind::Client);
        assert_eq!(link.ends(), Some((LinkEnd::Redis(3), LinkEnd::Clients)));
        let strange = Link { from: "chat-1".to_owned(), ..link };
        assert_eq!(strange.ends(), None);
    }
}
