//! Bugs planted on purpose, to see that a report names the hop at which a message was lost.
//!
//! They exist in debug builds only: a release node refuses `--broken`, a release client has no such setting, and the
//! command has no option for it.

/// What is planted where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    /// The node's `--broken`, empty for none.
    pub node: String,
    /// Every client loses the n-th message that it should show.
    pub drop_received: Option<u64>,
}

impl Planted {
    /// `drop_fanout=50,drop_received=7`: what is the clients' stays here, the rest is the nodes'.
    pub fn parse(spec: &str) -> Planted {
        let mut planted = Planted::default();
        let mut of_nodes = Vec::new();
        for part in spec.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.strip_prefix("drop_received=").map(str::parse) {
                Some(Ok(nth)) => planted.drop_received = Some(nth),
                _ => of_nodes.push(part),
            }
        }
        planted.node = of_nodes.join(",");
        planted
    }
}
